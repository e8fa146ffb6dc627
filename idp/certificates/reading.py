"""The strict check of unverified certificate bytes, before the engine (X1, AU-3).

A certificate is parsed by `cryptography` (strict DER) and must be a possible PIV authentication certificate; only then
is it passed on as asn1crypto's, which parses lazily and tolerates more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from derived.errors import Reason, Refused
from idp.certificates import name_text

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

name_text.install()

MOST_BYTES = 16 * 1024
_MOST_SERIAL_BITS = 160  # RFC 5280 §4.1.2.2: 20 octets
_RSA_BITS = range(2048, 8193)
_CURVES = (ec.SECP256R1, ec.SECP384R1)
_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_CARD_AUTH_USAGE = x509.ObjectIdentifier("2.16.840.1.101.3.6.8")  # id-PIV-cardAuth: answers without a PIN


_Kind = TypeVar("_Kind", bound=x509.ExtensionType)


class Unreadable(Exception):
    """These bytes are not a well-formed certificate."""


def parsed(der: bytes) -> x509.Certificate:
    """A certificate of version 3, in strict DER, with readable and unique extensions.

    Raises: Unreadable.
    """
    inner = _inner(der)
    if not 0 < inner.serial_number.bit_length() <= _MOST_SERIAL_BITS or inner.serial_number < 0:
        raise Unreadable("serial number")
    if inner["tbs_certificate"]["signature"].dump() != inner["signature_algorithm"].dump():
        raise Unreadable("two signature algorithms")  # RFC 5280 §4.1.1.2
    try:
        found = x509.load_der_x509_certificate(name_text.readable(der, inner))
        version = found.version
        list(found.extensions)
        found.public_key()
    except Exception as error:  # noqa: BLE001 - a parser of unverified bytes may raise anything
        raise Unreadable(type(error).__name__) from None
    if version != x509.Version.v3:
        raise Unreadable("version")
    return found


def _inner(der: bytes) -> asn1.Certificate:
    """A certificate of bounded size and with names without NUL, in the engine's form.

    Raises: Unreadable.
    """
    if not 0 < len(der) <= MOST_BYTES:
        raise Unreadable("too large, or empty")
    inner = for_engine(der)
    if any("\x00" in value for name in (inner.subject, inner.issuer) for value in name_text.values_of(name)):
        raise Unreadable("a name with a NUL")
    return inner


def authority(der: bytes) -> asn1.Certificate:
    """A CA certificate with a strong key, in the engine's form.

    Raises: Unreadable.
    """
    parsed(der)
    return _authority(for_engine(der))


def anchor(der: bytes) -> asn1.Certificate:
    """A trust anchor in the engine's form: of its certificate only name, key and constraints count (RFC 5280 §6.1.1 d).

    So its serial number may be 0, as some old roots have it, which `cryptography` is about to refuse.
    Raises: Unreadable.
    """
    found = _inner(der)
    return _authority(found) if found.serial_number == 0 else authority(der)


def _authority(found: asn1.Certificate) -> asn1.Certificate:
    if not found.ca:
        raise Unreadable("a certificate that is not an authority's")
    try:
        key = load_der_public_key(found.public_key.dump())
    except (ValueError, UnsupportedAlgorithm):
        raise Unreadable("an authority with an unreadable key") from None
    if not _is_strong(key):
        raise Unreadable("an authority with a weak key")
    return found


def for_engine(der: bytes) -> asn1.Certificate:
    """A certificate in the engine's form, fully parsed so that no fault surfaces later.

    Raises: Unreadable.
    """
    try:
        found = asn1.Certificate.load(der, strict=True)
        # reading parses all of it
        _ = (found.native, found.subject.hashable, found.issuer.hashable, found.ca, found.critical_extensions)
    except Exception as error:  # noqa: BLE001 - likewise
        raise Unreadable(type(error).__name__) from None
    return found


def is_strong_key(certificate: x509.Certificate) -> bool:
    """RSA from 2048 bits, P-256 or P-384 (SP 800-78)."""
    return _is_strong(certificate.public_key())


def _is_strong(key: PublicKeyTypes) -> bool:
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size in _RSA_BITS
    return isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _CURVES)


def leaf(der: bytes, *, now: datetime) -> tuple[x509.Certificate, asn1.Certificate]:
    """A certificate that could be for authentication: well-formed, strong, valid today, and made for nothing else.

    Raises: Refused(CERTIFICATE_MALFORMED), Refused(CERTIFICATE_NOT_YET_VALID), Refused(CERTIFICATE_EXPIRED),
    Refused(CERTIFICATE_NOT_FOR_AUTHENTICATION), Refused(CERTIFICATE_WRONG_POLICY) for a card authentication
    certificate.
    """
    try:
        found = parsed(der)
        hash_algorithm = found.signature_hash_algorithm
        as_engine = for_engine(der)
    except (Unreadable, UnsupportedAlgorithm):
        raise Refused(Reason.CERTIFICATE_MALFORMED) from None
    if not is_strong_key(found) or not isinstance(hash_algorithm, _HASHES):
        raise Refused(Reason.CERTIFICATE_MALFORMED)
    require_purpose(found)
    if now < found.not_valid_before_utc:
        raise Refused(Reason.CERTIFICATE_NOT_YET_VALID)
    if now > found.not_valid_after_utc:
        raise Refused(Reason.CERTIFICATE_EXPIRED)
    return found, as_engine


def require_purpose(found: x509.Certificate) -> None:
    """Require key usage digitalSignature only, and clientAuth in an extended key usage, if there is one.

    The FPKI profile omits the extended key usage or lists clientAuth with others. `anyExtendedKeyUsage` alone is not
    enough: RFC 5280 §4.2.1.12 lets an application require the particular purpose, and signature certificates have it
    too.
    Raises: Refused(CERTIFICATE_NOT_FOR_AUTHENTICATION), Refused(CERTIFICATE_WRONG_POLICY).
    """
    usages = _extension(found, x509.ExtendedKeyUsage)
    if usages is not None and _CARD_AUTH_USAGE in usages:
        raise Refused(Reason.CERTIFICATE_WRONG_POLICY)
    constraints = _extension(found, x509.BasicConstraints)
    usage = _extension(found, x509.KeyUsage)
    if (constraints is not None and constraints.ca) or usage is None or not _only_signs(usage):
        raise Refused(Reason.CERTIFICATE_NOT_FOR_AUTHENTICATION)
    if usages is not None and ExtendedKeyUsageOID.CLIENT_AUTH not in usages:
        raise Refused(Reason.CERTIFICATE_NOT_FOR_AUTHENTICATION)


def _only_signs(usage: x509.KeyUsage) -> bool:
    """Non-repudiation is a signature certificate's, the rest are for keys or authorities."""
    others = (
        usage.content_commitment,
        usage.key_encipherment,
        usage.data_encipherment,
        usage.key_agreement,
        usage.key_cert_sign,
        usage.crl_sign,
    )
    return usage.digital_signature and not any(others)


def _extension(found: x509.Certificate, kind: type[_Kind]) -> _Kind | None:
    try:
        return found.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
