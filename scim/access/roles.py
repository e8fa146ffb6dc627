"""Roles: what each role may do, as one matrix, and `may`, the only question that pages, commands and SCIM ask (RL-1).

A role counts only while it is live: given in the present epoch of the person's account, which is active, and neither
ended, suspended nor past its time. Employees and supervisors have no rows: everybody is an employee, and a source that
is trusted for the attribute `manager` says who supervises whom. Nobody gives anything to themselves, under whatever
record (`scim.access.same_human`); everybody may stop their own things.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.db.models import F

from derived.errors import Reason, Refused
from derived.models import AccountStatus
from scim.access import same_human
from scim.models import GIVEN_ROLES, Person, Record, Role, RoleName
from scim.protocol.user import ENTERPRISE_URN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.db.models import QuerySet

LONGEST: Final = timedelta(days=365)
_MANAGER_OF: Final = f"{ENTERPRISE_URN}:manager"
_TERMINAL, _MANAGER = "operator", "manager"
_MOST_STEPS = 30  # of supervisors above each other


class Verb(StrEnum):
    """The acts that a role may allow."""

    ASK = "ask"
    APPROVE = "approve"
    CHECK = "check in person"
    COLLECT = "collect"
    SUSPEND = "suspend"
    LIFT = "lift"
    REVOKE = "revoke"
    END = "end"
    READMIT = "readmit"
    JOIN = "join"
    SPLIT = "split"
    ADOPT = "adopt"
    VOUCH = "vouch"
    APPOINT = "appoint"
    CONFIGURE = "configure"
    DISABLE = "disable"
    READ = "read"
    SEE = "see states"
    CARE = "care"


class Extent(StrEnum):
    """About whom, and how, a role may do an act."""

    OWN = "own"
    REPORTS = "reports"
    ANY = "any"
    SCOPE = "its scope"
    SECOND = "with a second person"
    LOST = "what is reported lost"
    BULK = "in bulk"
    RULE = "by its rule"
    SOURCE = "as a source"


STOPS: Final = frozenset({Verb.SUSPEND, Verb.REVOKE, Verb.END})
_HARMLESS: Final = STOPS | {Verb.READ, Verb.SEE}  # never refused because two people may be one human being

_E, _S, _M, _O, _A, _H, _P, _X = (
    RoleName.EMPLOYEE, RoleName.SUPERVISOR, RoleName.MANAGER, RoleName.OFFICER, RoleName.AUDITOR, RoleName.HELP_DESK,
    RoleName.OPERATOR, RoleName.MACHINE,
)  # fmt: skip
_TWO_OF_M: Final = {_M: Extent.SECOND, _P: Extent.SECOND, _X: Extent.SOURCE}

# People.md §1; SEE: names and states of people, and of what they hold; READ: sessions, evidence, records, all exports;
# CARE: send an invitation again, decide on a yearly review, settle a refused push.
MATRIX: Final[Mapping[Verb, Mapping[RoleName, Extent]]] = {
    Verb.ASK: {_E: Extent.OWN, _S: Extent.REPORTS, _M: Extent.ANY, _X: Extent.BULK},
    Verb.APPROVE: {_S: Extent.REPORTS, _M: Extent.ANY, RoleName.OWNER: Extent.SCOPE, _X: Extent.RULE},
    Verb.CHECK: {_O: Extent.ANY},
    Verb.COLLECT: {_E: Extent.OWN},
    Verb.SUSPEND: {
        _E: Extent.OWN, _S: Extent.REPORTS, _M: Extent.ANY, _O: Extent.ANY, _H: Extent.ANY, _P: Extent.ANY,
        RoleName.EMERGENCY: Extent.ANY,
    },
    Verb.LIFT: {_E: Extent.OWN, _M: Extent.ANY, _P: Extent.SECOND},
    Verb.REVOKE: {
        _E: Extent.OWN, _M: Extent.ANY, _H: Extent.LOST, _P: Extent.ANY, RoleName.EMERGENCY: Extent.ANY,
    },
    Verb.END: _TWO_OF_M,
    Verb.READMIT: _TWO_OF_M,
    Verb.JOIN: _TWO_OF_M,
    Verb.SPLIT: _TWO_OF_M,
    Verb.ADOPT: _TWO_OF_M,
    Verb.VOUCH: _TWO_OF_M,
    Verb.APPOINT: {_M: Extent.SECOND, _P: Extent.SECOND, RoleName.EMERGENCY: Extent.SECOND},
    Verb.CONFIGURE: {_P: Extent.SECOND},
    Verb.DISABLE: {_P: Extent.ANY},
    Verb.READ: {_E: Extent.OWN, _M: Extent.ANY, _A: Extent.ANY},
    Verb.SEE: {
        _E: Extent.OWN, _S: Extent.REPORTS, _M: Extent.ANY, _O: Extent.ANY, _A: Extent.ANY, _H: Extent.ANY,
        _P: Extent.ANY, RoleName.EMERGENCY: Extent.ANY,
    },
    Verb.CARE: {_M: Extent.ANY, _P: Extent.ANY},
}  # fmt: skip

# Roles that one human being does not hold at the same time.
APART: Final[Mapping[RoleName, frozenset[RoleName]]] = {
    _A: frozenset(GIVEN_ROLES) - {_A},
    _P: frozenset({_M, _O, _A}),
    _M: frozenset({_P, _A}),
    _O: frozenset({_P, _A}),
    _H: frozenset({_A}),
    RoleName.OWNER: frozenset({_A}),
    RoleName.EMERGENCY: frozenset({_A}),
}
# An extent that comes earlier needs less.
_BEST_FIRST: Final = (Extent.ANY, Extent.SCOPE, Extent.REPORTS, Extent.OWN, Extent.SECOND, Extent.LOST)


@dataclass(frozen=True)
class HeldRole:
    """A live role. since: when it was given; for a supervisor, when the source first said so; None for an employee."""

    name: RoleName
    scope: str = ""
    since: datetime | None = None


@dataclass(frozen=True)
class Answer:
    """The answer of `may`: false without a role that allows the act.

    by: the role that allows it. extent: in which way; SECOND: a second person must agree; LOST: only what its holder
    reports as lost.
    """

    by: HeldRole | None = None
    extent: Extent | None = None

    def __bool__(self) -> bool:
        """True if the act is allowed, alone or with a second person."""
        return self.by is not None

    @property
    def needs_second(self) -> bool:
        """True if a second person must agree."""
        return self.extent == Extent.SECOND


def may(person: Person, verb: Verb, *, now: datetime, about: Person | None = None, scope: str = "") -> Answer:
    """Whether a person may do an act now, by which of their roles, and whether a second person must agree.

    about: the subject; without one the question is about everybody, so an act on oneself or on reports is not allowed.
    scope: of an entitlement (`scope_of`), for its owners.
    """
    row = MATRIX[verb]
    roles = [one for one in held(person, now=now) if one.name in row]
    if about is not None and RoleName.SUPERVISOR in row and (reporting := supervises(person, about)) is not None:
        roles.append(reporting)
    is_own = about is not None and about.id == person.id
    found = [
        (row[one.name], one)
        for one in roles
        if _reaches(row[one.name], one, is_own=is_own, scope=scope) and not (is_own and _is_for_others(verb, row, one))
    ]
    if found and about is not None and not is_own and verb not in _HARMLESS and same_human.may_be_one(person, about):
        return Answer()
    best = min(found, key=lambda one: _BEST_FIRST.index(one[0]), default=None)
    return Answer(best[1], best[0]) if best is not None else Answer()


def may_as(actor: str, verb: Verb, *, now: datetime, about: Person | None = None, scope: str = "") -> Answer:
    """`may` of an actor as the audit chain names it; rules, workers and sources act as what they are.

    Until somebody is an operator, whoever has the terminal is one, and acts alone (bootstrapping).
    """
    person, kind = same_human.of_actor(actor), actor.partition(":")[0]
    if kind == _TERMINAL and not has_operators(now=now):
        return Answer(HeldRole(RoleName.OPERATOR), Extent.ANY)
    if person is not None:
        return may(person, verb, now=now, about=about, scope=scope)
    return Answer() if kind in {_TERMINAL, _MANAGER} else Answer(HeldRole(RoleName.MACHINE), Extent.SOURCE)


def require_as(actor: str, verb: Verb, *, now: datetime, about: Person | None = None, scope: str = "") -> Answer:
    """`may_as`, for acts: asked again under the lock.

    Raises: Refused(ILLEGAL_MOVE) if the actor may not.
    """
    answer = may_as(actor, verb, now=now, about=about, scope=scope)
    if not answer:
        raise Refused(Reason.ILLEGAL_MOVE)
    return answer


def has_operators(*, now: datetime) -> bool:
    """True if somebody is an operator: from then on each command is some named person's."""
    return live(now=now).filter(role=RoleName.OPERATOR).exists()


def _reaches(extent: Extent, role: HeldRole, *, is_own: bool, scope: str) -> bool:
    match extent:
        case Extent.OWN:
            return is_own
        case Extent.SCOPE:
            return bool(scope) and (role.scope == scope or scope.startswith(f"{role.scope}{_IN}"))
        case _:
            return True


def _is_for_others(verb: Verb, row: Mapping[RoleName, Extent], role: HeldRole) -> bool:
    """True for acts of an office, which nobody does on themselves (RQ-3); everybody may read about themselves."""
    return row[role.name] != Extent.OWN and verb not in {Verb.READ, Verb.SEE}


def held(person: Person, *, now: datetime) -> list[HeldRole]:
    """The live roles of a person, other than supervisor; none for an account that is not active."""
    person.account.refresh_from_db(fields=["status", "epoch"])
    if not person.account.is_active:
        return []
    rows = live(now=now).filter(person=person).order_by("id")
    return [HeldRole(RoleName.EMPLOYEE), *(HeldRole(RoleName(one.role), one.scope, one.since) for one in rows)]


def live(*, now: datetime) -> QuerySet[Role]:
    """The rows of all roles that count now."""
    return Role.objects.filter(
        ended_at__isnull=True,
        suspended_at__isnull=True,
        until__gt=now,
        epoch=F("person__account__epoch"),
        person__account__status=AccountStatus.ACTIVE,
    )


def holders(*names: RoleName, now: datetime) -> list[Person]:
    """The people who have one of these roles now, each once, in one order."""
    return list(
        Person.objects.filter(id__in=live(now=now).filter(role__in=names).values("person"))
        .select_related("account")
        .order_by("id")
    )


def has(person: Person, *names: RoleName, now: datetime) -> bool:
    """True if a person has one of these given roles now."""
    return live(now=now).filter(person=person, role__in=names).exists()


# --- owners ---

_IN = "\n"  # no client_id and no entitlement has it


def scope_of(client_key: str, entitlement: str = "") -> str:
    """The scope of an owner: a client, or one of its entitlements."""
    return f"{client_key}{_IN}{entitlement}" if entitlement else client_key


def parts_of(scope: str) -> tuple[str, str]:
    """The client and the entitlement of a scope; the second is empty for the whole client."""
    client_key, _, entitlement = scope.partition(_IN)
    return client_key, entitlement


# --- supervisors ---


def supervisor_of(person: Person) -> Person | None:
    """The person who supervises this one, by the word of a source that is trusted for `manager`; None in a circle."""
    seen, above = {person.id}, _next_above(person)
    found, steps = above, 0
    while above is not None and steps < _MOST_STEPS:
        if above.id in seen:
            return None if above.id == person.id else found
        seen.add(above.id)
        above, steps = _next_above(above), steps + 1
    return found


def reports_of(person: Person) -> QuerySet[Person]:
    """The people whose source names one of this person's records as their manager; circles are not left out."""
    records = person.records.filter(adopted=True, deleted_at__isnull=True, source__disabled_at__isnull=True)
    ids = [str(one) for one in records.values_list("id", flat=True)]
    return Person.objects.filter(**{f"profile__{ENTERPRISE_URN}__manager__value__in": ids}).exclude(id=person.id)


def supervises(person: Person, about: Person) -> HeldRole | None:
    """The role of a supervisor of this subject, or None. since: when the source first said so."""
    if about.id == person.id or not person.account.is_active or supervisor_of(about) != person:
        return None
    since = about.provenance.get(_MANAGER_OF, {}).get("since", "")
    return HeldRole(RoleName.SUPERVISOR, since=datetime.fromisoformat(since) if since else None)


def _next_above(person: Person) -> Person | None:
    extension, said = person.profile.get(ENTERPRISE_URN), person.provenance.get(_MANAGER_OF, {})
    named = extension.get("manager") if isinstance(extension, dict) else None
    try:
        record_id = UUID(str(named.get("value"))) if isinstance(named, dict) else None
    except ValueError:
        return None
    record = (
        Record.objects.filter(
            id=record_id,
            source__name=said.get("source"),
            source__disabled_at__isnull=True,
            adopted=True,
            deleted_at__isnull=True,
        )
        .select_related("person__account")
        .first()
        if record_id is not None
        else None
    )
    return record.person if record is not None else None
