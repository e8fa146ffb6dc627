"""The facts about a card in its certificate, for binding (C24): issuer, serial, key, FASC-N, card UUID.

The common name, the UPN and the e-mail address are never used: any CA could write them.
"""

from __future__ import annotations

import hashlib
import uuid
from typing import TYPE_CHECKING

from asn1crypto import x509 as asn1
from cryptography import x509

from derived.changes.issue import VerifiedCertificate
from derived.errors import Reason, Refused
from idp.certificates import name_text

if TYPE_CHECKING:
    from idp.certificates.configuration import ValidationPolicy

_FASC_N = x509.ObjectIdentifier("2.16.840.1.101.3.6.6")
_FASC_N_BYTES = 25
_UUID = "urn:uuid:"


def facts_of(
    found: x509.Certificate, der: bytes, *, issuer_key: bytes, policies: frozenset[str], policy: ValidationPolicy
) -> VerifiedCertificate:
    """The facts of a validated certificate.

    issuer_key: a hash of the public key that signed it, as validated: identifiers are the issuer's choice, and two CAs
    of one name differ. policies: the path's valid policies, among the operator's.
    Raises: Refused(CERTIFICATE_WRONG_POLICY), Refused(CERTIFICATE_MALFORMED) for two FASC-Ns or two UUIDs.
    """
    derived, hardware = meaning_of_policies(policies, policy)
    fasc_n, card_uuid = _card(found)
    own = x509.SubjectKeyIdentifier.from_public_key(
        found.public_key()
    ).digest  # computed, because the extension's value is the issuer's choice
    inner = asn1.Certificate.load(der)
    return VerifiedCertificate(
        issuer=name_text.text_of(lambda: found.issuer, inner.issuer),
        issuer_key=hashlib.sha256(inner.issuer.dump() + issuer_key).hexdigest(),
        serial=f"{found.serial_number:x}",
        ski=own.hex(),
        fasc_n=fasc_n,
        card_uuid=card_uuid,
        fingerprint=hashlib.sha256(der).hexdigest(),
        der=der,
        not_after=found.not_valid_after_utc,
        subject=name_text.text_of(lambda: found.subject, inner.subject),
        policies=tuple(sorted(policies)),
        derived=derived,
        hardware=hardware,
    )


def meaning_of_policies(policies: frozenset[str], policy: ValidationPolicy) -> tuple[bool, bool]:
    """Whether it is a derived PIV certificate, and whether its policy asserts a hardware key.

    The weakest policy counts.
    Raises: Refused(CERTIFICATE_WRONG_POLICY).
    """
    if policies & set(policy.refused) or not policies & {*policy.accepted, *policy.derived, *policy.derived_hardware}:
        raise Refused(Reason.CERTIFICATE_WRONG_POLICY)
    return bool(policies & {*policy.derived, *policy.derived_hardware}), not policies & set(policy.derived)


def _card(found: x509.Certificate) -> tuple[str, str]:
    """The FASC-N as hex and the card's UUID, if present (FIPS 201-3 §4.2.1, SP 800-73)."""
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return "", ""
    numbers = {name.value for name in names.get_values_for_type(x509.OtherName) if name.type_id == _FASC_N}
    texts = {
        name.lower()
        for name in names.get_values_for_type(x509.UniformResourceIdentifier)
        if name.lower().startswith(_UUID)
    }
    if len(numbers) > 1 or len(texts) > 1:
        raise Refused(Reason.CERTIFICATE_MALFORMED)
    return "".join(_octets(one) for one in numbers), "".join(_uuid(one) for one in texts)


def _octets(value: bytes) -> str:
    """The FASC-N's 25 octets, out of their OCTET STRING."""
    if len(value) != _FASC_N_BYTES + 2 or value[:2] != bytes([0x04, _FASC_N_BYTES]):
        raise Refused(Reason.CERTIFICATE_MALFORMED)
    return value[2:].hex()


def _uuid(text: str) -> str:
    try:
        return str(uuid.UUID(hex=text.removeprefix(_UUID)))
    except ValueError:
        raise Refused(Reason.CERTIFICATE_MALFORMED) from None
