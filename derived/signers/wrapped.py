"""An authority's key in the database, wrapped by the key-encryption key (C74)."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_der_private_key

from derived.errors import Reason, Unavailable
from derived.minting.signing import MemorySigner


def new() -> bytes:
    """A new P-384 key as PKCS #8 DER, to be wrapped at once."""
    return ec.generate_private_key(ec.SECP384R1()).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def signer(pkcs8: bytes) -> MemorySigner:
    """The signer of an unwrapped key."""
    key = load_der_private_key(pkcs8, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise Unavailable(Reason.KEY_UNAVAILABLE)
    return MemorySigner(key)
