"""Two different people for an act that one alone may not do: each has a role that allows it, and one is signed in.

The first one's approval is kept for a week; the second one's completes the act. A terminal is one side at most, since
nobody proves there who they are; it acts alone until somebody is an operator (`scim.access.roles.may_as`). A rule and a
source act alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from derived.ledger import audit
from scim.access import roles, same_human
from scim.models import Approval

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet

    from derived.models import Account
    from scim.access.roles import Verb
    from scim.models import Person

LIVES = timedelta(days=7)
_BECAUSE = "because"
_TERMINAL = "operator"


@dataclass(frozen=True)
class Proposal:
    """An act that needs two people. about: the id of the record, the person or the credential.

    verb: of the matrix of roles, which says whether a second person is needed. people: the subjects. said: the terms,
    for the second person to see and to agree to. because: a person's reason, of their own. always: a second one is
    needed although the role allows the act alone.
    """

    act: str
    about: object
    verb: Verb
    people: tuple[Person, ...]
    said: dict[str, str] = field(default_factory=dict)
    because: str = ""
    always: bool = False

    def is_of_same_terms(self, approval: Approval) -> bool:
        """True if an approval is of these terms, whatever its giver's reason."""
        return {name: value for name, value in approval.said.items() if name != _BECAUSE} == self.said

    def approvals(self, *, now: datetime) -> QuerySet[Approval]:
        """The approvals of the act that still count, on whatever terms, oldest first."""
        return approvals(self.act, self.about, now=now)

    def may_be_done_by(self, actor: str, *, now: datetime) -> bool:
        """True if the actor may do the act to each of its subjects, alone or with a second person."""
        return all(roles.may_as(actor, self.verb, about=one, now=now) for one in self.people)


def approvals(act: str, about: object, *, now: datetime) -> QuerySet[Approval]:
    """The approvals of an act that still count, on whatever terms, oldest first."""
    return Approval.objects.filter(act=act, about=str(about), at__gt=now - LIVES).order_by("at")


def agreed(account: Account, proposal: Proposal, *, actor: str, now: datetime) -> bool:
    """True if the act may be done now; else this approval is recorded, and a second person's is needed.

    account: locked by the caller.
    Raises: Refused(ILLEGAL_MOVE) if the roles of the actor do not allow the act.
    """
    answers = [roles.require_as(actor, proposal.verb, about=one, now=now) for one in proposal.people]
    if not proposal.always and not any(one.needs_second for one in answers):
        return True
    act, about = proposal.act, str(proposal.about)
    first = first_beside(proposal, actor=actor, now=now)
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


def first_beside(proposal: Proposal, *, actor: str, now: datetime) -> Approval | None:
    """The oldest approval of the same terms by another human being who may still do the act, or None."""
    return next(
        (
            one
            for one in proposal.approvals(now=now).exclude(by=actor)
            if proposal.is_of_same_terms(one)
            and proposal.may_be_done_by(one.by, now=now)
            and are_two_people(one.by, actor)
        ),
        None,
    )


def are_two_people(one: str, other: str) -> bool:
    """True if two actors are two human beings, of whom one at least is signed in."""
    people = [same_human.of_actor(actor) for actor in (one, other)]
    if {actor.partition(":")[0] for actor in (one, other)} == {_TERMINAL}:
        return False
    return people[0] is None or people[1] is None or not same_human.may_be_one(people[0], people[1])


def waiting(*acts: str, now: datetime) -> QuerySet[Approval]:
    """The approvals of these acts that still count, oldest first."""
    return Approval.objects.filter(act__in=acts, at__gt=now - LIVES).order_by("at")


def first_of(act: str, about: object, *, now: datetime) -> Approval | None:
    """The approval that waits for a second one, on whatever terms, or None."""
    return approvals(act, about, now=now).first()
