"""Who may ask for whom, and who decides on a request for a credential (RQ-2, RQ-3).

In one issuance the subject, the requester, every approver and the officer of an identity check are different human
beings. An approver has their role from before the request, and still has it when the credential is collected. A
delegate decides for an approver of the same role, one level deep, for 30 days at most.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db.models import Q

from derived.changes import identity_checks, requests
from derived.errors import Reason, Refused
from derived.ledger.locking import under_locks
from derived.models import Account
from derived.rules.requests import Approval
from derived.rules.rulebook import GROUP, MANAGER, SUPERVISOR
from scim.access import roles, same_human
from scim.access.roles import Verb
from scim.models import DecisionSystem, Delegation, Membership, Person, RoleName

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from uuid import UUID

    from django.db.models import QuerySet

    from derived.changes.requests import Asking
    from derived.models import Request, RequestDecision

SELF, SYSTEM = "self", "system"
_TERMINAL = "operator"
LONGEST_DELEGATION = timedelta(days=30)


# --- roles ------------------------------------------------------------------------------------------------------------


def role_towards(asker: Person, subject: Person, *, now: datetime) -> str:
    """The role in which somebody asks for a subject: self, supervisor or manager.

    Raises: Refused(NOT_ENTITLED).
    """
    if asker.id == subject.id:
        return SELF
    answer = roles.may(asker, Verb.ASK, about=subject, now=now)
    if answer.by is None:
        raise Refused(Reason.NOT_ENTITLED)
    return SUPERVISOR if answer.by.name == RoleName.SUPERVISOR else MANAGER


def stands(row: Request, *, now: datetime) -> bool:
    """True unless the authority by which somebody asked is gone: they left, or are neither supervisor nor manager."""
    if row.role == SELF or row.requester_id is None:
        return True
    requester = Person.objects.select_related("account").get(account=row.requester_id)
    if not requester.account.is_active:
        return False
    try:
        return bool(role_towards(requester, _subject(row), now=now))
    except Refused:
        return False


def groups_asked(row: Request, *, now: datetime) -> list[str]:
    """The groups of approvers that are asked by now; managers too where none is left, or nobody in them may decide."""
    asked = list(row.approvers[: row.stage + 1])
    if row.stage >= len(row.approvers) or not any(_has_somebody(row, group, now=now) for group in asked):
        asked.append(MANAGER)
    return list(dict.fromkeys(asked))


def _has_somebody(row: Request, group: str, *, now: datetime) -> bool:
    """True if somebody in a group neither asked nor is the subject: whoever asked as a supervisor does not approve."""
    return any(not is_involved(one, row, now=now) for one in _members(row, group, now=now))


def _members(row: Request, group: str, *, now: datetime) -> list[Person]:
    """The people of one group of approvers of a request, who are active."""
    subject = _subject(row)
    match group:
        case "supervisor":
            found = roles.supervisor_of(subject)
            people = [found] if found is not None else []
        case "manager":
            people = roles.holders(RoleName.MANAGER, now=now)
        case _:
            rows = _memberships(group).select_related("record__person__account")
            people = [one.record.person for one in rows if one.record is not None]
    return [one for one in dict.fromkeys(people) if one.account.is_active]


def approvers(row: Request, *, now: datetime) -> list[Person]:
    """The people who may decide on a request now, with the delegates of those who delegated."""
    people = [one for group in groups_asked(row, now=now) for one in _members(row, group, now=now)]
    to = [one.to for giver in people for one in delegations(now=now).filter(by=giver)]
    return [one for one in dict.fromkeys([*people, *to]) if refusal(one, row, now=now) is None]


def _memberships(group: str) -> QuerySet[Membership]:
    """The direct memberships of a group of approvers, named `group:SOURCE/NAME`."""
    source, _, name = group.removeprefix(GROUP).partition("/")
    return Membership.objects.filter(
        group__source__name=source,
        group__display_name=name,
        group__deleted_at__isnull=True,
        group__source__disabled_at__isnull=True,
        record__adopted=True,
        record__deleted_at__isnull=True,
    )


def _has_role(person: Person, group: str, row: Request, *, now: datetime) -> bool:
    """True if a person has the role of this group, since before the request."""
    match group:
        case "supervisor":
            found = roles.supervises(person, _subject(row))
            return found is not None and (found.since is None or found.since <= row.created_at)
        case "manager":
            held = roles.live(now=now).filter(person=person, role=RoleName.MANAGER, since__lte=row.created_at)
            return held.exists()
        case _:
            return _memberships(group).filter(record__person=person, added_at__lte=row.created_at).exists()


# --- decisions --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Seat:
    """In which role a person decides on a request. acting_for: the approver whose delegate they are."""

    role: str
    acting_for: Person | None = None


def seat(person: Person, row: Request, *, now: datetime) -> Seat | None:
    """The role in which a person decides on a request, or None."""
    groups = groups_asked(row, now=now)
    for group in groups:
        if _has_role(person, group, row, now=now):
            return Seat(role=group)
    for given in delegations(now=now).filter(to=person, since__lte=row.created_at).select_related("by__account"):
        for group in groups:
            if given.by.account.is_active and _has_role(given.by, group, row, now=now):
                return Seat(role=group, acting_for=given.by)
    return None


def refusal(person: Person, row: Request, *, now: datetime) -> Reason | None:
    """The reason why a person does not decide on a request now, or None."""
    found = seat(person, row, now=now)
    if found is None or not person.account.is_active or row.approval == Approval.SYSTEM:
        return Reason.NOT_AN_APPROVER
    others = row.decisions.filter(void_at__isnull=True).select_related("account__person", "acting_for__person")
    decided = [one.person for each in others for one in (each.account, each.acting_for) if one is not None]
    mine = [person, *([found.acting_for] if found.acting_for else [])]
    if any(is_involved(one, row, now=now) for one in mine):
        return Reason.ILLEGAL_MOVE
    if any(same_human.may_be_one(one, other) for one in mine for other in decided):
        return Reason.ILLEGAL_MOVE
    return None


def is_involved(person: Person, row: Request, *, now: datetime) -> bool:
    """True for the subject, the requester, the officer of an identity check, and the delegates of the first two."""
    asked_by = same_human.of_actor(row.requested_by)
    if asked_by is None and row.requester is not None:
        asked_by = row.requester.person
    subjects = [_subject(row), *([asked_by] if asked_by else [])]
    check = identity_checks.unused(row.account, now=now)
    officer = same_human.of_actor(check.officer) if check is not None else None
    involved = [*subjects, *([officer] if officer else [])]
    if any(same_human.may_be_one(person, one) for one in involved):
        return True
    since = Q(ended_at__isnull=True) | Q(ended_at__gt=row.created_at)
    return Delegation.objects.filter(since, by__in=subjects, to=person, until__gt=row.created_at).exists()


def counts(decision: RequestDecision, *, now: datetime) -> bool:
    """True if an approval still counts: its approver is active, of the same epoch, in the role, and another human."""
    row = decision.request
    if decision.role == SYSTEM:
        name = decision.by.removeprefix("system:")
        system = DecisionSystem.objects.filter(name=name, ended_at__isnull=True).select_related("owner").first()
        return system is not None and not is_involved(system.owner, row, now=now)
    if decision.account_id is None or row.approval == Approval.SYSTEM:
        return False
    account = Account.objects.select_related("person").get(id=decision.account_id)
    people = [account.person, *([decision.acting_for.person] if decision.acting_for else [])]
    holder = people[-1]
    is_there = account.is_active and account.epoch == decision.epoch and holder.account.is_active
    return (
        is_there
        and _has_role(holder, decision.role, row, now=now)
        and (len(people) == 1 or _delegates(holder, people[0], now=now))
        and not any(is_involved(one, row, now=now) for one in people)
        and not any(same_human.may_be_one(one, other) for one in people for other in _other_approvers(decision))
    )


def _other_approvers(decision: RequestDecision) -> list[Person]:
    """The people of the other approvals of a request: two that turn out to be one human being do not count."""
    rows = decision.request.decisions.filter(approves=True, void_at__isnull=True).exclude(id=decision.id)
    others = rows.select_related("account__person", "acting_for__person")
    return [one.person for each in others for one in (each.account, each.acting_for) if one is not None]


def _delegates(giver: Person, to: Person, *, now: datetime) -> bool:
    return delegations(now=now).filter(by=giver, to=to).exists()


def _subject(row: Request) -> Person:
    found: Person = row.account.person
    return found


@dataclass(frozen=True, kw_only=True)
class Decision:
    """A person's decision, of the terms with the hash `shown`.

    at_terminal: by a command, which cannot prove who types it.
    """

    approves: bool
    words: str
    shown: str
    at_terminal: bool = False


def decide(
    row: Request,
    person: Person,
    decision: Decision,
    present: Callable[[Request], tuple[dict[str, object], Approval]],
    *,
    now: datetime,
) -> Request:
    """Decide on a request, with its subject, requester and approvers locked.

    present: the terms as they are now, and the approval that the rules of now ask.
    Raises: Refused(NOT_AN_APPROVER), Refused(ILLEGAL_MOVE) for the same human being; as `requests.decide`.
    """

    def work(fresh: Request) -> Request:
        deciding = Person.objects.select_related("account").get(id=person.id)
        if not stands(fresh, now=now):
            requests.lapse(fresh, Reason.NOT_ENTITLED, now=now)
            raise Refused(Reason.NOT_ENTITLED, spends=True)
        found = seat(deciding, fresh, now=now)
        if found is None:
            raise Refused(Reason.NOT_AN_APPROVER)
        if reason := refusal(deciding, fresh, now=now):
            raise Refused(reason)
        if decision.at_terminal and _was_at_terminal(fresh):
            raise Refused(Reason.ILLEGAL_MOVE)
        terms, approval = present(fresh)
        made = requests.Deciding(
            by=f"{_TERMINAL if decision.at_terminal else 'person'}:{deciding.id}",
            role=found.role,
            approves=decision.approves,
            words=decision.words,
            shown=decision.shown,
            terms=terms,
            approval=approval,
            account=deciding.account,
            acting_for=found.acting_for.account if found.acting_for else None,
        )
        return requests.decide(fresh, made, now=now)

    giver = seat(person, row, now=now)
    also = [person.account_id, *([giver.acting_for.account_id] if giver and giver.acting_for else [])]
    return requests.under_locks_of(row.id, work, also=tuple(also))


def _was_at_terminal(row: Request) -> bool:
    """True if the request, or an approval of it, came from a terminal: names that one shell types are one human."""
    typed = row.decisions.filter(void_at__isnull=True, by__startswith=f"{_TERMINAL}:")
    return row.requested_by.startswith(f"{_TERMINAL}:") or typed.exists()


def ask(subject: Person, asker: Person, asking: Callable[[Person, str], Asking], *, now: datetime) -> Request:
    """Ask for a credential of a subject, with both accounts locked.

    asking: the request of the subject for a role, as it is under the lock.
    Raises: Refused(NOT_ENTITLED); as `requests.ask`.
    """

    def work(locked: dict[UUID, Account]) -> Request:
        fresh = Person.objects.select_related("account").get(id=subject.id)
        requester = Person.objects.select_related("account").get(id=asker.id)
        if not requester.account.is_active:
            raise Refused(Reason.ACCOUNT_NOT_ACTIVE)
        role = role_towards(requester, fresh, now=now)
        return requests.ask(locked[subject.account_id], asking(fresh, role), now=now)

    return under_locks({subject.account_id, asker.account_id}, work)


def withdraw(row: Request, person: Person, *, now: datetime) -> Request:
    """Withdraw a request, by its subject or its requester.

    Raises: Refused(NOT_ENTITLED); as `requests.withdraw`.
    """

    def work(fresh: Request) -> Request:
        if person.account_id not in {fresh.account_id, fresh.requester_id}:
            raise Refused(Reason.NOT_ENTITLED)
        return requests.withdraw(fresh, by=f"person:{person.id}", now=now)

    return requests.under_locks_of(row.id, work)


# --- delegation -------------------------------------------------------------------------------------------------------


def delegations(*, now: datetime) -> QuerySet[Delegation]:
    """The delegations that hold now."""
    return Delegation.objects.filter(ended_at__isnull=True, since__lte=now, until__gt=now)


def delegate(by: Person, to: Person, *, until: datetime, now: datetime) -> Delegation:
    """Let another approver of the same role decide for `by`.

    Raises: Refused(NOT_ENTITLED) unless both have a role in common; Refused(ILLEGAL_MOVE) for the same human being, or
    more than 30 days.
    """
    if not now < until <= now + LONGEST_DELEGATION or same_human.may_be_one(by, to) or not to.account.is_active:
        raise Refused(Reason.ILLEGAL_MOVE)
    if not _roles(by, now=now) & _roles(to, now=now):
        raise Refused(Reason.NOT_ENTITLED)
    return Delegation.objects.create(by=by, to=to, since=now, until=until)


def _roles(person: Person, *, now: datetime) -> set[str]:
    """The roles that a person has by themselves, never as somebody's delegate."""
    found = {MANAGER} if roles.has(person, RoleName.MANAGER, now=now) else set()
    return found | ({SUPERVISOR} if roles.reports_of(person).exists() else set())


def end_delegation(given: Delegation, *, now: datetime) -> None:
    """End a delegation."""
    Delegation.objects.filter(id=given.id, ended_at__isnull=True).update(ended_at=now)
