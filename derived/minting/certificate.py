"""Derived authentication certificates: the profile, exactly (standards.md X-1 to X-6; Common Policy worksheet 10, FIPS 201-3).

What stands in a certificate comes from the `Order`, which the house fills in; of a request only the key is used (`csr`).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from derived.errors import Reason, Refused
from derived.minting.proven import Proven, key_name
from derived.minting.weak import is_outlived, is_weak
from derived.rules.assurance import AAL, Factor, Shown
from derived.rules.kinds import Kind, Label
from derived.rules.rulebook import Device

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

    from derived.minting.csr import CertificateKey
    from derived.minting.hardware.statement import Kept

DERIVED_PIV = "2.16.840.1.101.3.2.1.3.40"  # id-fpki-common-derived-pivAuth
DERIVED_PIV_HARDWARE = "2.16.840.1.101.3.2.1.3.41"
PIV_POLICIES = frozenset({DERIVED_PIV, DERIVED_PIV_HARDWARE})
LONGEST_LIFE = timedelta(days=3 * 365)
BACKDATED = timedelta(minutes=2)  # for the clocks of those who verify
_SERIAL_BITS = 152  # of `secrets`; RFC 5280 §4.1.2.2 allows 20 octets, the CA/Browser Forum asks for 64 bits


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Where anybody finds what belongs to an authority: over http, so that no certificate is needed to check one (X-4)."""

    crl: str
    issuer: str
    ocsp: str


@dataclass(frozen=True, kw_only=True)
class Order:
    """One certificate to be made.

    serial: recorded in the ledger before. name, login: what it shows of the person (MT-4). uuid: its own (X-3).
    policies: what it asserts (X-1).
    """

    key: CertificateKey
    serial: int
    uuid: UUID
    organisation: str
    name: str
    login: str
    policies: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    addresses: Addresses


def new_serial() -> int:
    """A positive number of 152 random bits, and one more that keeps it positive and long (C91)."""
    return secrets.randbits(_SERIAL_BITS) | 1 << _SERIAL_BITS


def policies_of(label: Label, level: AAL, *, own: str, asserts_piv: bool) -> tuple[str, ...]:
    """The policy OIDs of a label: .40 and .41 only for *derived PIV*, and only where the authority was told that it may.

    own: this house's OID for a generic derived certificate.
    """
    if label != Label.DERIVED_PIV or not asserts_piv:
        return (own,)
    return (DERIVED_PIV_HARDWARE if level == AAL.AAL3 else DERIVED_PIV,)


def proven(  # noqa: PLR0913 - the parts of a certificate that is to be
    key: CertificateKey,
    *,
    passphrase_hash: str,
    not_before: datetime,
    not_after: datetime,
    verifier: Mapping[str, Any],
    made_here: bool = False,
    kept: Kept | None = None,
    evidence: Mapping[str, Any] | None = None,
) -> Proven:
    """A key that signed its request, as a new credential: one factor, and two with a passphrase that we know (ruling 1).

    Hardware that asks for its holder at each use is a second factor too.
    made_here: the key was made by us for a device that cannot (X-8). kept: what was proven of its hardware (X-7).
    verifier: further fields of `IssuedCertificate`.
    Raises: Refused(WEAK_KEY) for a key that does not last as long as the certificate (X-5); Refused(BAD_PROOF) for one that is said
    to be in hardware, and was made here.
    """
    if made_here and kept is not None:
        raise Refused(Reason.BAD_PROOF)
    if is_weak(key) or is_outlived(key, not_after) or not_after - not_before > LONGEST_LIFE:
        raise Refused(Reason.WEAK_KEY)
    factors = {Factor.CERTIFICATE} | ({Factor.DEVICE_PASSPHRASE} if passphrase_hash else set())
    factors |= {Factor.USER_VERIFICATION} if kept and kept.verifies_user else set()
    public = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Proven(
        kind=Kind.CERTIFICATE,
        shown=Shown(factors=frozenset(factors), hardware=kept is not None),
        keys=(key_name(key),),
        not_after=not_after,
        device=kept.device if kept else Device(),
        verifier={
            **verifier,
            "spki": public,
            "passphrase_hash": passphrase_hash,
            "not_before": not_before,
            "not_after": not_after,
        },
        evidence={**_protection(kept, made_here=made_here), **(evidence or {})},
    )


def _protection(kept: Kept | None, *, made_here: bool) -> dict[str, Any]:
    """What holds the key, for the record (BI-6)."""
    if kept is not None:
        activation = "per_use" if kept.verifies_user else "unproven"
        return {
            "protection": "hardware",
            "exportable": False,
            "key_made": "in its hardware",
            "activation": activation,
            **kept.facts,
        }
    return {
        "protection": "software",
        "exportable": True if made_here else "unproven",
        "key_made": "here" if made_here else "by its holder",
    }


def builder(order: Order, issuer: x509.Certificate) -> x509.CertificateBuilder:
    """The profile of an order, under an issuer, ready to be signed.

    Raises: Refused(WEAK_KEY), Refused(ILLEGAL_MOVE) for a life that is too long or longer than the issuer's (C91).
    """
    if is_weak(order.key) or is_outlived(order.key, order.not_after):
        raise Refused(Reason.WEAK_KEY)
    if not order.not_before < order.not_after <= min(order.not_before + LONGEST_LIFE, issuer.not_valid_after_utc):
        raise Refused(Reason.ILLEGAL_MOVE)
    where = order.addresses
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer.subject)
        .subject_name(subject_of(order))
        .public_key(order.key)
        .serial_number(order.serial)
        .not_valid_before(order.not_before)
        .not_valid_after(order.not_after)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(order.key), critical=False)
        .add_extension(key_identifier_of(issuer), critical=False)
        .add_extension(key_usage("digital_signature"), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(policies(*order.policies), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(order.uuid.urn)]), critical=False)
        .add_extension(points(where.crl), critical=False)
        .add_extension(access(issuer=where.issuer, ocsp=where.ocsp), critical=False)
    )


def subject_of(order: Order) -> x509.Name:
    """Names are cut to RFC 5280's upper bounds, and have no control characters (C76)."""
    pairs = (
        (NameOID.ORGANIZATION_NAME, order.organisation),
        (NameOID.COMMON_NAME, shown(order.name)),
        (NameOID.USER_ID, shown(order.login, 256)),
    )
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in pairs if value])


def shown(text: str, most: int = 64) -> str:
    """A name as a certificate shows it.

    RFC 5280's bounds are characters; many readers, and the library that writes it here, count bytes. So it fits either way.
    """
    line = " ".join("".join(one if one.isprintable() else " " for one in text).split())
    return line.encode()[:most].decode(errors="ignore").strip()


def key_identifier_of(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """The issuer's own key identifier."""
    own = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def key_usage(*bits: str) -> x509.KeyUsage:
    """KeyUsage with these bits and no others."""
    names = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: name in bits for name in names})


def policies(*oids: str) -> x509.CertificatePolicies:
    """CertificatePolicies without qualifiers."""
    return x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier(oid), None) for oid in oids])


def points(*urls: str) -> x509.CRLDistributionPoints:
    """One distribution point with a full name."""
    names = [x509.UniformResourceIdentifier(url) for url in urls]
    return x509.CRLDistributionPoints([x509.DistributionPoint(names, None, None, None)])


def access(*, issuer: str, ocsp: str = "") -> x509.AuthorityInformationAccess:
    """Where the issuer's certificate is, and who answers for it."""
    pairs = [
        (AuthorityInformationAccessOID.CA_ISSUERS, issuer),
        *([(AuthorityInformationAccessOID.OCSP, ocsp)] if ocsp else []),
    ]
    return x509.AuthorityInformationAccess(
        [x509.AccessDescription(method, x509.UniformResourceIdentifier(url)) for method, url in pairs]
    )
