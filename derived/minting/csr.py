"""The public key of a certificate signing request; its names, extensions and attributes are never read (C91, P58).

Its own signature is the proof of possession (RFC 2986 §3).
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from typing import TYPE_CHECKING, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from derived.errors import Reason, Refused
from derived.minting.weak import is_weak

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_BYTES = 16 * 1024
CertificateKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
# Two expressions, each in one pass: a single expression for the whole block takes hours on a page of blanks.
_BEGINS, _ENDS = (re.compile(rf"-----{word} (?:NEW )?CERTIFICATE REQUEST-----") for word in ("BEGIN", "END"))
_Found = TypeVar("_Found")
_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)


def from_text(unverified: str) -> CertificateKey:
    """The key of the only PEM request in a pasted text, ignoring other lines.

    Raises: Refused(BAD_PROOF), Refused(WEAK_KEY).
    """
    if len(unverified) > MOST_BYTES:
        raise Refused(Reason.BAD_PROOF)
    begins, ends = list(_BEGINS.finditer(unverified)), list(_ENDS.finditer(unverified))
    if not len(begins) == len(ends) == 1 or "PRIVATE KEY" in unverified:  # a pasted private key is no longer private
        raise Refused(Reason.BAD_PROOF)
    return from_base64(unverified[begins[0].end() : ends[0].start()])


def from_base64(unverified: str) -> CertificateKey:
    """The key of a request in base64, with or without line breaks (RFC 7030 §4.2.1, RFC 8951).

    Raises: Refused(BAD_PROOF), Refused(WEAK_KEY).
    """
    try:
        der = b64decode("".join(unverified.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused(Reason.BAD_PROOF) from error
    return from_der(der)


def from_der(unverified: bytes) -> CertificateKey:
    """The key, if the request is well-formed, signed by that key, and the key is strong.

    Raises: Refused(BAD_PROOF), Refused(WEAK_KEY).
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
    return key


def _tried(read: Callable[[], _Found]) -> _Found:
    try:
        return read()
    except Exception as error:  # a parser of unverified bytes may raise anything
        raise Refused(Reason.BAD_PROOF) from error
