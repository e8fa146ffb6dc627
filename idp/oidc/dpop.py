"""Demonstrating proof of possession (RFC 9449): one proof, checked whole, spent last (C18, C19, DK-3, P48, P49)."""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from derived.errors import Reason, Refused
from derived.locking import transacted
from derived.minting.device_key import bounded_json, unverified_header
from derived.once import spend
from idp.config import config

if TYPE_CHECKING:
    from django.http import HttpRequest

ALGS = ("ES256", "ES384", "EdDSA", "PS256", "RS256")
WINDOW = timedelta(seconds=60)
_LEAP = timedelta(seconds=10)
_PRIVATE = frozenset({"d", "k", "p", "q", "dp", "dq", "qi", "oth"})
_JTI = re.compile(r"[\x21-\x7e]{1,256}")
_FAMILIES: dict[str, tuple[type[ECKey | OKPKey | RSAKey], str, str | None]] = {
    "ES256": (ECKey, "EC", "P-256"), "ES384": (ECKey, "EC", "P-384"), "EdDSA": (OKPKey, "OKP", "Ed25519"),
    "PS256": (RSAKey, "RSA", None), "RS256": (RSAKey, "RSA", None),
}
_LEAST_RSA_BITS = 2048


def proof_of(request: HttpRequest) -> str | None:
    """The one DPoP header of a request, or None; several are joined by commas on the way here and fail to parse."""
    return request.headers.get("DPoP")


def verify(request: HttpRequest, *, now: datetime, access_token: str | None = None) -> str:
    """The RFC 7638 thumbprint of the key that this request's proof shows; the proof is spent.

    access_token: at a resource, what the proof's `ath` must be the hash of.
    Raises: Refused(BAD_PROOF), Refused(ALREADY_SPENT) for a proof that was seen before.
    """
    proof = proof_of(request) or ""
    header = unverified_header(proof)
    key, jkt = _key(header)
    claims = _verified(proof, key, str(header["alg"]))
    jti, iat = _check(claims, request, now=now, access_token=access_token)
    until = datetime.fromtimestamp(iat, tz=UTC) + WINDOW + _LEAP
    if not transacted(lambda: spend("dpop", jkt, jti, expires_at=until)):
        raise Refused(Reason.ALREADY_SPENT)
    return jkt


def _key(header: dict[str, Any]) -> tuple[ECKey | OKPKey | RSAKey, str]:
    jwk, alg = header.get("jwk"), header.get("alg")
    if header.get("typ") != "dpop+jwt" or not isinstance(alg, str) or alg not in ALGS or "crit" in header or "b64" in header:
        raise Refused(Reason.BAD_PROOF)
    if not isinstance(jwk, dict) or _PRIVATE & jwk.keys():
        raise Refused(Reason.BAD_PROOF)
    family, kty, curve = _FAMILIES[alg]
    names = ("kty", "n", "e") if kty == "RSA" else ("kty", "crv", "x", "y") if kty == "EC" else ("kty", "crv", "x")
    clean = {name: jwk.get(name) for name in names}
    if clean["kty"] != kty or (curve and clean["crv"] != curve) or not all(isinstance(one, str) for one in clean.values()):
        raise Refused(Reason.BAD_PROOF)
    try:
        key = family.import_key({name: str(value) for name, value in clean.items()})
        jkt = key.thumbprint()
    except (JoseError, ValueError, TypeError) as error:
        raise Refused(Reason.BAD_PROOF) from error
    if isinstance(key, RSAKey) and key.raw_value.key_size < _LEAST_RSA_BITS:
        raise Refused(Reason.BAD_PROOF)
    return key, jkt


def _verified(proof: str, key: ECKey | OKPKey | RSAKey, alg: str) -> dict[str, Any]:
    registry = jws.JWSRegistry(algorithms=[alg])
    registry.max_header_length = 4096
    try:
        jws.deserialize_compact(proof, key, registry=registry)
    except (JoseError, ValueError) as error:
        raise Refused(Reason.BAD_PROOF) from error
    return bounded_json(proof.split(".")[1])


def _check(claims: dict[str, Any], request: HttpRequest, *, now: datetime, access_token: str | None) -> tuple[str, int]:
    iat, jti, htu = claims.get("iat"), claims.get("jti"), claims.get("htu")
    if claims.get("htm") != request.method or not isinstance(htu, str) or not _same_url(htu, request):
        raise Refused(Reason.BAD_PROOF)
    if not isinstance(iat, int) or isinstance(iat, bool):
        raise Refused(Reason.BAD_PROOF)
    seconds = now.timestamp()
    if not seconds - WINDOW.total_seconds() <= iat <= seconds + _LEAP.total_seconds():
        raise Refused(Reason.BAD_PROOF)
    if not isinstance(jti, str) or not _JTI.fullmatch(jti):
        raise Refused(Reason.BAD_PROOF)
    given = claims.get("ath")
    if access_token is not None and not (
        isinstance(given, str) and given.isascii() and hmac.compare_digest(given, ath(access_token))
    ):
        raise Refused(Reason.BAD_PROOF)
    return jti, iat


def ath(access_token: str) -> str:
    """RFC 9449 §4.2: the base64url SHA-256 of an access token."""
    return urlsafe_b64encode(hashlib.sha256(access_token.encode()).digest()).rstrip(b"=").decode()


def _same_url(htu: str, request: HttpRequest) -> bool:
    """Whether `htu` is this endpoint, query and fragment aside; the host is the issuer's, never the Host header's (E15)."""
    bare = htu.split("#", 1)[0].split("?", 1)[0]
    return bare == config().issuer + request.path
