"""The journey's certificate: grown from the same sign-in, shown to an agency's web server that never calls Ramet, and ended with the rest.

Needs nginx, as the card's road does: where there is none, the journey says so and goes on without it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from demo.agency_site import AgencySite
from demo.browser import Browser
from demo.card_road import ask, press, why
from demo.pki import Card
from demo.world import AAL

if TYPE_CHECKING:
    from pathlib import Path

    from demo.browser import Page
    from demo.world import World

_STATUS = "http://pki.demo.example"
_LISTED_SECONDS = 60.0


@dataclass
class Certificate:
    """What a VPN client has: a key that it made, and what was made for it. site: the agency's web server."""

    key: ec.EllipticCurvePrivateKey
    chain: Path
    key_file: Path
    site: AgencySite
    number: int = field(init=False)

    @property
    def card(self) -> Card:
        """As a browser presents it."""
        leaf, *more = x509.load_pem_x509_certificates(self.chain.read_bytes())
        return Card(leaf, self.key, "ours", tuple(more))


def walk(world: World) -> None:
    """All of it, if there is an nginx."""
    tell, office = world.narration, world.office
    tell.chapter("9a. A certificate: for the VPN, and for a web server that never calls us")
    if office is None:
        tell.note("There is no nginx on this machine, so nobody can be asked for a certificate: this part is left out.")
        return
    _set_up(world, office.folder)
    _grow(world, office.folder, office.browser)
    _show_it(world)
    _sign_in(world)


def _set_up(world: World, folder: Path) -> None:
    tell = world.narration
    (folder / "root-passphrase").write_text("correct horse battery\n")
    tell.call("operator", "manage.py ca init --organisation … --root-file root.pem    (and puts the root into a safe)")
    made = world.ramet.ask(
        "ca", "init", "--organisation", "Ramet Demo Agency", "--url", _STATUS, "--root-file", str(folder / "root.pem"),
        "--root-passphrase-file", str(folder / "root-passphrase"),
    )  # fmt: skip
    tell.check(
        "an issuing key is certified, and its lists are published as files", made["state"] == "active", seen=made
    )


def _grow(world: World, folder: Path, browser: Browser) -> None:
    tell = world.narration
    key = ec.generate_private_key(ec.SECP256R1())
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )
    tell.call("laptop", "makes a key, and a request for it")
    tell.call("Alex", "pastes the request in My devices, in the same sign-in that the phone grew from")
    page = browser.get(f"{world.ramet.issuer}/devices/certificates/add")
    form = page.form_with("way")
    tell.need("the page is there", form is not None, seen=page.words())
    if form is None:
        return
    values = {"name": "VPN on my laptop", "passphrase": world.passphrase, "way": "request", "request": request.decode()}
    page = browser.submit(page, form, values=values)
    tell.need(
        "the certificate is made", page.path.startswith("/devices/certificates/"), seen=f"{page.path}: {page.words()}"
    )
    chain, key_file = folder / "laptop.pem", folder / "laptop.key"
    chain.write_text(browser.get(f"{page.url}/pem").html)
    key_file.touch(mode=0o600)
    key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    world.certificate = Certificate(key, chain, key_file, AgencySite(folder / "agency", folder / "published" / "pki"))
    leaf = world.certificate.card.certificate
    world.certificate.number = leaf.serial_number
    tell.note(
        f"It says: {leaf.subject.rfc4514_string()}; for authentication and nothing else; until {leaf.not_valid_after_utc:%-d %B %Y}."
    )


def _show_it(world: World) -> None:
    tell, mine = world.narration, world.certificate
    tell.call("agency", "runs nginx with ssl_client_certificate and ssl_crl: the files that Ramet's worker laid")
    mine.site.start()
    said = mine.site.visit(mine.chain, mine.key_file)
    tell.check("the web server lets Alex in, by name", "CN=Alex Morgan" in said, seen=said)


def _sign_in(world: World) -> None:
    tell = world.narration
    tell.call("Alex", "signs in at Ramet with it: the certificate in the handshake, then its passphrase")
    with _laptop(world) as client:
        browser = Browser(client)
        page = _passphrase(world, browser)
        tell.check("signed in", page.path == "/devices", seen=f"{page.path}: {page.words()}")
        claims = ask(world, browser, AAL + "2").claims
    tell.claims("ID token", claims, stress=("acr", "amr", "aal"))
    tell.check(
        "acr is aal/2: the least of what it grew from and what it proves",
        claims.get("acr") == AAL + "2",
        seen=claims.get("acr"),
    )
    rows = {row["kind"] for row in world.show_tree("Credentials: what grew from the card")}
    tell.check("the tree has phones and the certificate", {"device_key", "certificate"} <= rows, seen=sorted(rows))


def _laptop(world: World) -> httpx.Client:
    office = world.office
    return office.client(world.certificate.card) if office else httpx.Client()


def _passphrase(world: World, browser: Browser) -> Page:
    page = press(world, browser)
    form = page.form_with("passphrase")
    return page if form is None else browser.submit(page, form, values={"passphrase": world.passphrase})


def is_dead(world: World) -> None:
    """After HR's word: here at once; at the web server when it has read the next list."""
    if world.office is None:
        return
    tell, mine, began = world.narration, world.certificate, time.monotonic()
    with _laptop(world) as client:
        seen = why(press(world, Browser(client)))
    tell.check("the certificate signs nobody in: certificate_revoked", seen == "certificate_revoked", seen=seen)
    while not _listed(mine) and time.monotonic() - began < _LISTED_SECONDS:
        time.sleep(0.1)
    tell.check(f"it is on the published list within {time.monotonic() - began:.1f} s", _listed(mine))
    mine.site.reload()
    said = mine.site.visit(mine.chain, mine.key_file)
    tell.check("the web server, which never called us, lets Alex in no more", said == "", seen=said)


def close(world: World) -> None:
    """Leave no web server behind, however the journey ended."""
    if hasattr(world, "certificate"):
        world.certificate.site.stop()


def _listed(mine: Certificate) -> bool:
    lists = [x509.load_der_x509_crl(path.read_bytes()) for path in mine.site.published.glob("*-0.crl")]
    return any(one.get_revoked_certificate_by_serial_number(mine.number) for one in lists)
