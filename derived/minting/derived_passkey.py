"""A derived passkey: the proof of a verified registration (PK-1 to PK-4, AU-4, C14)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from derived.minting.proven import VerifiedProof
from derived.rules.assurance import AAL, Factor, VerifiedFactors
from derived.rules.kinds import Kind
from derived.rules.rulebook import DeviceFacts

if TYPE_CHECKING:
    from derived.minting.passkey import RegisteredPasskey


def proof_of(verified: RegisteredPasskey, *, relayed: bool) -> VerifiedProof:
    """The proof of a registration; without user verification it is a single factor, and not issued.

    relayed: a code led to it from another screen. Attested hardware is not trusted then, because a relay between the
    two screens may have answered, so AAL3 is never reached that way (C14).
    """
    factors = {Factor.PASSKEY} | ({Factor.USER_VERIFICATION} if verified.user_verified else set())
    shown = VerifiedFactors(factors=frozenset(factors), hardware=verified.reaches == AAL.AAL3 and not relayed)
    return VerifiedProof(
        kind=Kind.DERIVED_PASSKEY,
        shown=shown,
        keys=verified.proven_names,
        unproven_keys=verified.unproven_names,
        verifier={
            "raw_id": verified.raw_id,
            "raw_id_hash": verified.raw_id_hash,
            "public_key": verified.public_key,
            "sign_count": verified.sign_count,
            "backup_eligible": verified.backup_eligible,
            "backed_up": verified.backed_up,
            "user_verified": verified.user_verified,
            "discoverable": verified.discoverable,
            "aaguid": verified.aaguid,
            "attestation": verified.attestation,
            "attested": verified.attested,
            "hardware": shown.hardware,
            "model": verified.model[:200],
            "transports": list(verified.transports),
        },
        evidence={
            "protection": "hardware" if shown.hardware else "unproven",
            "attestation": verified.attestation,
            "exportable": False if shown.hardware else (True if verified.backup_eligible else "unproven"),
            "aaguid": verified.aaguid,
            "model": verified.model,
            "listed_as": verified.listed_as,
            "relayed": relayed,
            "backup_eligible": verified.backup_eligible,
            "backed_up": verified.backed_up,
        },
        device=DeviceFacts(
            type="passkey",
            model=verified.model if verified.attested else "",
            aaguid=verified.aaguid if verified.attested else "",
            synced=verified.backup_eligible,
        ),
    )
