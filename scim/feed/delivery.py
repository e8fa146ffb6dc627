"""Delivery of the feed: pending events and acknowledgements, the part of RFC 8936 without HTTP and signatures.

Every event is stored once; an acknowledgement by a receiver is a row of its own (`Taken`), so an event stays pending
for the others, and an event that commits late is not skipped. A receiver's `floor` rises behind it, only over events so
old that no transaction can still commit one below. After a week, or a hundred thousand events, pending events are
dropped, and the receiver must read everything again before it gets more.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import IntegrityError
from django.db.models import Exists, Min, OuterRef, Sum, TextField
from django.db.models.functions import Cast, Length

from derived.ledger.locking import transacted
from scim.errors import ScimError
from scim.feed import events, receivers
from scim.models import FeedEvent, Receiver, Taken

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from datetime import datetime

    from django.db.models import QuerySet

    from scim.protocol.schema import Resource

MOST_EVENTS = 100  # in one response
KEPT = timedelta(days=7)
MOST_WAITING = 100_000
MOST_WAITING_BYTES = 256 * 1024 * 1024  # of pending values of one receiver
_SETTLED = timedelta(minutes=5)  # every transaction has ended by then
_MOST_SCANNED = 1_000
_UUID_DIGITS = 32


@dataclass(frozen=True)
class PendingEvent:
    """An event for a receiver; `jti` is the receiver's own id of it."""

    event: FeedEvent
    jti: str
    payloads: dict[str, Resource]


def pending(receiver: Receiver, *, most: int, base: str, now: datetime) -> tuple[list[PendingEvent], bool]:
    """The oldest pending events of a receiver, and whether there are more; base: the URL of the feed.

    Raises: ScimError 409 if it has to read everything first.
    """
    if receiver.to_read:
        raise ScimError(
            409,
            None,
            f"Read {_places(receiver.to_read)} of this feed from the first page on, and then poll:"
            " older events are not kept.",
        )
    found: list[PendingEvent] = []
    unseen: list[FeedEvent] = []
    rows = list(_left(receiver).order_by("id")[:_MOST_SCANNED])
    more = len(rows) == _MOST_SCANNED
    for row in rows:
        told = _told(receiver, row, base=base)
        if told is None:
            unseen.append(row)
        elif len(found) < min(most, MOST_EVENTS):
            found.append(told)
        else:
            more = True
            break
    _take(receiver, unseen)
    Receiver.objects.filter(id=receiver.id).update(last_polled_at=now)
    return found, more


def _places(kinds: Collection[str]) -> str:
    return " and ".join(events.KINDS[kind].endpoint for kind in kinds)


def _left(receiver: Receiver) -> QuerySet[FeedEvent]:
    """The pending events of a receiver's resource types."""
    done = Taken.objects.filter(receiver=receiver, event=OuterRef("pk"))
    return FeedEvent.objects.filter(~Exists(done), id__gt=receiver.floor, kind__in=receiver.kinds)


def count(receiver: Receiver) -> int:
    """The number of pending events, including some that the receiver may not see."""
    return 0 if receiver.disabled_at else _left(receiver).count()


def _told(receiver: Receiver, row: FeedEvent, *, base: str) -> PendingEvent | None:
    happened = events.FeedChange(
        kind=row.kind, subject=str(row.subject), what=row.what, data=row.data, changed=row.changed, version=row.version
    )
    payloads = events.payloads(happened, receivers.scope(receiver), base=base)
    return PendingEvent(row, f"{receiver.id:x}-{row.uid.hex}", payloads) if payloads else None


def acknowledge(receiver: Receiver, unverified_jtis: Collection[str], *, errors: Mapping[str, str]) -> None:
    """Acknowledge events, with or without errors; unknown jtis and those of others are ignored (RFC 8936 §2.4)."""
    uids = {uid: errors.get(jti, "") for jti in [*unverified_jtis, *errors] if (uid := _uid(receiver, jti)) is not None}
    for some in _pieces(list(uids)):
        rows = FeedEvent.objects.filter(uid__in=some, id__gt=receiver.floor, kind__in=receiver.kinds)
        _take(receiver, rows, {row.id: uids[row.uid] for row in rows})
    if errors:
        jti, why = next(iter(errors.items()))
        Receiver.objects.filter(id=receiver.id).update(last_error=f"{jti[:60]}: {why}"[:200])


def _uid(receiver: Receiver, jti: str) -> UUID | None:
    prefix, _, uid = jti.partition("-")
    if prefix != f"{receiver.id:x}" or len(uid) != _UUID_DIGITS:
        return None
    try:
        return UUID(hex=uid)
    except ValueError:
        return None


def _pieces(uids: list[UUID]) -> Iterator[list[UUID]]:
    return (uids[start : start + 200] for start in range(0, len(uids), 200))


def _take(
    receiver: Receiver, rows: Collection[FeedEvent] | QuerySet[FeedEvent], errors: Mapping[int, str] | None = None
) -> None:
    why = errors or {}
    done = [Taken(receiver=receiver, event=row, error=why.get(row.id, "")) for row in rows]
    if done:
        with contextlib.suppress(IntegrityError):  # an event was deleted a moment ago; the others are sent again
            transacted(lambda: Taken.objects.bulk_create(done, ignore_conflicts=True))


def read_begins(receiver: Receiver, kind: str) -> None:
    """Record that a receiver has requested the first page of a resource type: it gets events from now on."""
    if kind not in receiver.to_read:
        return

    def work() -> None:
        row = Receiver.objects.select_for_update().get(id=receiver.id)
        row.to_read = [one for one in row.to_read if one != kind]
        row.save(update_fields=["to_read"])

    transacted(work)


# --- retention ---


def delete_delivered(*, now: datetime) -> int:
    """Raise the floors, mark receivers that have fallen behind, and delete events that no receiver needs.

    Returns the number of deleted events.
    """
    settled = FeedEvent.objects.filter(at__lt=now - _SETTLED)
    newest = settled.order_by("-id").values_list("id", flat=True).first()
    if newest is None:
        return 0
    for receiver in receivers.enabled_receivers():
        _raise_floor(receiver, newest, now=now)
    least = receivers.enabled_receivers().aggregate(least=Min("floor"))["least"]
    return settled.filter(id__lte=newest if least is None else least).delete()[1].get("scim.FeedEvent", 0)


def _raise_floor(receiver: Receiver, newest: int, *, now: datetime) -> None:
    oldest = _left(receiver).order_by("id").first()
    floor = newest if oldest is None else min(newest, oldest.id - 1)
    behind = oldest is not None and (
        oldest.at < now - KEPT
        or _left(receiver)[MOST_WAITING : MOST_WAITING + 1].exists()
        or (_left(receiver).aggregate(bytes=Sum(Length(Cast("data", TextField()))))["bytes"] or 0) > MOST_WAITING_BYTES
    )

    def work() -> None:
        row = Receiver.objects.select_for_update().get(id=receiver.id)
        row.floor = max(row.floor, newest if behind else floor)
        row.to_read = row.kinds if behind else row.to_read
        row.save(update_fields=["floor", "to_read"])

    transacted(work)
    Taken.objects.filter(receiver=receiver, event_id__lte=max(receiver.floor, floor)).delete()
