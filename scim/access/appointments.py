"""Giving and ending roles: the rows, their events, and the separation of duties (RL-2, RL-5).

Two yeses are the caller's duty (`scim.people.appointing`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from derived.errors import Reason, Refused
from derived.ledger import audit
from scim.access import roles, same_human
from scim.models import GIVEN_ROLES, Person, Role, RoleName

if TYPE_CHECKING:
    from datetime import datetime

    from derived.models import Account

LEAST_WORDS, MOST_WORDS = 4, 300


@dataclass(frozen=True, kw_only=True)
class Appointment:
    """A role to be given. given_by, seconded_by: actors of the audit chain; reason: in words."""

    person: Person
    role: RoleName
    until: datetime
    reason: str
    given_by: str
    seconded_by: str = ""
    scope: str = ""


def require_possible(account: Account, wanted: Appointment, *, now: datetime) -> None:
    """Require that a role can be given.

    Raises: Refused(BAD_PROOF) for a reason that says too little, a term of more than a year or a wrong scope;
    Refused(ACCOUNT_NOT_ACTIVE); Refused(SEPARATION_OF_DUTIES) beside a role that excludes it.
    """
    words = wanted.reason.strip()
    if not LEAST_WORDS <= len(words) <= MOST_WORDS or not words.isprintable():
        raise Refused(Reason.BAD_PROOF)
    if wanted.role not in GIVEN_ROLES or not now < wanted.until <= now + roles.LONGEST:
        raise Refused(Reason.BAD_PROOF)
    if bool(wanted.scope) != (wanted.role == RoleName.OWNER):
        raise Refused(Reason.BAD_PROOF)
    if not account.is_active:
        raise Refused(Reason.ACCOUNT_NOT_ACTIVE)
    if excluding(wanted.person, wanted.role, now=now):
        raise Refused(Reason.SEPARATION_OF_DUTIES)


def give(account: Account, wanted: Appointment, *, now: datetime) -> Role:
    """Give a role in the present epoch of an account that the caller has locked; an earlier term of it ends.

    Raises: as `require_possible`.
    """
    require_possible(account, wanted, now=now)
    words = wanted.reason.strip()
    before = Role.objects.filter(person=wanted.person, role=wanted.role, scope=wanted.scope, ended_at__isnull=True)
    before.update(ended_at=now)
    made = Role.objects.create(
        person=wanted.person,
        role=wanted.role,
        scope=wanted.scope,
        epoch=account.epoch,
        given_by=wanted.given_by,
        seconded_by=wanted.seconded_by,
        reason=words,
        since=now,
        until=wanted.until,
    )
    body = {**_body(made), "until": made.until.isoformat(), "given_by": made.given_by, "seconded_by": made.seconded_by}
    actor = made.seconded_by or made.given_by
    audit.record(account, "role.given", now=now, actor=actor, body=body, personal={"because": words})
    return made


def end(account: Account, row: Role, *, because: str, actor: str, now: datetime) -> bool:
    """End a role, of an account that the caller has locked; False if it has ended."""
    if not Role.objects.filter(id=row.id, ended_at__isnull=True).update(ended_at=now):
        return False
    audit.record(account, "role.ended", now=now, actor=actor, body=_body(row), personal={"because": because})
    return True


def excluding(person: Person, role: RoleName, *, now: datetime) -> list[RoleName]:
    """The live roles of this human being, under whatever record, beside which the role is not given."""
    apart = roles.APART.get(role, frozenset())
    rows = roles.live(now=now).filter(role__in=apart).select_related("person__account")
    return sorted({RoleName(one.role) for one in rows if same_human.may_be_one(one.person, person)})


def _body(row: Role) -> dict[str, str | int]:
    return {"role": row.role, "scope": row.scope, "number": row.id}
