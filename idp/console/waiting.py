"""The rows of the outbox in words, for the operator's command and the console; no address and no payload."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet

    from derived.models import OutboxRow


class Waiting(TypedDict):
    """One undelivered row. receiver: `mail`, `client:…`, `worker` or `lists`. age_seconds: since it was written."""

    number: int
    kind: str
    receiver: str
    person: str
    state: str
    age_seconds: int
    tries: int
    due: str
    why: str


def listed(rows: QuerySet[OutboxRow], *, most: int, now: datetime) -> list[Waiting]:
    """Return the oldest rows, at most `most`."""
    return [
        Waiting(
            number=row.id,
            kind=row.kind,
            receiver=row.receiver.rsplit(":", 1)[0] if row.account_id else row.receiver,
            person=_named(row),
            state="parked" if row.parked_at else "waiting",
            age_seconds=int((now - row.created_at).total_seconds()),
            tries=row.attempts,
            due="" if row.parked_at else row.due_at.strftime("%Y-%m-%d %H:%M:%S UTC"),
            why=row.last_error,
        )
        for row in rows.select_related("account__person")[:most]
    ]


def _named(row: OutboxRow) -> str:
    person = getattr(row.account, "person", None)
    return str(person.login_name or person.user_name) if person else ""
