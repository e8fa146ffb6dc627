"""The device key: one P-256 key, made here and used for nothing else.

On a phone this is the Secure Enclave or the Android Keystore, and only `sign` uses the private key. This reference
keeps the key in a file, which is why its holder also needs a passphrase.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol, Self

from joserfc import jws
from joserfc.jwk import ECKey

if TYPE_CHECKING:
    from collections.abc import Mapping

ALGORITHM = "ES256"
_PUBLIC = ("crv", "kty", "x", "y")


class Signer(Protocol):
    """A device key, in a file or in hardware."""

    @property
    def jkt(self) -> str:
        """RFC 7638 thumbprint."""

    @property
    def public_jwk(self) -> dict[str, str]:
        """The public half."""

    def private_jwk(self) -> dict[str, str]:
        """The part that the device's file stores."""

    def sign(self, header: Mapping[str, Any], payload: Mapping[str, Any]) -> str:
        """A compact JWS."""


class DeviceKey:
    """A P-256 key pair.

    jkt: the RFC 7638 SHA-256 thumbprint of the public key, base64url: the name of this device in every proof.
    """

    def __init__(self, key: ECKey) -> None:
        self._key = key
        self.jkt: str = key.thumbprint()

    @classmethod
    def generate(cls) -> Self:
        """A fresh key; the server refuses a key that was bound before."""
        return cls(ECKey.generate_key("P-256", private=True))

    @classmethod
    def from_private_jwk(cls, jwk: Mapping[str, str]) -> Self:
        """Read the key that `private_jwk` wrote.

        Raises: ValueError or JoseError for anything else than a private P-256 key.
        """
        key = ECKey.import_key(dict(jwk))
        if key.curve_name != "P-256" or not key.is_private:
            message = "not a private P-256 key"
            raise ValueError(message)
        return cls(key)

    @property
    def public_jwk(self) -> dict[str, str]:
        """The public half as an RFC 7517 key: kty, crv, x, y and nothing else."""
        found = self._key.as_dict(private=False)
        return {name: str(found[name]) for name in _PUBLIC}

    def private_jwk(self) -> dict[str, str]:
        """The private key as a JWK, for the device's file."""
        return {**self.public_jwk, "d": str(self._key.as_dict(private=True)["d"])}

    def sign(self, header: Mapping[str, Any], payload: Mapping[str, Any]) -> str:
        """A compact JWS (RFC 7515) over a JSON payload, by ES256."""
        registry = jws.JWSRegistry(algorithms=[ALGORITHM])
        protected = {"alg": ALGORITHM, **header}
        return jws.serialize_compact(protected, json.dumps(dict(payload)), self._key, registry=registry)

    def __repr__(self) -> str:
        return f"<DeviceKey {self.jkt}>"
