"""The judgement of a hardware attestation statement, by a verifier per format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from derived.errors import Reason, Refused
from derived.minting.hardware import android_key, app_attest, tpm, yubikey

if TYPE_CHECKING:
    from derived.minting.hardware.statement import AttestationRequest, AttestationTrust, HardwareEvidence


def judge(statement: object, asked: AttestationRequest, trust: AttestationTrust) -> HardwareEvidence:
    """The result of a device's statement.

    Raises: Refused(BAD_PROOF) for a statement that is malformed, of an unknown format, or wrong in any part.
    """
    verifiers = {
        "android-key": android_key.verify,
        "apple-appattest": app_attest.verify,
        "tpm": tpm.verify,
        "yubikey-piv": yubikey.verify,
    }
    if (
        not isinstance(statement, dict)
        or not isinstance(statement.get("format"), str)
        or statement["format"] not in verifiers
    ):
        raise Refused(Reason.BAD_PROOF)
    try:
        return verifiers[statement["format"]](statement, asked, trust)
    except Refused:
        raise
    except Exception:  # noqa: BLE001 - parsers of unverified bytes may raise anything
        raise Refused(Reason.BAD_PROOF) from None
