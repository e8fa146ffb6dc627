"""Verify an access token, with the provider's keys or by introspection.

`Verified` needs no call per request, and accepts a token until its expiry (at Ramet 300 seconds). `Introspected` asks
the provider each time, so a revoked token is refused at once; opaque tokens need it.
"""

from __future__ import annotations

import json
import threading
from base64 import urlsafe_b64decode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from resource_server.metadata import Metadata, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

_LEEWAY = 5
_LONGEST = 16 * 1024
_OK = 200
REFETCH_SECONDS = 60  # between two looks for a key that is not known


class BadToken(Exception):
    """The token is refused; the message completes "The access token was refused: …"."""


@dataclass
class Verified:
    """Offline verification (RFC 9068 §4).

    The key set is fetched at the first token, and again only for a `kid` that it does not have, once a minute at most:
    whoever sends garbage causes no request to the provider.
    issuer: the provider. resource: this API, as `aud` names it. algs: those of the provider's metadata.
    """

    issuer: str
    resource: str
    http: httpx.Client = field(repr=False)
    algs: tuple[str, ...] = ("ES256",)
    _keys: KeySet | None = field(default=None, repr=False)
    _tried: float = field(default=float("-inf"), repr=False)
    _mutex: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        self._metadata = Metadata(self.issuer, self.http)

    def claims(self, token: str, *, now: int) -> dict[str, Any]:
        """Verify a token; return its claims.

        Raises: BadToken; Unavailable if the provider's keys are needed and cannot be had.
        """
        kid = _unverified_kid(token, self.algs)
        try:
            decoded = jwt.decode(token, self._keys_with(kid, now=now), algorithms=list(self.algs))
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

    def _keys_with(self, kid: str, *, now: int) -> KeySet:
        """Return the key set, fetched anew if it lacks the key and the last look was a minute ago."""
        with self._mutex:
            if self._keys is not None and (_has(self._keys, kid) or now - self._tried < REFETCH_SECONDS):
                return self._keys
            if self._keys is None and now - self._tried < 1:
                raise Unavailable("the provider's keys could not be fetched a moment ago")
            self._tried = now
            try:
                self._keys = KeySet.import_key_set(self._metadata.json_at("jwks_uri", now=now))
            except (JoseError, ValueError, KeyError, TypeError) as error:
                raise Unavailable("the provider's key set cannot be read") from error
            return self._keys


def _has(keys: KeySet, kid: str) -> bool:
    return any(key.kid == kid for key in keys.keys)


def _unverified_kid(token: str, algs: tuple[str, ...]) -> str:
    """Return the `kid` of a token that may be one of the provider's.

    Raises: BadToken for anything else, before any key is looked for.
    """
    try:
        if len(token) > _LONGEST or token.count(".") != 2:  # noqa: PLR2004 - RFC 7515 §7.1
            raise BadToken("it is not a signed token")
        head = token.partition(".")[0]
        header: dict[str, Any] = json.loads(urlsafe_b64decode(head + "=" * (-len(head) % 4)))
        kid, alg = header.get("kid"), header.get("alg")
    except (ValueError, AttributeError, RecursionError) as error:
        raise BadToken("it is not a signed token") from error
    if alg not in algs or not isinstance(kid, str):
        raise BadToken("it is not signed by the provider")
    return kid


@dataclass
class Introspected:
    """Introspection (RFC 7662). client_id, client_secret: of this API, registered at the provider for `resource`.

    The secret is sent to the provider's own origin only.
    """

    issuer: str
    resource: str
    http: httpx.Client = field(repr=False)
    client_id: str
    client_secret: str = field(repr=False)

    def __post_init__(self) -> None:
        self._metadata = Metadata(self.issuer, self.http)

    def claims(self, token: str, *, now: int) -> dict[str, Any]:
        """Introspect a token; return its claims.

        Raises: BadToken; Unavailable if the provider does not answer, or refuses this API.
        """
        if not token.isascii() or not token.isprintable() or len(token) > _LONGEST:
            raise BadToken("it is no token")
        found = self._answer(token, now=now)
        exp = found.get("exp")
        is_live = found.get("active") is True and isinstance(exp, int) and exp > now
        if not is_live or found.get("aud") != self.resource:
            raise BadToken("it is not active, or meant for another resource")
        return dict(found)

    def _answer(self, token: str, *, now: int) -> Mapping[str, Any]:
        endpoint = self._metadata.endpoint("introspection_endpoint", now=now)
        try:
            answer = self.http.post(endpoint, data={"token": token}, auth=(self.client_id, self.client_secret))
            found = answer.json() if answer.status_code == _OK else None
        except (httpx.HTTPError, ValueError) as error:
            raise Unavailable("the provider does not answer") from error
        if not isinstance(found, dict):
            raise Unavailable(f"the provider refuses this API's own credentials or request: {answer.status_code}")
        return found
