"""Verify the proof of possession of a DPoP-bound access token (RFC 9449 §4.3, §7.1)."""

from __future__ import annotations

import hashlib
import heapq
import hmac
import json
import re
import threading
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

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
_DEFAULT_PORTS = {"http": 80, "https": 443}
_ENCODED = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")


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
    if claims.get("htm") != call.method or not isinstance(htu, str) or not _is_same(htu, call.url):
        raise BadProof("made for another request")
    if not isinstance(iat, int) or not now - WINDOW <= iat <= now + LEAP:
        raise BadProof("too old, or from the future")
    digest = urlsafe_b64encode(hashlib.sha256(access_token.encode()).digest()).rstrip(b"=")
    if not isinstance(ath, str) or not hmac.compare_digest(ath.encode(), digest):
        raise BadProof("made for another token")


def _is_same(htu: str, url: str) -> bool:
    """True for the same URL, after normalization by syntax and scheme (RFC 9449 §4.3, RFC 3986 §6.2.2, §6.2.3)."""
    ours = _normalized(url)
    return ours is not None and _normalized(htu) == ours


def _normalized(url: str) -> str | None:
    """A URL without query and fragment, in its normal form; None if it is no http URL, or names a user."""
    bare = url.split("#", maxsplit=1)[0].split("?", maxsplit=1)[0]
    try:
        parts = urlsplit(bare)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    is_printable = bare.isascii() and bare.isprintable() and " " not in bare
    if parts.scheme not in _DEFAULT_PORTS or not host or "@" in parts.netloc or not is_printable:
        return None
    place = f"[{host}]" if ":" in host else host
    if port is not None and port != _DEFAULT_PORTS[parts.scheme]:
        place = f"{place}:{port}"
    kept: list[str] = []
    segments = _ENCODED.sub(_normal_octet, parts.path).split("/")[1:]
    for segment in segments:
        kept = kept[:-1] if segment == ".." else kept if segment == "." else [*kept, segment]
    if segments and segments[-1] in {".", ".."}:
        kept.append("")
    return f"{parts.scheme}://{place}/{'/'.join(kept)}"


def _normal_octet(found: re.Match[str]) -> str:
    character = chr(int(found[1], 16))
    return character if _UNRESERVED.fullmatch(character) else found[0].upper()


def _decoded(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))
