"""Demonstrating proof of possession (RFC 9449): a proof, checked whole, spent last (C18, C19, DK-3, P48, P49).

`verify` checks one proof; `shown` and `shown_key` are for endpoints of clients (token, PAR), `renewed` adds a nonce to
a response.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Error
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from derived.errors import Reason, Refused
from derived.ledger.single_use import spend
from derived.minting.device_key import bounded_json, unverified_header
from idp import uris
from idp.clients import FAPI_ALGS
from idp.login import hop
from idp.oidc.proofs import nonce

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.http import HttpRequest, HttpResponse

    from idp.clients import RelyingParty

ALGS = ("ES256", "ES384", "EdDSA", "PS256", "RS256")
WINDOW = timedelta(seconds=60)
_LEAP = timedelta(seconds=10)
_PRIVATE = frozenset({"d", "k", "p", "q", "dp", "dq", "qi", "oth"})
_JTI = re.compile(r"[\x21-\x7e]{1,256}")
_FAMILIES: dict[str, tuple[type[ECKey | OKPKey | RSAKey], str, str | None]] = {
    "ES256": (ECKey, "EC", "P-256"),
    "ES384": (ECKey, "EC", "P-384"),
    "EdDSA": (OKPKey, "OKP", "Ed25519"),
    "PS256": (RSAKey, "RSA", None),
    "RS256": (RSAKey, "RSA", None),
}
_LEAST_RSA_BITS = 2048
_PATH_CHARACTERS = "/:@!$&'()*+,;=~"  # RFC 3986 §3.3
_WORDS = {
    Reason.ALREADY_SPENT: "The DPoP proof was used before.",
    Reason.NONCE_NEEDED: "Send a DPoP proof with the nonce of the DPoP-Nonce header.",
}


def proof_header(request: HttpRequest) -> str | None:
    """The one DPoP header of a request, or None; several are joined by commas on the way here and fail to parse."""
    return request.headers.get("DPoP")


def wants_nonce(party: RelyingParty) -> bool:
    """True if a client's proofs must carry Ramet's nonce (§8): public clients, and clients registered so."""
    return party.is_public if party.policy.dpop_nonce is None else party.policy.dpop_nonce


def algs_of(party: RelyingParty) -> tuple[str, ...]:
    """The algorithms of a client's proofs."""
    return tuple(one for one in ALGS if one in FAPI_ALGS) if party.is_fapi else ALGS


@dataclass(frozen=True)
class UnspentProof:
    """A proof that is right in everything, but for whether it was seen before.

    jkt: the RFC 7638 thumbprint of its key.
    """

    jkt: str
    jti: str
    until: datetime

    def spend(self) -> None:
        """Record the proof as seen, in the transaction that it pays for.

        Raises: Refused(ALREADY_SPENT) if it was seen before.
        """
        if not spend("dpop", self.jkt, self.jti, expires_at=self.until):
            raise Refused(Reason.ALREADY_SPENT)


def proven_key(request: HttpRequest, party: RelyingParty, *, now: datetime) -> str:
    """The thumbprint of the key that a client's request proves, "" without a proof; the proof is spent.

    Raises: as `shown`.
    """
    proof = proof_of_request(request, party, now=now)
    if proof is None:
        return ""
    with as_oauth():
        proof.spend()
    return proof.jkt


def proof_of_request(request: HttpRequest, party: RelyingParty, *, now: datetime) -> UnspentProof | None:
    """The proof of a client's request, not yet spent; None if there is none and none is required.

    Raises: OAuth2Error, of `invalid_dpop_proof` or `use_dpop_nonce` (ruling 19); `invalid_request` where it is missing,
    because there is no proof that could be invalid (RFC 9449 §5).
    """
    if proof_header(request) is None:
        if party.policy.dpop_required:
            raise InvalidRequestError("This client must send a DPoP proof.")
        return None
    with as_oauth():
        return verified_proof(request, now=now, nonced=wants_nonce(party), algs=algs_of(party))


@contextmanager
def as_oauth() -> Iterator[None]:
    """Convert a refused proof to the token endpoint's error.

    Raises: OAuth2Error, of `invalid_dpop_proof` or `use_dpop_nonce`.
    """
    try:
        yield
    except Refused as refused:
        raise OAuth2Error(error=error_of(refused), description=error_description_of(refused)) from refused


def error_of(refused: Refused) -> str:
    """The error code of a proof that was refused (§5, §8)."""
    return "use_dpop_nonce" if refused.reason == Reason.NONCE_NEEDED else "invalid_dpop_proof"


def error_description_of(refused: Refused) -> str:
    """The error description of a refused proof."""
    return _WORDS.get(refused.reason, "The DPoP proof is not valid.")


def with_nonce(request: HttpRequest, response: HttpResponse, *, now: datetime) -> HttpResponse:
    """The answer, with the nonce for the next proof, where this one needed or carried a nonce (§8.2)."""
    if getattr(request, "ramet_nonced", False):
        response["DPoP-Nonce"] = nonce.current(now=now)
    return response


def verify(request: HttpRequest, party: RelyingParty, *, now: datetime, access_token: str) -> str:
    """The RFC 7638 thumbprint of the key of this request's proof, at a resource; the proof is spent.

    party: the client of the access token.
    Raises: as `verified_proof`; Refused(ALREADY_SPENT) for a replay.
    """
    proof = verified_proof(request, now=now, access_token=access_token, nonced=wants_nonce(party), algs=algs_of(party))
    proof.spend()
    return proof.jkt


def verified_proof(
    request: HttpRequest,
    *,
    now: datetime,
    access_token: str | None = None,
    nonced: bool = False,
    algs: tuple[str, ...] = ALGS,
) -> UnspentProof:
    """The proof of this request, which its caller must spend.

    access_token: at a resource, the token whose hash `ath` must be. nonced: the proof must carry Ramet's nonce; an
    unrequested nonce must be Ramet's too. algs: the accepted algorithms.
    Raises: Refused(BAD_PROOF), Refused(NONCE_NEEDED).
    """
    request.ramet_nonced = nonced  # type: ignore[attr-defined]  # read by `renewed`
    proof = proof_header(request) or ""
    header = unverified_header(proof)
    key, jkt = _key(header, algs)
    claims = _verified(proof, key, str(header["alg"]))
    jti, iat = _check(claims, request, now=now, access_token=access_token)
    if nonced or "nonce" in claims:
        _check_nonce(claims.get("nonce"), request, now=now)
    return UnspentProof(jkt, jti, datetime.fromtimestamp(iat, tz=UTC) + WINDOW + _LEAP)


def _key(header: dict[str, Any], algs: tuple[str, ...]) -> tuple[ECKey | OKPKey | RSAKey, str]:
    jwk, alg = header.get("jwk"), header.get("alg")
    if (
        header.get("typ") != "dpop+jwt"
        or not isinstance(alg, str)
        or alg not in algs
        or "crit" in header
        or "b64" in header
    ):
        raise Refused(Reason.BAD_PROOF)
    if not isinstance(jwk, dict) or _PRIVATE & jwk.keys():
        raise Refused(Reason.BAD_PROOF)
    family, kty, curve = _FAMILIES[alg]
    names = ("kty", "n", "e") if kty == "RSA" else ("kty", "crv", "x", "y") if kty == "EC" else ("kty", "crv", "x")
    clean = {name: jwk.get(name) for name in names}
    if (
        clean["kty"] != kty
        or (curve and clean["crv"] != curve)
        or not all(isinstance(one, str) for one in clean.values())
    ):
        raise Refused(Reason.BAD_PROOF)
    if kty == "RSA" and len(str(clean["n"])) * 6 < _LEAST_RSA_BITS:  # the engine would import it, and only grumble
        raise Refused(Reason.BAD_PROOF)
    try:
        key, jkt = _imported(family, tuple((name, str(value)) for name, value in clean.items()))
    except (JoseError, ValueError, TypeError) as error:
        raise Refused(Reason.BAD_PROOF) from error
    if isinstance(key, RSAKey) and key.raw_value.key_size < _LEAST_RSA_BITS:
        raise Refused(Reason.BAD_PROOF)
    return key, jkt


@lru_cache(maxsize=1024)
def _imported(
    family: type[ECKey | OKPKey | RSAKey], members: tuple[tuple[str, str], ...]
) -> tuple[ECKey | OKPKey | RSAKey, str]:
    """A public key with its thumbprint; apps use theirs again and again.

    Raises: JoseError, ValueError, TypeError.
    """
    key = family.import_key(dict(members))
    return key, key.thumbprint()


@lru_cache(maxsize=len(ALGS))
def _registry(alg: str) -> jws.JWSRegistry:
    made = jws.JWSRegistry(algorithms=[alg])
    made.max_header_length = 4096
    return made


def _verified(proof: str, key: ECKey | OKPKey | RSAKey, alg: str) -> dict[str, Any]:
    try:
        jws.deserialize_compact(proof, key, registry=_registry(alg))
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


def _check_nonce(given: object, request: HttpRequest, *, now: datetime) -> None:
    request.ramet_nonced = True  # type: ignore[attr-defined]
    if not isinstance(given, str) or not nonce.is_current(given, now=now):
        raise Refused(Reason.NONCE_NEEDED)


def ath(access_token: str) -> str:
    """RFC 9449 §4.2: the base64url SHA-256 of an access token."""
    return urlsafe_b64encode(hashlib.sha256(access_token.encode()).digest()).rstrip(b"=").decode()


def _same_url(htu: str, request: HttpRequest) -> bool:
    """True if `htu` is this endpoint, on the issuer's or the certificate host, after normalization (§4.3; E15)."""
    ours = uris.normalized(hop.base(request) + quote(request.path, safe=_PATH_CHARACTERS))
    return ours is not None and uris.normalized(htu) == ours
