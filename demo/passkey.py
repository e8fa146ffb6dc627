"""A phone's passkey in software: registration and assertion (Web Authentication Level 3), with the CBOR for them."""

from __future__ import annotations

import hashlib
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

_PRESENT, _VERIFIED, _SYNCABLE, _SYNCED, _WITH_KEY = 0x01, 0x04, 0x08, 0x10, 0x40
_SMALL = 24


def _b64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _head(major: int, value: int) -> bytes:
    if value < _SMALL:
        return bytes([major << 5 | value])
    if value < 256:  # noqa: PLR2004
        return bytes([major << 5 | 24, value])
    return bytes([major << 5 | 25]) + value.to_bytes(2)


def cbor(value: int | bytes | str | dict[Any, Any]) -> bytes:
    """Encode CBOR (RFC 8949), as far as a passkey needs it."""
    if isinstance(value, int):
        return _head(0, value) if value >= 0 else _head(1, -1 - value)
    if isinstance(value, bytes):
        return _head(2, len(value)) + value
    if isinstance(value, str):
        return _head(3, len(value.encode())) + value.encode()
    return _head(5, len(value)) + b"".join(cbor(one) for pair in value.items() for one in pair)


class Passkey:
    """One synced passkey; each answer has UV set."""

    def __init__(self, origin: str) -> None:
        self._key, self._id, self._origin, self._user = (
            ec.generate_private_key(ec.SECP256R1()),
            secrets.token_bytes(32),
            origin,
            "",
        )

    def _client(self, kind: str, challenge: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": self._origin, "crossOrigin": False}).encode()

    def _data(self, rp_id: str, flags: int) -> bytes:
        return (
            hashlib.sha256(rp_id.encode()).digest()
            + bytes([flags | _PRESENT | _VERIFIED | _SYNCABLE | _SYNCED])
            + bytes(4)
        )

    def _answer(self, client: bytes, response: dict[str, Any]) -> str:
        name = _b64(self._id)
        whole = {
            "id": name,
            "rawId": name,
            "type": "public-key",
            "clientExtensionResults": {},
            "response": {"clientDataJSON": _b64(client), **response},
        }
        return json.dumps(whole)

    def create(self, options: dict[str, Any]) -> str:
        """Answer creation options."""
        self._user = options["user"]["id"]
        point = self._key.public_key().public_numbers()
        cose = cbor({1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32), -3: point.y.to_bytes(32)})
        data = self._data(options["rp"]["id"], _WITH_KEY) + bytes(16) + len(self._id).to_bytes(2) + self._id + cose
        made = cbor({"fmt": "none", "attStmt": {}, "authData": data})
        return self._answer(
            self._client("webauthn.create", options["challenge"]),
            {"attestationObject": _b64(made), "transports": ["internal"]},
        )

    def get(self, options: dict[str, Any]) -> str:
        """Answer request options."""
        client, data = self._client("webauthn.get", options["challenge"]), self._data(options["rpId"], 0)
        signature = self._key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(SHA256()))
        return self._answer(
            client,
            {
                "authenticatorData": _b64(data),
                "signature": _b64(signature),
                "userHandle": _b64(urlsafe_b64decode(self._user + "==")),
            },
        )
