"""Verification of an upstream's ID token (OpenID Connect Core §3.1.3.7; C10, P31).

The algorithms are configured here, the key is the one that its `kid` names among the upstream's own, and keys in the
header are ignored.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, Any

from joserfc import jwk, jws
from joserfc.errors import JoseError

from derived.errors import Reason, Refused
from derived.minting.device_key import bounded_json
from idp.upstreams import documents
from idp.upstreams.registry import ALGS

if TYPE_CHECKING:
    from datetime import datetime

    from idp.models import Upstream

logger = logging.getLogger(__name__)

LEEWAY = 60  # seconds that two clocks may differ
_MOST, _DOTS = 16 * 1024, 2
_OLDEST = 600  # seconds since `iat`: the token comes directly from the token endpoint
_MOST_SUBJECT = 255
_KTY = {"ES256": "EC", "RS256": "RSA", "PS256": "RSA", "EdDSA": "OKP"}


def verified(  # noqa: PLR0913 - the compared values
    upstream: Upstream, unverified: object, *, nonce: str, access_token: object, since: datetime | None, now: datetime
) -> dict[str, Any]:
    """The claims of an ID token of this upstream for Ramet and this login.

    nonce: of the request. since: the required age of the login, if any; then `auth_time` must satisfy it.
    Raises: Refused(UPSTREAM_UNTRUSTED); Unavailable(UPSTREAM_UNREACHABLE) if its keys cannot be fetched.
    """
    claims, alg = _signed(upstream, unverified, now=now)
    words = (
        _addressee(upstream, claims)
        or _time(claims, since=since, now=int(now.timestamp()))
        or _trip(claims, nonce=nonce, access_token=access_token, alg=alg)
    )
    if words:
        _refuse(upstream, words)
    return claims


def _refuse(upstream: Upstream, words: str) -> None:
    logger.warning("an ID token of upstream %s was refused: %s", upstream.slug, words)
    raise Refused(Reason.UPSTREAM_UNTRUSTED)


def _signed(upstream: Upstream, unverified: object, *, now: datetime) -> tuple[dict[str, Any], str]:
    if (
        not isinstance(unverified, str)
        or len(unverified) > _MOST
        or unverified.count(".") != _DOTS
        or not unverified.isascii()
    ):
        raise Refused(Reason.UPSTREAM_UNTRUSTED)
    try:
        header = bounded_json(unverified.split(".", 1)[0])
        alg, kid = header.get("alg"), header.get("kid")
        if alg not in ALGS or alg not in upstream.algs or not isinstance(alg, str):
            _refuse(upstream, "its algorithm is not one that is accepted")
        if not isinstance(kid, str) or not kid or "crit" in header or "zip" in header or "b64" in header:
            _refuse(upstream, "its header names no key, or asks for an extension")
        if header.get("typ", "JWT") not in {"JWT", "jwt"}:
            _refuse(upstream, "it is a token of another kind")
        found = documents.key_of(upstream, str(kid), now=now)
        if found["kty"] != _KTY[str(alg)] or found.get("alg", alg) != alg:
            _refuse(upstream, "its key is for another algorithm")
        public = jwk.import_key(
            {name: value for name, value in found.items() if name in {"kty", "crv", "x", "y", "n", "e"}}
        )
        signed = jws.deserialize_compact(unverified, public, algorithms=[str(alg)])
        return bounded_json(urlsafe_b64encode(signed.payload).decode()), str(alg)
    except (JoseError, ValueError, TypeError, KeyError, RecursionError):
        _refuse(upstream, "its signature is not good")
        raise
    except Refused:
        raise Refused(Reason.UPSTREAM_UNTRUSTED) from None


def _addressee(upstream: Upstream, claims: dict[str, Any]) -> str:
    """Check issuer, subject and audience; Ramet must be the only audience (P31)."""
    if claims.get("iss") != upstream.issuer:
        return "it names another issuer"
    if claims.get("aud") not in (upstream.client_id, [upstream.client_id]):
        return "it is not for us alone"
    if "azp" in claims and claims["azp"] != upstream.client_id:
        return "it was made at another client's wish"
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= _MOST_SUBJECT or not subject.isprintable():
        return "it names nobody"
    if "events" in claims:
        return "it is a token of another kind"
    return ""


def _time(claims: dict[str, Any], *, since: datetime | None, now: int) -> str:
    """Check that it was issued just now, is unexpired, and its login is recent enough (SS-6, C10)."""
    exp, iat = claims.get("exp"), claims.get("iat")
    if not isinstance(exp, int) or not isinstance(iat, int) or isinstance(exp, bool) or isinstance(iat, bool):
        return "it has no exp or iat"
    if exp <= now - LEEWAY:
        return "it is over"
    if not now - _OLDEST <= iat <= now + LEEWAY:
        return "it was not made just now"
    if "nbf" in claims and (not _is_time(claims["nbf"]) or claims["nbf"] > now + LEEWAY):
        return "it does not hold yet"
    at = claims.get("auth_time")
    if at is not None and (not _is_time(at) or not 0 <= at <= now + LEEWAY):
        return "its auth_time cannot be"
    if since is not None and (at is None or at < int(since.timestamp()) - LEEWAY):
        return "its login is not as recent as was asked for"
    return ""


def _trip(claims: dict[str, Any], *, nonce: str, access_token: object, alg: str) -> str:
    """Of this very trip: its nonce, and the access token beside it."""
    given = claims.get("nonce")
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(errors="replace"), nonce.encode()):
        return "it is an answer to another question"
    if "at_hash" in claims and (not isinstance(access_token, str) or claims["at_hash"] != half_hash(access_token, alg)):
        return "its access token was swapped"
    return ""


def _is_time(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def half_hash(value: str, alg: str) -> str:
    """`at_hash` (OpenID Connect Core §3.1.3.6)."""
    raw = (hashlib.sha512 if alg == "EdDSA" else hashlib.sha256)(value.encode()).digest()
    return urlsafe_b64encode(raw[: len(raw) // 2]).rstrip(b"=").decode()
