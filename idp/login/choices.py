"""The ways of signing in that the login page offers: every enabled way, or exactly the sufficient ones for a request.

Without a login every person sees the same (C67). A signed-in person who needs more sees their own ways.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from derived import clock
from derived.ledger import status
from derived.rules.assurance import AAL
from derived.rules.kinds import Kind, policy_of
from idp.login import card, device, passkey, purpose, upstream
from idp.login.need import AchievedLevel, Need
from idp.login.session import signed_in

if TYPE_CHECKING:
    from uuid import UUID

    from django.http import HttpRequest

    from derived.models import Credential
    from idp.login.ways import Way

_CODE = AchievedLevel(aal=AAL.AAL2, phishing_resistant=False, hardware_protected=False)  # password and app
_KEY = AchievedLevel(
    aal=AAL.AAL3, phishing_resistant=True, hardware_protected=True
)  # password and the best security key


def pending_need(request: HttpRequest) -> Need:
    """The requirements of the waiting request, as sealed when the person was sent here."""
    return purpose.of_request(request).need or Need()


def is_sufficient(way: Way, need: Need) -> bool:
    """True if the best result of a way is sufficient."""
    return need.is_met_by(
        AchievedLevel(aal=way.reaches, phishing_resistant=way.phishing_resistant, hardware_protected=way.hardware)
    )


def login_choices(request: HttpRequest) -> dict[str, Any]:
    """For the login page: the ways, and whether the password, the passkey and this device are among them."""
    need = pending_need(request)
    ways = [
        way
        for module in (card, passkey, upstream, device)
        for way in module.offers(request)
        if is_sufficient(way, need)
    ]
    with_password = need.is_met_by(_CODE) or need.is_met_by(_KEY)
    session = signed_in(request)
    if need.of_this_person and session is not None:
        mine = _levels_of(session.account_id)
        ways = [way for way in ways if any(need.is_met_by(one) for one in mine.get(way.kind, []))]
        keys = mine.get(Kind.PASSKEY, [])
        with_password = Kind.PASSWORD_TOTP in mine and (
            need.is_met_by(_CODE) or any(need.is_met_by(one) for one in keys)
        )
    names = {way.name for way in ways}
    return {
        "ways": [way for way in ways if way.name not in {"passkey", "device"}],
        "with_password": with_password,
        "with_passkey": "passkey" in names,
        "with_device": "device" in names,
        "second_key_only": with_password and not need.is_met_by(_CODE),
        "nothing": not names and not with_password,
        "declines": purpose.of_request(request).flow,
        "declines_as": "cannot" if need.is_more_than_any else "deny",
    }


def _levels_of(account_id: UUID) -> dict[Kind, list[AchievedLevel]]:
    """The levels of an account's live credentials, by the kind of their login."""
    found: dict[Kind, list[AchievedLevel]] = {}
    now = clock.now()
    for row in status.living(account_id):
        if status.is_live(row, row.account, now=now):
            kind = Kind(row.kind)
            found.setdefault(policy_of(kind).signs_in_as or kind, []).append(best_login_of(row))
    return found


def best_login_of(row: Credential) -> AchievedLevel:
    """The best that a credential can show in a fresh login."""
    return AchievedLevel(
        aal=status.level(row),
        phishing_resistant=row.evidence.get("phishing_resistant") is True,
        hardware_protected=row.evidence.get("hardware") is True,
    )
