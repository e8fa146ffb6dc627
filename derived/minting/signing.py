"""Sign certificates and CRLs for an authority with a key that may be outside this process.

`cryptography` signs only with keys in memory. Everything is therefore first signed by an ephemeral key, and the
signature is then replaced by the `CertificateSigner`'s: a wrapped key, an HSM, or another party's service.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from derived.errors import Reason, Unavailable

_SHORT = 0x80
_SPKI = PublicFormat.SubjectPublicKeyInfo


class CertificateSigner(Protocol):
    """A signing key in any backend: P-256 with SHA-256, or P-384 with SHA-384."""

    @property
    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The public key."""

    def sign(self, message: bytes) -> bytes:
        """An ECDSA signature over the message, as DER.

        Raises: Unavailable(KEY_UNAVAILABLE).
        """


class MemorySigner:
    """A key in the memory of this process."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key

    @property
    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The public key."""
        return self._key.public_key()

    def sign(self, message: bytes) -> bytes:
        """Sign."""
        return self._key.sign(message, ec.ECDSA(digest_of(self.public_key)))


def digest_of(key: ec.EllipticCurvePublicKey) -> hashes.SHA256 | hashes.SHA384:
    """The hash for a key's curve.

    Raises: Unavailable(KEY_UNAVAILABLE) for any other curve.
    """
    if isinstance(key.curve, ec.SECP256R1):
        return hashes.SHA256()
    if isinstance(key.curve, ec.SECP384R1):
        return hashes.SHA384()
    raise Unavailable(Reason.KEY_UNAVAILABLE)


@lru_cache(maxsize=2)
def _thrown_away(curve: type[ec.EllipticCurve]) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(curve())


def sign_certificate(builder: x509.CertificateBuilder, signer: CertificateSigner) -> x509.Certificate:
    """A signed certificate, after its signature was verified.

    Raises: Unavailable(KEY_UNAVAILABLE).
    """
    made = builder.sign(_thrown_away(type(signer.public_key.curve)), digest_of(signer.public_key))
    return x509.load_der_x509_certificate(_spliced(made.public_bytes(Encoding.DER), made.tbs_certificate_bytes, signer))


def sign_revocation_list(builder: x509.CertificateRevocationListBuilder, signer: CertificateSigner) -> bytes:
    """A signed CRL as DER, after its signature was verified.

    Raises: Unavailable(KEY_UNAVAILABLE).
    """
    made = builder.sign(_thrown_away(type(signer.public_key.curve)), digest_of(signer.public_key))
    return _spliced(made.public_bytes(Encoding.DER), made.tbs_certlist_bytes, signer)


def sign_request(
    builder: x509.CertificateSigningRequestBuilder, signer: CertificateSigner, public_key_der: bytes
) -> bytes:
    """A PKCS #10 request for a signer's own key, as DER, for a superior CA.

    Raises: Unavailable(KEY_UNAVAILABLE).
    """
    skeleton = builder.sign(_thrown_away(type(signer.public_key.curve)), digest_of(signer.public_key))
    tbs = skeleton.tbs_certrequest_bytes
    body = _value(tbs)
    other = skeleton.public_key().public_bytes(Encoding.DER, _SPKI)
    tbs = _sequence(body.replace(other, public_key_der))  # of equal length: both are points on the same curve
    whole = skeleton.public_bytes(Encoding.DER)
    return _spliced(whole, tbs, signer, skeleton_tbs=skeleton.tbs_certrequest_bytes)


def _spliced(whole: bytes, tbs: bytes, signer: CertificateSigner, *, skeleton_tbs: bytes | None = None) -> bytes:
    """The outer SEQUENCE of RFC 5280 §4.1.1 with another signature; the algorithm stays.

    Raises: Unavailable(KEY_UNAVAILABLE) if the signature does not verify with this key.
    """
    algorithm = _first(_value(whole)[len(skeleton_tbs or tbs) :])
    signature = signer.sign(tbs)
    try:
        signer.public_key.verify(signature, tbs, ec.ECDSA(digest_of(signer.public_key)))
    except InvalidSignature as error:
        raise Unavailable(Reason.KEY_UNAVAILABLE) from error
    return _sequence(tbs + algorithm + _tlv(0x03, b"\x00" + signature))


def _length(der: bytes) -> tuple[int, int]:
    """The offset and the length of the value of a TLV."""
    if der[1] < _SHORT:
        return 2, der[1]
    more = der[1] & 0x7F
    return 2 + more, int.from_bytes(der[2 : 2 + more])


def _value(der: bytes) -> bytes:
    start, length = _length(der)
    return der[start : start + length]


def _first(der: bytes) -> bytes:
    start, length = _length(der)
    return der[: start + length]


def _tlv(tag: int, value: bytes) -> bytes:
    size = len(value)
    if size < _SHORT:
        return bytes([tag, size]) + value
    raw = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes([tag, _SHORT | len(raw)]) + raw + value


def _sequence(value: bytes) -> bytes:
    return _tlv(0x30, value)
