"""Getting a certificate: by the page, as a file, over EST; and signing in with it (BI-1 to BI-5, MT-2 to MT-5, X-8,
C4 to C8).
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, pkcs7, pkcs12

from demo.browser import Browser
from derived import clock
from derived.authority import lists
from derived.changes import revoke, suspend
from derived.errors import Reason, Refused
from derived.ledger.locking import under_lock
from derived.minting.proven import key_name
from derived.models import Account, BoundKey, Credential, IssuedCertificate
from device import est
from device.errors import ProtocolError
from idp.enrol.grown.certificate import by_code as ordering
from idp.enrol.grown.certificate import issuing as certificates
from idp.login import probe
from idp.models import CertificateOrder, Probe
from idp.signals import tending, worker
from tests.fixtures import certificate_authority
from tests.fixtures.card_pages import why
from tests.fixtures.card_reader import PLACE
from tests.fixtures.certificate_authority import (
    PASSPHRASE,
    Holding,
    add,
    challenge,
    csr,
    csr_for,
    issued,
    key_pem,
    new_key,
)
from tests.fixtures.certificate_enrolment import (
    ALEX,
    EST,
    behind_the_proxy,
    certificate_in,
    confirm,
    enroll,
    order,
    reenroll,
    shown,
    sign_in,
)
from tests.fixtures.world import AAL, ISSUER, answer, claims, http

if TYPE_CHECKING:
    from tests.fixtures.world import World

pytestmark = pytest.mark.django_db


# --- the page ---------------------------------------------------------------------------------------------------------


def test_certificate_is_issued_listed_and_notified(authority: dict[str, Any], world: World) -> None:
    """BI-5, BI-6: the tree lists it, the mail has a link that revokes it, the PEM is for its owner."""
    _, desktop = world.enrolled()
    held = issued(desktop)
    row = Credential.objects.get(id=held.row.credential_id)
    assert (row.state, row.aal, row.label, row.root_id is not None) == ("active", 2, "generic", True)
    assert row.evidence["factors"] == ["certificate", "device_passphrase"]
    assert row.evidence["phishing_resistant"] is True
    page = desktop.get(f"{ISSUER}/devices")
    assert "Laptop VPN" in page.html
    assert "Certificate, added from" in page.html
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


def test_certificate_needs_a_passphrase_and_a_fresh_login(authority: dict[str, Any], world: World) -> None:
    """Ruling 1, AU-8, EL-1: without either nothing is recorded."""
    _, desktop = world.enrolled()
    page = add(desktop, request=csr_for(desktop, new_key()), passphrase="short")
    assert page.status == 400
    assert "CERTIFICATE REQUEST" in page.html  # what was typed is still there
    assert add(desktop, request=b"rubbish").status == 400
    assert add(desktop, request=csr_for(desktop, new_key()) + key_pem(new_key())).status == 400
    assert not IssuedCertificate.objects.exists()
    with time_machine.travel(clock.now() + timedelta(minutes=21), tick=True):
        assert desktop.get(f"{ISSUER}/devices/certificates/add").path == "/login"
    page = add(desktop, request=csr_for(desktop, new_key()) + key_pem(new_key()))
    assert "private key" in page.html
    assert "BEGIN PRIVATE KEY" not in page.html


@pytest.mark.database
def test_key_is_bound_once_in_any_form(authority: dict[str, Any], world: World) -> None:
    """C5, C6: neither by another person, nor after it was ended, nor if it was a device's key before."""
    _, desktop = world.enrolled()
    key = new_key()
    held = issued(desktop, key)
    _, sam = world.enrolled("sam@example.org")
    assert add(sam, request=csr_for(sam, key)).status == 409

    def end(account: Account) -> None:
        revoke.credential(
            held.row.credential, account=account, because=Reason.REMOVED_BY_PERSON, now=clock.now(), actor="person"
        )

    under_lock(held.row.credential.account_id, end)
    assert add(desktop, request=csr_for(desktop, key)).status == 409
    phone = world.device(desktop)
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    device_key = load_pem_private_key(phone.enrolment.key._key.as_pem(private=True), None)
    assert add(desktop, request=csr_for(desktop, device_key)).status == 409  # type: ignore[arg-type]
    assert IssuedCertificate.objects.count() == 1


def test_request_of_another_person_neither_binds_nor_burns_its_key(host: None, world: World) -> None:
    """C91, C5: requests are not secret. Sam pastes Alex's, or sends it over EST; Alex's key stays free for Alex."""
    _, desktop = world.enrolled()
    _, sam = world.enrolled("sam@example.org")
    own = issued(sam, name="Sam's")
    key = new_key()
    copied = [csr(key, subject="vpn.example.org"), csr_for(desktop, key)]
    for one in copied:
        page = add(sam, request=one)
        assert (page.status, "challenge" in page.words()) == (400, True)
    page, code, _ = order(sam)
    for said in (challenge(desktop), "vpn.example.org"):
        assert enroll(code, key, "sam@example.org", challenge=said).status_code == 400
        with http() as agent:
            der = x509.load_pem_x509_csr(csr(key, subject=said)).public_bytes(Encoding.DER)
            body = {"code": code, "request": b64encode(der).decode(), "attestation": {"format": "none"}}
            answer = agent.post("/enrol/v1/certificates/attestations", json=body).json()
            assert "not made for this" in answer["error_description"]
        with behind_the_proxy(own) as agent:
            assert enroll("", key, operation="simplereenroll", agent=agent, challenge=said).status_code == 400
    assert CertificateOrder.objects.get().status == "waiting"
    assert not BoundKey.objects.filter(name=key_name(key.public_key())).exists()
    assert enroll(code, new_key(), "sam@example.org").status_code == 202  # nor is the code spent
    assert issued(desktop, key).certificate.public_key() == key.public_key()


def test_without_an_authority_nothing_is_offered(db: None, world: World) -> None:
    """Fails closed, with a message."""
    _, desktop = world.enrolled()
    assert "/devices/certificates/add" not in desktop.get(f"{ISSUER}/devices").html
    assert desktop.get(f"{ISSUER}/devices/certificates/add").status == 503
    with http() as agent:
        for path in ("cacerts", "csrattrs"):
            assert agent.get(f"{EST}/{path}").status_code == 503


def test_generated_key_is_delivered_once_and_not_stored(authority: dict[str, Any], world: World) -> None:
    """X-8: a sealed file in the response itself; AAL2; the stored data cannot rebuild it."""
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


def test_certificate_of_a_leaver_is_not_released(
    authority: dict[str, Any], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ruling 23, C8: HR's `active: false` is acknowledged while the certificate is being signed; it is never
    delivered.
    """
    _, desktop = world.enrolled()
    sign = certificates.making.signed_certificate

    def slowly(*arguments: Any) -> Any:
        made = sign(*arguments)
        world.deactivate()
        return made

    monkeypatch.setattr(certificates.making, "signed_certificate", slowly)
    page = add(desktop, request=csr_for(desktop, new_key()))
    assert page.status == 403, page.words()
    row = IssuedCertificate.objects.get()
    assert (row.released_at, row.der, row.credential.state) == (None, None, "revoked")


@pytest.mark.database
def test_certificate_is_released_once(authority: dict[str, Any], world: World) -> None:
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


@pytest.mark.database
@pytest.mark.parametrize("form", [0, 1], ids=["long", "short"])
def test_est_enrolment_waits_for_the_desktops_approval(authority: dict[str, Any], world: World, form: int) -> None:
    """RFC 7030 §4.2, BI-1, C14: 202 until the approval; the fingerprint on the desktop is that of the device's key."""
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


def test_reference_device_enrols_and_renews(host: None, world: World) -> None:
    """The same from `device/`: it waits for the approval, and later renews with its certificate; a wrong code is an
    error of its own.
    """
    _, desktop = world.enrolled()
    page, code, _ = order(desktop)
    with http() as agent:
        made = est.enroll(agent, ISSUER, username=ALEX, code=code, sleep=lambda _: confirm(desktop, page) and None)
        with pytest.raises(ProtocolError, match="http_401"):
            est.enroll(agent, ISSUER, username=ALEX, code="AAAA-AAAA")
    held = Holding(IssuedCertificate.objects.get(), made.key)
    assert held.certificate == made.certificate
    with behind_the_proxy(held) as agent:
        again = est.renew(agent, f"https://{PLACE}", made.certificate)
    assert again.certificate.subject == made.certificate.subject
    assert again.key.public_key() != made.key.public_key()


@pytest.mark.database
def test_second_key_burns_the_code(authority: dict[str, Any], world: World) -> None:
    """C12, C14: a second device that read the code burns it, and nothing is issued."""
    _, desktop = world.enrolled()
    page, code, _ = order(desktop)
    assert enroll(code, new_key()).status_code == 202
    assert enroll(code, new_key()).status_code == 401
    assert "dead" in desktop.get(page.url).html
    assert '/confirm"' not in desktop.get(page.url).html
    assert not IssuedCertificate.objects.exists()


@pytest.mark.database
def test_code_expires_and_refusal_is_final(authority: dict[str, Any], world: World) -> None:
    """BI-2: ten minutes; after a refusal on the desktop or the end of the account: 401, the same as for a guess."""
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


def test_short_code_takes_five_guesses(
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


def test_only_the_session_that_showed_the_code_approves(authority: dict[str, Any], world: World) -> None:
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


def test_est_answers_follow_rfc_7030(authority: dict[str, Any], world: World) -> None:
    """RFC 7030 §4.1, §4.5: base64 without lines; a malformed body, a wrong type and a wrong method are refused with
    a message.
    """
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


def test_certificate_is_renewed_with_a_new_key(host: None, world: World) -> None:
    """MT-2, MT-5: another key, another number, the same root and label; the old one ends with the first use of the
    new one.
    """
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


def test_old_certificate_ends_a_week_after_renewal(host: None, world: World) -> None:
    """MT-5: a VPN does not report the first use."""
    _, desktop = world.enrolled()
    old = issued(desktop)
    certificate_in(reenroll(old, new_key()))
    for days, state in ((6, "active"), (8, "revoked")):
        with time_machine.travel(clock.now() + timedelta(days=days), tick=True):
            tending.review_certificates(now=clock.now())
            assert Credential.objects.get(id=old.row.credential_id).state == state


def test_refused_renewals(host: None, world: World) -> None:
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


def test_renewals_end_after_twelve_years(host: None, world: World) -> None:
    """MT-9: then the person's identity is checked again."""
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


def test_renewal_checks_account_and_root(host: None, world: World) -> None:
    """EL-4: an account that has gone renews nothing; a compromised root lets nothing grow again."""
    _, desktop = world.enrolled()
    held = issued(desktop)
    Credential.objects.filter(id=held.row.credential.root_id).update(end_reason=Reason.COMPROMISED)
    assert reenroll(held, new_key()).status_code == 403
    Credential.objects.filter(id=held.row.credential.root_id).update(end_reason="")
    world.deactivate()
    assert reenroll(held, new_key()).status_code == 403


# --- signing in -------------------------------------------------------------------------------------------------------


def test_certificate_with_passphrase_signs_in_at_aal2(host: None, world: World) -> None:
    """C4: the true level, phishing-resistant, and never a parent."""
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


def test_certificate_without_passphrase_is_refused(host: None, world: World) -> None:
    """Ruling 1: its key is one factor; a wrong passphrase is counted, and throttles only the holder of the key."""
    _, desktop = world.enrolled()
    held = issued(desktop)
    browser, page = sign_in(held, "not that one")
    assert (page.status, page.form_with("passphrase") is not None) == (400, True)
    assert browser.get(f"{ISSUER}/devices").path == "/login"
    assert Credential.objects.get(id=held.row.credential_id).failures == 1
    page = browser.submit(page, page.form_with("passphrase"), values={"passphrase": PASSPHRASE})
    assert page.path == "/devices", page.words()
    assert Credential.objects.get(id=held.row.credential_id).failures == 0


def test_revoked_certificate_is_refused_at_once(host: None, world: World) -> None:
    """TK-1, trap 29: from the ledger, without waiting for a list."""
    _, desktop = world.enrolled()
    held = issued(desktop)
    world.deactivate()
    _, page = sign_in(held)
    assert why(page) == Reason.CERTIFICATE_REVOKED


def test_own_certificate_is_never_a_root(host: None, world: World) -> None:
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


def test_new_name_revokes_the_certificate_with_the_old_one(authority: dict[str, Any], world: World) -> None:
    """MT-4: the certificate is revoked at once; the phone's key shows no name and stays. The person is told how to
    get a new one.
    """
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


def test_caps_per_person_count_certificates(authority: dict[str, Any], world: World) -> None:
    """EL-5: the eleventh is refused."""
    _, desktop = world.enrolled()
    for number in range(10):
        issued(desktop, name=f"Number {number}")
    assert add(desktop, request=csr_for(desktop, new_key())).status == 403
    assert BoundKey.objects.count() == 10


@pytest.mark.database
def test_worker_maintains_certificates(authority: dict[str, Any], world: World) -> None:
    """Housekeeping with an authority succeeds."""
    _, desktop = world.enrolled()
    issued(desktop)
    worker.housekeeping(now=clock.now())


def test_long_name_in_any_script_fits_into_a_certificate(authority: dict[str, Any], world: World) -> None:
    """X-1: bounds of RFC 5280 are bounds of characters, or of bytes; a person with a long name gets a certificate
    all the same.
    """
    world.push("zhanna@example.org", displayName="Ж" * 60, name={"givenName": "Ж" * 60, "familyName": "Щ" * 60})
    _, desktop = world.enrolled("zhanna@example.org")
    held = certificate_authority.issued(desktop)
    [shown] = held.certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    assert str(shown.value).startswith("ЖЖЖЖ")


def test_renewal_needs_a_passed_header_probe(host: None, world: World) -> None:
    """H4, C22: a certificate is public, so a proxy that lets a forged one through must renew none, as it signs
    nobody in.
    """
    _, desktop = world.enrolled()
    held = issued(desktop)
    Probe.objects.update(passed=False)
    assert reenroll(held, new_key()).status_code == 404
    Probe.objects.update(passed=True)
    assert reenroll(held, new_key()).status_code == 200
