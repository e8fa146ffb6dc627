"""Device keys: a device's answer over a binding code as a verified proof (docs/device-protocol.md §2)."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from derived.errors import Reason, Refused
from derived.minting import device_key
from derived.minting.device_key import DevicePublicKey
from derived.minting.hardware.statement import HardwareEvidence
from derived.rules.rulebook import DeviceFacts

if TYPE_CHECKING:
    from django.urls import URLPattern

    from derived.minting.proven import VerifiedProof
    from idp.enrol.grown.registry import Offer
    from idp.models import Binding


def stored_form(found: HardwareEvidence | None) -> dict[str, Any] | None:
    """The evidence of a device's hardware, as stored until the desktop confirms."""
    return None if found is None else asdict(found)


def restored(answered: dict[str, Any] | None) -> HardwareEvidence | None:
    """The stored evidence."""
    return None if answered is None else HardwareEvidence(**{**answered, "device": DeviceFacts(**answered["device"])})


urlpatterns: list[URLPattern] = []  # its protocol is `api`, its pages are *Add a device*
OFFER: Offer | None = None
CODE_PAGE = "/enrol"


def proven(row: Binding) -> VerifiedProof:
    """The key that signed the challenge, and its passphrase.

    Raises: Refused(BAD_CODE) where no key was pinned.
    """
    if row.jwk is None:
        raise Refused(Reason.BAD_CODE)
    return device_key.proof_of(
        DevicePublicKey(row.jwk, row.jkt),
        passphrase_hash=row.passphrase_hash,
        clients=row.clients,
        kept=restored(row.answered),
    )
