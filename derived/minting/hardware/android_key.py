"""Android Key Attestation: a key in a phone's TEE or StrongBox, on a phone with verified boot.

The key's certificate holds a KeyDescription (Android, "Key and ID attestation", schema versions 3 to 400). Only
hardware-enforced values are trusted; claims of the operating system (`softwareEnforced`) are not.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any

from derived.errors import Reason, Refused
from derived.minting import der
from derived.minting.hardware.statement import (
    HardwareEvidence,
    chain_of,
    extension,
    is_of_requested_key,
    verified_chain,
)
from derived.rules.rulebook import DeviceFacts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from derived.minting.der import Element
    from derived.minting.hardware.statement import AttestationRequest, AttestationTrust

FORM = "android-key"
KEY_DESCRIPTION = "1.3.6.1.4.1.11129.2.1.17"
_LEVELS = {1: "TEE", 2: "StrongBox"}
_LEAST_VERSION = 3
_SIGN, _VERIFY = 2, 3
_EC, _P256, _P256_BITS = 3, 1, 256
_GENERATED, _VERIFIED = 0, 0
# Tags of an AuthorizationList.
(
    _PURPOSE,
    _ALGORITHM,
    _KEY_SIZE,
    _CURVE,
    _NO_AUTH,
    _AUTH_TYPE,
    _AUTH_TIMEOUT,
    _ORIGIN,
    _ROOT_OF_TRUST,
    _BRAND,
    _MODEL,
) = (
    1,
    2,
    3,
    10,
    503,
    504,
    505,
    702,
    704,
    710,
    717,
)
_PARTS = 8


def verify(statement: Mapping[str, Any], asked: AttestationRequest, trust: AttestationTrust) -> HardwareEvidence:
    """Verify the attestation chain of a key.

    Raises: Refused(BAD_PROOF).
    """
    chain, by = verified_chain(chain_of(statement), FORM, asked, trust)
    described = extension(chain[0], KEY_DESCRIPTION)
    # An attested key could sign a further certificate below the true one, so only the leaf may describe a key.
    if (
        described is None
        or any(extension(one, KEY_DESCRIPTION) is not None for one in chain[1:])
        or not is_of_requested_key(chain[0], asked)
    ):
        raise Refused(Reason.BAD_PROOF)
    parts = der.elements(der.only(described).expect(der.SEQUENCE))
    if len(parts) != _PARTS:
        raise Refused(Reason.BAD_PROOF)
    version, attested, _, kept, challenge, _unique, software, hardware = parts
    levels = {attested.integer, kept.integer}
    if (
        version.integer < _LEAST_VERSION
        or not levels <= _LEVELS.keys()
        or not hmac.compare_digest(challenge.expect(der.OCTETS), asked.made_for)
    ):
        raise Refused(Reason.BAD_PROOF)
    enforced, said = _list(hardware), _list(software)
    _was_made_there(enforced)
    boot_key = _booted_well(enforced)
    level = _LEVELS[min(levels)]
    return HardwareEvidence(
        device=DeviceFacts(type="android", model=_model(enforced)),
        verifies_user=_asks_each_time(enforced, said),
        level=level,
        facts={"keymint": attested.integer, "version": version.integer, "boot_key": boot_key, "level": level, **by},
    )


def _list(element: Element) -> dict[int, Element]:
    found = der.elements(element.expect(der.SEQUENCE))
    tags = [one.number for one in found]
    if any(tag < 0 for tag in tags) or len(set(tags)) != len(tags):
        raise Refused(Reason.BAD_PROOF)
    return {one.number: one.inner for one in found}


def _was_made_there(enforced: Mapping[int, Element]) -> None:
    """Require a P-256 signing key that was generated in this hardware and cannot attest others.

    Raises: Refused(BAD_PROOF).
    """
    purposes = {one.integer for one in der.elements(enforced[_PURPOSE].expect(der.SET))}
    is_p256 = enforced[_ALGORITHM].integer == _EC and (
        enforced[_CURVE].integer == _P256 if _CURVE in enforced else enforced[_KEY_SIZE].integer == _P256_BITS
    )
    if (
        _SIGN not in purposes
        or not purposes <= {_SIGN, _VERIFY}
        or not is_p256
        or enforced[_ORIGIN].integer != _GENERATED
    ):
        raise Refused(Reason.BAD_PROOF)


def _booted_well(enforced: Mapping[int, Element]) -> str:
    """The key that verified the boot.

    Raises: Refused(BAD_PROOF) for a phone that is unlocked, or runs software not signed by its manufacturer.
    """
    key, locked, state, *_ = der.elements(enforced[_ROOT_OF_TRUST].expect(der.SEQUENCE))
    if not locked.boolean or state.integer != _VERIFIED:
        raise Refused(Reason.BAD_PROOF)
    return key.expect(der.OCTETS).hex()


def _asks_each_time(enforced: Mapping[int, Element], said: Mapping[int, Element]) -> bool:
    """True if the hardware verifies the user at each use; a validity period means only unlocking (trap 6)."""
    if _NO_AUTH in enforced or _NO_AUTH in said or _AUTH_TYPE not in enforced:
        return False
    return bool(enforced[_AUTH_TYPE].integer) and _AUTH_TIMEOUT not in enforced and _AUTH_TIMEOUT not in said


def _model(enforced: Mapping[int, Element]) -> str:
    """Brand and model if the hardware attests them, which takes a managed phone."""
    said = [enforced[tag].expect(der.OCTETS).decode("ascii", "replace") for tag in (_BRAND, _MODEL) if tag in enforced]
    return " ".join(said)[:200]
