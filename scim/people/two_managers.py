"""Two different managers for an act on an account that ever had an authenticator (ruling 27).

The first manager's approval is kept for a week; the second one's completes the act. The operator's commands and rules
act alone: whoever has a shell could write the database.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from derived.ledger import audit, status
from scim.access import roles, same_human
from scim.models import Approval, RoleName

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet

    from derived.models import Account

LIVES = timedelta(days=7)
_BECAUSE = "because"


@dataclass(frozen=True)
class Proposal:
    """An act that needs two managers. about: the id of the record, the person or the credential.

    said: the terms of the act, for the second manager to see and to agree to. because: a manager's reason, of their
    own. always: also where the account never had an authenticator.
    """

    act: str
    about: object
    said: dict[str, str] = field(default_factory=dict)
    because: str = ""
    always: bool = False

    def is_of_same_terms(self, approval: Approval) -> bool:
        """True if an approval is of these terms, whatever its manager's reason."""
        return {name: value for name, value in approval.said.items() if name != _BECAUSE} == self.said

    def approvals(self, *, now: datetime) -> QuerySet[Approval]:
        """The approvals of the act that still count, on whatever terms, oldest first."""
        return Approval.objects.filter(act=self.act, about=str(self.about), at__gt=now - LIVES).order_by("at")


def agreed(account: Account, proposal: Proposal, *, actor: str, now: datetime) -> bool:
    """True if the act may be done now; else the approval of this manager is recorded, and a second one is needed.

    account: locked by the caller.
    """
    if not actor.startswith("manager:") or not (proposal.always or status.ever_had_authenticator(account)):
        return True
    others = [one for one in proposal.approvals(now=now).exclude(by=actor) if proposal.is_of_same_terms(one)]
    first = next((one for one in others if _still_decides(one.by, now=now) and _differ(one.by, actor)), None)
    act, about = proposal.act, str(proposal.about)
    if first is not None:
        Approval.objects.filter(act=act, about=about).delete()
        body = {"act": act, "about": about, "first": first.by}
        audit.record(account, "person.approved_by_two", now=now, actor=actor, body=body)
        return True
    kept = {**proposal.said, _BECAUSE: proposal.because} if proposal.because else proposal.said
    Approval.objects.update_or_create(act=act, about=about, by=actor, defaults={"at": now, "said": kept})
    body, personal = {"act": act, "about": about}, {_BECAUSE: proposal.because} if proposal.because else {}
    audit.record(account, "person.approval", now=now, actor=actor, body=body, personal=personal)
    return False


def _still_decides(actor: str, *, now: datetime) -> bool:
    """True unless the manager of an approval has been dismissed, or has left, since."""
    person = same_human.of_actor(actor)
    return person is None or roles.has(person, RoleName.MANAGER, now=now)


def _differ(one: str, other: str) -> bool:
    """True if two managers are two human beings."""
    people = [same_human.of_actor(actor) for actor in (one, other)]
    return people[0] is None or people[1] is None or not same_human.may_be_one(people[0], people[1])


def first_of(proposal: Proposal, *, now: datetime) -> Approval | None:
    """The approval that waits for a second one, on whatever terms, or None."""
    return proposal.approvals(now=now).first()
