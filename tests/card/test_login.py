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
from idp.models import AuthenticationEvent, CertificateLogin, LoginSession, PkiObject, Probe
from tests.card.desk import PLACE, SECRET, Reader
from tests.hop import NAME, said
from tests.world import AAL, ISSUER, answer, claims

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from demo.browser import Browser, Page
    from demo.pki import Card
    from tests.card.desk import Desk
    from tests.world import World

pytestmark = [pytest.mark.django_db, pytest.mark.database]
ALEX = "alex@example.org"
RETURN = f"{ISSUER}/login/card/done"


def why(page: Page) -> str:
    """The reason that a refusal page names."""
    return page.html.partition('data-reason="')[2].partition('"')[0]


@pytest.fixture
def card(desk: Desk, world: World, tmp_path: Path) -> Card:
    """Alex's card, bound by a manager."""
    world.push(ALEX)
    made = desk.pki.card(upn=ALEX, email=ALEX)
    assert desk.bind(ALEX, made, tmp_path).aal == 3
    return made


def test_a_card_is_aal3_and_says_so(desk: Desk, world: World, card: Card) -> None:
    """The look-up's first row: aal/3, sc pin hwk mfa, phishing-resistant by the channel, and the key is in hardware."""
    browser = desk.reader(card).browser()
    page = desk.sign_in(browser)
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


def test_the_cookie_changes_and_the_session_lives_as_aal3_does(desk: Desk, card: Card) -> None:
    """C11, SS-2: a new session key; twelve hours at most, a quarter of an hour idle."""
    reader = desk.reader(card)
    browser = reader.browser()
    ticket = begun(desk, browser)
    before = browser._http.cookies["ramet_session"]
    browser.get(ticket)
    assert browser._http.cookies["ramet_session"] != before
    session = LoginSession.objects.get()
    assert session.expires_at - session.created_at == timedelta(hours=12)
    with time_machine.travel(clock.now() + timedelta(minutes=15, seconds=2), tick=True):
        assert browser.get(f"{ISSUER}/devices").path == "/login"


def test_a_card_that_nobody_bound_signs_nobody_in(desk: Desk, world: World, card: Card) -> None:
    """C24: the user principal name and the address of the card are those of Alex, and mean nothing."""
    page = desk.sign_in(desk.reader(desk.pki.card(upn=ALEX, email=ALEX)).browser())
    assert why(page) == Reason.CREDENTIAL_UNKNOWN
    assert not LoginSession.objects.exists()
    assert "alex" not in page.html.lower()


@pytest.mark.parametrize("spoofs", [("uuid", "fasc_n"), ("uuid",), ("fasc_n",), ("serial",)])
def test_the_same_numbers_from_another_authority_are_another_card(
    desk: Desk, world: World, tmp_path: Path, spoofs: tuple[str, ...]
) -> None:
    """C24, SAN spoof across CAs: another agency under the same anchor signs Alex's FASC-N, UUID, UPN, or serial."""
    world.push(ALEX)
    numbers: dict[str, Any] = {"uuid": uuid4(), "fasc_n": number_of(person=77), "serial": 0x1234567890ABCDEF1234}
    desk.bind(ALEX, desk.pki.card(upn=ALEX, **numbers), tmp_path)
    spoofed = desk.pki.card(issuer="other", upn=ALEX, **{name: numbers[name] for name in spoofs})
    assert why(desk.sign_in(desk.reader(spoofed).browser())) == Reason.CREDENTIAL_UNKNOWN
    assert not LoginSession.objects.exists()


def test_the_same_card_with_a_newer_certificate_is_known_with_its_history(
    desk: Desk, world: World, tmp_path: Path
) -> None:
    """C24: same issuer's key, same FASC-N and UUID; from then on the older certificate is superseded."""
    world.push(ALEX)
    numbers: dict[str, Any] = {"uuid": uuid4(), "fasc_n": number_of(person=77)}
    old = desk.pki.card(**numbers)
    row = desk.bind(ALEX, old, tmp_path)
    new = desk.pki.card(**numbers, not_after=clock.now() + timedelta(days=2000))
    assert desk.sign_in(desk.reader(new).browser()).path == "/devices"
    history = list(
        CardCertificate.objects.filter(credential=row).order_by("seen_at").values_list("serial", "superseded_at")
    )
    assert [bool(one[1]) for one in history] == [True, False]
    assert Event.objects.filter(kind="credential.certificate_seen", credential=row).count() == 1
    assert why(desk.sign_in(desk.reader(old).browser())) in {Reason.CREDENTIAL_NOT_LIVE, Reason.CREDENTIAL_UNKNOWN}
    assert desk.sign_in(desk.reader(new).browser()).path == "/devices"
    assert Event.objects.filter(kind="credential.certificate_seen").count() == 1


@pytest.mark.parametrize("missing", ["uuid", "fasc_n"])
def test_half_of_a_cards_numbers_is_not_the_card(desk: Desk, world: World, tmp_path: Path, missing: str) -> None:
    """C24: both numbers, or it is a card that nobody knows."""
    world.push(ALEX)
    numbers: dict[str, Any] = {"uuid": uuid4(), "fasc_n": number_of(person=77)}
    desk.bind(ALEX, desk.pki.card(**numbers), tmp_path)
    half = {**numbers, missing: "none" if missing == "uuid" else None}
    assert why(desk.sign_in(desk.reader(desk.pki.card(**half)).browser())) == Reason.CREDENTIAL_UNKNOWN


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
def test_each_thing_that_is_wrong_is_told_where_the_person_began(
    desk: Desk, world: World, reason: Reason, made: Callable[[Any], Card | None]
) -> None:
    """AU-2, AU-3: a reason of its own, in words, on the main host; nobody is signed in."""
    page = desk.sign_in(desk.reader(made(desk.pki)).browser())
    assert (why(page), page.path) == (reason, "/login/card/done")
    assert "What to do" in page.html
    assert not LoginSession.objects.exists()


def test_a_revoked_card_and_one_of_unknown_status_are_refused(desk: Desk, world: World, card: Card) -> None:
    """AU-2, I9: revoked is revoked; when nobody answers the answer is no, with 503."""
    assert desk.sign_in(desk.reader(card).browser()).path == "/devices"
    other = desk.pki.card()
    desk.responder.set_all("dead")
    PkiObject.objects.all().delete()
    page = desk.sign_in(desk.reader(other).browser())
    assert (why(page), page.status) == (Reason.CERTIFICATE_STATUS_UNKNOWN, 503)
    desk.responder.set_all("well")
    revoked = desk.pki.card()
    desk.pki.revoke(revoked)
    assert why(desk.sign_in(desk.reader(revoked).browser())) == Reason.CERTIFICATE_REVOKED


@pytest.mark.parametrize(
    "reader",
    [
        Reader(strips=False), Reader(strips=False, more=said("guess" * 8)),
        Reader(peer="10.0.0.7"), Reader(peer=""), Reader(secret="x" * 40), Reader(secret=""),
    ],
    ids=["no secret", "a guessed secret", "another peer", "no peer", "a wrong secret", "an empty secret"],
)  # fmt: skip
def test_headers_of_anybody_else_are_nothing(desk: Desk, world: World, card: Card, reader: Reader) -> None:
    """H4, C22: believed from a listed peer and with the secret, both; else as if there were none."""
    reader.card = card
    assert why(desk.sign_in(reader.browser())) == Reason.CERTIFICATE_MISSING
    assert not LoginSession.objects.exists()


def test_on_the_main_host_the_headers_are_nothing(desk: Desk, world: World, card: Card) -> None:
    """C22: with the right secret and a good certificate, and nobody is signed in; the certificate host's paths are not there."""
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
def test_the_certificate_host_serves_nothing_else(desk: Desk, path: str) -> None:
    """A cookie, a form or a token never meets the host that asks for cards."""
    with httpx.Client(transport=desk.reader()) as client:
        response = client.get(f"https://{PLACE}{path}")
    assert response.status_code == 404
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize("resumed", ["r", "", "x"])
def test_a_resumed_handshake_is_no_card(desk: Desk, world: World, card: Card, resumed: str) -> None:
    """Ruling 7: it shows the certificate without the key."""
    assert why(desk.sign_in(desk.reader(card, resumed=resumed).browser())) == Reason.CERTIFICATE_NOT_PROVEN


def begun(desk: Desk, browser: Browser) -> str:
    """The address on the certificate host that a browser was sent to."""
    page = browser.get(f"{ISSUER}/login/card")
    return browser.submit(page, page.forms()[0], stop_at=f"https://{PLACE}").stopped_at


def test_a_result_in_another_browser_is_refused_and_spent(desk: Desk, world: World, card: Card) -> None:
    """Ruling 7, P23: neither the victim, whom an attacker sent a ticket, nor the attacker is signed in."""
    attacker, victim = desk.reader().browser(), desk.reader(card).browser()
    ticket = begun(desk, attacker)
    landed = victim.get(ticket)
    assert (landed.path, why(landed)) == ("/login/card/done", Reason.ALREADY_SPENT)
    assert why(attacker.get(landed.url)) == Reason.ALREADY_SPENT
    assert not LoginSession.objects.exists()


def test_a_ticket_and_a_result_serve_once(desk: Desk, world: World, card: Card) -> None:
    """I3: shown twice, or come back twice: one login."""
    browser = desk.reader(card).browser()
    ticket = begun(desk, browser)
    back = browser.get(ticket, stop_at=RETURN).stopped_at
    assert browser.get(ticket).status == 410
    assert browser.get(back).path == "/devices"
    assert why(browser.get(back)) == Reason.ALREADY_SPENT
    assert AuthenticationEvent.objects.count() == 1


@pytest.mark.parametrize("seconds", [181, 3600])
def test_a_ticket_grows_old(desk: Desk, world: World, card: Card, seconds: int) -> None:
    """Three minutes, at both ends."""
    browser = desk.reader(card).browser()
    ticket = begun(desk, browser)
    with time_machine.travel(clock.now() + timedelta(seconds=seconds), tick=True):
        assert browser.get(ticket).status == 410


def test_without_a_probe_that_passed_nothing_is_offered(desk: Desk, world: World, card: Card) -> None:
    """H4: off until forged headers were seen to be stripped, and off again when that is a day ago."""
    browser = desk.reader(card).browser()
    Probe.objects.update(at=clock.now() - timedelta(hours=25))
    page = browser.get(f"{ISSUER}/login/card")
    assert (page.status, why(page)) == (404, Reason.CERTIFICATE_LOGIN_OFF)
    Probe.objects.update(at=clock.now(), passed=False)
    assert browser.get(f"{ISSUER}/login/card").status == 404


def test_turned_off_on_the_way_the_card_is_refused(desk: Desk, world: World, card: Card) -> None:
    """P1: the gate is asked again at the end."""
    browser = desk.reader(card).browser()
    back = browser.get(begun(desk, browser), stop_at=RETURN).stopped_at
    Probe.objects.update(passed=False)
    assert why(browser.get(back)) == Reason.CERTIFICATE_LOGIN_OFF
    assert not LoginSession.objects.exists()


def test_a_card_of_somebody_who_left_signs_nobody_in(desk: Desk, world: World, card: Card) -> None:
    """I2, IV-1: at the end of the trip too."""
    browser = desk.reader(card).browser()
    back = browser.get(begun(desk, browser), stop_at=RETURN).stopped_at
    world.deactivate(ALEX)
    assert why(browser.get(back)) == Reason.CREDENTIAL_UNKNOWN
    assert not LoginSession.objects.exists()


def test_somebody_elses_derived_certificate_signs_in_and_grows_nothing(
    desk: Desk, world: World, tmp_path: Path
) -> None:
    """AU-3, EL-2: policies .40 and .41 are no parent, whatever else they are."""
    world.push(ALEX)
    made = desk.pki.derived(hardware=True)
    row = desk.bind(ALEX, made, tmp_path)
    assert (row.kind, row.aal) == ("derived_certificate", 2)
    browser = desk.reader(made).browser()
    page = desk.sign_in(browser)
    assert page.path == "/devices", page.words()
    event = AuthenticationEvent.objects.get()
    assert (event.root, event.aal, event.amr) == (False, 2, ["hwk", "mfa", "user"])
    page = browser.submit(page, page.form_to("/devices/add"))
    assert page.path == "/login"
    assert not Credential.objects.exclude(kind__in=["derived_certificate", "token_family"]).exists()


@pytest.mark.parametrize("resumed", [".", "0", "Initial"], ids=["nginx", "HAProxy", "Apache"])
@pytest.mark.parametrize("chain", [False, True])
def test_a_proxy_may_send_der_and_what_came_beside_it(
    desk: Desk, world: World, card: Card, resumed: str, *, chain: bool
) -> None:
    """H3: one certificate as HAProxy writes it, and the chain, concatenated; each proxy's word for a whole handshake."""
    more = said(SECRET, resumed=resumed, der=card.der, chain=card.der * 2 if chain else b"")
    assert desk.sign_in(Reader(strips=False, more=more).browser()).path == "/devices"


@pytest.mark.parametrize("resumed", ["r", "1", "Resumed", "", "0.", "initial"])
def test_any_other_word_for_the_handshake_is_not_proven(desk: Desk, world: World, card: Card, resumed: str) -> None:
    """Ruling 7: what is not known to be a whole handshake proved no key."""
    page = desk.sign_in(Reader(strips=False, more=said(SECRET, resumed=resumed, der=card.der)).browser())
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
def test_anything_but_one_certificate_is_malformed(
    desk: Desk, world: World, card: Card, mangle: Callable[[str, bytes], str]
) -> None:
    """H3: a comma, a second certificate, both forms, a cut one: refused, and nobody is signed in."""
    field = f"secret={SECRET}; resumed=.; {mangle(base64.b64encode(card.der).decode(), card.pem)}"
    page = desk.sign_in(Reader(strips=False, more={NAME: field}).browser())
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
    desk: Desk, world: World, card: Card, mangle: Callable[[str], str]
) -> None:
    """H3: a repeated part, one that nobody knows, an empty one: nothing of the field is believed, its secret included."""
    more = {NAME: mangle(said(SECRET, der=card.der)[NAME])}
    assert why(desk.sign_in(Reader(strips=False, more=more).browser())) == Reason.CERTIFICATE_MISSING
