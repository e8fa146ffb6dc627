"""The brake on a source that ends many people within an hour (ruling 28).

Up to the larger of `brake_count` people and `brake_percent` of the source's active records end at once. The others are
held: their account is suspended in the same transaction, so nothing of theirs works, and a manager lets them end or
gives them back (`scim.people.held`).
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from derived.changes import suspend
from derived.ledger import audit, outbox
from derived.models import AccountStatus
from scim.access import entitlements
from scim.models import Person, Record, Source, SourceEnding

if TYPE_CHECKING:
    from datetime import datetime

    from derived.models import Account

logger = logging.getLogger(__name__)
ACTOR = "brake"
WINDOW = timedelta(hours=1)


def holds(person: Person, account: Account, *, actor: str, now: datetime) -> bool:
    """True if the ending of a person by a source is held; the account is locked by the caller.

    actor: of the write; only a source is braked. An ending that may go on is counted.
    """
    kind, _, name = actor.partition(":")
    if person.held_at is not None:
        return True
    if kind != "source" or account.status == AccountStatus.TERMINATED:
        return False
    source = Source.objects.select_for_update().get(name=name)  # endings of one source are counted one by one
    recent = source.endings.filter(at__gt=now - WINDOW).count()
    if recent < _allowed(source, recent):
        SourceEnding.objects.create(source=source, at=now)
        return False
    _hold(person, account, source, now=now)
    return True


def _allowed(source: Source, recent: int) -> int:
    if recent < source.brake_count:
        return source.brake_count
    active = Record.objects.filter(source=source, deleted_at__isnull=True, active=True).count()
    return max(source.brake_count, (active + recent + 1) * source.brake_percent // 100)


def _hold(person: Person, account: Account, source: Source, *, now: datetime) -> None:
    is_first = not Person.objects.filter(held_by=source, held_at__gt=now - WINDOW).exists()
    person.held_at, person.held_by = now, source
    Person.objects.filter(id=person.id).update(held_at=now, held_by=source)
    if account.status == AccountStatus.ACTIVE:
        suspend.suspend(account, now=now, actor=ACTOR)
    audit.record(account, "person.held", now=now, actor=source.actor, body={"source": source.name})
    if is_first:
        logger.error(
            "source %s ended more people within an hour than its brake allows: further ones are held. "
            "See: manage.py held list",
            source.name,
        )
        for manager in entitlements.managers().select_related("person__account"):
            theirs = manager.person.account
            payload = {"source": source.name}
            outbox.enqueue(kind="brake.held", receiver=f"mail:{theirs.id}", account=theirs, payload=payload, now=now)


def delete_counted(*, now: datetime) -> None:
    """Delete the endings that no brake counts any more."""
    SourceEnding.objects.filter(at__lte=now - WINDOW).delete()
