"""JWTs that Ramet signed: signature by a published key, expected `typ`, and Ramet's `iss` (E11, J5)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry

from derived.errors import Refused
from derived.minting.device_key import bounded_json
from idp.clients import ID_TOKEN_ALGS
from idp.config import config
from idp.keys import keyring

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST, _DOTS = 8192, 2


@dataclass(frozen=True)
class Signed:
    """A token with a signature of Ramet's, by a key that may have been retired since."""

    claims: dict[str, Any]
    kid: str


def claims(unverified_token: str, *, typ: str, algs: Sequence[str]) -> dict[str, Any] | None:
    """The claims of a token that Ramet signed, expired or not; None for any other."""
    found = signed(unverified_token, typ=typ, algs=algs)
    return found.claims if found is not None and keyring().is_published(found.kid) else None


def signed(unverified_token: str, *, typ: str, algs: Sequence[str]) -> Signed | None:
    """As `claims`, for callers that read in their own statement whether the key is published."""
    if len(unverified_token) > _MOST or unverified_token.count(".") != _DOTS or not unverified_token.isascii():
        return None
    try:
        header = bounded_json(unverified_token.split(".", maxsplit=1)[0])
        kid = header.get("kid")
        # The engine fails on a `crit`, or a `kid` that is not a text; Ramet's tokens have neither.
        if header.get("typ") != typ or header.get("alg") not in algs or not isinstance(kid, str) or "crit" in header:
            return None
        key = keyring().public(kid)
        if key is None:
            return None
        decoded = jwt.decode(unverified_token, key, algorithms=algs, registry=_registry(tuple(algs)))
    except (JoseError, Refused, ValueError, RecursionError):
        return None
    found: dict[str, Any] = decoded.claims
    return Signed(found, kid) if found.get("iss") == config().issuer else None


@lru_cache(maxsize=8)
def _registry(algs: tuple[str, ...]) -> JWSRegistry:
    return JWSRegistry(algorithms=list(algs))


def hint(id_token_hint: str) -> dict[str, str] | None:
    """The text claims of an ID token of Ramet's; a hint, never a credential (C42, C48).

    It may be expired, and its key retired since (RP-Initiated Logout 1.0 §4), but not revoked.
    """
    found = signed(id_token_hint, typ="JWT", algs=ID_TOKEN_ALGS)
    if found is None or keyring().is_revoked(found.kid):
        return None
    return {name: one for name, one in found.claims.items() if isinstance(one, str)}
