"""What an access token is worth: verified here by the provider's keys, or asked about at the provider.

`Verified` needs no call per request, and believes a token until it expires (at Ramet 300 seconds). `Introspected` asks each
time, so what was revoked is refused at once; opaque tokens can only be asked about.
"""  # noqa: E501

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
    """Why a token is worth nothing here."""


@dataclass
class Verified:
    """RFC 9068 §4. issuer: who must have signed it. resource: this API, as `aud` names it. algs: of the provider's metadata."""  # noqa: E501

    issuer: str
    resource: str
    http: httpx.Client = field(repr=False)
    algs: tuple[str, ...] = ("ES256",)
    _keys: KeySet | None = field(default=None, repr=False)

    def claims(self, token: str, *, now: int) -> dict[str, Any]:
        """The claims of a token that holds.

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
                pass  # perhaps a new key: look once more before saying no
        metadata = self.http.get(f"{self.issuer}/.well-known/oauth-authorization-server").raise_for_status().json()
        if metadata["issuer"] != self.issuer:
            raise BadToken("the provider is another one")
        self._keys = KeySet.import_key_set(self.http.get(metadata["jwks_uri"]).raise_for_status().json())
        return jwt.decode(token, self._keys, algorithms=list(self.algs))


@dataclass
class Introspected:
    """RFC 7662. client_id, client_secret: of this API at the provider, registered as the one that serves `resource`."""

    issuer: str
    resource: str
    http: httpx.Client = field(repr=False)
    client_id: str
    client_secret: str = field(repr=False)

    def claims(self, token: str, *, now: int) -> dict[str, Any]:
        """The claims of a token that is alive.

        Raises: BadToken.
        """
        metadata = self.http.get(f"{self.issuer}/.well-known/oauth-authorization-server").raise_for_status().json()
        mine = (self.client_id, self.client_secret)
        answer = self.http.post(metadata["introspection_endpoint"], data={"token": token}, auth=mine)
        found: dict[str, Any] = answer.json() if answer.status_code == _OK else {}
        if found.get("active") is not True or found.get("aud") != self.resource or int(found.get("exp", 0)) <= now:
            raise BadToken("it is not alive, or meant for another resource")
        return found
