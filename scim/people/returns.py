"""Decisions of a manager about returns and joined records (C29, C30, rulings 9, 11), which sources cannot make.

Readmitting lifts the endings by sources; no credential comes back. Adopting lets a joined record reach its person. Both
need two managers, always.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext_noop

from derived.errors import Reason, Refused
from derived.ledger import audit
from derived.ledger.locking import under_lock
from derived.models import AccountStatus
from scim.access.roles import Verb
from scim.models import Person, Record
from scim.people import two_managers, waiting_returns
from scim.people.consequences import ended_by_source
from scim.people.settle import WriteContext, apply_write
from scim.people.two_managers import Proposal
from scim.protocol import trust

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet

    from derived.models import Account


def waiting() -> QuerySet[Record]:
    """The records whose source wants to reactivate a person that it had ended, oldest first."""
    rows = Record.objects.filter(returns_at__isnull=False, deleted_at__isnull=True)
    return rows.select_related("person__account", "source").order_by("returns_at")


def readmit(person: Person, *, now: datetime, actor: str) -> bool:
    """Agree that a person is back: waiting `active: true` counts, and deleted records no longer end the person.

    False if a second manager must agree (ruling 27).
    Raises: Refused(ILLEGAL_MOVE) if nothing waits for that, or it would not bring the person back (`obstacle`).
    """

    def work(account: Account) -> bool:
        rows = person.records.all()
        if not _waits(person):
            raise Refused(Reason.ILLEGAL_MOVE)
        proposal = Proposal("readmit", person.id, Verb.READMIT, (person,))
        if not two_managers.agreed(account, proposal, actor=actor, now=now):
            return False
        waited = waiting_returns.let_through(rows.filter(returns_at__isnull=False, deleted_at__isnull=True), now=now)
        lifted = (
            rows.filter(deleted_at__isnull=False, was_active=True).update(was_active=False)
            if rows.filter(deleted_at=None).exists()
            else 0
        )
        if not waited + lifted:
            raise Refused(Reason.ILLEGAL_MOVE)
        audit.record(account, "person.readmitted", now=now, actor=actor, body={"records": waited + lifted})
        apply_write(_write(account, person, actor, now))
        if account.status == AccountStatus.TERMINATED:
            raise Refused(Reason.ILLEGAL_MOVE)  # nothing is kept of an agreement that brings nobody back
        return True

    return under_lock(person.account_id, work)


def obstacle(person: Person) -> str:
    """The reason why `readmit` would be refused, in words; empty if it would not."""
    if not _waits(person):
        return gettext_noop("No source wants this person active again, so there is nothing to agree to.")
    if person.account.status == AccountStatus.TERMINATED and not ended_by_source(person.account):
        return gettext_noop(
            "A manager ended this account, and that is for good. A new record of the source makes a new person."
        )
    others = person.records.filter(
        adopted=True, active=False, overruled=False, deleted_at__isnull=True, source__disabled_at__isnull=True
    )
    names = [one.source.name for one in others.select_related("source") if trust.ACTIVE in one.source.trusted_for]
    if names:
        return f"{', '.join(sorted(names))} still says that this person is not active, and must say active first."
    return ""


def _waits(person: Person) -> bool:
    rows = person.records.all()
    returning = rows.filter(returns_at__isnull=False, deleted_at__isnull=True).exists()
    tombstone = rows.filter(deleted_at__isnull=False, was_active=True).exists()
    return returning or (tombstone and rows.filter(deleted_at__isnull=True).exists())


def adopt(record: Record, *, now: datetime, actor: str) -> bool:
    """Let a joined record reach its person: everything that its source is trusted for (ruling 27).

    False if a second manager must agree.
    Raises: Refused(ILLEGAL_MOVE) if it is adopted or deleted.
    """

    def work(account: Account) -> bool:
        rows = Record.objects.filter(id=record.id, adopted=False, deleted_at__isnull=True, person__account=account)
        if not rows.exists():
            raise Refused(Reason.ILLEGAL_MOVE)
        proposal = Proposal("adopt", record.id, Verb.ADOPT, (record.person,))
        if not two_managers.agreed(account, proposal, actor=actor, now=now):
            return False
        rows.update(adopted=True)
        audit.record(
            account,
            "person.record_adopted",
            now=now,
            actor=actor,
            body={"record": str(record.id), "source": record.source.name},
        )
        apply_write(_write(account, record.person, actor, now))
        return True

    return under_lock(record.person.account_id, work)


def _write(account: Account, person: Person, actor: str, now: datetime) -> WriteContext:
    return WriteContext(account=account, person=Person.objects.get(id=person.id), actor=actor, now=now)
