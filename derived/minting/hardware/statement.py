"""Proof that a device key is in hardware: Android Key Attestation, Apple App Attest, TPM 2.0, YubiKey PIV.

A device may send a statement beside its proof of possession. Without one the key counts as software: one factor (DK-2).
A statement with any fault is refused, never ignored, so a forged one gains nothing. Chains are verified by `root_of`
against the roots of that format only, and without roots no chain is accepted.
"""

from __future__ import annotations

import binascii
import hashlib
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from derived.errors import Reason, Refused
from derived.minting.chains import root_of
from derived.minting.proven import key_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

    from derived.rules.rulebook import DeviceFacts

_MOST_CERTIFICATES = 6
_MOST_BYTES = 12 * 1024


@dataclass(frozen=True, kw_only=True)
class AttestationTrust:
    """The trusted roots (DER) by format, revoked certificates, and trusted apps.

    revoked: serial numbers, lower-case hex without leading zeros (Google's status list). apps: App IDs (team and
    bundle); developing: apps that are trusted in Apple's development environment only. verifying: apps of either list
    that verify the user at each use of the key, according to the operator.
    """

    roots: Mapping[str, Sequence[bytes]] = field(default_factory=dict)
    revoked: frozenset[str] = frozenset()
    apps: frozenset[str] = frozenset()
    developing: frozenset[str] = frozenset()
    verifying: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class AttestationRequest:
    """The key and the attempt that a statement must be about.

    nonce: for statements made after the key: SHA-256 of the challenge and the key's name. made_for: for statements made
    with the key (Android): SHA-256 of the binding code, which is as fresh and single-use.
    """

    key: PublicKeyTypes
    nonce: bytes
    made_for: bytes
    now: datetime


@dataclass(frozen=True, kw_only=True)
class HardwareEvidence:
    """The result of a valid statement: the key cannot leave this device.

    verifies_user: each use of the key takes an activation secret or a biometric (63B-4 §3.2.10): a second factor.
    level: the kind of hardware, in its manufacturer's words. facts: for the record.
    """

    device: DeviceFacts
    verifies_user: bool
    level: str
    facts: Mapping[str, Any] = field(default_factory=dict)


def nonce_of(challenge: str, key: str) -> bytes:
    """The nonce for statements about an existing key; key: its thumbprint, or its `key_name`."""
    return hashlib.sha256(f"ramet-attestation:{challenge}:{key}".encode()).digest()


def made_for(code: str) -> bytes:
    """The challenge for a key that is attested at generation; code: normalised, without dashes."""
    return hashlib.sha256(f"ramet-attestation:{code}".encode()).digest()


# --- shared by the formats ---


def base64_member(statement: Mapping[str, Any], name: str) -> bytes:
    """The bytes of a base64 member.

    Raises: Refused(BAD_PROOF).
    """
    value = statement.get(name)
    if not isinstance(value, str) or len(value) > _MOST_BYTES:
        raise Refused(Reason.BAD_PROOF)
    try:
        return b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(Reason.BAD_PROOF) from None


def chain_of(statement: Mapping[str, Any]) -> list[bytes]:
    """The certificates, DER, leaf first.

    Raises: Refused(BAD_PROOF).
    """
    listed = statement.get("x5c")
    if not isinstance(listed, list) or not 1 <= len(listed) <= _MOST_CERTIFICATES:
        raise Refused(Reason.BAD_PROOF)
    return [base64_member({"one": one}, "one") for one in listed]


def certificates_of_pem(pem: bytes) -> list[str]:
    """The certificates of a PEM text, each in base64, as in a statement.

    Raises: Refused(BAD_PROOF) for any other content.
    """
    try:
        found = x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise Refused(Reason.BAD_PROOF) from None
    if b"PRIVATE KEY" in pem:
        raise Refused(Reason.BAD_PROOF)
    return [b64encode(one.public_bytes(Encoding.DER)).decode() for one in found]


def verified_chain(
    chain: Sequence[bytes], form: str, asked: AttestationRequest, trust: AttestationTrust
) -> tuple[list[x509.Certificate], dict[str, Any]]:
    """The certificates of a chain to a trusted root of this format, with the root's identity for the record.

    Raises: Refused(BAD_PROOF), also if any certificate of the chain was revoked.
    """
    found = [x509.load_der_x509_certificate(one) for one in chain]
    numbers = [f"{one.serial_number:x}" for one in found]
    root = root_of(chain, trust.roots.get(form, ()), now=asked.now)
    if root is None or not trust.revoked.isdisjoint(numbers):
        raise Refused(Reason.BAD_PROOF)
    return found, {"vouched": {"format": form, "root": hashlib.sha256(root).hexdigest(), "numbers": numbers}}


def is_still_trusted(vouched: object, trust: AttestationTrust) -> bool:
    """True if the chain accepted at binding would be accepted now: same root, nothing revoked.

    vouched: the record that `verified_chain` returned; any other value is False.
    """
    if not isinstance(vouched, dict):
        return False
    roots = {hashlib.sha256(one).hexdigest() for one in trust.roots.get(str(vouched.get("format")), ())}
    return vouched.get("root") in roots and trust.revoked.isdisjoint(vouched.get("numbers", ()))


def is_of_requested_key(certificate: x509.Certificate, asked: AttestationRequest) -> bool:
    """True if the certificate is of the key that is being bound."""
    return key_name(certificate.public_key()) == key_name(asked.key)


def extension(certificate: x509.Certificate, oid: str) -> bytes | None:
    """The bytes of an extension unknown to the library, or None."""
    for one in certificate.extensions:
        if one.oid.dotted_string == oid:
            return one.value.value if isinstance(one.value, x509.UnrecognizedExtension) else None
    return None
