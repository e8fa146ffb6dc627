"""Verify an access token, with the provider's keys or by introspection.

`Verified` needs no call per request, and accepts a token until its expiry (at Ramet 300 seconds). `Introspected` asks
the provider each time, so a revoked token is refused at once; opaque tokens need it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

if TYPE_CHECKING:
    import httpx

_LEEWAY = 5
_OK = 200


class BadToken(Exception):
    """The token is refused; the message completes "The access token was refused: …"."""


@dataclass
class Verified:
    """Offline verification (RFC 9068 §4).

    issuer: the provider. resource: this API, as `aud` names it. algs: those of the provider's metadata.
    """

    issuer: str
    resource: str
    http: httpx.Client = field(repr=False)
    algs: tuple[str, ...] = ("ES256",)
    _keys: KeySet | None = field(default=None, repr=False)

    def claims(self, token: str, *, now: int) -> dict[str, Any]:
        """Verify a token; return its claims.

        Raises: BadToken.
        """
        try:
            decoded = self._decoded(token)
        except (JoseError, ValueError, RecursionError) as error:
            raise BadToken("it is not signed by the provider") from error
        found: dict[str, Any] = decoded.claims
        if (
            str(decoded.header.get("typ", "")).lower().removeprefix("application/") != "at+jwt"
            or found.get("iss") != self.issuer
        ):
            raise BadToken("it is not an access token of the provider")
        aud = found.get("aud")
        if self.resource not in (aud if isinstance(aud, list) else [aud]):
            raise BadToken("it is meant for another resource")
        if not isinstance(found.get("exp"), int) or found["exp"] + _LEEWAY <= now:
            raise BadToken("it has expired")
        return found

    def _decoded(self, token: str) -> jwt.Token:
        if self._keys is not None:
            try:
                return jwt.decode(token, self._keys, algorithms=list(self.algs))
            except (JoseError, ValueError):
                pass  # the key may be new: fetch the key set once before refusing
        metadata = self.http.get(f"{self.issuer}/.well-known/oauth-authorization-server").raise_for_status().json()
        if metadata["issuer"] != self.issuer:
            raise BadToken("the metadata name another issuer")
        self._keys = KeySet.import_key_set(self.http.get(metadata["jwks_uri"]).raise_for_status().json())
        return jwt.decode(token, self._keys, algorithms=list(self.algs))


@dataclass
class Introspected:
    """Introspection (RFC 7662). client_id, client_secret: of this API, registered at the provider for `resource`."""

    issuer: str
    resource: str
    http: httpx.Client = field(repr=False)
    client_id: str
    client_secret: str = field(repr=False)

    def claims(self, token: str, *, now: int) -> dict[str, Any]:
        """Introspect a token; return its claims.

        Raises: BadToken.
        """
        metadata = self.http.get(f"{self.issuer}/.well-known/oauth-authorization-server").raise_for_status().json()
        mine = (self.client_id, self.client_secret)
        answer = self.http.post(metadata["introspection_endpoint"], data={"token": token}, auth=mine)
        found: dict[str, Any] = answer.json() if answer.status_code == _OK else {}
        if found.get("active") is not True or found.get("aud") != self.resource or int(found.get("exp", 0)) <= now:
            raise BadToken("it is not active, or meant for another resource")
        return found
