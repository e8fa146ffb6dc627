"""Emergency access: two named people suspend, revoke and appoint for some hours, and somebody else reviews it (RL-7).

It is opened at a terminal, where both are named; each of them signs in by their own authenticator, such as a sealed
security key. All managers and auditors are told at once, and again if nobody has reviewed it after a day (RL-8).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from derived.errors import Reason, Refused
from derived.ledger import audit
from derived.ledger.locking import under_lock, under_locks
from scim.access import appointments, roles, same_human
from scim.access.appointments import Appointment
from scim.access.roles import Verb
from scim.models import EmergencyAccess, Person, RoleName
from scim.people import notices

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

    from django.db.models import QuerySet

    from derived.models import Account

MOST_HOURS = 12
REVIEWED_WITHIN = timedelta(days=1)
LEAST_FINDINGS = 8


@dataclass(frozen=True, kw_only=True)
class Opening:
    """The two people who get emergency access, for how many hours, and why."""

    first: Person
    second: Person
    hours: int
    because: str


def open_access(wanted: Opening, *, now: datetime) -> EmergencyAccess:
    """Give both people the emergency role, and tell everybody.

    Raises: Refused(ILLEGAL_MOVE) for one human being, or more than twelve hours; as `appointments.give`.
    """
    first, second = wanted.first, wanted.second
    if not 1 <= wanted.hours <= MOST_HOURS or same_human.may_be_one(first, second):
        raise Refused(Reason.ILLEGAL_MOVE)
    names = [f"operator:{one.id}" for one in (first, second)]

    def work(locked: Mapping[UUID, Account]) -> EmergencyAccess:
        until = now + timedelta(hours=wanted.hours)
        for one in (first, second):
            given = Appointment(
                person=one,
                role=RoleName.EMERGENCY,
                until=until,
                reason=wanted.because,
                given_by=names[0],
                seconded_by=names[1],
            )
            appointments.give(locked[one.account_id], given, now=now)
        made = EmergencyAccess.objects.create(
            first=first, second=second, because=wanted.because.strip(), opened_at=now, until=until
        )
        notices.tell(
            "emergency.opened",
            {"emergency": made.pk},
            RoleName.MANAGER,
            RoleName.AUDITOR,
            now=now,
            also=[first, second],
        )
        return made

    return under_locks([first.account_id, second.account_id], work)


def unreviewed() -> QuerySet[EmergencyAccess]:
    """The emergency accesses that nobody has reviewed, oldest first."""
    rows = EmergencyAccess.objects.filter(reviewed_at__isnull=True).select_related("first__account", "second__account")
    return rows.order_by("opened_at")


def review(row: EmergencyAccess, *, findings: str, actor: str, now: datetime) -> None:
    """Record what somebody who reads all found in what was done; neither of the two, under whatever record.

    Raises: Refused(BAD_PROOF) for findings that say too little; Refused(ILLEGAL_MOVE).
    """
    words, person = findings.strip(), same_human.of_actor(actor)
    if not LEAST_FINDINGS <= len(words) <= appointments.MOST_WORDS or not words.isprintable():
        raise Refused(Reason.BAD_PROOF)
    if person is None or any(same_human.may_be_one(person, one) for one in (row.first, row.second)):
        raise Refused(Reason.ILLEGAL_MOVE)

    def work(account: Account) -> None:
        roles.require_as(actor, Verb.READ, now=now)
        done = EmergencyAccess.objects.filter(pk=row.pk, reviewed_at__isnull=True)
        if not done.update(reviewed_at=now, reviewed_by=actor, findings=words):
            raise Refused(Reason.ILLEGAL_MOVE)
        body = {"emergency": row.pk, "second": str(row.second_id)}
        audit.record(account, "emergency.reviewed", now=now, actor=actor, body=body, personal={"findings": words})

    under_lock(row.first.account_id, work)


def remind(*, now: datetime) -> None:
    """Tell everybody once about an emergency access that nobody has reviewed within a day."""
    late = unreviewed().filter(opened_at__lte=now - REVIEWED_WITHIN, reminded_at__isnull=True)
    for row in late:

        def work(_account: Account, row: EmergencyAccess = row) -> None:
            if EmergencyAccess.objects.filter(pk=row.pk, reminded_at__isnull=True).update(reminded_at=now):
                payload: dict[str, object] = {"emergency": row.pk, "late": True}
                notices.tell("emergency.opened", payload, RoleName.MANAGER, RoleName.AUDITOR, now=now)

        under_lock(row.first.account_id, work)
