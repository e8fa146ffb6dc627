"""Records whose `active: true` waits for a manager: the source reads `active: false` until then (C29, ruling 11)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db.models import F

from derived.models import OutboxRow
from scim.people import notices

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet

    from scim.models import Record

FIELDS = ("returns_at", "shows_active", "version", "updated_at")  # what changes when a return waits, or no more
_ONCE_A = timedelta(days=1)


def shows_active(record: Record) -> bool | None:
    """The `active` that the source reads back: false while its `active: true` waits for a manager."""
    stated = record.resource.get("active")
    return False if record.returns_at is not None else stated if isinstance(stated, bool) else None


def let_wait(rows: QuerySet[Record], *, now: datetime) -> None:
    """Let the `active: true` of these records wait, and show it to their sources."""
    rows.filter(returns_at__isnull=True).update(
        returns_at=now, shows_active=False, version=F("version") + 1, updated_at=now
    )


def let_through(rows: QuerySet[Record], *, now: datetime) -> int:
    """Let the waiting `active: true` of records count, and show it to their sources; returns their number."""
    found = list(rows)
    for record in found:
        record.returns_at, record.version, record.updated_at = None, record.version + 1, now
        record.shows_active = shows_active(record)
        record.save(update_fields=FIELDS)
    return len(found)


def tell_managers(source: str, person_id: object, *, now: datetime) -> None:
    """Mail every manager that a person waits to return; once a day for a person."""
    payload: dict[str, object] = {"source": source, "person": str(person_id)}
    recent = OutboxRow.objects.filter(
        kind="return.waits", payload__person=payload["person"], created_at__gt=now - _ONCE_A
    )
    if not recent.exists():
        notices.tell_managers("return.waits", payload, now=now)
