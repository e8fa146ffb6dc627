"""The public key of a certificate signing request; nothing else of it reaches a certificate (C91, P58).

Its signature proves possession of the key (RFC 2986 §3), but not by this caller: requests are not secret, and may be
sent again by anybody. So a request must name the transaction that it is for, under its signature: as challengePassword
(RFC 2985 §5.4.1), as common name, or as URI of its subjectAltName (RFC 7030 §3.5, §4.2.2).
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import AttributeOID, NameOID

from derived.errors import Reason, Refused
from derived.minting.weak import is_weak

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_BYTES = 16 * 1024
CertificateKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
# Two expressions, each in one pass: a single expression for the whole block takes hours on a page of blanks.
_BEGINS, _ENDS = (re.compile(rf"-----{word} (?:NEW )?CERTIFICATE REQUEST-----") for word in ("BEGIN", "END"))
_Found = TypeVar("_Found")
_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
IsChallenge = Callable[[str], bool]  # whether a text in a request names the transaction that the request is for


def from_text(unverified: str, is_challenge: IsChallenge) -> CertificateKey:
    """The key of the only PEM request in a pasted text, ignoring other lines.

    Raises: as `from_der`.
    """
    if len(unverified) > MOST_BYTES:
        raise Refused(Reason.BAD_PROOF)
    begins, ends = list(_BEGINS.finditer(unverified)), list(_ENDS.finditer(unverified))
    if not len(begins) == len(ends) == 1 or "PRIVATE KEY" in unverified:  # a pasted private key is no longer private
        raise Refused(Reason.BAD_PROOF)
    return from_base64(unverified[begins[0].end() : ends[0].start()], is_challenge)


def from_base64(unverified: str, is_challenge: IsChallenge) -> CertificateKey:
    """The key of a request in base64, with or without line breaks (RFC 7030 §4.2.1, RFC 8951).

    Raises: as `from_der`.
    """
    try:
        der = b64decode("".join(unverified.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused(Reason.BAD_PROOF) from error
    return from_der(der, is_challenge)


def from_der(unverified: bytes, is_challenge: IsChallenge) -> CertificateKey:
    """The key, if it is strong, and the request is well-formed, signed by it, and made for this transaction.

    Raises: Refused(BAD_PROOF), Refused(WEAK_KEY); Refused(CHALLENGE_MISSING) for a request of another transaction.
    """
    if not 0 < len(unverified) <= MOST_BYTES:
        raise Refused(Reason.BAD_PROOF)
    found = _tried(lambda: x509.load_der_x509_csr(unverified))
    key = _tried(found.public_key)
    if not isinstance(key, CertificateKey) or is_weak(key):
        raise Refused(Reason.WEAK_KEY)
    if not isinstance(_tried(lambda: found.signature_hash_algorithm), _HASHES) or not _tried(
        lambda: found.is_signature_valid
    ):
        raise Refused(Reason.BAD_PROOF)
    if not any(is_challenge(text) for text in _texts(found)):
        raise Refused(Reason.CHALLENGE_MISSING)
    return key


def _texts(request: x509.CertificateSigningRequest) -> Iterator[str]:
    """The texts of a verified request that may name its transaction."""
    for attribute in _tried(lambda: list(request.attributes)):
        if attribute.oid == AttributeOID.CHALLENGE_PASSWORD:
            yield attribute.value.decode(errors="replace")
    for name in _tried(lambda: request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)):
        yield str(name.value)
    try:
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except Exception:  # noqa: BLE001 - extensions that cannot be read name nothing
        return
    yield from names.get_values_for_type(x509.UniformResourceIdentifier)


def _tried(read: Callable[[], _Found]) -> _Found:
    try:
        return read()
    except Exception as error:  # a parser of unverified bytes may raise anything
        raise Refused(Reason.BAD_PROOF) from error
