"""Who may enter which client, and as what: request, review against the rule, approve, assign, remove on change (EN-1, C16, P34).

The questions `may_enter` and `claims_for` are answered from the database at every use: a rule that no longer holds of a person
opens nothing at their next step, whether anybody has tidied up or not. A role counts only where its source is trusted for `roles`
by name; a group counts because the operator named it (ruling 10).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, transaction
from django.db.models import F

from derived import audit
from derived.errors import Reason, Refused
from derived.locking import under_lock
from scim import trust
from scim.models import Access, AccessRule, AccessState, Group, Membership, Person
from scim.values import fold

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from django.db.models import QuerySet

    from derived.models import Account
    from scim.schema import Json

KINDS = ("everyone", "person", "group", "role", "attribute")
_DEEPEST = 16


# --- the questions ----------------------------------------------------------------------------------------------------


def may_enter(person: Person, client_key: str) -> bool:
    """Whether a person may enter a client now; one without rules admits everybody."""
    rules = _rules(client_key)
    return not rules or bool(_held(person, rules))


def claims_for(person: Person, client_key: str) -> dict[str, list[str]]:
    """What a client is told of a person's access: of entitlements, groups and roles those that its own rules name, and no others."""
    held = _held(person, _rules(client_key))
    groups = {rule.subject for rule in held if rule.kind == "group"}
    named = Group.objects.filter(id__in=groups).order_by("display_name").values_list("display_name", flat=True) if groups else []
    found = {
        "entitlements": sorted({rule.entitlement for rule in held if rule.entitlement}),
        "groups": list(named),
        "roles": sorted({rule.subject for rule in held if rule.kind == "role"}),
    }
    return {name: values for name, values in found.items() if values}


def matches(rule: AccessRule, person: Person, *, within: frozenset[str] | None = None) -> bool:
    """Whether a rule is about a person now; within: the ids of their groups, if they are known already."""
    match rule.kind:
        case "everyone":
            return True
        case "person":
            return rule.subject == str(person.id)
        case "group":
            return rule.subject in (groups_of(person) if within is None else within)
        case "role":
            return rule.subject in _values(person.profile.get("roles"))
        case "attribute":
            name, _, wanted = rule.subject.partition("=")
            return fold(wanted) in {fold(one) for one in _values(_attribute(person, name))}
        case _:
            return False


def groups_of(person: Person) -> frozenset[str]:
    """The ids of every group that a person is in, through any of their records, directly or through another group."""
    rows = Membership.objects.filter(record__person=person, record__deleted_at__isnull=True, group__deleted_at__isnull=True)
    found = level = set(rows.values_list("group_id", flat=True))
    for _ in range(_DEEPEST):
        if not level:
            break
        above = Membership.objects.filter(child__in=level, group__deleted_at__isnull=True)
        level = set(above.values_list("group_id", flat=True)) - found
        found = found | level
    return frozenset(str(one) for one in found)


def _rules(client_key: str) -> list[AccessRule]:
    return list(AccessRule.objects.filter(client_key=client_key, ended_at__isnull=True).order_by("id"))


def _held(person: Person, rules: Sequence[AccessRule]) -> list[AccessRule]:
    """The rules by which a person has access: they match, and were approved where that is needed."""
    if not rules:
        return []
    within = groups_of(person) if any(rule.kind == "group" for rule in rules) else frozenset()
    matching = [rule for rule in rules if matches(rule, person, within=within)]
    assigned: set[int] = set()
    if any(rule.by_request for rule in matching):
        assigned = set(_assigned(person).values_list("rule_id", flat=True))
    return [rule for rule in matching if not rule.by_request or rule.id in assigned]


def _assigned(person: Person) -> QuerySet[Access]:
    return Access.objects.filter(person=person, state=AccessState.ASSIGNED, epoch=F("person__account__epoch"))


def _attribute(person: Person, full_name: str) -> Json:
    extension, _, name = full_name.rpartition(":")
    home = person.profile.get(extension, {}) if extension else person.profile
    return home.get(name) if isinstance(home, dict) else None


def _values(value: Json) -> list[str]:
    given = value if isinstance(value, list) else [value]
    return [str(one.get("value") if isinstance(one, dict) else one) for one in given if one not in (None, "")]


# --- the operator's rules ---------------------------------------------------------------------------------------------


def add_rule(client_key: str, kind: str, subject: str = "", *, entitlement: str = "", by_request: bool = False, now: datetime) -> AccessRule:  # noqa: PLR0913
    """From now on only whom the rules of this client admit may enter it.

    Raises: ValueError for a kind, a group, a person or an attribute that does not exist.
    """
    if kind == "attribute":
        name, equals, value = subject.partition("=")
        if not equals or not value:
            message = "an attribute rule is written name=value, as in department=IT"
            raise ValueError(message)
        subject = f"{next(iter(trust.named([name])))}={value}"
    elif (why := _unknown(kind, subject)) is not None:
        raise ValueError(why)
    return AccessRule.objects.create(
        client_key=client_key, kind=kind, subject=subject, entitlement=entitlement, by_request=by_request, created_at=now
    )


def _unknown(kind: str, subject: str) -> str | None:
    if kind not in KINDS:
        return f"a rule is about one of {', '.join(KINDS)}"
    rows: dict[str, Any] = {"group": Group.objects.filter(deleted_at__isnull=True), "person": Person.objects}
    if kind in rows:
        import uuid  # noqa: PLC0415 - an id in our one spelling

        try:
            known = rows[kind].filter(id=uuid.UUID(subject)).exists()
        except ValueError:
            known = False
        return None if known else f"there is no {kind} {subject}"
    return "a role rule names a role" if kind == "role" and not subject else None


def end_rule(rule: AccessRule, *, now: datetime) -> int:
    """A rule ends, and what was assigned by it; how many people that were."""
    with transaction.atomic():
        AccessRule.objects.filter(id=rule.id, ended_at__isnull=True).update(ended_at=now)
    people = list(Person.objects.filter(accesses__rule=rule, accesses__state__in=["requested", "assigned"]).distinct())
    return sum(review(person, now=now, actor="operator") for person in people)


# --- request, approve, remove -----------------------------------------------------------------------------------------


def may_ask(person: Person) -> list[AccessRule]:
    """What a person could ask for: rules that match and need a yes, and that they neither have nor wait for."""
    within = groups_of(person)
    waiting = person.accesses.filter(state__in=["requested", "assigned"], epoch=person.account.epoch).values_list("rule_id", flat=True)
    rules = AccessRule.objects.filter(by_request=True, ended_at__isnull=True).exclude(id__in=list(waiting)).order_by("client_key", "id")
    return [rule for rule in rules if matches(rule, person, within=within)]


def ask(person: Person, rule: AccessRule, *, purpose: str, now: datetime, actor: str) -> Access:
    """Ask for what a rule offers, for a purpose.

    Raises: Refused(NOT_ENTITLED) where the rule is not about this person; Refused(ILLEGAL_MOVE) where it was asked already.
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
                    person=fresh, rule=rule, purpose=purpose.strip()[:300], requested_by=actor, requested_at=now, epoch=account.epoch
                )
        except IntegrityError:
            raise Refused(Reason.ILLEGAL_MOVE) from None
        _event(account, "access.requested", made, now=now, actor=actor)
        return made

    return under_lock(person.account_id, work)


def decide(access: Access, *, approve: bool, by: Person | None, now: datetime, actor: str) -> None:
    """A yes or a no, by somebody who neither asked nor gets it; the rule is compared again.

    by: the manager, None for an operator at a terminal. Raises: Refused(ILLEGAL_MOVE) where nothing waits, or where it is
    one's own; Refused(NOT_ENTITLED) where the rule no longer holds.
    """
    if by is not None and (by.id == access.person_id or access.requested_by == name_of(by)):
        raise Refused(Reason.ILLEGAL_MOVE)

    def work(account: Account) -> None:
        row = Access.objects.select_related("rule", "person").get(id=access.id)
        if row.state != AccessState.REQUESTED or row.epoch != account.epoch:
            raise Refused(Reason.ILLEGAL_MOVE)
        if approve and not (account.is_active and _holds(row.rule, row.person)):
            raise Refused(Reason.NOT_ENTITLED)
        row.state = AccessState.ASSIGNED if approve else AccessState.REFUSED
        row.decided_by, row.decided_at = actor, now
        row.save(update_fields=["state", "decided_by", "decided_at"])
        _event(account, "access.assigned" if approve else "access.refused", row, now=now, actor=actor)

    under_lock(access.person.account_id, work)


def remove(access: Access, *, now: datetime, actor: str) -> None:
    """Take it away.

    Raises: Refused(ILLEGAL_MOVE) where it is not assigned.
    """

    def work(account: Account) -> None:
        row = Access.objects.select_related("rule").get(id=access.id)
        if row.state != AccessState.ASSIGNED:
            raise Refused(Reason.ILLEGAL_MOVE)
        _end(row, account, now=now, actor=actor)

    under_lock(access.person.account_id, work)


def review(person: Person, *, now: datetime, actor: str) -> int:
    """End what a person's changed attributes, groups or roles no longer allow; how much that was. A mover loses the old (EN-1)."""
    return under_lock(person.account_id, lambda account: end_stale(Person.objects.get(id=person.id), account, now=now, actor=actor))


def review_all(*, now: datetime, actor: str) -> int:
    """`review` for everybody who has or wants anything."""
    people = Person.objects.filter(accesses__state__in=["requested", "assigned"]).distinct()
    return sum(review(person, now=now, actor=actor) for person in people)


def waiting() -> QuerySet[Access]:
    """The requests that wait for a manager, the oldest first."""
    rows = Access.objects.filter(state=AccessState.REQUESTED, epoch=F("person__account__epoch"), rule__ended_at__isnull=True)
    return rows.select_related("person__account", "rule").order_by("requested_at")


def name_of(person: Person) -> str:
    """How the record names a person who asks or decides."""
    return f"person:{person.id}"


def _holds(rule: AccessRule, person: Person) -> bool:
    return AccessRule.objects.filter(id=rule.id, ended_at__isnull=True).exists() and matches(rule, person)


def end_stale(person: Person, account: Account, *, now: datetime, actor: str) -> int:
    """`review`, for whoever holds the account's lock."""
    rows = list(person.accesses.filter(state__in=["requested", "assigned"]).select_related("rule"))
    stale = [row for row in rows if row.epoch != account.epoch or row.rule.ended_at is not None or not matches(row.rule, person)]
    for row in stale:
        _end(row, account, now=now, actor=actor)
    return len(stale)


def _end(row: Access, account: Account, *, now: datetime, actor: str) -> None:
    row.state, row.ended_at = AccessState.REMOVED, now
    row.save(update_fields=["state", "ended_at"])
    _event(account, "access.removed", row, now=now, actor=actor)


def _event(account: Account, kind: str, row: Access, *, now: datetime, actor: str) -> None:
    body = {"access": row.id, "rule": row.rule_id, "client_id": row.rule.client_key, "entitlement": row.rule.entitlement}
    audit.record(account, kind, now=now, actor=actor, body=body)
