"""The journey's AAL3 road: a PIV login through nginx with a card of a demo PKI, a phone grown from it, and the truth about both.

Needs nginx, because only a proxy that asks the browser for a certificate makes this real. Where there is none, the journey
says so and goes on without it.
"""

from __future__ import annotations

import ssl
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from queue import Queue
from typing import TYPE_CHECKING

import httpx

from demo.browser import Browser
from demo.openid import Refused
from demo.phone import SCOPE, show_code_at, wait_for_status
from demo.pki import Pki, Responder
from demo.proxy import CertificateProxy, nginx
from demo.world import AAL
from device.client import Answered, Code, DeviceClient
from device.errors import ProtocolError

if TYPE_CHECKING:
    from pathlib import Path

    from demo.browser import Page
    from demo.openid import Login
    from demo.pki import Card
    from demo.server import Ramet
    from demo.world import World

_UNMET = "unmet_authentication_requirements"
_WAIT_SECONDS = 20.0
_FORGED = ("Client-Cert", "Client_Cert", "Ramet-Client-Cert", "Ramet_Client_Cert", "Ramet-Proxy-Secret")


@dataclass
class CardOffice:
    """Who issues cards in this demo, and the proxy in front of the certificate host.

    folder: RAMET_VAR, where anchors are laid. browser, device, login: what Alex holds after this road.
    """

    folder: Path
    pki: Pki
    responder: Responder
    proxy: CertificateProxy
    card: Card = field(init=False)
    browser: Browser = field(init=False)
    device: DeviceClient = field(init=False)
    login: Login = field(init=False)

    @property
    def socket(self) -> Path:
        """Where Ramet listens for the proxy."""
        return self.folder / "certificate.sock"

    def client(self, card: Card | None, **forged: str) -> httpx.Client:
        """A browser with this card in its reader, or none; forged: headers that somebody adds."""
        trust = ssl.create_default_context(cafile=self.proxy.ca_file)
        if card is not None:
            pem = self.folder / f"card-{card.certificate.serial_number:x}.pem"
            pem.touch(mode=0o600)
            pem.write_bytes(card.pem + card.key_pem)
            trust.load_cert_chain(pem)
        mounts = {self.proxy.url: httpx.HTTPTransport(verify=trust)}
        return httpx.Client(timeout=30, mounts=mounts, headers=forged)

    def close(self) -> None:
        """Stop the proxy and the responder."""
        self.proxy.stop()
        self.responder.close()


def open_office(folder: Path) -> CardOffice | None:
    """A card office, with its anchors laid below RAMET_VAR; None where there is no nginx."""
    if not nginx():
        return None
    pki, responder = Responder.of_new_pki(now=datetime.now(UTC))
    pki.write(folder / "pki")
    proxy = CertificateProxy(folder / "nginx", f"unix:{folder / 'certificate.sock'}")
    proxy.prepare()
    return CardOffice(folder, pki, responder, proxy)


def start(office: CardOffice, ramet: Ramet) -> None:
    """Start the certificate host: one more Ramet on a UNIX socket, and nginx in front of it."""
    ramet.start("certificate-host", "serve", "--socket", str(office.socket))
    ramet.wait_for_socket(office.socket, name="certificate-host")
    office.proxy.start()


def walk(world: World) -> None:
    """All of this road, if there is an office."""
    tell, office = world.narration, world.office
    tell.chapter("9. A card: the road to AAL3")
    if office is None:
        tell.note(
            "There is no nginx on this machine, so nobody can be asked for a card: this chapter is left out. (apt-get install nginx-light)"
        )
        return
    _set_up(world, office)
    _sign_in(world, office)
    _ask_for_aal3(world, office)
    _grow_a_phone(world, office)
    _refused_cards(world, office)


def _set_up(world: World, office: CardOffice) -> None:
    tell = world.narration
    tell.call(
        "operator", "lays the authorities of the cards in var/pki, and nginx (deploy/nginx) before the certificate host"
    )
    tell.call("operator", "manage.py card probe    (sends forged headers through the public address)")
    found = world.ramet.ask("card", "probe")
    tell.check("forged headers are stripped, so cards are on", found["passed"] is True, seen=found)
    with office.client(None, **dict.fromkeys(_FORGED, "forged")) as stranger:
        seen = why(press(world, Browser(stranger)))
    tell.check(
        "a stranger with forged headers and no card: certificate_missing", seen == "certificate_missing", seen=seen
    )
    office.card = office.pki.card(person="ALEX MORGAN")
    path = office.folder / "alex.pem"
    path.write_bytes(office.card.pem)
    tell.call("manager", "has checked Alex and the card: manage.py card bind alex.morgan --certificate alex.pem")
    bound = world.ramet.ask("card", "bind", world.person.username, "--certificate", str(path))
    tell.check("the card is a root at AAL3", bound["aal"] == 3, seen=bound)  # noqa: PLR2004


def _sign_in(world: World, office: CardOffice) -> None:
    tell = world.narration
    tell.call("Alex", f"presses “Use your PIV or CAC card”: TLS to {office.proxy.url}, where nginx asks for the card")
    office.browser = Browser(office.client(office.card))
    page = press(world, office.browser)
    tell.need("Alex is signed in", page.path == "/devices", seen=f"{page.path}: {page.words()}")


def _ask_for_aal3(world: World, office: CardOffice) -> None:
    tell = world.narration
    tell.call("demo app", "asks for acr_values=…/aal/3")
    office.login = ask(world, office.browser, AAL + "3")
    claims = office.login.claims
    tell.claims("ID token", claims, stress=("acr", "amr", "aal", "ial"))
    tell.check("acr is aal/3, and the app gets the truth", claims.get("acr") == AAL + "3", seen=claims.get("acr"))
    methods = {*claims.get("amr", [])}
    tell.check("amr: smart card, hardware key, PIN, two factors", methods == {"sc", "hwk", "pin", "mfa"}, seen=methods)
    tell.call("demo app", "asks for acr_values=phrh (phishing-resistant, key in hardware)")
    seen = ask(world, office.browser, "phrh").claims.get("acr")
    tell.check("acr is phrh", seen == "phrh", seen=seen)


def _grow_a_phone(world: World, office: CardOffice) -> None:
    tell = world.narration
    tell.call("Alex", "adds a second phone from this AAL3 sign-in: key + passphrase")
    office.device = enrolled(world, office.browser)
    tokens = office.device.login(world.phone_client, passphrase=world.passphrase, scope=SCOPE)
    _, claims = world.app_client.verified(str(tokens.id_token), audience=world.phone_client)
    tell.claims("ID token of this phone", claims, stress=("acr", "amr"))
    tell.check("acr is aal/2, though its root is at AAL3", claims.get("acr") == AAL + "2", seen=claims.get("acr"))
    tell.note(
        "Why: a derived credential is worth the least of what it grew from (3), what it can prove itself (a key that nobody "
        "has proven to be in hardware, and a passphrase: 2), and its kind (2). Root AAL3, phone AAL2."
    )
    tell.call("an app", "asks the phone for aal/3")
    try:
        office.device.login(world.phone_client, passphrase=world.passphrase, scope=SCOPE, acr_values=AAL + "3")
        seen = "tokens"
    except ProtocolError as error:
        seen = error.error
    tell.check(f"refused: {_UNMET}", seen == _UNMET, seen=seen)
    rows = {row["kind"]: row for row in world.show_tree("Credentials: two roots, and what grew from each")}
    tell.check(
        "the card stands in the ledger as a root", rows.get("piv_card", {}).get("parent") is None and "piv_card" in rows
    )


def _refused_cards(world: World, office: CardOffice) -> None:
    tell = world.narration
    revoked, spoof = office.pki.card(), office.pki.card(issuer="outside", person="ALEX MORGAN", upn=world.person.email)
    office.pki.revoke(revoked)
    door = office.pki.card_auth()
    for words, card, reason in (
        ("a revoked card", revoked, "certificate_revoked"),
        ("a card of an authority that nobody trusts, in Alex's name", spoof, "certificate_untrusted"),
        ("the certificate that opens doors without a PIN (…3.17)", door, "certificate_wrong_policy"),
        ("a good card that belongs to nobody here", office.pki.card(upn=world.person.email), "credential_unknown"),
    ):
        tell.call("somebody", f"shows {words}")
        with office.client(card) as client:
            seen = why(press(world, Browser(client)))
        tell.check(f"refused: {reason}", seen == reason, seen=seen)


def is_dead(world: World) -> None:
    """After HR's word: the card, the session that it opened, and the phone that grew from it."""
    office, tell = world.office, world.narration
    if office is None:
        return
    page = office.browser.get(f"{world.ramet.issuer}/devices")
    tell.check("the AAL3 session leads to the login page", page.path == "/login", seen=page.path)
    with office.client(office.card) as client:
        seen = why(press(world, Browser(client)))
    tell.check("the card itself is in order, and signs nobody in", seen == "credential_unknown", seen=seen)
    try:
        office.device.login(world.phone_client, passphrase=world.passphrase, scope=SCOPE)
        seen = "tokens"
    except ProtocolError as error:
        seen = error.error
    tell.check("the phone that grew from the card: invalid_grant", seen == "invalid_grant", seen=seen)
    seen = str(world.app_client.introspect(office.login.access_token))
    tell.check("the AAL3 login's access token: not active", seen == "{'active': False}", seen=seen)


def press(world: World, browser: Browser) -> Page:
    """Open the page of the card sign-in and press its button."""
    page = browser.get(f"{world.ramet.issuer}/login/card")
    return browser.submit(page, page.form_to("/login/card"))


def why(page: Page) -> str:
    """The reason that a refusal names, or where the browser is."""
    return page.html.partition('data-reason="')[2].partition('"')[0] or page.path


def ask(world: World, browser: Browser, acr_values: str) -> Login:
    """One login at the app from this browser.

    Raises: Refused.
    """
    pending = world.app_client.request(acr_values=acr_values)
    page = browser.get(pending.url, stop_at=pending.redirect_uri)
    if not page.stopped_at and (form := page.form_with("decision")):
        page = browser.submit(page, form, values={"decision": "allow"}, stop_at=pending.redirect_uri)
    if not page.stopped_at:
        raise Refused("no_answer", f"{page.path}: {page.words()}")
    return world.app_client.exchange(world.app_client.code(page.stopped_at, pending=pending), pending=pending)


def enrolled(world: World, browser: Browser) -> DeviceClient:
    """A device, bound from this browser's sign-in."""
    page = show_code_at(world, browser)
    device, numbers = DeviceClient(), Queue[Answered]()
    with ThreadPoolExecutor(1) as phone:
        binding = phone.submit(
            device.enroll, world.ramet.issuer, Code(text=page.by_id("binding-code")), device_name="Alex's second phone",
            passphrase=world.passphrase, on_number=numbers.put,
        )  # fmt: skip
        answered = numbers.get(timeout=_WAIT_SECONDS)
        wait_for_status(world, page, "answered", browser=browser)
        page = browser.get(page.url)
        browser.submit(page, page.form_to("/confirm"), values={"number": answered.number})
        binding.result(timeout=_WAIT_SECONDS)
    return device
