"""Whether a login may issue a derived credential: questions that return a Reason or None (EL-1, EL-4, AU-8)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from derived.errors import Reason
from derived.rules.assurance import AAL, IAL, Factor
from derived.rules.kinds import MINT_FLOOR, MINT_FRESHNESS, Kind, Label, policy_of

if TYPE_CHECKING:
    from datetime import datetime

    from derived.rules.assurance import Authentication, VerifiedFactors


def refusal(login: Authentication, *, now: datetime) -> Reason | None:
    """The reason why this login may not issue a derived credential, or None.

    It must be by a root, at AAL2 or more, and at most 20 minutes old.
    """
    if not login.root:
        return Reason.NOT_A_ROOT
    if login.aal < MINT_FLOOR:
        return Reason.LOGIN_TOO_WEAK
    if not now - MINT_FRESHNESS <= login.at <= now:
        return Reason.LOGIN_TOO_OLD
    return None


def refusal_of_level(kind: Kind, level: AAL) -> Reason | None:
    """The reason why a key that would reach `level` is below its kind's floor, or None (ruling 1)."""
    return Reason.KEY_TOO_WEAK if level < policy_of(kind).floor else None


def label_of(login: Authentication, *, root: Kind, ial: IAL, own: VerifiedFactors, home_agency: bool) -> Label:
    """The label of a credential that is derived from this login.

    *Derived PIV* takes a PIV card of the home agency, proven by PKI-AUTH (its certificate and its PIN, never the
    card-authentication key), a person at IAL3, and a new key that is phishing-resistant itself (EL-2, EL-3, AS-3,
    BI-7).
    """
    by_card = root == Kind.PIV_CARD and login.root and {Factor.PIV_CARD, Factor.PIV_PIN} <= login.factors
    earned = by_card and home_agency and ial == IAL.IAL3 and login.phishing_resistant and own.phishing_resistant
    return Label.DERIVED_PIV if earned else Label.GENERIC


def highest_level(kind: Kind, label: Label, own: VerifiedFactors, *, vetted: bool) -> AAL:
    """The highest level of a new credential of this kind and label, whatever it proves (X-7, X-9).

    Relying parties accept a certificate without asking Ramet. At AAL3 it therefore takes the PIV label, a key made in
    hardware that verifies its user at each use, and the record of an identity check in person.
    vetted: whether there is such a record, unused.
    """
    asks_its_holder = own.hardware_protected and Factor.USER_VERIFICATION in own.factors
    if not policy_of(kind).in_person or (label == Label.DERIVED_PIV and asks_its_holder and vetted):
        return AAL.AAL3
    return AAL.AAL2


class BoundVia(StrEnum):
    """The authority by which a root is bound to an account."""

    INVITATION = "invitation"
    LOGIN = "login"
    MANAGER = "manager"
    RECOVERY = "recovery"
    VOUCHED = "vouched"


@dataclass(frozen=True, kw_only=True)
class BoundBy:
    """The authority by which a new root is bound, and so the highest level it can have (ruling 5).

    login: for LOGIN, the person's live login by a root. replaces: for RECOVERY, the level of the replaced root.
    """

    how: BoundVia
    login: Authentication | None = None
    replaces: AAL = AAL.NONE

    def ceiling(self, kind: Kind) -> AAL:
        """The highest level of a root that is bound in this way.

        A PIV card proves AAL3 by itself; every other root reaches AAL3 only under a login at AAL3.
        """
        match self.how:
            case BoundVia.LOGIN:
                return self.login.aal if self.login else AAL.NONE
            case BoundVia.RECOVERY:
                return self.replaces
            case BoundVia.INVITATION | BoundVia.VOUCHED | BoundVia.MANAGER:
                return AAL.AAL3 if kind == Kind.PIV_CARD else AAL.AAL2


def refusal_to_change(login: Authentication, *, affected: AAL, now: datetime) -> Reason | None:
    """The reason why this login may not add, rename or remove a credential of level `affected`, or None.

    The login must be by a root, fresh, and as strong as the credential that changes (P2, AU-1, EL-2). Reports of a loss
    do not come here: a single factor suffices for them (ruling 14).
    """
    if reason := refusal(login, now=now):
        return reason
    return Reason.STEP_UP_NEEDED if login.aal < affected else None


def refusal_to_add(login: Authentication, *, reaches: AAL, strongest: AAL, now: datetime) -> Reason | None:
    """The reason why this login may not add a root, or None.

    reaches: the highest level of the new root. strongest: the highest level of the account. The login must be as strong
    as the lesser of the two (AU-1).
    """
    return refusal_to_change(login, affected=min(reaches, strongest), now=now)
