"""Device keys: accept a P-256 public key and verify proofs signed by it (RFC 7515, RFC 7517, RFC 7638; DK-1, J1–J7).

Every kind of proof has its own `typ`, so none can be presented as another. Bytes are bounded before parsing, algorithms
are listed, and claims are checked here only.
"""

from __future__ import annotations

import binascii
import json
import re
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeGuard

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from derived.errors import Reason, Refused
from derived.minting.proven import VerifiedProof, key_name
from derived.rules.assurance import Factor, VerifiedFactors
from derived.rules.kinds import Kind
from derived.rules.rulebook import DeviceFacts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from derived.minting.hardware.statement import HardwareEvidence

MOST_BYTES = 4096
_MOST_BRACKETS = 16
FRESH = timedelta(seconds=60)
LEAP = timedelta(seconds=10)  # how far a device's clock may run ahead
_COORDINATE = re.compile(r"[A-Za-z0-9_-]{43}")
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_JTI = re.compile(r"[\x21-\x7e]{16,128}")
_PRIVATE = frozenset({"d", "k", "p", "q", "dp", "dq", "qi", "oth"})


@dataclass(frozen=True)
class DevicePublicKey:
    """A P-256 public key and its RFC 7638 thumbprint."""

    jwk: dict[str, str | list[str]]
    jkt: str


def public_key(unverified_jwk: object) -> DevicePublicKey:
    """The public key that a device sent: an EC P-256 point without private members (J3, strength ≥ 112 bits).

    Raises: Refused(BAD_PROOF).
    """
    if not isinstance(unverified_jwk, dict) or _PRIVATE & unverified_jwk.keys():
        raise Refused(Reason.BAD_PROOF)
    jwk = {name: unverified_jwk.get(name) for name in ("kty", "crv", "x", "y")}
    point = [jwk["x"], jwk["y"]]
    if jwk["kty"] != "EC" or jwk["crv"] != "P-256":
        raise Refused(Reason.BAD_PROOF)
    if not all(isinstance(value, str) and _COORDINATE.fullmatch(value) for value in point):
        raise Refused(Reason.BAD_PROOF)
    clean: dict[str, str | list[str]] = {name: str(value) for name, value in jwk.items()}
    try:
        key = ECKey.import_key(clean)
        return DevicePublicKey(clean, key.thumbprint())
    except (JoseError, ValueError) as error:  # a point that is not on the curve
        raise Refused(Reason.BAD_PROOF) from error


def proof_of(
    key: DevicePublicKey, *, passphrase_hash: str, clients: Sequence[str], kept: HardwareEvidence | None = None
) -> VerifiedProof:
    """The proof of a key that has signed its challenge (ruling 1, DK-2).

    One factor; two with a passphrase, or with proof that the hardware verifies its user at each use. passphrase_hash:
    "" for none. clients: the client_ids that it may serve (ruling 2). kept: the proven facts of its hardware.
    """
    factors = {Factor.DEVICE_KEY} | ({Factor.DEVICE_PASSPHRASE} if passphrase_hash else set())
    factors |= {Factor.USER_VERIFICATION} if kept and kept.verifies_user else set()
    evidence: dict[str, object] = {"protection": "software", "exportable": "unproven"}
    if kept is not None:
        evidence = {
            "protection": "hardware",
            "exportable": False,
            "activation": "per_use" if kept.verifies_user else "unproven",
            **kept.facts,
        }
    return VerifiedProof(
        kind=Kind.DEVICE_KEY,
        shown=VerifiedFactors(factors=frozenset(factors), hardware=kept is not None),
        jkt=key.jkt,
        keys=(key_name(ECKey.import_key(key.jwk).public_key),),
        verifier={"jwk": key.jwk, "passphrase_hash": passphrase_hash, "clients": list(clients)},
        evidence=evidence,
        device=kept.device if kept else DeviceFacts(),
    )


def unverified_header(proof: object) -> dict[str, Any]:
    """The header of a compact JWS, bounded but not verified, to select the verification key.

    Raises: Refused(BAD_PROOF).
    """
    if not isinstance(proof, str) or len(proof) > MOST_BYTES or not _COMPACT.fullmatch(proof):
        raise Refused(Reason.BAD_PROOF)
    return bounded_json(proof.split(".")[0])


def bounded_json(segment: str) -> dict[str, Any]:
    """The JSON object in a base64url segment of a JWS, refused if it nests deeply.

    Raises: Refused(BAD_PROOF).
    """
    try:
        raw = urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
        # A shallow bound instead of a recursion limit: no proof nests deeper than a key in a header (A20, J5).
        if raw.count(b"{") + raw.count(b"[") > _MOST_BRACKETS:
            raise Refused(Reason.BAD_PROOF)
        value = json.loads(raw)
    except (ValueError, binascii.Error, RecursionError) as error:
        raise Refused(Reason.BAD_PROOF) from error
    if not isinstance(value, dict):
        raise Refused(Reason.BAD_PROOF)
    return value


def verify(proof: object, key: DevicePublicKey, *, typ: str) -> dict[str, Any]:
    """The claims of a proof signed by this key under this `typ`; their values are not checked yet.

    Raises: Refused(BAD_PROOF) for another algorithm, `typ`, key, `crit`, or a bad signature.
    """
    header = unverified_header(proof)
    if header.get("typ") != typ or header.get("alg") != "ES256" or "crit" in header or "b64" in header:
        raise Refused(Reason.BAD_PROOF)
    if header.get("kid", key.jkt) != key.jkt or ("jwk" in header and public_key(header["jwk"]).jkt != key.jkt):
        raise Refused(Reason.BAD_PROOF)
    if not isinstance(proof, str):  # for the type checker: unverified_header has refused it
        raise Refused(Reason.BAD_PROOF)
    registry = jws.JWSRegistry(algorithms=["ES256"])
    registry.max_header_length = MOST_BYTES  # J4: the default refuses headers that carry a key
    try:
        jws.deserialize_compact(proof, ECKey.import_key(key.jwk), registry=registry)
    except (JoseError, ValueError) as error:
        raise Refused(Reason.BAD_PROOF) from error
    return bounded_json(proof.split(".")[1])


def check_claims(claims: Mapping[str, Any], *, expected: Mapping[str, str], now: datetime) -> str:
    """The `jti` of a proof with the expected claims, a fresh `iat`, and an `exp` (if present) soon in the future.

    Raises: Refused(BAD_PROOF).
    """
    if any(claims.get(name) != value for name, value in expected.items()):
        raise Refused(Reason.BAD_PROOF)
    seconds = now.timestamp()
    iat, exp, jti = claims.get("iat"), claims.get("exp"), claims.get("jti")
    if not _is_time(iat) or not seconds - FRESH.total_seconds() <= iat <= seconds + LEAP.total_seconds():
        raise Refused(Reason.BAD_PROOF)
    if exp is not None and (not _is_time(exp) or not seconds < exp <= iat + FRESH.total_seconds()):
        raise Refused(Reason.BAD_PROOF)
    if not isinstance(jti, str) or not _JTI.fullmatch(jti):
        raise Refused(Reason.BAD_PROOF)
    return jti


def _is_time(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**40
