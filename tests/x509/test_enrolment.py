"""Getting a certificate: by the page, as a file, over EST; and signing in with it (BI-1 to BI-5, MT-2 to MT-5, X-8, C4 to C8)."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import time_machine
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, pkcs7, pkcs12

from demo.browser import Browser
from demo.pki import Card
from derived import clock
from derived.authority import lists
from derived.changes import revoke, suspend
from derived.errors import Reason, Refused
from derived.ledger.locking import under_lock
from derived.models import Account, BoundKey, Credential, IssuedCertificate
from device import est
from device.errors import ProtocolError
from idp.certificates import configuration
from idp.enrol.grown.certificate import by_code as ordering
from idp.enrol.grown.certificate import issuing as certificates
from idp.login import probe
from idp.models import CertificateOrder
from idp.signals import tending, worker
from tests.card import desk as card_desk
from tests.card.desk import PLACE, Reader
from tests.card.test_login import why
from tests.world import AAL, ISSUER, answer, claims, http
from tests.x509.office import PASSPHRASE, Holding, add, csr, issued, key_pem, new_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from demo.browser import Page
    from tests.world import World

pytestmark = [pytest.mark.django_db, pytest.mark.database]
ALEX = "alex@example.org"
EST = "/.well-known/est"


@pytest.fixture
def host(authority: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate host whose proxy strips what is forged; no authority but ours is trusted."""
    from idp.config import config

    here = config().__dict__
    for name, value in {
        "certificate_url": f"https://{PLACE}", "certificate_peers": ("127.0.0.1",), "certificate_secret": type(here["certificate_secret"])(card_desk.SECRET),
    }.items():  # fmt: skip
        monkeypatch.setitem(here, name, value)
    monkeypatch.setattr(configuration, "folder", lambda: tmp_path / "pki")
    monkeypatch.setattr(probe, "fetch", card_desk.through(Reader()))
    assert probe.run(now=clock.now())[0]


def shown(held: Holding) -> Browser:
    """A browser with the certificate, behind that proxy."""
    return Reader(card=Card(held.certificate, held.key, "ours")).browser()


def sign_in(held: Holding, passphrase: str = PASSPHRASE, browser: Browser | None = None) -> tuple[Browser, Page]:
    browser = browser or shown(held)
    page = browser.get(f"{ISSUER}/login/card")
    page = browser.submit(page, page.form_to("/login/card"))
    form = page.form_with("passphrase")
    return browser, page if form is None else browser.submit(page, form, values={"passphrase": passphrase})


# --- the page ---------------------------------------------------------------------------------------------------------


def test_a_certificate_is_made_and_listed_and_told(authority: dict[str, Any], world: World) -> None:
    """BI-5, BI-6: the tree has it, the mail has a link that ends it, the PEM is for its owner."""
    _, desktop = world.enrolled()
    held = issued(desktop)
    row = Credential.objects.get(id=held.row.credential_id)
    assert (row.state, row.aal, row.label, row.root_id is not None) == ("active", 2, "generic", True)
    assert row.evidence["factors"] == ["certificate", "device_passphrase"]
    assert row.evidence["phishing_resistant"] is True
    page = desktop.get(f"{ISSUER}/devices")
    assert "Laptop VPN" in page.html
    assert "Certificate, grown from" in page.html
    got = desktop.get(f"{ISSUER}/devices/certificates/{row.id}/pem").html
    chain = x509.load_pem_x509_certificates(got.encode())
    assert chain[0] == held.certificate
    chain[0].verify_directly_issued_by(chain[1])
    mail = world.mails(ALEX, "certificate")[-1]
    link = re.search(r"http\S+/undo/\S+", str(mail.body))
    assert link
    stranger = Browser(http())
    assert stranger.submit(stranger.get(link[0]), stranger.get(link[0]).forms()[0]).status == 200
    row.refresh_from_db()
    assert row.state == "revoked"
    _, sam = world.enrolled("sam@example.org")
    assert sam.get(f"{ISSUER}/devices/certificates/{row.id}").status == 404


def test_a_certificate_needs_a_passphrase_and_a_fresh_sign_in(authority: dict[str, Any], world: World) -> None:
    """Ruling 1, AU-8, EL-1: without either nothing is recorded."""
    _, desktop = world.enrolled()
    page = add(desktop, request=csr(new_key()), passphrase="short")
    assert page.status == 400
    assert "CERTIFICATE REQUEST" in page.html  # what was typed is still there
    assert add(desktop, request=b"rubbish").status == 400
    assert add(desktop, request=csr(new_key()) + key_pem(new_key())).status == 400
    assert not IssuedCertificate.objects.exists()
    with time_machine.travel(clock.now() + timedelta(minutes=21), tick=True):
        assert desktop.get(f"{ISSUER}/devices/certificates/add").path == "/login"
    page = add(desktop, request=csr(new_key()) + key_pem(new_key()))
    assert "private key" in page.html
    assert "BEGIN PRIVATE KEY" not in page.html


def test_a_key_is_bound_once_in_any_form(authority: dict[str, Any], world: World) -> None:
    """C5, C6: neither by another person, nor after it was ended, nor if it was a device's key before."""
    _, desktop = world.enrolled()
    key = new_key()
    held = issued(desktop, key)
    _, sam = world.enrolled("sam@example.org")
    assert add(sam, request=csr(key)).status == 409

    def end(account: Account) -> None:
        revoke.credential(
            held.row.credential, account=account, because=Reason.REMOVED_BY_PERSON, now=clock.now(), actor="person"
        )

    under_lock(held.row.credential.account_id, end)
    assert add(desktop, request=csr(key)).status == 409
    phone = world.device(desktop)
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    device_key = load_pem_private_key(phone.enrolment.key._key.as_pem(private=True), None)
    assert add(desktop, request=csr(device_key)).status == 409  # type: ignore[arg-type]
    assert IssuedCertificate.objects.count() == 1


def test_without_an_authority_nothing_is_offered(db: None, world: World) -> None:
    """Fail closed, in words."""
    _, desktop = world.enrolled()
    assert "/devices/certificates/add" not in desktop.get(f"{ISSUER}/devices").html
    assert desktop.get(f"{ISSUER}/devices/certificates/add").status == 503
    with http() as agent:
        for path in ("cacerts", "csrattrs"):
            assert agent.get(f"{EST}/{path}").status_code == 503


def test_a_key_that_we_made_is_given_once_and_kept_nowhere(authority: dict[str, Any], world: World) -> None:
    """X-8: a sealed file in the answer itself; AAL2; what is left here cannot rebuild it."""
    person, desktop = world.enrolled()
    page = desktop.get(f"{ISSUER}/devices/certificates/add")
    form = page.form_with("way")
    assert form is not None
    fields = {
        **form.fields,
        "name": "Old scanner",
        "passphrase": PASSPHRASE,
        "way": "file",
        "transport": "carry it over once",
    }
    answered = desktop._http.post(f"{ISSUER}/devices/certificates/add", data=fields)
    assert answered.headers["Content-Type"] == "application/x-pkcs12"
    assert answered.headers["Cache-Control"] == "no-store"
    key, certificate, more = pkcs12.load_key_and_certificates(answered.content, b"carry it over once")
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert certificate is not None
    assert certificate.public_key() == key.public_key()
    certificate.verify_directly_issued_by(more[0])
    with pytest.raises(ValueError, match=r"password|PKCS12"):
        pkcs12.load_key_and_certificates(answered.content, b"another")
    row = Credential.objects.get(kind="certificate")
    assert (row.aal, row.evidence["key_made"], row.evidence["exportable"]) == (2, "here", True)
    secret = key.private_numbers().private_value.to_bytes(32)
    from django.db import connection

    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f'SELECT * FROM "{table}"')  # noqa: S608 - names of our own tables
            assert secret not in b"|".join(
                bytes(one) if isinstance(one, bytes | memoryview) else str(one).encode()
                for line in cursor.fetchall()
                for one in line
            )
    assert (
        desktop._http.post(f"{ISSUER}/devices/certificates/add", data={**fields, "transport": "short"}).status_code
        == 400
    )
    del person


# --- ruling 23 --------------------------------------------------------------------------------------------------------


def test_after_an_ending_nothing_is_released(
    authority: dict[str, Any], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ruling 23, C8: HR's leaver is acknowledged while the certificate is being signed; nobody ever gets it."""
    _, desktop = world.enrolled()
    sign = certificates.making.signed_certificate

    def slowly(*arguments: Any) -> Any:
        made = sign(*arguments)
        world.deactivate()
        return made

    monkeypatch.setattr(certificates.making, "signed_certificate", slowly)
    page = add(desktop, request=csr(new_key()))
    assert page.status == 403, page.words()
    row = IssuedCertificate.objects.get()
    assert (row.released_at, row.der, row.credential.state) == (None, None, "revoked")


def test_a_certificate_is_released_once(authority: dict[str, Any], world: World) -> None:
    """The second of two is refused."""
    from derived.authority import making
    from derived.changes import issue
    from idp.keys import wrapper

    _, desktop = world.enrolled()
    held = issued(desktop)
    again = making.signed_certificate(held.row.credential_id, wrapper())

    def work(account: Account) -> None:
        issue.release(account, held.row.credential_id, again, now=clock.now(), actor="person")

    with pytest.raises(Refused, match="illegal_move"):
        under_lock(held.row.credential.account_id, work)


# --- EST --------------------------------------------------------------------------------------------------------------


def order(desktop: Browser, name: str = "Router") -> tuple[Page, str, str]:
    """Ask for a code: the page, and both forms."""
    page = add(desktop, name=name, way="device")
    return page, page.by_id("certificate-code"), page.by_id("certificate-code-short")


def enroll(
    code: str,
    key: Any,
    username: str = ALEX,
    *,
    operation: str = "simpleenroll",
    agent: httpx.Client | None = None,
    **headers: str,
) -> httpx.Response:
    der = x509.load_pem_x509_csr(csr(key)).public_bytes(Encoding.DER)
    basic = {"Authorization": "Basic " + b64encode(f"{username}:{code}".encode()).decode()} if code else {}
    with agent or http() as client:
        return client.post(
            f"{EST}/{operation}",
            content=b64encode(der),
            headers={"Content-Type": "application/pkcs10", **basic, **headers},
        )


def confirm(desktop: Browser, page: Page) -> Page:
    page = desktop.get(page.url)
    form = page.form_to("/confirm")
    assert form is not None, page.words()
    return desktop.submit(page, form)


def certificate_in(response: httpx.Response) -> x509.Certificate:
    assert response.status_code == 200, response.text
    assert b"\n" not in response.content
    [found] = pkcs7.load_der_pkcs7_certificates(b64decode(response.content))
    return found


@pytest.mark.parametrize("form", [0, 1], ids=["long", "short"])
def test_a_device_enrols_over_est_when_the_desktop_says_yes(authority: dict[str, Any], world: World, form: int) -> None:
    """RFC 7030 §4.2, BI-1, C14: 202 until then; the fingerprint on the desktop is that of the device's key."""
    import hashlib

    _, desktop = world.enrolled()
    page, *codes = order(desktop)
    key = new_key()
    first = enroll(codes[form], key)
    assert (first.status_code, first.headers["Retry-After"].isdecimal()) == (202, True)
    assert enroll(codes[form], key).status_code == 202
    assert not IssuedCertificate.objects.exists()
    seen = desktop.get(page.url).by_id("fingerprint").replace(" ", "")
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert hashlib.sha256(public).hexdigest().upper().startswith(seen)
    confirm(desktop, page)
    found = certificate_in(enroll(codes[form], key))
    assert found.public_key() == key.public_key()
    assert certificate_in(enroll(codes[form], key)) == found  # a lost answer is asked for again
    assert "certificate-code" not in desktop.get(page.url).html


def test_the_reference_device_enrols_and_renews(host: None, world: World) -> None:
    """The same from `device/`: it waits for the desktop, and later asks with what it has; a wrong code is an error of its own."""
    _, desktop = world.enrolled()
    page, code, _ = order(desktop)
    with http() as agent:
        made = est.enroll(agent, ISSUER, username=ALEX, code=code, sleep=lambda _: confirm(desktop, page) and None)
        with pytest.raises(ProtocolError, match="http_401"):
            est.enroll(agent, ISSUER, username=ALEX, code="AAAA-AAAA")
    held = Holding(IssuedCertificate.objects.get(), made.key)
    assert held.certificate == made.certificate
    with behind_the_proxy(held) as agent:
        again = est.renew(agent, f"https://{PLACE}")
    assert again.certificate.subject == made.certificate.subject
    assert again.key.public_key() != made.key.public_key()


def test_a_code_belongs_to_the_first_key_and_is_dead_with_the_second(authority: dict[str, Any], world: World) -> None:
    """C12, C14: who read it over a shoulder burns it, and nothing is made for anybody."""
    _, desktop = world.enrolled()
    page, code, _ = order(desktop)
    assert enroll(code, new_key()).status_code == 202
    assert enroll(code, new_key()).status_code == 401
    assert "dead" in desktop.get(page.url).html
    assert "/confirm" not in desktop.get(page.url).html
    assert not IssuedCertificate.objects.exists()


def test_a_code_is_short_lived_and_refusal_is_final(authority: dict[str, Any], world: World) -> None:
    """BI-2: ten minutes; refused on the desktop, or the account gone: 401, and 401 for a guess looks the same."""
    _, desktop = world.enrolled()
    page, code, short = order(desktop)
    guess = enroll("AAAA-AAAA", new_key())
    assert (guess.status_code, guess.headers["WWW-Authenticate"].startswith("Basic ")) == (401, True)
    assert enroll("", new_key()).status_code == 401
    with time_machine.travel(clock.now() + timedelta(minutes=10, seconds=1), tick=True):
        assert enroll(code, new_key()).status_code == 401
    key = new_key()
    assert enroll(short, key).status_code == 202
    shown_page = desktop.get(page.url)
    desktop.submit(shown_page, shown_page.form_to("/refuse"))
    assert enroll(short, key).status_code == 401
    _, code, _ = order(desktop)
    key = new_key()
    assert enroll(code, key).status_code == 202
    world.deactivate()
    assert enroll(code, key).status_code == 401


def test_five_wrong_short_codes_leave_only_the_long_one(
    authority: dict[str, Any], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BI-1: forty bits are guessed at most five times."""
    monkeypatch.setattr("idp.login.throttle.FREE_TRIES", 100)
    _, desktop = world.enrolled()
    _, code, short = order(desktop)
    for _ in range(5):
        assert enroll("AAAA-AAAA", new_key()).status_code == 401
    assert enroll(short, new_key()).status_code == 401
    assert enroll(code, new_key()).status_code == 202


def test_another_browser_of_the_same_person_cannot_say_yes(authority: dict[str, Any], world: World) -> None:
    """C14: the desktop that showed the code decides."""
    person, desktop = world.enrolled()
    page, code, _ = order(desktop)
    enroll(code, new_key())
    row = CertificateOrder.objects.get()
    elsewhere = world.signed_in(person)
    assert elsewhere.get(page.url).status == 404
    from idp.models import LoginSession

    other = LoginSession.objects.exclude(id=row.session_id).order_by("-created_at").first()
    assert other is not None
    with pytest.raises(Refused, match="bad_code"):
        ordering.confirm(row.id, other, ordering.fingerprint(row), now=clock.now())
    with pytest.raises(Refused, match="bad_code"):
        ordering.confirm(row.id, row.session, "0000 0000 0000 0000", now=clock.now())


def test_the_protocols_own_answers(authority: dict[str, Any], world: World) -> None:
    """RFC 7030 §4.1, §4.5: base64 without lines; a malformed body, a wrong type and a wrong method are refused in words."""
    _, desktop = world.enrolled()
    _, code, _ = order(desktop)
    with http() as agent:
        found = agent.get(f"{EST}/cacerts")
        assert found.headers["Content-Type"].startswith("application/pkcs7-mime")
        assert len(pkcs7.load_der_pkcs7_certificates(b64decode(found.content))) == 2
        attributes = agent.get(f"{EST}/csrattrs")
        assert attributes.headers["Content-Type"] == "application/csrattrs"
        from asn1crypto import core

        attribute, algorithm = core.SequenceOf.load(b64decode(attributes.content), spec=core.Any)
        assert attribute.dump().hex() == "3012" + "06072a8648ce3d0201" + "3107" + "06052b81040022"  # EC key, on P-384
        assert algorithm.parse(core.ObjectIdentifier).dotted == "1.2.840.10045.4.3.3"
        basic = {"Authorization": "Basic " + b64encode(f"{ALEX}:{code}".encode()).decode()}
        for body, kind in (
            (b"AAAA", "application/pkcs10"),
            (b"\xff\xfe", "application/pkcs10"),
            (b"", "application/json"),
            (b"A" * 40_000, "application/pkcs10"),
        ):
            assert (
                agent.post(f"{EST}/simpleenroll", content=body, headers={"Content-Type": kind, **basic}).status_code
                == 400
            )
        assert agent.get(f"{EST}/simpleenroll").status_code == 405
        assert agent.post(f"{EST}/simplereenroll", content=b"", headers=basic).status_code == 403
        for bad in ("Basic !!!", "Bearer x", "Basic " + b64encode(b"\xff\xff:x").decode(), "Basic " + "A" * 5000):
            assert agent.post(
                f"{EST}/simpleenroll",
                content=b"AAAA",
                headers={"Authorization": bad, "Content-Type": "application/pkcs10"},
            ).status_code in {401, 429}


# --- renewal ----------------------------------------------------------------------------------------------------------


@contextmanager
def behind_the_proxy(held: Holding, **changed: Any) -> Iterator[httpx.Client]:
    yield httpx.Client(
        transport=Reader(card=Card(held.certificate, held.key, "ours"), **changed), base_url=f"https://{PLACE}"
    )


def reenroll(held: Holding, key: Any, **changed: Any) -> httpx.Response:
    with behind_the_proxy(held, **changed) as client:
        return enroll("", key, operation="simplereenroll", agent=client)


def test_a_certificate_renews_itself_with_a_new_key(host: None, world: World) -> None:
    """MT-2, MT-5: another key, another number, the same root and label; the old one ends with the first use of the new one."""
    _, desktop = world.enrolled()
    old = issued(desktop)
    key = new_key()
    found = certificate_in(reenroll(old, key))
    new = Holding(IssuedCertificate.objects.select_related("credential__account").get(replaces=old.row), key)
    assert found == new.certificate
    assert found.serial_number != old.certificate.serial_number
    assert new.row.uuid != old.row.uuid
    assert (new.row.credential.root_id, new.row.credential.aal) == (old.row.credential.root_id, 2)
    assert Credential.objects.get(id=old.row.credential_id).state == "active"
    assert len(world.mails(ALEX, "certificate")) >= 2
    _, page = sign_in(new)
    assert page.path == "/devices", page.words()
    ended = Credential.objects.get(id=old.row.credential_id)
    assert (ended.state, ended.end_reason) == ("revoked", Reason.REPLACED)


def test_the_old_one_ends_a_week_after_at_the_latest(host: None, world: World) -> None:
    """MT-5: a VPN never tells us of a first use."""
    _, desktop = world.enrolled()
    old = issued(desktop)
    certificate_in(reenroll(old, new_key()))
    for days, state in ((6, "active"), (8, "revoked")):
        with time_machine.travel(clock.now() + timedelta(days=days), tick=True):
            tending.review_certificates(now=clock.now())
            assert Credential.objects.get(id=old.row.credential_id).state == state


def test_what_may_not_renew(host: None, world: World) -> None:
    """MT-2, MT-3, MT-5, ruling 7: the same key; a second time; a forged or resumed handshake; ended; too late."""
    _, desktop = world.enrolled()
    old = issued(desktop)
    assert reenroll(old, old.key).status_code == 409
    assert reenroll(old, new_key(), resumed="r").status_code == 400
    assert reenroll(old, new_key(), secret="x" * 40).status_code == 400
    assert reenroll(old, new_key(), peer="10.0.0.9").status_code == 400
    with time_machine.travel(clock.now() + timedelta(days=366), tick=True):
        assert probe.run(now=clock.now())[0]
        assert reenroll(old, new_key()).status_code == 403
    certificate_in(reenroll(old, new_key()))
    assert reenroll(old, new_key()).status_code == 400
    other = issued(desktop, name="Other")

    def end(account: Account) -> None:
        revoke.credential(
            other.row.credential, account=account, because=Reason.REMOVED_BY_PERSON, now=clock.now(), actor="person"
        )

    under_lock(other.row.credential.account_id, end)
    assert reenroll(other, new_key()).status_code == 403
    assert IssuedCertificate.objects.count() == 3


def test_a_line_of_renewals_ends_after_twelve_years(host: None, world: World) -> None:
    """MT-9: then somebody looks at the person again."""
    _, desktop = world.enrolled()
    held = issued(desktop)
    row = held.row.credential
    long_ago = clock.now() - timedelta(days=12 * 365)
    Credential.objects.filter(id=row.id).update(evidence={**row.evidence, "line_began": long_ago.isoformat()})
    assert reenroll(held, new_key()).status_code == 403
    Credential.objects.filter(id=row.id).update(
        evidence={**row.evidence, "line_began": (long_ago + timedelta(days=1)).isoformat()}
    )
    assert reenroll(held, new_key()).status_code == 200


def test_a_renewal_asks_again_who_the_person_is(host: None, world: World) -> None:
    """EL-4: an account that has gone renews nothing; a compromised root lets nothing grow again."""
    _, desktop = world.enrolled()
    held = issued(desktop)
    Credential.objects.filter(id=held.row.credential.root_id).update(end_reason=Reason.COMPROMISED)
    assert reenroll(held, new_key()).status_code == 403
    Credential.objects.filter(id=held.row.credential.root_id).update(end_reason="")
    world.deactivate()
    assert reenroll(held, new_key()).status_code == 403


# --- signing in -------------------------------------------------------------------------------------------------------


def test_a_certificate_and_its_passphrase_sign_in_at_aal2(host: None, world: World) -> None:
    """C4: the honest level, phishing-resistant, and never a parent."""
    _, desktop = world.enrolled()
    held = issued(desktop)
    browser, page = sign_in(held)
    assert page.path == "/devices", page.words()
    app = world.app()
    back = browser.get(app.url(acr_values=AAL + "2"), stop_at=app.redirect_uri)
    back = (
        back
        if back.stopped_at
        else browser.submit(back, back.form_with("decision"), values={"decision": "allow"}, stop_at=app.redirect_uri)
    )
    found = claims(app.redeem(answer(back)["code"]).json()["id_token"])
    assert (found["acr"], found["aal"], found["amr"]) == (AAL + "2", 2, ["mfa", "pop", "pwd"])
    assert browser.get(f"{ISSUER}/devices/certificates/add").path == "/login"  # nothing grows from it
    back = browser.get(app.url(acr_values=AAL + "3"), stop_at=app.redirect_uri)
    assert answer(back)["error"] == "unmet_authentication_requirements"


def test_the_certificate_alone_signs_nobody_in(host: None, world: World) -> None:
    """Ruling 1: its key is one factor; a wrong passphrase is counted, and slows only whoever has the key."""
    _, desktop = world.enrolled()
    held = issued(desktop)
    browser, page = sign_in(held, "not that one")
    assert (page.status, page.form_with("passphrase") is not None) == (400, True)
    assert browser.get(f"{ISSUER}/devices").path == "/login"
    assert Credential.objects.get(id=held.row.credential_id).failures == 1
    page = browser.submit(page, page.form_with("passphrase"), values={"passphrase": PASSPHRASE})
    assert page.path == "/devices", page.words()
    assert Credential.objects.get(id=held.row.credential_id).failures == 0


def test_a_certificate_that_has_ended_signs_nobody_in(host: None, world: World) -> None:
    """TK-1, trap 29: at once, from the ledger; no list is waited for."""
    _, desktop = world.enrolled()
    held = issued(desktop)
    world.deactivate()
    _, page = sign_in(held)
    assert why(page) == Reason.CERTIFICATE_REVOKED


def test_a_certificate_of_ours_is_nobodys_root(host: None, world: World) -> None:
    """EL-2, trap 10: it cannot be added as a card, by its holder or by another."""
    _, desktop = world.enrolled()
    held = issued(desktop)
    sam, _ = world.enrolled("sam@example.org")
    browser = shown(held)
    sam.sign_in(browser, browser.get(f"{ISSUER}/login"))
    page = browser.get(f"{ISSUER}/devices/roots/card/add")
    page = browser.submit(page, page.forms()[-1])
    assert page.path == "/login"
    assert "nothing grows from a derived one" in page.html
    assert Credential.objects.filter(account__person__login_name="sam@example.org").count() == 1


# --- what ends it -----------------------------------------------------------------------------------------------------


def test_a_new_name_ends_what_shows_the_old_one(authority: dict[str, Any], world: World) -> None:
    """MT-4: the certificate, at once; the phone's key shows no name and stays. The person is told what to do."""
    _, desktop = world.enrolled()
    held = issued(desktop)
    phone = world.device(desktop)
    assert world.patch(ALEX, {"title": "Captain"}).status_code == 200
    assert Credential.objects.get(id=held.row.credential_id).state == "active"
    assert world.patch(ALEX, {"name": {"givenName": "Alex", "familyName": "Fern"}}).status_code == 200
    row = Credential.objects.get(id=held.row.credential_id)
    assert (row.state, row.end_reason) == ("suspended", Reason.NAME_CHANGED)
    assert [one.on_hold for _, one in lists.entries(authority=held.row.authority, now=clock.now())] == [True]
    with pytest.raises(Refused, match="illegal_move"):
        under_lock(row.account_id, lambda account: suspend.lift(account, row, now=clock.now(), actor="operator"))
    assert Credential.objects.get(id=phone.enrolment.credential_id).state != "revoked"
    assert "name" in str(world.mails(ALEX)[-1].body) + str(world.mails(ALEX)[-2].body)
    fresh = issued(desktop, name="With the new name")
    assert "CN=Alex Fern" in fresh.certificate.subject.rfc4514_string()
    with time_machine.travel(clock.now() + timedelta(days=30, minutes=5), tick=True):
        tending.review_certificates(now=clock.now())
    assert Credential.objects.get(id=held.row.credential_id).end_reason == Reason.ON_HOLD_TOO_LONG


def test_the_caps_per_person_count_certificates(authority: dict[str, Any], world: World) -> None:
    """EL-5: the eleventh is refused."""
    _, desktop = world.enrolled()
    for number in range(10):
        issued(desktop, name=f"Number {number}")
    assert add(desktop, request=csr(new_key())).status == 403
    assert BoundKey.objects.count() == 10


def test_the_worker_tends_certificates(authority: dict[str, Any], world: World) -> None:
    """Housekeeping with an authority is whole."""
    _, desktop = world.enrolled()
    issued(desktop)
    worker.housekeeping(now=clock.now())
