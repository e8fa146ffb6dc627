"""Access requests: request, check against the rule, approval for a period or refusal with a reason, removal.

See EN-1, P34. The states and deadlines are those of every request (`derived.rules.requests`): nobody approves after
seven days, or in a role that they have only since the request. Nobody decides on their own access or on their own
request. Assigned access counts in the epoch of its request, while its rule matches the person, and until it expires;
`scim.access.entitlements` checks all of that at every use.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction
from django.db.models import F, Q

from derived.errors import Reason, Refused
from derived.ledger import audit, outbox
from derived.ledger.locking import under_lock
from derived.rules import requests as machine
from derived.rules.requests import Approval, Move, RequestState, Standing
from scim.access import roles, same_human
from scim.access.belonging import groups_of
from scim.access.entitlements import decides_all, matches, owned_by
from scim.models import Access, AccessRule, AccessState, Person

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet

    from derived.models import Account

_OPEN = (AccessState.REQUESTED, AccessState.ASSIGNED)
_LONGEST = 300
_NOT_IN_TIME = "nobody decided on it in time"


def requestable_rules(person: Person) -> list[AccessRule]:
    """The rules under which a person could request access: matching, with approval, and not yet requested."""
    within = groups_of(person)
    waiting = person.accesses.filter(state__in=_OPEN, epoch=person.account.epoch).values_list("rule_id", flat=True)
    rules = (
        AccessRule.objects.filter(by_request=True, ended_at__isnull=True)
        .exclude(id__in=list(waiting))
        .order_by("client_key", "id")
    )
    return [rule for rule in rules if matches(rule, person, within=within)]


def request_access(person: Person, rule: AccessRule, *, purpose: str, now: datetime, actor: str) -> Access:
    """Request access under a rule, for a purpose.

    Raises: Refused(NOT_ENTITLED) if the rule does not match the person; Refused(ILLEGAL_MOVE) if it was requested
    before.
    """

    def work(account: Account) -> Access:
        fresh = Person.objects.get(id=person.id)
        if not account.is_active:
            raise Refused(Reason.ACCOUNT_NOT_ACTIVE)
        if not rule.by_request or not purpose.strip() or not _holds(rule, fresh):
            raise Refused(Reason.NOT_ENTITLED)
        end_stale(fresh, account, now=now, actor=actor)
        try:
            with transaction.atomic():
                made = Access.objects.create(
                    person=fresh,
                    rule=rule,
                    purpose=purpose.strip()[:_LONGEST],
                    requested_by=actor,
                    requested_at=now,
                    epoch=account.epoch,
                )
        except IntegrityError:
            raise Refused(Reason.ILLEGAL_MOVE) from None
        _event(account, "access.requested", made, now=now, actor=actor)
        return made

    return under_lock(person.account_id, work)


def approve(access: Access, *, by: Person | None, now: datetime, actor: str, days: int | None = None) -> None:
    """Approve a request for a number of days (default: the rule's most); the rule is checked again.

    by: the manager or owner, None for an operator at a terminal.
    Raises: Refused(ILLEGAL_MOVE) if the request is not waiting, is the decider's own, is outside their authority, or
    the period exceeds the rule's; Refused(NOT_ENTITLED) if the rule no longer matches.
    """
    _decide(access, by=by, days=days, reason="", approve=True, now=now, actor=actor)


def refuse(access: Access, *, reason: str, by: Person | None, now: datetime, actor: str) -> None:
    """Refuse a request, with a reason for the person.

    Raises: Refused(ILLEGAL_MOVE) as `approve`, and without a reason.
    """
    if not reason.strip():
        raise Refused(Reason.ILLEGAL_MOVE)
    _decide(access, by=by, days=None, reason=reason.strip()[:_LONGEST], approve=False, now=now, actor=actor)


def _decide(  # noqa: PLR0913
    access: Access, *, by: Person | None, days: int | None, reason: str, approve: bool, now: datetime, actor: str
) -> None:
    def work(account: Account) -> None:
        row = Access.objects.select_related("rule", "person").get(id=access.id)
        lasts = row.rule.most_days if days is None else days
        if row.state != AccessState.REQUESTED or row.epoch != account.epoch or not 1 <= lasts <= row.rule.most_days:
            raise Refused(Reason.ILLEGAL_MOVE)
        if by is not None and (is_own(row, by) or not _decides(by, row, now=now)):
            raise Refused(Reason.ILLEGAL_MOVE)
        if is_decided_by_requester(row, actor=actor):
            raise Refused(Reason.ILLEGAL_MOVE)
        if approve and not (account.is_active and _holds(row.rule, row.person)):
            raise Refused(Reason.NOT_ENTITLED)
        moved = machine.after(_standing(row), Move.APPROVE if approve else Move.REFUSE, now=now, by=actor)
        if isinstance(moved, Reason):
            if moved == Reason.REQUEST_EXPIRED:
                _end(row, account, _NOT_IN_TIME, now=now, actor="system")
            raise Refused(moved, spends=moved == Reason.REQUEST_EXPIRED)
        row.state = _DECIDED[moved.state]
        row.decided_by, row.decided_at, row.reason = actor, now, reason
        row.expires_at = now + timedelta(days=lasts) if approve else None
        row.save(update_fields=["state", "decided_by", "decided_at", "reason", "expires_at"])
        _event(account, "access.assigned" if approve else "access.refused", row, now=now, actor=actor)
        _tell(account, row, now=now)

    under_lock(access.person.account_id, work)


_DECIDED = {RequestState.APPROVED: AccessState.ASSIGNED, RequestState.REFUSED: AccessState.REFUSED}


def _standing(row: Access) -> Standing:
    """A waiting request for access, as the machine of all requests sees it: one approval, within seven days."""
    deadline = row.requested_at + machine.WAITING_LASTS
    return Standing(state=RequestState.WAITING, approval=Approval.ONE, deadline=deadline)


def _decides(person: Person, row: Access, *, now: datetime) -> bool:
    """True if a person decides on this request, in a role that they had before it."""
    scope = roles.scope_of(row.rule.client_key, row.rule.entitlement)
    answer = roles.may(person, roles.Verb.APPROVE, about=row.person, scope=scope, now=now)
    return answer.by is not None and (answer.by.since is None or answer.by.since <= row.requested_at)


def is_decided_by_requester(access: Access, *, actor: str) -> bool:
    """True if this actor asked, or it is for them; a nameless operator may be the one who asked without a name."""
    person = same_human.of_actor(actor)
    return access.requested_by == actor or (person is not None and is_own(access, person))


def is_own(access: Access, person: Person) -> bool:
    """True if the person, under whatever record, requested this access, or it is for them."""
    asked = same_human.of_actor(access.requested_by)
    return (
        access.requested_by == actor_of(person)
        or same_human.may_be_one(access.person, person)
        or (asked is not None and same_human.may_be_one(asked, person))
    )


def withdraw(access: Access, *, now: datetime, actor: str) -> None:
    """Withdraw one's own request, or give up one's assigned access.

    Raises: Refused(ILLEGAL_MOVE) if it is neither waiting nor assigned.
    """
    _remove(access, _OPEN, "withdrawn", now=now, actor=actor)


def remove(access: Access, *, now: datetime, actor: str) -> None:
    """Remove assigned access.

    Raises: Refused(ILLEGAL_MOVE) if it is not assigned.
    """
    _remove(access, (AccessState.ASSIGNED,), "taken away", now=now, actor=actor)


def _remove(access: Access, states: tuple[AccessState, ...], why: str, *, now: datetime, actor: str) -> None:
    def work(account: Account) -> None:
        row = Access.objects.select_related("rule").get(id=access.id)
        if row.state not in states:
            raise Refused(Reason.ILLEGAL_MOVE)
        _end(row, account, why, now=now, actor=actor)

    under_lock(access.person.account_id, work)


def end_disallowed(person: Person, *, now: datetime, actor: str) -> int:
    """End access that a person's changed attributes, groups or roles no longer allow (EN-1); returns the number."""
    return under_lock(
        person.account_id, lambda account: end_stale(Person.objects.get(id=person.id), account, now=now, actor=actor)
    )


def end_all_disallowed(*, now: datetime, actor: str) -> int:
    """`end_disallowed` for every person with open access; only accounts that lose any are locked."""
    people = Person.objects.filter(accesses__state__in=_OPEN).distinct().select_related("account")
    return sum(
        end_disallowed(person, now=now, actor=actor)
        for person in people.iterator(chunk_size=500)
        if _stale(person, person.account, now=now)
    )


def waiting_for(decider: Person | None = None, *, now: datetime) -> QuerySet[Access]:
    """The waiting requests, oldest first; decider: only those that this manager or owner decides on."""
    rows = Access.objects.filter(
        state=AccessState.REQUESTED, epoch=F("person__account__epoch"), rule__ended_at__isnull=True
    )
    if decider is not None and not decides_all(decider, now=now):
        theirs = Q(pk__in=[])
        for client_key, entitlement in owned_by(decider, now=now):
            theirs |= Q(rule__client_key=client_key, **({"rule__entitlement": entitlement} if entitlement else {}))
        rows = rows.filter(theirs)
    return rows.select_related("person__account", "rule").order_by("requested_at")


def actor_of(person: Person) -> str:
    """The actor name of a person who requests or decides."""
    return f"person:{person.id}"


def end_rule(rule: AccessRule, *, now: datetime) -> int:
    """End a rule and the access assigned by it; returns the number of ended accesses."""
    with transaction.atomic():
        AccessRule.objects.filter(id=rule.id, ended_at__isnull=True).update(ended_at=now)
    people = list(Person.objects.filter(accesses__rule=rule, accesses__state__in=_OPEN).distinct())
    return sum(end_disallowed(person, now=now, actor="operator") for person in people)


def _holds(rule: AccessRule, person: Person) -> bool:
    return AccessRule.objects.filter(id=rule.id, ended_at__isnull=True).exists() and matches(rule, person)


def end_stale(person: Person, account: Account, *, now: datetime, actor: str) -> int:
    """`end_disallowed`, for callers that hold the account's lock."""
    stale = _stale(person, account, now=now)
    for row, why in stale:
        _end(row, account, why, now=now, actor=actor)
    return len(stale)


def _stale(person: Person, account: Account, *, now: datetime) -> list[tuple[Access, str]]:
    """The open accesses that no longer apply, with reasons."""
    rows = list(person.accesses.filter(state__in=_OPEN).select_related("rule"))
    within = groups_of(person) if any(row.rule.kind == "group" for row in rows) else frozenset()
    found = []
    for row in rows:
        if row.epoch != account.epoch:
            found.append((row, "the account ended meanwhile"))
        elif row.rule.ended_at is not None:
            found.append((row, "its rule ended"))
        elif not matches(row.rule, person, within=within):
            found.append((row, "its rule does not hold of you any more"))
        elif row.state == AccessState.REQUESTED and _standing(row).is_over(now=now):
            found.append((row, _NOT_IN_TIME))
        elif row.state == AccessState.ASSIGNED and (row.expires_at is None or row.expires_at <= now):
            found.append((row, "its time is over"))
    return found


def still_holds(access: Access, person: Person, *, now: datetime) -> bool:
    """True if a request waits, or assigned access counts, now."""
    return access.state in _OPEN and access.id not in {row.id for row, _ in _stale(person, person.account, now=now)}


def _end(row: Access, account: Account, why: str, *, now: datetime, actor: str) -> None:
    row.state, row.ended_at, row.reason = AccessState.REMOVED, now, why
    row.save(update_fields=["state", "ended_at", "reason"])
    _event(account, "access.removed", row, now=now, actor=actor)
    if account.is_active and why != "withdrawn":
        _tell(account, row, now=now)


def _tell(account: Account, row: Access, *, now: datetime) -> None:
    outbox.enqueue(
        kind="access.changed", receiver=f"mail:{account.id}", account=account, payload={"access": row.id}, now=now
    )


def _event(account: Account, kind: str, row: Access, *, now: datetime, actor: str) -> None:
    body = {
        "access": row.id,
        "rule": row.rule_id,
        "client_id": row.rule.client_key,
        "entitlement": row.rule.entitlement,
    }
    if kind == "access.assigned" and row.expires_at is not None:
        body["until"] = row.expires_at.isoformat()
    if kind == "access.removed":
        body["because"] = row.reason
    audit.record(account, kind, now=now, actor=actor, body=body)
