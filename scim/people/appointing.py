"""Roles are given and ended by two people: the first one's wish waits for the second one's yes (RL-5).

A terminal acts alone while there are fewer than two managers, who could agree to it: somebody must be the first. All
managers and auditors are told of each role that is given or ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db.models import F

from derived.errors import Reason, Refused
from derived.ledger.locking import under_lock
from derived.models import AccountStatus
from scim.access import appointments, roles
from scim.access.appointments import Appointment
from scim.access.roles import Verb
from scim.models import Person, Role, RoleName
from scim.people import notices, two_managers
from scim.people.two_managers import Proposal

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet

    from derived.models import Account
    from scim.models import Approval

LEAST_WORDS, MOST_WORDS = appointments.LEAST_WORDS, appointments.MOST_WORDS
GIVE, END = "give-role", "end-role"
MOST_DAYS = roles.LONGEST.days
_LEAST_MANAGERS = 2
_TERMINAL = "operator"


@dataclass(frozen=True, kw_only=True)
class Wish:
    """A role that somebody wants a person to have. days: the term; reason: in words."""

    person: Person
    role: RoleName
    scope: str = ""
    days: int = MOST_DAYS
    reason: str

    @property
    def terms(self) -> dict[str, str]:
        """What both people agree to."""
        return {
            "person": str(self.person.id), "role": self.role.value, "scope": self.scope, "days": str(self.days),
            "reason": self.reason.strip(),
        }  # fmt: skip

    @classmethod
    def of(cls, approval: Approval) -> Wish:
        """The wish that an approval is of."""
        said = approval.said
        return cls(
            person=Person.objects.select_related("account").get(id=said["person"]),
            role=RoleName(said["role"]),
            scope=said["scope"],
            days=int(said["days"]),
            reason=said["reason"],
        )


def give(wish: Wish, *, actor: str, now: datetime) -> Role | None:
    """Give a role, or record the wish; None if a second person must agree.

    Raises: Refused(ILLEGAL_MOVE) without a role that allows it, and for emergency access, which two people open
    (`opening`); Refused(BAD_PROOF, ACCOUNT_NOT_ACTIVE, SEPARATION_OF_DUTIES) as `appointments.give`.
    """
    if wish.role == RoleName.EMERGENCY:
        raise Refused(Reason.ILLEGAL_MOVE)

    def work(account: Account) -> Role | None:
        proposal = Proposal(GIVE, _about(wish), Verb.APPOINT, (wish.person,), wish.terms, always=True)
        is_first = acts_alone(actor, wish.role, now=now)
        if is_first:
            roles.require_as(actor, Verb.APPOINT, about=wish.person, now=now)
        first = None if is_first else two_managers.first_beside(proposal, actor=actor, now=now)
        appointment = Appointment(
            person=wish.person,
            role=wish.role,
            scope=wish.scope,
            until=now + timedelta(days=wish.days),
            reason=wish.reason,
            given_by=first.by if first is not None else actor,
            seconded_by=actor if first is not None else "",
        )
        appointments.require_possible(account, appointment, now=now)
        if not is_first and not two_managers.agreed(account, proposal, actor=actor, now=now):
            return None
        made = appointments.give(account, appointment, now=now)
        _tell(wish.person, wish.role, "given", now=now)
        return made

    return under_lock(wish.person.account_id, work)


def end(row: Role, *, because: str, actor: str, now: datetime) -> bool:
    """End a role; False if a second person must agree.

    Raises: Refused(ILLEGAL_MOVE) if it has ended, or without a role that allows it; Refused(BAD_PROOF) for a reason
    that says too little.
    """
    words = because.strip()
    if not LEAST_WORDS <= len(words) <= MOST_WORDS or not words.isprintable():
        raise Refused(Reason.BAD_PROOF)

    def work(account: Account) -> bool:
        if not Role.objects.filter(id=row.id, ended_at__isnull=True).exists():
            raise Refused(Reason.ILLEGAL_MOVE)
        proposal = Proposal(END, row.id, Verb.APPOINT, (row.person,), because=words, always=True)
        is_first = acts_alone(actor, RoleName(row.role), now=now)
        if is_first:
            roles.require_as(actor, Verb.APPOINT, about=row.person, now=now)
        if not is_first and not two_managers.agreed(account, proposal, actor=actor, now=now):
            return False
        appointments.end(account, row, because=words, actor=actor, now=now)
        _tell(row.person, RoleName(row.role), "ended", now=now)
        return True

    return under_lock(row.person.account_id, work)


def acts_alone(actor: str, role: RoleName, *, now: datetime) -> bool:
    """True for a terminal while fewer than two managers could agree; once there are operators, about managers only."""
    if actor.partition(":")[0] != _TERMINAL or not roles.may_as(actor, Verb.APPOINT, now=now):
        return False
    if role != RoleName.MANAGER and roles.has_operators(now=now):
        return False
    return _managers(now=now) < _LEAST_MANAGERS


def _managers(*, now: datetime) -> int:
    """The number of managers, with the suspended ones: nobody becomes the only one by suspending the others."""
    rows = Role.objects.filter(role=RoleName.MANAGER, ended_at__isnull=True, until__gt=now)
    present = rows.filter(epoch=F("person__account__epoch")).exclude(person__account__status=AccountStatus.TERMINATED)
    return present.values("person").distinct().count()


def waiting(*, now: datetime) -> QuerySet[Approval]:
    """The wishes that wait for a second person, oldest first."""
    return two_managers.waiting(GIVE, END, now=now)


def _about(wish: Wish) -> str:
    return f"{wish.person.id}:{wish.role.value}"


def _tell(person: Person, role: RoleName, change: str, *, now: datetime) -> None:
    payload: dict[str, object] = {"of": str(person.account_id), "role": role.value, "change": change}
    notices.tell("role.changed", payload, RoleName.MANAGER, RoleName.AUDITOR, now=now, also=[person])
