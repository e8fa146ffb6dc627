"""Proof that a device key lives in hardware: Android Key Attestation, Apple App Attest, TPM 2.0 certify, YubiKey PIV attestation.

A device sends a statement beside its proof of possession, or none. None means software: one factor (DK-2). A statement that
does not hold in every part is refused, never ignored: who sends a forged one gets nothing. Chains are verified by `root_of`
against the roots of that one format, and without roots nothing leads anywhere.
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

    from derived.rules.rulebook import Device

_MOST_CERTIFICATES = 6
_MOST_BYTES = 12 * 1024


@dataclass(frozen=True, kw_only=True)
class Trust:
    """What is believed: roots (DER) by format, certificates that their maker has revoked, and whose apps on Apple's devices.

    revoked: serial numbers, lower-case hex without leading zeros (Google's status list). apps: App IDs (team and bundle);
    developing: apps that are believed in Apple's development environment, and only there. verifying: those of both that ask for a face, a finger or a passcode at each use of the key, as the operator has found.
    """

    roots: Mapping[str, Sequence[bytes]] = field(default_factory=dict)
    revoked: frozenset[str] = frozenset()
    apps: frozenset[str] = frozenset()
    developing: frozenset[str] = frozenset()
    verifying: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a statement must be about: this key, and this attempt.

    nonce: for what is said after the key was made: SHA-256 of the challenge and the key's name. made_for: for what is
    said while a key is made (Android): SHA-256 of the binding code, which is as fresh and serves once.
    """

    key: PublicKeyTypes
    nonce: bytes
    made_for: bytes
    now: datetime


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What follows: the key cannot leave this device.

    verifies_user: each use of the key asks for its holder, by a secret or a finger (63B-4 §3.2.10): a second factor.
    level: what kind of hardware, in its maker's words. facts: for the record.
    """

    device: Device
    verifies_user: bool
    level: str
    facts: Mapping[str, Any] = field(default_factory=dict)


def nonce_of(challenge: str, key: str) -> bytes:
    """What a statement about an existing key must contain; key: its thumbprint, or the name of a certificate's key (`key_name`)."""
    return hashlib.sha256(f"ramet-attestation:{challenge}:{key}".encode()).digest()


def made_for(code: str) -> bytes:
    """What a key that is attested while it is made must have been made for; code: as it is heard, without dashes."""
    return hashlib.sha256(f"ramet-attestation:{code}".encode()).digest()


# --- what the formats share -------------------------------------------------------------------------------------------


def taken(statement: Mapping[str, Any], name: str) -> bytes:
    """A member in base64.

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
    return [taken({"one": one}, "one") for one in listed]


def bodies(pem: bytes) -> list[str]:
    """The certificates of a PEM text, each in base64, as a statement has them.

    Raises: Refused(BAD_PROOF) for anything else in it.
    """
    try:
        found = x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise Refused(Reason.BAD_PROOF) from None
    if b"PRIVATE KEY" in pem:
        raise Refused(Reason.BAD_PROOF)
    return [b64encode(one.public_bytes(Encoding.DER)).decode() for one in found]


def trusted(
    chain: Sequence[bytes], form: str, asked: Asked, trust: Trust
) -> tuple[list[x509.Certificate], dict[str, Any]]:
    """The certificates, if they lead to a root of this format and none of them was revoked; and who vouches, for the record.

    Raises: Refused(BAD_PROOF).
    """
    found = [x509.load_der_x509_certificate(one) for one in chain]
    numbers = [f"{one.serial_number:x}" for one in found]
    root = root_of(chain, trust.roots.get(form, ()), now=asked.now)
    if root is None or not trust.revoked.isdisjoint(numbers):
        raise Refused(Reason.BAD_PROOF)
    return found, {"vouched": {"format": form, "root": hashlib.sha256(root).hexdigest(), "numbers": numbers}}


def is_still_vouched(vouched: object, trust: Trust) -> bool:
    """Whether what was believed when a key was bound would be believed now: the same root, and nothing on the way to it revoked.

    vouched: as `trusted` gave it for the record; anything else is nobody's word.
    """
    if not isinstance(vouched, dict):
        return False
    roots = {hashlib.sha256(one).hexdigest() for one in trust.roots.get(str(vouched.get("format")), ())}
    return vouched.get("root") in roots and trust.revoked.isdisjoint(vouched.get("numbers", ()))


def is_the_key(certificate: x509.Certificate, asked: Asked) -> bool:
    """Whether a certificate is of the very key that is being bound."""
    return key_name(certificate.public_key()) == key_name(asked.key)


def extension(certificate: x509.Certificate, oid: str) -> bytes | None:
    """The bytes of an extension that the library does not know, or None."""
    for one in certificate.extensions:
        if one.oid.dotted_string == oid:
            return one.value.value if isinstance(one.value, x509.UnrecognizedExtension) else None
    return None
