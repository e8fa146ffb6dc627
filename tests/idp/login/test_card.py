"""Signing in with a card (AU-1 to AU-3, C11, C22, C24, P23; H1, H3; rulings 5, 7)."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest
import time_machine

from demo.pki import CARD_AUTH, number_of
from derived import clock
from derived.errors import Reason
from derived.models import CardCertificate, Credential, Event
from idp.login import probe
from idp.login.card import PROBE
from idp.models import AuthenticationEvent, CertificateLogin, LoginSession, PkiObject, Probe
from tests.fixtures.card_pages import ALEX, why
from tests.fixtures.card_reader import PLACE, SECRET, Reader, through
from tests.fixtures.proxy_hop import NAME, said
from tests.fixtures.world import AAL, ISSUER, answer, claims

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from demo.browser import Browser
    from demo.pki import Card
    from tests.fixtures.card_reader import CardSetup
    from tests.fixtures.world import World

pytestmark = pytest.mark.django_db
RETURN = f"{ISSUER}/login/card/done"


@pytest.fixture
def card(card_setup: CardSetup, world: World, tmp_path: Path) -> Card:
    """Alex's card, bound by a manager."""
    world.push(ALEX)
    made = card_setup.pki.card(upn=ALEX, email=ALEX)
    assert card_setup.bind(ALEX, made, tmp_path).aal == 3
    return made


def test_card_login_is_aal3(card_setup: CardSetup, world: World, card: Card) -> None:
    """The look-up's first row: aal/3, sc pin hwk mfa, phishing-resistant by the channel, and the key is in hardware."""
    browser = card_setup.reader(card).browser()
    page = card_setup.sign_in(browser)
    assert page.path == "/devices", page.words()
    event = AuthenticationEvent.objects.get()
    assert (event.factors, event.aal, event.root, event.phishing_resistant, event.hardware) == (
        ["piv_card", "piv_pin"],
        3,
        True,
        True,
        True,
    )
    app = world.app()
    for asked, got in (("", AAL + "3"), (AAL + "3", AAL + "3"), ("phrh", "phrh"), ("phr", "phr")):
        page = browser.get(app.url(acr_values=asked or None), stop_at=app.redirect_uri)
        token = app.redeem(
            answer(
                page
                if page.stopped_at
                else browser.submit(
                    page, page.form_with("decision"), values={"decision": "allow"}, stop_at=app.redirect_uri
                )
            )["code"]
        ).json()
        found = claims(token["id_token"])
        assert (found["acr"], found["aal"], found["amr"]) == (got, 3, ["hwk", "mfa", "pin", "sc"])


def test_card_session_has_a_new_cookie_and_aal3_limits(card_setup: CardSetup, card: Card) -> None:
    """C11, SS-2: a new session key; twelve hours at most, a quarter of an hour idle."""
    reader = card_setup.reader(card)
    browser = reader.browser()
    ticket = begun(card_setup, browser)
    before = browser._http.cookies["ramet_session"]
    browser.get(ticket)
    assert browser._http.cookies["ramet_session"] != before
    session = LoginSession.objects.get()
    assert session.expires_at - session.created_at == timedelta(hours=12)
    with time_machine.travel(clock.now() + timedelta(minutes=15, seconds=2), tick=True):
        assert browser.get(f"{ISSUER}/devices").path == "/login"


def test_unbound_card_is_refused(card_setup: CardSetup, world: World, card: Card) -> None:
    """C24: the user principal name and the address on the card are those of Alex, and are ignored."""
    page = card_setup.sign_in(card_setup.reader(card_setup.pki.card(upn=ALEX, email=ALEX)).browser())
    assert why(page) == Reason.CREDENTIAL_UNKNOWN
    assert not LoginSession.objects.exists()
    assert "alex" not in page.html.lower()


@pytest.mark.parametrize("spoofs", [("uuid", "fasc_n"), ("uuid",), ("fasc_n",), ("serial",)])
def test_same_identifiers_from_another_authority_are_another_card(
    card_setup: CardSetup, world: World, tmp_path: Path, spoofs: tuple[str, ...]
) -> None:
    """C24, SAN spoof across CAs: another agency under the same anchor signs Alex's FASC-N, UUID, UPN, or serial."""
    world.push(ALEX)
    numbers: dict[str, Any] = {"uuid": uuid4(), "fasc_n": number_of(person=77), "serial": 0x1234567890ABCDEF1234}
    card_setup.bind(ALEX, card_setup.pki.card(upn=ALEX, **numbers), tmp_path)
    spoofed = card_setup.pki.card(issuer="other", upn=ALEX, **{name: numbers[name] for name in spoofs})
    assert why(card_setup.sign_in(card_setup.reader(spoofed).browser())) == Reason.CREDENTIAL_UNKNOWN
    assert not LoginSession.objects.exists()


@pytest.mark.database
def test_newer_certificate_of_the_same_card_is_recognised(card_setup: CardSetup, world: World, tmp_path: Path) -> None:
    """C24: same issuer's key, same FASC-N and UUID; from then on the older certificate is superseded."""
    world.push(ALEX)
    numbers: dict[str, Any] = {"uuid": uuid4(), "fasc_n": number_of(person=77)}
    old = card_setup.pki.card(**numbers)
    row = card_setup.bind(ALEX, old, tmp_path)
    new = card_setup.pki.card(**numbers, not_after=clock.now() + timedelta(days=2000))
    assert card_setup.sign_in(card_setup.reader(new).browser()).path == "/devices"
    history = list(
        CardCertificate.objects.filter(credential=row).order_by("seen_at").values_list("serial", "superseded_at")
    )
    assert [bool(one[1]) for one in history] == [True, False]
    assert Event.objects.filter(kind="credential.certificate_seen", credential=row).count() == 1
    assert why(card_setup.sign_in(card_setup.reader(old).browser())) in {
        Reason.CREDENTIAL_NOT_LIVE,
        Reason.CREDENTIAL_UNKNOWN,
    }
    assert card_setup.sign_in(card_setup.reader(new).browser()).path == "/devices"
    assert Event.objects.filter(kind="credential.certificate_seen").count() == 1


@pytest.mark.parametrize("missing", ["uuid", "fasc_n"])
def test_one_of_two_card_identifiers_is_not_enough(
    card_setup: CardSetup, world: World, tmp_path: Path, missing: str
) -> None:
    """C24: both identifiers match, or the card is unknown."""
    world.push(ALEX)
    numbers: dict[str, Any] = {"uuid": uuid4(), "fasc_n": number_of(person=77)}
    card_setup.bind(ALEX, card_setup.pki.card(**numbers), tmp_path)
    half = {**numbers, missing: "none" if missing == "uuid" else None}
    assert (
        why(card_setup.sign_in(card_setup.reader(card_setup.pki.card(**half)).browser())) == Reason.CREDENTIAL_UNKNOWN
    )


BAD: list[tuple[Reason, Callable[[Any], Card | None]]] = [
    (Reason.CERTIFICATE_MISSING, lambda _: None),
    (
        Reason.CERTIFICATE_EXPIRED,
        lambda pki: pki.card(not_before=clock.now() - timedelta(days=9), not_after=clock.now() - timedelta(days=1)),
    ),
    (Reason.CERTIFICATE_NOT_YET_VALID, lambda pki: pki.card(not_before=clock.now() + timedelta(hours=1))),
    (Reason.CERTIFICATE_UNTRUSTED, lambda pki: pki.card(issuer="outside")),
    (Reason.CERTIFICATE_WRONG_POLICY, lambda pki: pki.card(policy=CARD_AUTH)),
    (Reason.CERTIFICATE_WRONG_POLICY, lambda pki: pki.card_auth()),
    (Reason.CERTIFICATE_NOT_FOR_AUTHENTICATION, lambda pki: pki.encryption()),
]


@pytest.mark.parametrize(("reason", "made"), BAD)
def test_each_card_refusal_shows_its_reason(
    card_setup: CardSetup, world: World, reason: Reason, made: Callable[[Any], Card | None]
) -> None:
    """AU-2, AU-3: a reason of its own, in words, on the main host; nobody is signed in."""
    page = card_setup.sign_in(card_setup.reader(made(card_setup.pki)).browser())
    assert (why(page), page.path) == (reason, "/login/card/done")
    assert "What to do" in page.html
    assert not LoginSession.objects.exists()


def test_revoked_and_unknown_status_cards_are_refused(card_setup: CardSetup, world: World, card: Card) -> None:
    """AU-2, I9: a revoked card is refused; so is one whose status is unknown, with 503."""
    assert card_setup.sign_in(card_setup.reader(card).browser()).path == "/devices"
    other = card_setup.pki.card()
    card_setup.responder.set_all("dead")
    PkiObject.objects.all().delete()
    page = card_setup.sign_in(card_setup.reader(other).browser())
    assert (why(page), page.status) == (Reason.CERTIFICATE_STATUS_UNKNOWN, 503)
    card_setup.responder.set_all("well")
    revoked = card_setup.pki.card()
    card_setup.pki.revoke(revoked)
    assert why(card_setup.sign_in(card_setup.reader(revoked).browser())) == Reason.CERTIFICATE_REVOKED


@pytest.mark.parametrize(
    "reader",
    [
        Reader(strips=False), Reader(strips=False, more=said("guess" * 8)),
        Reader(peer="10.0.0.7"), Reader(peer=""), Reader(secret="x" * 40), Reader(secret=""),
    ],
    ids=["no secret", "a guessed secret", "another peer", "no peer", "a wrong secret", "an empty secret"],
)  # fmt: skip
def test_certificate_headers_need_peer_and_secret(
    card_setup: CardSetup, world: World, card: Card, reader: Reader
) -> None:
    """H4, C22: believed from a listed peer and with the secret, both; else as if there were none."""
    reader.card = card
    assert why(card_setup.sign_in(reader.browser())) == Reason.CERTIFICATE_MISSING
    assert not LoginSession.objects.exists()


def test_certificate_headers_are_ignored_on_the_main_host(card_setup: CardSetup, world: World, card: Card) -> None:
    """C22: with the right secret and a good certificate, and nobody is signed in; the certificate host's paths are
    not there.
    """
    browser = Reader(more=said(SECRET, pem=card.pem)).browser()
    assert browser.get(f"{ISSUER}/devices").path == "/login"
    start = browser.get(f"{ISSUER}/login/card")
    sent = browser.submit(start, start.forms()[0], stop_at=f"https://{PLACE}")
    ticket = sent.stopped_at.rpartition("/")[2]
    assert browser.get(f"{ISSUER}/certificate/{ticket}").status == 404
    assert not CertificateLogin.objects.filter(presented_at__isnull=False).exists()


@pytest.mark.parametrize(
    "path", ["/", "/login", "/oidc/token", "/scim/v2/Users", "/devices", "/.well-known/openid-configuration"]
)
def test_certificate_host_serves_card_paths_only(card_setup: CardSetup, path: str) -> None:
    """No cookie, form or token is accepted at the host that asks for client certificates."""
    with httpx.Client(transport=card_setup.reader()) as client:
        response = client.get(f"https://{PLACE}{path}")
    assert response.status_code == 404
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize("resumed", ["r", "", "x"])
def test_resumed_handshake_is_refused(card_setup: CardSetup, world: World, card: Card, resumed: str) -> None:
    """Ruling 7: it shows the certificate without the key."""
    assert why(card_setup.sign_in(card_setup.reader(card, resumed=resumed).browser())) == Reason.CERTIFICATE_NOT_PROVEN


def begun(card_setup: CardSetup, browser: Browser) -> str:
    """The address on the certificate host that a browser was sent to."""
    page = browser.get(f"{ISSUER}/login/card")
    return browser.submit(page, page.forms()[0], stop_at=f"https://{PLACE}").stopped_at


@pytest.mark.database
def test_card_result_in_another_browser_is_refused_and_spent(card_setup: CardSetup, world: World, card: Card) -> None:
    """Ruling 7, P23: neither the victim, whom an attacker sent a ticket, nor the attacker is signed in."""
    attacker, victim = card_setup.reader().browser(), card_setup.reader(card).browser()
    ticket = begun(card_setup, attacker)
    landed = victim.get(ticket)
    assert (landed.path, why(landed)) == ("/login/card/done", Reason.ALREADY_SPENT)
    assert why(attacker.get(landed.url)) == Reason.ALREADY_SPENT
    assert not LoginSession.objects.exists()


@pytest.mark.database
def test_ticket_and_result_are_single_use(card_setup: CardSetup, world: World, card: Card) -> None:
    """I3: shown twice, or come back twice: one login."""
    browser = card_setup.reader(card).browser()
    ticket = begun(card_setup, browser)
    back = browser.get(ticket, stop_at=RETURN).stopped_at
    assert browser.get(ticket).status == 410
    assert browser.get(back).path == "/devices"
    assert why(browser.get(back)) == Reason.ALREADY_SPENT
    assert AuthenticationEvent.objects.count() == 1


@pytest.mark.parametrize("seconds", [181, 3600])
def test_ticket_expires(card_setup: CardSetup, world: World, card: Card, seconds: int) -> None:
    """Three minutes, at both ends."""
    browser = card_setup.reader(card).browser()
    ticket = begun(card_setup, browser)
    with time_machine.travel(clock.now() + timedelta(seconds=seconds), tick=True):
        assert browser.get(ticket).status == 410


@pytest.mark.database
def test_probe_tells_whether_forged_headers_were_stripped(
    card_setup: CardSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """H4: through the configuration that we ship it passes; a proxy that hands on what it was sent is named."""
    assert probe.run(now=clock.now()) == (True, "forged headers are stripped")
    assert Probe.objects.get(name=PROBE).passed
    monkeypatch.setattr(probe, "fetch", through(card_setup.reader(strips=False)))
    passed, words = probe.run(now=clock.now())
    assert (passed, words) == (False, f"forged headers came through: {NAME.lower()}")
    assert not Probe.objects.get(name=PROBE).passed


def test_card_login_needs_a_recent_probe(card_setup: CardSetup, world: World, card: Card) -> None:
    """H4: off until forged headers were seen to be stripped, and off again when that is a day ago."""
    browser = card_setup.reader(card).browser()
    Probe.objects.update(at=clock.now() - timedelta(hours=25))
    page = browser.get(f"{ISSUER}/login/card")
    assert (page.status, why(page)) == (404, Reason.CERTIFICATE_LOGIN_OFF)
    Probe.objects.update(at=clock.now(), passed=False)
    assert browser.get(f"{ISSUER}/login/card").status == 404


def test_card_login_that_is_turned_off_meanwhile_is_refused(card_setup: CardSetup, world: World, card: Card) -> None:
    """P1: the gate is checked again at the end."""
    browser = card_setup.reader(card).browser()
    back = browser.get(begun(card_setup, browser), stop_at=RETURN).stopped_at
    Probe.objects.update(passed=False)
    assert why(browser.get(back)) == Reason.CERTIFICATE_LOGIN_OFF
    assert not LoginSession.objects.exists()


def test_leavers_card_is_refused(card_setup: CardSetup, world: World, card: Card) -> None:
    """I2, IV-1: at the end of the trip too."""
    browser = card_setup.reader(card).browser()
    back = browser.get(begun(card_setup, browser), stop_at=RETURN).stopped_at
    world.deactivate(ALEX)
    assert why(browser.get(back)) == Reason.CREDENTIAL_UNKNOWN
    assert not LoginSession.objects.exists()


def test_foreign_derived_certificate_signs_in_and_issues_nothing(
    card_setup: CardSetup, world: World, tmp_path: Path
) -> None:
    """AU-3, EL-2: policies .40 and .41 are no parent, whatever else they are."""
    world.push(ALEX)
    made = card_setup.pki.derived(hardware=True)
    row = card_setup.bind(ALEX, made, tmp_path)
    assert (row.kind, row.aal) == ("derived_certificate", 2)
    browser = card_setup.reader(made).browser()
    page = card_setup.sign_in(browser)
    assert page.path == "/devices", page.words()
    event = AuthenticationEvent.objects.get()
    assert (event.root, event.aal, event.amr) == (False, 2, ["hwk", "mfa", "user"])
    page = browser.submit(page, page.form_to("/devices/add"))
    assert page.path == "/login"
    assert not Credential.objects.exclude(kind__in=["derived_certificate", "token_family"]).exists()


@pytest.mark.parametrize("resumed", [".", "0", "Initial"], ids=["nginx", "HAProxy", "Apache"])
@pytest.mark.parametrize("chain", [False, True])
def test_a_proxy_may_send_der_and_what_came_beside_it(
    card_setup: CardSetup, world: World, card: Card, resumed: str, *, chain: bool
) -> None:
    """H3: one certificate as HAProxy writes it, and the chain, concatenated; each proxy's word for a whole
    handshake.
    """
    more = said(SECRET, resumed=resumed, der=card.der, chain=card.der * 2 if chain else b"")
    assert card_setup.sign_in(Reader(strips=False, more=more).browser()).path == "/devices"


@pytest.mark.parametrize("resumed", ["r", "1", "Resumed", "", "0.", "initial"])
def test_any_other_word_for_the_handshake_is_not_proven(
    card_setup: CardSetup, world: World, card: Card, resumed: str
) -> None:
    """Ruling 7: what is not known to be a whole handshake proved no key."""
    page = card_setup.sign_in(Reader(strips=False, more=said(SECRET, resumed=resumed, der=card.der)).browser())
    assert why(page) == Reason.CERTIFICATE_NOT_PROVEN


@pytest.mark.parametrize(
    "mangle",
    [
        lambda text, pem: f"der={text},{text}",
        lambda text, pem: f"der=:{text}:",
        lambda text, pem: f"der={text[:-6]}",
        lambda text, pem: f"der={text}; pem={quote(pem, safe='')}",
        lambda text, pem: f"der={text[:-2]}!!",
        lambda text, pem: "der=AAAA",
        lambda text, pem: f"der={base64.b64encode(base64.b64decode(text) * 2).decode()}",
        lambda text, pem: f"der={text}; chain={base64.b64encode(base64.b64decode(text) * 9).decode()}",
        lambda text, pem: f"der={text}; chain={text[:-8]}",
        lambda text, pem: f"pem={quote(pem + pem, safe='')}",
        lambda text, pem: f"pem={quote(b'x' + pem, safe='')}",
        lambda text, pem: f"pem={quote(pem, safe='')}; chain={text}",
        lambda text, pem: f"pem={quote(pem, safe='')},{quote(pem, safe='')}",
        lambda text, pem: "pem=" + pem.decode().replace("\n", " "),
        lambda text, pem: f"der={'A' * 30000}",
    ],
)
def test_header_with_other_than_one_certificate_is_refused(
    card_setup: CardSetup, world: World, card: Card, mangle: Callable[[str, bytes], str]
) -> None:
    """H3: a comma, a second certificate, both forms, a cut one: refused, and nobody is signed in."""
    field = f"secret={SECRET}; resumed=.; {mangle(base64.b64encode(card.der).decode(), card.pem)}"
    page = card_setup.sign_in(Reader(strips=False, more={NAME: field}).browser())
    assert why(page) == Reason.CERTIFICATE_MALFORMED
    assert not LoginSession.objects.exists()


@pytest.mark.parametrize(
    "mangle",
    [
        lambda field: f"{field}; secret={SECRET}",
        lambda field: f"{field}; resumed=.",
        lambda field: f"{field}; verified=SUCCESS",
        lambda field: f"{field};",
        lambda field: field.replace("; ", ", "),
        lambda field: field.replace("secret=", "Secret="),
    ],
)
def test_a_field_with_a_part_too_many_is_nothing(
    card_setup: CardSetup, world: World, card: Card, mangle: Callable[[str], str]
) -> None:
    """H3: a repeated part, one that nobody knows, an empty one: nothing of the field is believed, its secret
    included.
    """
    more = {NAME: mangle(said(SECRET, der=card.der)[NAME])}
    assert why(card_setup.sign_in(Reader(strips=False, more=more).browser())) == Reason.CERTIFICATE_MISSING
