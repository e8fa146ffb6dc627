"""Compare an issued certificate with its order before it is released (X-1 to X-6, C91), whichever authority made it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from derived.minting.certificate import LONGEST_LIFE, subject_of
from derived.minting.proven import key_name
from derived.minting.weak import is_outlived, is_weak

if TYPE_CHECKING:
    from collections.abc import Callable

    from derived.minting.certificate import CertificateContent

_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_LEAST_SERIAL, _MOST_SERIAL = 1 << 64, 1 << 159
_SAID = (
    x509.SubjectKeyIdentifier,
    x509.AuthorityKeyIdentifier,
    x509.KeyUsage,
    x509.ExtendedKeyUsage,
    x509.CertificatePolicies,
    x509.SubjectAlternativeName,
    x509.CRLDistributionPoints,
    x509.AuthorityInformationAccess,
    x509.BasicConstraints,
)


def faults(
    made: x509.Certificate, order: CertificateContent, issuer: x509.Certificate, expected: x509.CertificateBuilder
) -> list[str]:
    """The faults of a certificate, in words; empty if it is exactly as ordered (a shorter validity is permitted).

    expected: the profile of the order (`certificate.builder`).
    """
    checks: dict[str, Callable[[], bool]] = {
        "not signed by the authority": lambda: _is_signed(made, issuer),
        "another key": lambda: key_name(made.public_key()) == key_name(order.key),
        "a key that is too weak": lambda: not _is_weak(made),
        "another serial number": lambda: (
            made.serial_number == order.serial and _LEAST_SERIAL <= made.serial_number < _MOST_SERIAL
        ),
        "another subject": lambda: made.subject == subject_of(order),
        "another time": lambda: (
            order.not_before <= made.not_valid_before_utc < made.not_valid_after_utc <= order.not_after
        ),
        "too long a life (X-6)": lambda: made.not_valid_after_utc - made.not_valid_before_utc <= LONGEST_LIFE,
        "an old version": lambda: made.version == x509.Version.v3,
        "other extensions": lambda: not _differs(made, expected),
    }
    found = []
    for words, holds in checks.items():
        try:
            good = holds()
        except (ValueError, TypeError, x509.ExtensionNotFound, x509.DuplicateExtension, UnsupportedAlgorithm):
            good = False
        if not good:
            found.append(words)
    return found


def _is_signed(made: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        made.verify_directly_issued_by(issuer)
    except InvalidSignature:
        return False
    return isinstance(made.signature_hash_algorithm, _HASHES)


def _is_weak(made: x509.Certificate) -> bool:
    key = made.public_key()
    return (
        not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey)
        or is_weak(key)
        or is_outlived(key, made.not_valid_after_utc)
    )


def _differs(made: x509.Certificate, expected: x509.CertificateBuilder) -> bool:
    """True if an extension is missing, extra, of another value, or of another criticality."""
    wanted = {one.oid: one for one in expected._extensions}  # noqa: SLF001 - the builder has no other way to be read
    said = {one.oid: one for one in made.extensions}
    constraints = said.pop(x509.BasicConstraints.oid, None)  # absent, or cA false
    if constraints is not None and constraints.value.ca:
        return True
    if wanted.keys() != said.keys() or not all(isinstance(one.value, _SAID) for one in said.values()):
        return True
    return any(
        _value(one.value) != _value(said[oid].value) or one.critical != said[oid].critical
        for oid, one in wanted.items()
    )


def _value(extension: x509.ExtensionType) -> object:
    """The compared part of an extension: the key of the authority key identifier, the set of access descriptions."""
    if isinstance(extension, x509.AuthorityKeyIdentifier):
        return extension.key_identifier
    if isinstance(extension, x509.AuthorityInformationAccess):
        return {(one.access_method, one.access_location) for one in extension}
    return extension
