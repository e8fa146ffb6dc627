"""The brake on a source that ends many people within an hour (ruling 28).

Up to the larger of `brake_count` people and `brake_percent` of the source's active records end at once. The others are
held: their account is suspended in the same transaction, so nothing of theirs works, and a manager lets them end or
gives them back (`scim.people.held`). Counted is every statement of a source that ends a person or their derived
credentials, also one that reaches the person by a rule. Records younger than a week do not raise the limit: the bearer
of a stolen token could otherwise create them first.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from derived.changes import suspend
from derived.ledger import audit
from derived.models import AccountStatus
from scim.models import Person, Record, Source, SourceEnding
from scim.people import notices

if TYPE_CHECKING:
    from datetime import datetime

    from derived.models import Account

logger = logging.getLogger(__name__)
ACTOR = "brake"
WINDOW = timedelta(hours=1)
SETTLED = timedelta(days=7)


def holds(person: Person, account: Account, *, source: str, now: datetime) -> bool:
    """True if the ending of a person by a source is held; the account is locked by the caller.

    source: the name of the source whose statement ends them, or "" if a manager or the operator does. An ending that
    may go on is counted. A held person's account is suspended, whatever happened to it since.
    """
    if account.status == AccountStatus.TERMINATED:
        return False
    if person.held_at is not None:
        _suspend(account, now=now)
        return True
    if not source:
        return False
    braked = Source.objects.select_for_update().get(name=source)  # endings of one source are counted one by one
    recent = braked.endings.filter(at__gt=now - WINDOW).count()
    if recent < _allowed(braked, recent, now=now):
        SourceEnding.objects.create(source=braked, at=now)
        return False
    _hold(person, account, braked, now=now)
    return True


def _allowed(source: Source, recent: int, *, now: datetime) -> int:
    if recent < source.brake_count:
        return source.brake_count
    settled = Record.objects.filter(
        source=source, deleted_at__isnull=True, active=True, created_at__lte=now - SETTLED
    ).count()
    return max(source.brake_count, (settled + recent + 1) * source.brake_percent // 100)


def _hold(person: Person, account: Account, source: Source, *, now: datetime) -> None:
    is_first = not Person.objects.filter(held_by=source, held_at__gt=now - WINDOW).exists()
    person.held_at, person.held_by = now, source
    Person.objects.filter(id=person.id).update(held_at=now, held_by=source)
    _suspend(account, now=now)
    audit.record(account, "person.held", now=now, actor=source.actor, body={"source": source.name})
    if is_first:
        logger.error(
            "source %s ended more people within an hour than its brake allows: further ones are held. "
            "See: manage.py held list",
            source.name,
        )
        notices.tell_managers("brake.held", {"source": source.name}, now=now)


def _suspend(account: Account, *, now: datetime) -> None:
    if account.status == AccountStatus.ACTIVE:
        suspend.suspend(account, now=now, actor=ACTOR)


def delete_counted(*, now: datetime) -> None:
    """Delete the endings that no brake counts any more."""
    SourceEnding.objects.filter(at__lte=now - WINDOW).delete()
