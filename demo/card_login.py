"""The card's chapter: a PIV login at AAL3 through nginx, and a phone that is derived from it.

Needs nginx, which asks the browser for a certificate. Without nginx the journey skips the chapter and says so.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from queue import Queue
from typing import TYPE_CHECKING

from demo.browser import Browser
from demo.card_pages import open_card_login, refusal_reason, request_login
from demo.context import AAL
from demo.phone import SCOPE, show_code_at, wait_for_status
from device.client import Answered, Code, DeviceClient
from device.errors import ProtocolError

if TYPE_CHECKING:
    from demo.card_office import CardOffice
    from demo.context import Context

_UNMET = "unmet_authentication_requirements"
_WAIT_SECONDS = 20.0
_FORGED = ("RametHop", "Ramet_Hop", "Client_Cert")


def play(context: Context) -> None:
    """Play the chapter, if there is an nginx."""
    tell, office = context.narration, context.office
    tell.chapter("9. A card: AAL3")
    if office is None:
        tell.note("This machine has no nginx, so this chapter is skipped. (apt-get install nginx-light)")
        return
    _set_up(context, office)
    _sign_in(context, office)
    _ask_for_aal3(context, office)
    _derive_phone(context, office)
    _refused_cards(context, office)


def _set_up(context: Context, office: CardOffice) -> None:
    tell = context.narration
    tell.call(
        "operator",
        "puts the cards' authorities into var/pki, and nginx (deploy/nginx) in front of the certificate host",
    )
    tell.call("operator", "manage.py card probe    (sends forged headers through the public address)")
    found = context.ramet.ask("card", "probe")
    tell.check("forged headers are stripped, so cards are on", found["passed"] is True, seen=found)
    with office.client(None, **dict.fromkeys(_FORGED, "forged")) as stranger:
        seen = refusal_reason(open_card_login(context, Browser(stranger)))
    tell.check(
        "a stranger with forged headers and no card: certificate_missing", seen == "certificate_missing", seen=seen
    )
    office.card = office.pki.card(person="ALEX MORGAN")
    path = office.folder / "alex.pem"
    path.write_bytes(office.card.pem)
    tell.call("manager", "has checked Alex and the card: manage.py card bind alex.morgan --certificate alex.pem")
    bound = context.ramet.ask("card", "bind", context.person.username, "--certificate", str(path))
    tell.check("the card is a root at AAL3", bound["aal"] == 3, seen=bound)  # noqa: PLR2004


def _sign_in(context: Context, office: CardOffice) -> None:
    tell = context.narration
    tell.call("Alex", f"presses “Use your PIV or CAC card”: TLS to {office.proxy.url}, which requests the certificate")
    office.browser = Browser(office.client(office.card))
    page = open_card_login(context, office.browser)
    tell.need("Alex is signed in", page.path == "/devices", seen=f"{page.path}: {page.words()}")


def _ask_for_aal3(context: Context, office: CardOffice) -> None:
    tell = context.narration
    tell.call("demo app", "asks for acr_values=…/aal/3")
    office.login = request_login(context, office.browser, AAL + "3")
    claims = office.login.claims
    tell.claims("ID token", claims, stress=("acr", "amr", "aal", "ial"))
    tell.check("acr is aal/3", claims.get("acr") == AAL + "3", seen=claims.get("acr"))
    methods = {*claims.get("amr", [])}
    tell.check("amr: smart card, hardware key, PIN, two factors", methods == {"sc", "hwk", "pin", "mfa"}, seen=methods)
    tell.call("demo app", "asks for acr_values=phrh (phishing-resistant, key in hardware)")
    seen = request_login(context, office.browser, "phrh").claims.get("acr")
    tell.check("acr is phrh", seen == "phrh", seen=seen)


def _derive_phone(context: Context, office: CardOffice) -> None:
    tell = context.narration
    tell.call("Alex", "adds a second phone from this AAL3 sign-in: key + passphrase")
    office.device = enrol_device(context, office.browser)
    tokens = office.device.login(context.phone_client, passphrase=context.passphrase, scope=SCOPE)
    _, claims = context.app_client.verified(str(tokens.id_token), audience=context.phone_client)
    tell.claims("ID token of this phone", claims, stress=("acr", "amr"))
    tell.check("acr is aal/2, though its root is at AAL3", claims.get("acr") == AAL + "2", seen=claims.get("acr"))
    tell.note(
        "Why: the level of a derived credential is the least of its root's (3), its own (2: a key without proof of "
        "hardware, and a passphrase), and its kind's (2). Root AAL3, phone AAL2."
    )
    tell.call("an app", "asks the phone for aal/3")
    try:
        office.device.login(context.phone_client, passphrase=context.passphrase, scope=SCOPE, acr_values=AAL + "3")
        seen = "tokens"
    except ProtocolError as error:
        seen = error.error
    tell.check(f"refused: {_UNMET}", seen == _UNMET, seen=seen)
    rows = {
        row["kind"]: row for row in context.show_tree("Credentials: two roots, and the credentials derived from each")
    }
    tell.check(
        "the ledger has the card as a root", rows.get("piv_card", {}).get("parent") is None and "piv_card" in rows
    )


def _refused_cards(context: Context, office: CardOffice) -> None:
    tell = context.narration
    revoked, spoof = (
        office.pki.card(),
        office.pki.card(issuer="outside", person="ALEX MORGAN", upn=context.person.email),
    )
    office.pki.revoke(revoked)
    card_auth = office.pki.card_auth()
    for words, card, reason in (
        ("a revoked card", revoked, "certificate_revoked"),
        ("a card of an untrusted authority, in Alex's name", spoof, "certificate_untrusted"),
        ("a card authentication certificate, which needs no PIN (…3.17)", card_auth, "certificate_wrong_policy"),
        (
            "a valid card that is registered to no account",
            office.pki.card(upn=context.person.email),
            "credential_unknown",
        ),
    ):
        tell.call("a stranger", f"presents {words}")
        with office.client(card) as client:
            seen = refusal_reason(open_card_login(context, Browser(client)))
        tell.check(f"refused: {reason}", seen == reason, seen=seen)


def check_ended(context: Context) -> None:
    """Check after the termination: card, session, derived phone and token are refused."""
    office, tell = context.office, context.narration
    if office is None:
        return
    page = office.browser.get(f"{context.ramet.issuer}/devices")
    tell.check("the AAL3 session leads to the login page", page.path == "/login", seen=page.path)
    with office.client(office.card) as client:
        seen = refusal_reason(open_card_login(context, Browser(client)))
    tell.check("the card is valid, and signs nobody in", seen == "credential_unknown", seen=seen)
    try:
        office.device.login(context.phone_client, passphrase=context.passphrase, scope=SCOPE)
        seen = "tokens"
    except ProtocolError as error:
        seen = error.error
    tell.check("the phone derived from the card: invalid_grant", seen == "invalid_grant", seen=seen)
    seen = str(context.app_client.introspect(office.login.access_token))
    tell.check("the AAL3 login's access token: not active", seen == "{'active': False}", seen=seen)


def enrol_device(context: Context, browser: Browser) -> DeviceClient:
    """Enrol a device in this browser's session."""
    page = show_code_at(context, browser)
    device, numbers = DeviceClient(), Queue[Answered]()
    with ThreadPoolExecutor(1) as phone:
        binding = phone.submit(
            device.enroll, context.ramet.issuer, Code(text=page.by_id("binding-code")),
            device_name="Alex's second phone", passphrase=context.passphrase, on_number=numbers.put,
        )  # fmt: skip
        answered = numbers.get(timeout=_WAIT_SECONDS)
        wait_for_status(context, page, "answered", browser=browser)
        page = browser.get(page.url)
        browser.submit(page, page.form_to("/confirm"), values={"number": answered.number})
        binding.result(timeout=_WAIT_SECONDS)
    return device
