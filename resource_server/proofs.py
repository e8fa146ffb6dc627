"""Verify the proof of possession of a DPoP-bound access token (RFC 9449 §4.3, §7.1)."""

from __future__ import annotations

import hashlib
import heapq
import hmac
import json
import threading
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

if TYPE_CHECKING:
    from collections.abc import Mapping

ALGS = ("ES256", "ES384", "EdDSA", "PS256", "RS256")
WINDOW, LEAP = 60, 10
MOST_SEEN = 1_000_000  # proofs that are remembered at a time
_KINDS: dict[str, type[ECKey | OKPKey | RSAKey]] = {"ES": ECKey, "Ed": OKPKey, "PS": RSAKey, "RS": RSAKey}
_PRIVATE = frozenset({"d", "k", "p", "q", "dp", "dq", "qi", "oth"})
_LONGEST = 8192


class BadProof(Exception):
    """The proof is refused; the message completes "The DPoP proof is …"."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request to the API.

    url: the API's public URL, without query. headers: names in lower case.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)


class Seen:
    """The proofs of the last minute in this process; several processes need a shared store with the same method."""

    def __init__(self, most: int = MOST_SEEN) -> None:
        self._known: set[str] = set()
        self._ends: list[tuple[int, str]] = []  # a heap: the earliest end is first
        self._most = most
        self._mutex = threading.Lock()

    def first(self, key: str, *, until: int, now: int) -> bool:
        """Record a key until a time; True if it was not recorded before. False, too, where no more fit."""
        with self._mutex:
            while self._ends and self._ends[0][0] <= now:
                self._known.discard(heapq.heappop(self._ends)[1])
            if key in self._known or len(self._known) >= self._most:
                return False
            self._known.add(key)
            heapq.heappush(self._ends, (until, key))
            return True


def key_of(call: Call, access_token: str, *, seen: Seen, now: int) -> str:
    """Verify a request's proof; return the thumbprint of its key.

    Raises: BadProof.
    """
    proof = call.headers.get("dpop", "")
    try:
        header = json.loads(_decoded(proof.split(".")[0])) if len(proof) <= _LONGEST else {}
        jwk, alg = header["jwk"], header["alg"]
        if header.get("typ") != "dpop+jwt" or alg not in ALGS or "crit" in header or _PRIVATE & set(jwk):
            raise BadProof("not a DPoP proof")
        key = _KINDS[alg[:2]].import_key(jwk)
        claims: dict[str, Any] = json.loads(jws.deserialize_compact(proof, key, algorithms=[alg]).payload)
        jti, iat = claims["jti"], claims["iat"]
    except (JoseError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadProof("not a DPoP proof") from error
    _check(claims, call, access_token, now=now)
    jkt: str = key.thumbprint()
    if not isinstance(jti, str) or not seen.first(f"{jkt} {jti}", until=iat + WINDOW + LEAP, now=now):
        raise BadProof("a replay")
    return jkt


def _check(claims: Mapping[str, Any], call: Call, access_token: str, *, now: int) -> None:
    htu, iat, ath = claims.get("htu"), claims.get("iat"), claims.get("ath")
    if claims.get("htm") != call.method or not isinstance(htu, str) or htu.split("#")[0].split("?")[0] != call.url:
        raise BadProof("made for another request")
    if not isinstance(iat, int) or not now - WINDOW <= iat <= now + LEAP:
        raise BadProof("too old, or from the future")
    digest = urlsafe_b64encode(hashlib.sha256(access_token.encode()).digest()).rstrip(b"=")
    if not isinstance(ath, str) or not hmac.compare_digest(ath.encode(), digest):
        raise BadProof("made for another token")


def _decoded(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))
