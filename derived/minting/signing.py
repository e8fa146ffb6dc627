"""What signs certificates and lists for an authority, and how a signature that was made elsewhere gets into the bytes.

`cryptography` signs only with keys that it holds. So everything is first signed by a key that is thrown away, and then the
signature is replaced by that of the `Signer`: a wrapped key of ours, one in an HSM, or somebody else's service.
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


class Signer(Protocol):
    """A key that signs, wherever it is: P-256 with SHA-256, or P-384 with SHA-384."""

    @property
    def public_key(self) -> ec.EllipticCurvePublicKey:
        """Its public half."""

    def sign(self, message: bytes) -> bytes:
        """An ECDSA signature over the message, as DER.

        Raises: Unavailable(KEY_UNAVAILABLE).
        """


class Held:
    """A key that this process holds in memory."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key

    @property
    def public_key(self) -> ec.EllipticCurvePublicKey:
        """Its public half."""
        return self._key.public_key()

    def sign(self, message: bytes) -> bytes:
        """Sign."""
        return self._key.sign(message, ec.ECDSA(digest_of(self.public_key)))


def digest_of(key: ec.EllipticCurvePublicKey) -> hashes.SHA256 | hashes.SHA384:
    """The hash that goes with a key's curve.

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


def certificate(builder: x509.CertificateBuilder, signer: Signer) -> x509.Certificate:
    """A certificate, signed and looked at.

    Raises: Unavailable(KEY_UNAVAILABLE).
    """
    made = builder.sign(_thrown_away(type(signer.public_key.curve)), digest_of(signer.public_key))
    return x509.load_der_x509_certificate(_spliced(made.public_bytes(Encoding.DER), made.tbs_certificate_bytes, signer))


def revocation_list(builder: x509.CertificateRevocationListBuilder, signer: Signer) -> bytes:
    """A CRL as DER, signed and looked at.

    Raises: Unavailable(KEY_UNAVAILABLE).
    """
    made = builder.sign(_thrown_away(type(signer.public_key.curve)), digest_of(signer.public_key))
    return _spliced(made.public_bytes(Encoding.DER), made.tbs_certlist_bytes, signer)


def request(builder: x509.CertificateSigningRequestBuilder, signer: Signer, public_key_der: bytes) -> bytes:
    """A PKCS #10 request for a signer's own key, as DER, for an authority above ours.

    Raises: Unavailable(KEY_UNAVAILABLE).
    """
    skeleton = builder.sign(_thrown_away(type(signer.public_key.curve)), digest_of(signer.public_key))
    tbs = skeleton.tbs_certrequest_bytes
    body = _value(tbs)
    other = skeleton.public_key().public_bytes(Encoding.DER, _SPKI)
    tbs = _sequence(body.replace(other, public_key_der))  # of one length: both are points on one curve
    whole = skeleton.public_bytes(Encoding.DER)
    return _spliced(whole, tbs, signer, skeleton_tbs=skeleton.tbs_certrequest_bytes)


def _spliced(whole: bytes, tbs: bytes, signer: Signer, *, skeleton_tbs: bytes | None = None) -> bytes:
    """The outer SEQUENCE of RFC 5280 §4.1.1 with another signature; the algorithm stays.

    Raises: Unavailable(KEY_UNAVAILABLE) where the signature is not that of this key: nothing wrong ever leaves.
    """
    algorithm = _first(_value(whole)[len(skeleton_tbs or tbs) :])
    signature = signer.sign(tbs)
    try:
        signer.public_key.verify(signature, tbs, ec.ECDSA(digest_of(signer.public_key)))
    except InvalidSignature as error:
        raise Unavailable(Reason.KEY_UNAVAILABLE) from error
    return _sequence(tbs + algorithm + _tlv(0x03, b"\x00" + signature))


def _length(der: bytes) -> tuple[int, int]:
    """Where the value of a TLV begins, and how long it is."""
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
