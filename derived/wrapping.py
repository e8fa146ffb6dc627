"""Keys at rest: AES-256-GCM under the key-encryption key that the operator holds (C74, I10)."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from derived.errors import Reason, Unavailable

_NONCE = 12


class Wrapper:
    """Wraps secrets under one key-encryption key; every purpose gets a key of its own.

    kek: 32 bytes, from the operator's environment.
    """

    def __init__(self, kek: bytes) -> None:
        self._kek = kek

    def __repr__(self) -> str:
        return "Wrapper(…)"

    def _cipher(self, purpose: str) -> AESGCM:
        return AESGCM(hmac.digest(self._kek, b"ramet/wrap/" + purpose.encode(), hashlib.sha256))

    def wrap(self, secret: bytes, *, purpose: str, owner: str) -> bytes:
        """Encrypt, bound to its purpose and to the row that owns it, so that blobs cannot be swapped between rows."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._cipher(purpose).encrypt(nonce, secret, owner.encode())

    def unwrap(self, wrapped: bytes, *, purpose: str, owner: str) -> bytes:
        """Decrypt.

        Raises: Unavailable(KEY_UNAVAILABLE) if this is not the key-encryption key that wrapped it.
        """
        try:
            return self._cipher(purpose).decrypt(wrapped[:_NONCE], wrapped[_NONCE:], owner.encode())
        except InvalidTag as error:
            raise Unavailable(Reason.KEY_UNAVAILABLE) from error
