"""A house with an authority, and people who ask it for certificates."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.core.management import call_command

from derived.models import IssuedCertificate
from idp.signals import files
from tests.world import ISSUER

if TYPE_CHECKING:
    from pathlib import Path

    from demo.browser import Browser, Page

AGENCY = 4700
PASSPHRASE = "seven mossy stones"
ORGANISATION = "Mossy Agency"
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def csr(
    key: Key, *, subject: str = "whoever", extensions: tuple[x509.ExtensionType, ...] = (), digest: Any = None
) -> bytes:
    """A request as PEM."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)])
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(key, digest or hashes.SHA256()).public_bytes(Encoding.PEM)


def key_pem(key: Key) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def begin(folder: Path, *more: str) -> dict[str, Any]:
    """`manage.py ca init`, with a root in a folder."""
    import json

    (folder / "passphrase").write_text("correct horse battery\n")
    said = StringIO()
    call_command(
        "ca", "init", "--organisation", ORGANISATION, "--url", "http://localhost:8000", "--root-file", str(folder / "root.pem"),
        "--root-passphrase-file", str(folder / "passphrase"), "--json", *more, stdout=said,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(said.getvalue())
    return found


def add(
    browser: Browser,
    *,
    name: str = "Laptop VPN",
    request: bytes = b"",
    way: str = "request",
    passphrase: str = PASSPHRASE,
    files: Any = None,
    **more: str,
) -> Page:
    """Fill in the page."""
    page = browser.get(f"{ISSUER}/devices/certificates/add")
    assert page.path == "/devices/certificates/add", page.words()
    form = page.form_with("way")
    assert form is not None
    values = {"name": name, "passphrase": passphrase, "way": way, "request": request.decode(), "transport": "", **more}
    return browser.submit(page, form, values=values, files=files)


@dataclass(frozen=True)
class Holding:
    """A certificate and its key, in files too, as a VPN client has them."""

    row: IssuedCertificate
    key: Key

    @property
    def certificate(self) -> x509.Certificate:
        return x509.load_der_x509_certificate(bytes(self.row.der or b""))

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    def write(self, folder: Path, name: str = "holder") -> tuple[Path, Path]:
        """Certificate and key as PEM files."""
        chain, key = folder / f"{name}.pem", folder / f"{name}.key"
        chain.write_bytes(self.pem)
        key.write_bytes(key_pem(self.key))
        return chain, key


def issued(browser: Browser, key: Key | None = None, **more: Any) -> Holding:
    """A certificate, by the page."""
    key = key or new_key()
    page = add(browser, request=csr(key), **more)
    found = re.fullmatch(r"/devices/certificates/([0-9a-f-]{36})", page.path)
    assert found, page.words()
    return Holding(
        IssuedCertificate.objects.select_related("credential__account", "authority").get(credential=found[1]), key
    )


def openssl(*arguments: str, data: bytes = b"", check: bool = True) -> subprocess.CompletedProcess[bytes]:
    done = subprocess.run(["openssl", *arguments], input=data, capture_output=True, check=False, timeout=20)
    assert not check or done.returncode == 0, (done.stderr + done.stdout).decode()
    return done


def published() -> Path:
    """The folder that a static server hands out."""
    return files.folder()
