"""May this login grow a credential of that kind? A question: it returns a Reason, or None for yes (EL-1, EL-4, AU-8)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from derived.errors import Reason
from derived.rules.assurance import AAL, IAL, Factor
from derived.rules.kinds import MINT_FLOOR, MINT_FRESHNESS, Kind, Label, policy

if TYPE_CHECKING:
    from datetime import datetime

    from derived.rules.assurance import Authentication, Shown


def refusal(login: Authentication, *, now: datetime) -> Reason | None:
    """Why this login may not grow anything, or None if it may: a root, at AAL2 or more, at most 20 minutes old."""
    if not login.root:
        return Reason.NOT_A_ROOT
    if login.aal < MINT_FLOOR:
        return Reason.LOGIN_TOO_WEAK
    if not now - MINT_FRESHNESS <= login.at <= now:
        return Reason.LOGIN_TOO_OLD
    return None


def refusal_of_key(kind: Kind, level: AAL) -> Reason | None:
    """Why a key that would stand at `level` is not worth minting, or None (ruling 1)."""
    return Reason.KEY_TOO_WEAK if level < policy(kind).floor else None


def label_of(login: Authentication, *, root: Kind, ial: IAL, own: Shown, home_agency: bool) -> Label:
    """What a credential that grows from this login may call itself.

    *Derived PIV* takes a PIV card proven by PKI-AUTH (its certificate and its PIN, never the card-authentication key), of a
    card of the home agency, a person at IAL3, and a key that is phishing-resistant itself (EL-2, EL-3, AS-3, BI-7).
    """
    by_card = root == Kind.PIV_CARD and login.root and {Factor.PIV_CARD, Factor.PIV_PIN} <= login.factors
    earned = by_card and home_agency and ial == IAL.IAL3 and login.phishing_resistant and own.phishing_resistant
    return Label.DERIVED_PIV if earned else Label.GENERIC


def most(kind: Kind, label: Label, own: Shown, *, vetted: bool) -> AAL:
    """The most that a new one may be worth, whatever it shows by itself (X-7, X-9).

    A certificate speaks for itself at places that never ask us. So at AAL3 it takes the PIV label, a key that was made in hardware
    which asks for its holder at each use, and a record of who checked its holder in person.
    vetted: whether there is such a record, unused.
    """
    asks_its_holder = own.hardware_protected and Factor.USER_VERIFICATION in own.factors
    if not policy(kind).in_person or (label == Label.DERIVED_PIV and asks_its_holder and vetted):
        return AAL.AAL3
    return AAL.AAL2


class How(StrEnum):
    """On whose word a root is bound to an account."""

    INVITATION = "invitation"
    LOGIN = "login"
    MANAGER = "manager"
    RECOVERY = "recovery"


@dataclass(frozen=True, kw_only=True)
class BoundBy:
    """What a new root is bound on, and so what it can be worth at most (ruling 5: no ladder).

    login: for LOGIN, the live login of the person, by a root. replaces: for RECOVERY, the level of the root that it follows.
    """

    how: How
    login: Authentication | None = None
    replaces: AAL = AAL.NONE

    def ceiling(self, kind: Kind) -> AAL:
        """The most that a root bound in this way may be worth.

        A PIV card proves AAL3 by itself, to whoever invited its holder; every other root gets there only under a login
        that was there already.
        """
        match self.how:
            case How.LOGIN:
                return self.login.aal if self.login else AAL.NONE
            case How.RECOVERY:
                return self.replaces
            case How.INVITATION | How.MANAGER:
                return AAL.AAL3 if kind == Kind.PIV_CARD else AAL.AAL2


def refusal_to_change(login: Authentication, *, affected: AAL, now: datetime) -> Reason | None:
    """Why this login may not add, rename or remove something that is worth `affected`, or None (P2, AU-1, EL-2).

    It takes a root, fresh, and as strong as what is changed. Reporting a loss is not asked here: one factor suffices (ruling 14).
    """
    if reason := refusal(login, now=now):
        return reason
    return Reason.STEP_UP_NEEDED if login.aal < affected else None


def refusal_to_add(login: Authentication, *, reaches: AAL, strongest: AAL, now: datetime) -> Reason | None:
    """Why this login may not add a root, or None.

    reaches: the most that the new root could be used at. strongest: the most that the account can reach. The login must be
    as strong as the lesser of the two (AU-1).
    """
    return refusal_to_change(login, affected=min(reaches, strongest), now=now)
