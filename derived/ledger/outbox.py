"""The outbox: messages written with the change that causes them, leased and delivered by workers.

Delivery is at least once, in order per receiver, and no receiver waits for another (C83). A refusal is final and parks
the row; a fault is tried again; a receiver that rests is not asked (ruling 31). Several workers may run.

A person gets one mail for one cause: mail that is due to the same person for the same cause is one row (`_joined`), and
causes that come in bursts wait until the burst is over (`Pause`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING

from django.db import connection, transaction
from django.db.models import Count, Min, OuterRef, Q, Subquery

from derived.models import IssuedCertificate, OutboxRow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from django.db.models import QuerySet

    from derived.models import Account

LEASE = timedelta(seconds=60)
FIRST_RETRY = timedelta(seconds=5)
LONGEST_RETRY = timedelta(hours=1)
PARK_AFTER = timedelta(hours=24)
JOINED_FOR = timedelta(hours=1)
_TRIED = {"taken", "refused"}  # addresses of a delivery that was begun
LISTS = "lists"
_WAITING = Q(delivered_at__isnull=True, parked_at__isnull=True)
_UNTRIED = Q(attempts=0, leased_until__isnull=True)
_MAIL = "mail:"
_IS_MAIL = Q(receiver__startswith=_MAIL)


class DeliveryLane(Enum):
    """Which rows a worker's thread delivers, so that a slow mail server delays no relying party."""

    ALL = "all"
    MAIL = "mail"
    OTHERS = "others"


@dataclass(frozen=True, kw_only=True)
class Pause:
    """The wait of mail whose causes come in bursts: a source that pushes a person writes several times in a row.

    kinds: the kinds that wait. quiet: the time without another cause after which the mail goes. longest: the time after
    the first cause at which it goes in any case.
    """

    kinds: frozenset[str] = frozenset()
    quiet: timedelta = timedelta()
    longest: timedelta = timedelta()

    def holds(self, *, now: datetime) -> Q:
        """The rows that wait for the end of their burst."""
        return Q(
            kind__in=self.kinds,
            attempts=0,
            due_at__gt=now - self.quiet,
            created_at__gt=now - self.longest,
        )


NO_PAUSE = Pause()


def enqueue(
    *, kind: str, receiver: str, account: Account | None, payload: Mapping[str, object], now: datetime
) -> OutboxRow:
    """Write an outbox row in the caller's transaction; mail for a cause that waits to be told already is that row.

    receiver: `mail:{account}`, `client:{client_id}:{account}:{sid}` or `worker:{account}`; the unit of ordering.
    payload: ids only (ruling 10).
    """
    if receiver.startswith(_MAIL) and (told := _joined(kind, receiver, payload, now=now)):
        return told
    return OutboxRow.objects.create(
        account=account, kind=kind, receiver=receiver, payload=dict(payload), created_at=now, due_at=now
    )


def _joined(kind: str, receiver: str, payload: Mapping[str, object], *, now: datetime) -> OutboxRow | None:
    """Add a cause to the mail about it of the last hour that no worker has taken yet; None if there is none.

    Causes are the same if their payloads differ in lists only, which are united.
    """
    named = {name: value for name, value in payload.items() if not isinstance(value, list)}
    rows = OutboxRow.objects.filter(_WAITING, _UNTRIED, receiver=receiver, kind=kind, created_at__gt=now - JOINED_FOR)
    for row in rows.order_by("id"):
        if row.payload.keys() & _TRIED:
            continue  # some addresses took it already, and would not hear of this cause
        lists = {name: value for name, value in row.payload.items() if isinstance(value, list)}
        if {name: value for name, value in row.payload.items() if name not in lists} != named:
            continue
        more = {name: value for name, value in payload.items() if isinstance(value, list)}
        united = {name: list(dict.fromkeys([*lists.get(name, []), *more.get(name, [])])) for name in {**lists, **more}}
        row.payload, row.due_at = {**named, **united}, now
        untaken = OutboxRow.objects.filter(_WAITING, _UNTRIED, id=row.id)
        if untaken.update(payload=row.payload, due_at=now):
            return row
    return None


def fan_out(account: Account, payload: Mapping[str, object], *, now: datetime) -> OutboxRow:
    """Enqueue a row from which `idp` notifies relying parties; each account has its own queue (C83)."""
    return enqueue(kind="fan_out", receiver=f"worker:{account.id}", account=account, payload=payload, now=now)


def crl_change(account: Account, *, now: datetime) -> None:
    """Enqueue a row to sign the CRLs anew, if the account has a certificate that may be on them (C92).

    All such rows are in one queue, and handling a row handles all that wait behind it.
    """
    if IssuedCertificate.objects.filter(credential__account=account, not_after__gt=now).exists():
        enqueue(kind=LISTS, receiver=LISTS, account=None, payload={}, now=now)


def newest_waiting(receiver: str) -> int:
    """The id of the newest row that waits for a receiver; 0 for none."""
    return (
        OutboxRow.objects.filter(receiver=receiver, delivered_at__isnull=True)
        .order_by("-id")
        .values_list("id", flat=True)
        .first()
        or 0
    )


def mark_delivered_up_to(receiver: str, row_id: int, *, now: datetime) -> None:
    """Mark all rows of a receiver up to this id as delivered."""
    OutboxRow.objects.filter(receiver=receiver, id__lte=row_id, delivered_at__isnull=True).update(
        delivered_at=now, leased_until=None, parked_at=None, last_error=""
    )


def lease(
    *,
    now: datetime,
    most: int = 20,
    lane: DeliveryLane = DeliveryLane.ALL,
    without: Sequence[str] = (),
    pause: Pause = NO_PAUSE,
) -> list[OutboxRow]:
    """Lease up to `most` rows for delivery: each receiver's oldest waiting row that is due and not leased.

    without: prefixes of receivers that are busy; their rows stay where they are. pause: mail that waits for the end of
    its burst, and lets the receiver's later rows pass meanwhile.
    """
    waiting = OutboxRow.objects.filter(_WAITING, receiver=OuterRef("receiver"))
    if pause.kinds:
        waiting = waiting.exclude(pause.holds(now=now))
    first = waiting.order_by("id").values("id")[:1]
    free = Q(leased_until__isnull=True) | Q(leased_until__lte=now)
    of_lane = {DeliveryLane.ALL: Q(), DeliveryLane.MAIL: _IS_MAIL, DeliveryLane.OTHERS: ~_IS_MAIL}[lane]
    for prefix in without:
        of_lane &= ~Q(receiver__startswith=prefix)
    with transaction.atomic():
        rows = OutboxRow.objects.filter(_WAITING, free, of_lane, due_at__lte=now, id=Subquery(first))
        rows = rows.order_by("due_at", "id")
        if connection.features.has_select_for_update_skip_locked:
            rows = rows.select_for_update(skip_locked=True)
        taken = list(rows[:most])
        OutboxRow.objects.filter(id__in=[row.id for row in taken]).update(leased_until=now + LEASE)
    return taken


def add_to_payload(row: OutboxRow, **more: object) -> None:
    """Record what a delivery has done so far, for its next try."""
    row.payload = {**row.payload, **more}
    OutboxRow.objects.filter(id=row.id).update(payload=row.payload)


def mark_postponed(row: OutboxRow, why: str, *, until: datetime) -> None:
    """Give a leased row back without a try: its receiver is not asked before `until`."""
    OutboxRow.objects.filter(id=row.id).update(leased_until=None, due_at=until, last_error=why[:200])


def mark_refused(row: OutboxRow, why: str, *, now: datetime) -> None:
    """Record a receiver's final refusal: the row is parked, and the receiver's next row is due (ruling 31)."""
    OutboxRow.objects.filter(id=row.id).update(
        attempts=row.attempts + 1, leased_until=None, last_error=why[:200], parked_at=now
    )


def retry(rows: QuerySet[OutboxRow], *, now: datetime) -> int:
    """Make rows due at once, parked ones too. Return their number."""
    return rows.filter(delivered_at__isnull=True).update(parked_at=None, due_at=now, leased_until=None, attempts=0)


def drop(rows: QuerySet[OutboxRow], *, now: datetime) -> int:
    """Close rows that nobody is to receive any more. Return their number."""
    return rows.filter(delivered_at__isnull=True).update(delivered_at=now, leased_until=None, last_error="dropped")


def undelivered() -> QuerySet[OutboxRow]:
    """The rows that wait or are parked, oldest first."""
    return OutboxRow.objects.filter(delivered_at__isnull=True).order_by("id")


@dataclass(frozen=True, kw_only=True)
class Depth:
    """The rows that wait, the age of the oldest of them that is due, and the parked rows."""

    waiting: int
    oldest: timedelta
    parked: int


def depth(*, now: datetime) -> Depth:
    """Measure the outbox."""
    found = (
        undelivered()
        .order_by()
        .aggregate(
            waiting=Count("id", filter=_WAITING),
            parked=Count("id", filter=Q(parked_at__isnull=False)),
            oldest=Min("created_at", filter=_WAITING & Q(due_at__lte=now)),
        )
    )
    oldest = now - found["oldest"] if found["oldest"] else timedelta()
    return Depth(waiting=found["waiting"], oldest=max(oldest, timedelta()), parked=found["parked"])


def mark_delivered(row: OutboxRow, *, now: datetime) -> None:
    """Mark the row as delivered."""
    OutboxRow.objects.filter(id=row.id).update(delivered_at=now, leased_until=None, last_error="")


def mark_failed(row: OutboxRow, why: str, *, now: datetime) -> None:
    """Schedule another delivery of the row, or park it after a day, for an operator to look at."""
    wait = min(FIRST_RETRY * 2 ** min(row.attempts, 12), LONGEST_RETRY)
    park = now - row.created_at > PARK_AFTER
    OutboxRow.objects.filter(id=row.id).update(
        attempts=row.attempts + 1,
        leased_until=None,
        due_at=now + wait,
        last_error=why[:200],
        parked_at=now if park else None,
    )
