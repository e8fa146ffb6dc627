"""Decisions of a manager about returns and joined records (C29, C30, rulings 9, 11), which sources cannot make.

Readmitting lifts the endings by sources; no credential comes back. Adopting lets a joined record set the login name,
the mail targets and the IAL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from derived.errors import Reason, Refused
from derived.ledger import audit
from derived.ledger.locking import under_lock
from scim.models import Person, Record
from scim.people.settle import WriteContext, apply_write

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet

    from derived.models import Account


def waiting() -> QuerySet[Record]:
    """The records whose source wants to reactivate a person that it had ended, oldest first."""
    rows = Record.objects.filter(returns_at__isnull=False, deleted_at__isnull=True)
    return rows.select_related("person__account", "source").order_by("returns_at")


def readmit(person: Person, *, now: datetime, actor: str) -> None:
    """Agree that a person is back: waiting `active: true` counts, and deleted records no longer end the person.

    Raises: Refused(ILLEGAL_MOVE) if nothing waits for that.
    """

    def work(account: Account) -> None:
        rows = person.records.all()
        waited = rows.filter(returns_at__isnull=False, deleted_at__isnull=True).update(returns_at=None)
        lifted = (
            rows.filter(deleted_at__isnull=False, was_active=True).update(was_active=False)
            if rows.filter(deleted_at=None).exists()
            else 0
        )
        if not waited + lifted:
            raise Refused(Reason.ILLEGAL_MOVE)
        audit.record(account, "person.readmitted", now=now, actor=actor, body={"records": waited + lifted})
        apply_write(_write(account, person, actor, now))

    under_lock(person.account_id, work)


def adopt(record: Record, *, now: datetime, actor: str) -> None:
    """Let a joined record set the login name, the mail targets and the IAL of its person.

    Raises: Refused(ILLEGAL_MOVE) if it is adopted or deleted.
    """

    def work(account: Account) -> None:
        rows = Record.objects.filter(id=record.id, adopted=False, deleted_at__isnull=True, person__account=account)
        if not rows.update(adopted=True):
            raise Refused(Reason.ILLEGAL_MOVE)
        audit.record(
            account,
            "person.record_adopted",
            now=now,
            actor=actor,
            body={"record": str(record.id), "source": record.source.name},
        )
        apply_write(_write(account, record.person, actor, now))

    under_lock(record.person.account_id, work)


def _write(account: Account, person: Person, actor: str, now: datetime) -> WriteContext:
    return WriteContext(account=account, person=Person.objects.get(id=person.id), actor=actor, now=now)
