"""The registration of a passkey, root or derived: options, verification, name, and the reasons of its level."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext_noop

from derived.ledger import status
from derived.minting import passkey as webauthn
from derived.rules.assurance import AAL
from idp.login.passkey import SECONDS, begin, ceremony_parameters, find_ceremony, key_descriptors
from idp.policies import fido_metadata as metadata

if TYPE_CHECKING:
    from datetime import datetime

    from derived.minting.passkey import CeremonyParameters, RegisteredPasskey
    from derived.models import Account, Credential, Passkey
    from idp.models import Ceremony


_LONGEST_NAME = 80


def options(
    request: HttpRequest, account: Account, purpose: str, *, now: datetime, user_verification: bool
) -> HttpResponse:
    """A registration challenge for this browser."""
    asked = begin(request, purpose, account=account, now=now, user_verification=user_verification)
    response = JsonResponse(creation_options(account, asked))
    response["Cache-Control"] = "no-store"
    return response


def creation_options(account: Account, asked: CeremonyParameters) -> dict[str, Any]:
    """The creation options; every key of the account is excluded, so that none is made twice."""
    rows = status.living(account.id).filter(passkey__isnull=False).select_related("passkey")
    person = account.person
    return webauthn.options_to_register(
        asked,
        user_handle=account.id.bytes,
        name=person.login_name or person.display_name() or "account",
        display_name=person.display_name() or person.login_name or "account",
        known=key_descriptors([row.passkey for row in rows]),
        seconds=SECONDS,
    )


def registered(
    request: HttpRequest, account: Account, purpose: str, *, now: datetime
) -> tuple[Ceremony, RegisteredPasskey]:
    """Verify the posted registration, outside the lock because it is slow.

    Raises: Refused.
    """
    response = webauthn.parse(request.POST.get("response", ""))
    ceremony = find_ceremony(request, purpose, response, account=account, now=now)
    return ceremony, webauthn.register(
        response, expected=ceremony_parameters(ceremony), metadata=metadata.known(), policy=metadata.policy(), now=now
    )


def named(request: HttpRequest, verified: RegisteredPasskey) -> str:
    """The holder's name for it, or else its model."""
    said = "".join(one for one in request.POST.get("name", "")[: _LONGEST_NAME * 2] if one.isprintable()).strip()
    return (said or verified.model or gettext_noop("Passkey or security key"))[:_LONGEST_NAME]


def reasons(row: Credential, key: Passkey) -> list[str]:
    """The reasons of a key's level, in words for its holder."""
    said = []
    if key.backup_eligible:
        said.append("It is synced between your devices, so there can be copies of it: AAL2 at most.")
    elif not key.attested:
        said.append(
            "Its maker did not vouch for it, or is not known here, so nobody can tell that it cannot "
            "be copied: AAL2 at most."
        )
    elif not key.hardware:
        said.append("Its maker vouches for it, but not that the key can never leave it: AAL2 at most.")
    elif row.aal < AAL.AAL3:
        said.append(
            "Its maker vouches that the key never leaves it. It was added under a sign-in that was "
            "not worth more, and stays at that: AAL3 needs a key that is added after signing in at AAL3."
        )
    else:
        said.append("Its maker vouches that the key never leaves it, and you added it after signing in at AAL3.")
    if not key.user_verified:
        said.append(
            "It did not ask for a PIN or a fingerprint when it was added. Alone it is one factor; "
            "together with your password it is two."
        )
    return said
