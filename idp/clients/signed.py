"""JWTs that a client signed: client assertions, request objects (C37, C44, P42, P43, A20).

Bounded before parsing, verified with the client's registered algorithm and its own key; never with the header's values.
The caller checks the claims.
"""

from __future__ import annotations

import binascii
import json
import re
from base64 import urlsafe_b64decode
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from derived.errors import Reason, Refused
from idp.clients import keys

if TYPE_CHECKING:
    from collections.abc import Container
    from datetime import datetime

    from joserfc.jwk import OKPKey, RSAKey

    from idp.clients.party import RelyingParty

MOST_BYTES = 8192
_MOST_NESTED = 64
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_FORBIDDEN = frozenset({"crit", "b64", "zip", "enc"})  # a jwk, jku, x5u or x5c in a header is ignored


def unverified(token: object) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a compact JWS, bounded but not verified: only to find out whose key must verify it.

    Raises: Refused(BAD_PROOF).
    """
    if not isinstance(token, str) or len(token) > MOST_BYTES or not _COMPACT.fullmatch(token):
        raise Refused(Reason.BAD_PROOF)
    header, payload, _ = token.split(".")
    return _json(header), _json(payload)


def claims(
    token: str,
    party: RelyingParty,
    *,
    alg: str,
    typs: Container[str | None],
    now: datetime,
) -> dict[str, Any]:
    """The claims of a token that this client signed with the algorithm that it is registered for.

    alg: of the registry; "" means that the client signs nothing of this kind. typs: None in it for a header without
    `typ`. Raises: Refused(BAD_PROOF).
    """
    header, found = unverified(token)
    kid, typ = header.get("kid"), header.get("typ")
    if not alg or header.get("alg") != alg or _FORBIDDEN & header.keys():
        raise Refused(Reason.BAD_PROOF)
    if not (typ is None or isinstance(typ, str)) or (typ.lower() if typ else typ) not in typs:
        raise Refused(Reason.BAD_PROOF)
    if not (kid is None or isinstance(kid, str)):
        raise Refused(Reason.BAD_PROOF)
    _verify(token, keys.key_for(party, alg=alg, kid=kid, now=now).key, alg)
    return found


def _verify(token: str, key: ECKey | OKPKey | RSAKey, alg: str) -> None:
    registry = jws.JWSRegistry(algorithms=[alg])
    registry.max_header_length = 4096  # J4
    try:
        jws.deserialize_compact(token, key, registry=registry)
    except (JoseError, ValueError) as error:
        raise Refused(Reason.BAD_PROOF) from error


def verify_for_nobody(token: str) -> None:
    """Take the time that a verification takes, for a client that is not there (A13)."""
    head, payload, _ = token.split(".")
    try:
        jws.deserialize_compact(
            f"{_HEADER}.{payload}.{head[:1] * 86}", _decoy_key(), registry=jws.JWSRegistry(algorithms=["ES256"])
        )
    except (JoseError, ValueError):
        return


_HEADER = "eyJhbGciOiJFUzI1NiJ9"  # {"alg":"ES256"}


@lru_cache(maxsize=1)
def _decoy_key() -> ECKey:
    return ECKey.generate_key("P-256", private=False)


def _json(segment: str) -> dict[str, Any]:
    try:
        raw = urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
        if raw.count(b"{") + raw.count(b"[") > _MOST_NESTED:  # a shallow bound instead of a recursion limit (J5)
            raise Refused(Reason.BAD_PROOF)
        found = json.loads(raw, object_pairs_hook=_single)
    except (ValueError, binascii.Error, RecursionError) as error:
        raise Refused(Reason.BAD_PROOF) from error
    if not isinstance(found, dict):
        raise Refused(Reason.BAD_PROOF)
    return found


def _single(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """No member twice (RFC 7515 §4): another parser might read the other one."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(pairs[0][0])
    return found
