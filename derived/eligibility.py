"""May this login grow a credential of that kind? A question: it returns a Reason, or None for yes (EL-1, EL-4, AU-8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from derived.errors import Reason
from derived.kinds import MINT_FLOOR, MINT_FRESHNESS, MOST_DERIVED_PER_PERSON, Kind, policy

if TYPE_CHECKING:
    from datetime import datetime

    from derived.assurance import AAL, Authentication


def refusal(login: Authentication, *, now: datetime) -> Reason | None:
    """Why this login may not grow anything, or None if it may: a root, at AAL2 or more, at most 20 minutes old."""
    if not login.root:
        return Reason.NOT_A_ROOT
    if login.aal < MINT_FLOOR:
        return Reason.LOGIN_TOO_WEAK
    if not now - MINT_FRESHNESS <= login.at <= now:
        return Reason.LOGIN_TOO_OLD
    return None


def refusal_of_key(kind: Kind, level: AAL, *, counted_already: int) -> Reason | None:
    """Why a key that would stand at `level` is not worth minting, or None (ruling 1, EL-5)."""
    if level < policy(kind).floor:
        return Reason.KEY_TOO_WEAK
    if policy(kind).counted and counted_already >= MOST_DERIVED_PER_PERSON:
        return Reason.TOO_MANY_CREDENTIALS
    return None
