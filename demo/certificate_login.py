"""The certificate's chapter: derived in a login, presented to a web server that never calls Ramet, and revoked.

Needs nginx; without it the journey skips the chapter and says so.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from demo.agency_site import AgencySite
from demo.browser import Browser
from demo.card_pages import open_card_login, refusal_reason, request_login
from demo.context import AAL
from demo.laptop import Laptop

if TYPE_CHECKING:
    from pathlib import Path

    from demo.browser import Page
    from demo.context import Context

_STATUS = "http://pki.demo.example"
_LISTED_SECONDS = 60.0
_RELOADED_SECONDS = 5.0


def play(context: Context) -> None:
    """Play the chapter, if there is an nginx."""
    tell, office = context.narration, context.office
    tell.chapter("9a. A certificate: for a VPN, and for a web server that never calls Ramet")
    if office is None:
        tell.note("This machine has no nginx, so this chapter is skipped.")
        return
    _set_up(context, office.folder)
    _derive(context, office.folder, office.browser)
    _present(context)
    _sign_in(context)


def _set_up(context: Context, folder: Path) -> None:
    tell = context.narration
    (folder / "root-passphrase").write_text("correct horse battery\n")
    tell.call("operator", "manage.py ca init --organisation … --root-file root.pem    (and stores the root offline)")
    made = context.ramet.ask(
        "ca", "init", "--organisation", "Ramet Demo Agency", "--url", _STATUS, "--root-file", str(folder / "root.pem"),
        "--root-passphrase-file", str(folder / "root-passphrase"),
    )  # fmt: skip
    tell.check(
        "an issuing key is certified, and its revocation lists are published as files",
        made["state"] == "active",
        seen=made,
    )


def _derive(context: Context, folder: Path, browser: Browser) -> None:
    tell = context.narration
    key = ec.generate_private_key(ec.SECP256R1())
    tell.call("Alex", "copies the challenge of My devices, in the session that enrolled the phone")
    page = browser.get(f"{context.ramet.issuer}/devices/certificates/add")
    form = page.form_with("way")
    tell.need("the page is there", form is not None, seen=page.words())
    if form is None:
        return
    tell.call("laptop", "makes a key, and a request for it with the challenge, which Alex pastes")
    name = x509.NameAttribute(x509.NameOID.COMMON_NAME, page.by_id("request-challenge"))
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([name]))
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )
    values = {
        "name": "VPN on my laptop",
        "passphrase": context.passphrase,
        "way": "request",
        "request": request.decode(),
    }
    page = browser.submit(page, form, values=values)
    tell.need(
        "the certificate is made", page.path.startswith("/devices/certificates/"), seen=f"{page.path}: {page.words()}"
    )
    chain, key_file = folder / "laptop.pem", folder / "laptop.key"
    chain.write_text(browser.get(f"{page.url}/pem").html)
    key_file.touch(mode=0o600)
    key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context.laptop = Laptop(key, chain, key_file, AgencySite(folder / "agency", folder / "published" / "pki"))
    leaf = context.laptop.card.certificate
    context.laptop.number = leaf.serial_number
    tell.note(
        f"Subject {leaf.subject.rfc4514_string()}, for authentication only, "
        f"valid until {leaf.not_valid_after_utc:%-d %B %Y}."
    )


def _present(context: Context) -> None:
    tell, laptop = context.narration, context.laptop
    tell.call("agency", "runs nginx with ssl_client_certificate and ssl_crl: the files that Ramet's worker has written")
    laptop.site.start()
    said = laptop.site.visit(laptop.chain, laptop.key_file)
    tell.check("the web server admits Alex, by name", "CN=Alex Morgan" in said, seen=said)


def _sign_in(context: Context) -> None:
    tell = context.narration
    tell.call("Alex", "signs in at Ramet with it: the certificate in the handshake, then its passphrase")
    with _browser_of_laptop(context) as client:
        browser = Browser(client)
        page = _passphrase(context, browser)
        tell.check("signed in", page.path == "/devices", seen=f"{page.path}: {page.words()}")
        claims = request_login(context, browser, AAL + "2").claims
    tell.claims("ID token", claims, stress=("acr", "amr", "aal"))
    tell.check(
        "acr is aal/2: the least of its root's level and its own",
        claims.get("acr") == AAL + "2",
        seen=claims.get("acr"),
    )
    rows = {row["kind"] for row in context.show_tree("Credentials derived from the card")}
    tell.check("the tree has phones and the certificate", {"device_key", "certificate"} <= rows, seen=sorted(rows))


def _browser_of_laptop(context: Context) -> httpx.Client:
    office = context.office
    return office.client(context.laptop.card) if office else httpx.Client()


def _passphrase(context: Context, browser: Browser) -> Page:
    page = open_card_login(context, browser)
    form = page.form_with("passphrase")
    return page if form is None else browser.submit(page, form, values={"passphrase": context.passphrase})


def check_ended(context: Context) -> None:
    """Check after the termination: refused by Ramet at once, and by the web server after its next list."""
    if context.office is None:
        return
    tell, laptop, began = context.narration, context.laptop, time.monotonic()
    with _browser_of_laptop(context) as client:
        seen = refusal_reason(open_card_login(context, Browser(client)))
    tell.check("the certificate signs nobody in: certificate_revoked", seen == "certificate_revoked", seen=seen)
    while not _listed(laptop) and time.monotonic() - began < _LISTED_SECONDS:
        time.sleep(0.1)
    tell.check(f"it is on the published list within {time.monotonic() - began:.1f} s", _listed(laptop))
    laptop.site.reload()
    until = time.monotonic() + _RELOADED_SECONDS  # nginx answers by its old processes until the new ones are there
    while (said := laptop.site.visit(laptop.chain, laptop.key_file)) and time.monotonic() < until:
        time.sleep(0.1)
    tell.check("the web server, which never called Ramet, refuses Alex", said == "", seen=said)


def close(context: Context) -> None:
    """Stop the web server, if it was started."""
    if hasattr(context, "laptop"):
        context.laptop.site.stop()


def _listed(laptop: Laptop) -> bool:
    lists = [x509.load_der_x509_crl(path.read_bytes()) for path in laptop.site.published.glob("*-0.crl")]
    return any(one.get_revoked_certificate_by_serial_number(laptop.number) for one in lists)
