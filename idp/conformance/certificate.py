"""A test authority and its certificate for loopback, whose key is deleted at once; certificates of clients."""

from __future__ import annotations

import ipaddress
from base64 import b64encode
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from joserfc.jwk import ECKey

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

_LIFE = timedelta(days=90)


def made(folder: Path, host: str, *, now: datetime) -> tuple[Path, Path, Path]:
    """The chain, the key and the authority as PEM files in a folder; made if missing."""
    chain, key, authority = folder / "tls.pem", folder / "tls-key.pem", folder / "tls-authority.pem"
    if not all(path.exists() for path in (chain, key, authority)):
        _make(chain, key, authority, host, now=now)
    return chain, key, authority


def _make(chain: Path, key: Path, authority: Path, host: str, *, now: datetime) -> None:
    root, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Ramet conformance test authority")])
    anchor = (
        _built(issuer, issuer, root.public_key(), now=now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(root, hashes.SHA256())
    )
    names: list[x509.GeneralName] = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    names += [x509.DNSName(host)] if host not in {"localhost", "127.0.0.1"} else []
    leaf = (
        _built(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)]), issuer, own.public_key(), now=now)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(root, hashes.SHA256())
    )
    key.touch(mode=0o600)
    key.write_bytes(own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    authority.write_bytes(anchor.public_bytes(Encoding.PEM))
    chain.write_bytes(leaf.public_bytes(Encoding.PEM) + anchor.public_bytes(Encoding.PEM))


def of_client(name: str, *, now: datetime) -> tuple[dict[str, Any], tuple[str, str]]:
    """A self-signed certificate of a client: its key set with `x5c` (RFC 8705 §2.2.2); certificate and key as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        _built(subject, subject, key.public_key(), now=now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    public = ECKey.import_key(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    entry = {**public.as_dict(private=False), "kid": name, "x5c": [b64encode(made.public_bytes(Encoding.DER)).decode()]}
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return {"keys": [entry]}, (made.public_bytes(Encoding.PEM).decode(), private.decode())


def _built(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey, *, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + _LIFE)
    )
