"""Device keys: what a device answered over a binding code (docs/device-protocol.md §2), as a new credential."""

from __future__ import annotations

from typing import TYPE_CHECKING

from derived.errors import Reason, Refused
from derived.minting import device_key
from derived.minting.device_key import DevicePublicKey

if TYPE_CHECKING:
    from django.urls import URLPattern

    from derived.minting.proven import Proven
    from idp.enrol.growing import Offer
    from idp.models import Binding

urlpatterns: list[URLPattern] = []  # its protocol is `api`, its pages are *Add a device*
OFFER: Offer | None = None
CODE_PAGE = "/enrol"


def proven(row: Binding) -> Proven:
    """The key that signed the challenge, and its passphrase.

    Raises: Refused(BAD_CODE) where no key was pinned.
    """
    if row.jwk is None:
        raise Refused(Reason.BAD_CODE)
    return device_key.proven(DevicePublicKey(row.jwk, row.jkt), passphrase_hash=row.passphrase_hash, clients=row.clients)
