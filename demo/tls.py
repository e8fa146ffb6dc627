"""A certificate for the local network, because browsers give keys to HTTPS pages only.

A new authority signs one certificate for this machine, and its key is deleted at once, so that a tablet which trusts
the authority trusts this one server.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from pathlib import Path

_LIFETIME = timedelta(days=90)
_LEAST_LEFT = timedelta(days=1)


@dataclass(frozen=True)
class Certificate:
    """PEM files: the server's certificate and key, and the authority to trust."""

    chain: Path
    key: Path
    authority: Path


def local_address() -> str:
    """The address of this machine on the local network; loopback without a network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # UDP: nothing is sent, but the system chooses the source address
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def certificate_for(address: str, *, folder: Path, now: datetime) -> Certificate:
    """A certificate for an address and localhost: the one in the folder while it is valid, else a new one."""
    made = Certificate(folder / "tls.pem", folder / "tls-key.pem", folder / "tls-authority.pem")
    if not _still_serves(made, address, now=now):
        _make(made, address, now=now)
    return made


def _still_serves(made: Certificate, address: str, *, now: datetime) -> bool:
    if not all(path.exists() for path in (made.chain, made.key, made.authority)):
        return False
    found = x509.load_pem_x509_certificate(made.chain.read_bytes())
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    covers = ipaddress.ip_address(address) in names.get_values_for_type(x509.IPAddress)
    return covers and found.not_valid_after_utc - now > _LEAST_LEFT


def _make(made: Certificate, address: str, *, now: datetime) -> None:
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority_name = _name(f"Ramet on {address} (for this machine only)")
    authority = (
        _draft(authority_name, authority_name, authority_key.public_key(), now=now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    leaf = (
        _draft(_name(address), authority_name, key.public_key(), now=now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(_names(address), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    made.key.unlink(missing_ok=True)
    with os.fdopen(os.open(made.key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(private)
    made.chain.write_bytes(leaf.public_bytes(Encoding.PEM) + authority.public_bytes(Encoding.PEM))
    made.authority.write_bytes(authority.public_bytes(Encoding.PEM))


def _draft(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey, *, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))  # a tablet's clock may be a little behind
        .not_valid_after(now + _LIFETIME)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _names(address: str) -> x509.SubjectAlternativeName:
    addresses = {ipaddress.ip_address(text) for text in (address, "127.0.0.1")}
    return x509.SubjectAlternativeName([x509.DNSName("localhost"), *(x509.IPAddress(found) for found in addresses)])


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
