"""YubiKey PIV attestation: a key generated in a slot of this YubiKey, and its PIN policy.

The statement is the slot's attestation certificate and the device's own (slot F9). It carries no challenge: possession
is proven by the key's signature over Ramet's challenge. An imported key cannot be attested.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from cryptography.x509.oid import NameOID

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

    from derived.minting.hardware.statement import AttestationRequest, AttestationTrust

FORM = "yubikey-piv"
_FIRMWARE, _SERIAL, _POLICY, _FORM_FACTOR = (f"1.3.6.1.4.1.41482.3.{number}" for number in (3, 7, 8, 9))
_NAME = re.compile(r"YubiKey PIV Attestation (9[acde]|8[2-9a-f]|9[0-5])")
_EACH_TIME = frozenset({3, 5})  # PIN or fingerprint at each use; "once" is once a session
_PIN_POLICIES, _TOUCH_POLICIES = range(1, 6), range(1, 4)
_FIRMWARE_PARTS, _POLICY_PARTS = 3, 2
_FIPS = 0x80


def verify(statement: Mapping[str, Any], asked: AttestationRequest, trust: AttestationTrust) -> HardwareEvidence:
    """Verify the certificate of the slot.

    Raises: Refused(BAD_PROOF).
    """
    chain, by = verified_chain(chain_of(statement), FORM, asked, trust)
    slot, [name] = chain[0], chain[0].subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    named, firmware, policy = _NAME.fullmatch(str(name.value)), extension(slot, _FIRMWARE), extension(slot, _POLICY)
    if not is_of_requested_key(slot, asked) or named is None or firmware is None or policy is None:
        raise Refused(Reason.BAD_PROOF)
    if (
        len(firmware) != _FIRMWARE_PARTS
        or len(policy) != _POLICY_PARTS
        or policy[0] not in _PIN_POLICIES
        or policy[1] not in _TOUCH_POLICIES
    ):
        raise Refused(Reason.BAD_PROOF)
    serial, form = extension(slot, _SERIAL), extension(slot, _FORM_FACTOR)
    version = ".".join(str(one) for one in firmware)
    fips = bool(form and form[0] & _FIPS)
    return HardwareEvidence(
        device=DeviceFacts(
            type="yubikey",
            model=f"YubiKey {firmware[0]}{' FIPS' if fips else ''}",
            serial=str(der.only(serial).integer) if serial else "",
        ),
        verifies_user=policy[0] in _EACH_TIME,
        level="YubiKey",
        facts={
            "slot": named[1],
            "firmware": version,
            "pin_policy": policy[0],
            "touch_policy": policy[1],
            "level": "YubiKey",
            **by,
        },
    )
