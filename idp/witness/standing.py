"""Compare the database with its witness; a database that is older than its witness serves nothing (C90, ruling 30).

The witness names the newest Event that it has seen. A database without that Event was restored from a backup, or is
another one. The result is held in this process, so that a request costs nothing: `watch` repeats the comparison.
"""

from __future__ import annotations

import logging
import threading
import time
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import DatabaseError, connection
from django.db.models import F, Q

from derived import clock
from derived.errors import Unavailable
from derived.models import Event, LedgerState
from idp.witness import operator_chain
from idp.witness.folder import witness

if TYPE_CHECKING:
    from datetime import datetime

    from idp.witness.lines import Line

logger = logging.getLogger(__name__)

_EVERY = 5.0  # seconds
_NEWEST_EVENTS = 10_000  # whose accounts are compared when a process starts
_RECENT = timedelta(minutes=2)  # four positions of the worker (`writing.EVERY`)


class Standing(StrEnum):
    """How the database stands to its witness."""

    CURRENT = "current"
    OLDER = "older"
    PARTIAL = "partial"
    LOST = "lost"
    UNKNOWN = "unknown"


WORDS = {
    Standing.CURRENT: "",
    Standing.OLDER: "The database is older than its witness (or belongs to another one), so nothing is served.",
    Standing.PARTIAL: "Accounts lack events of their chains: a part of the database was restored. Nothing is served.",
    Standing.LOST: "The witness of this database is missing, so nothing is served.",
    Standing.UNKNOWN: "The database could not be compared with its witness yet, so nothing is served.",
}


class _Process:
    """The standing as this process knows it; without `watch` and `look` nothing is refused."""

    standing = Standing.CURRENT
    compared = False
    has_seen = False
    altered: tuple[str, ...] = ()


def altered() -> tuple[str, ...]:
    """The accounts whose chains were rewritten, as the witness said at the last comparison."""
    return _Process.altered


def refusal() -> str:
    """The reason to serve nothing, or "" if the database may be used."""
    return WORDS[_Process.standing]


def compare(line: Line | None, *, now: datetime) -> Standing:
    """How the database stands to the newest line of its witness.

    A process without a witness of its own accepts that another process has compared within the last two minutes.
    """
    found = LedgerState.objects.values_list("generation", "compared_at").first()
    if found is None:
        return Standing.OLDER
    generation, compared_at = found
    if line is None:
        is_expected = compared_at is not None and now - compared_at > _RECENT
        return Standing.LOST if is_expected else Standing.CURRENT
    if generation > line.generation:  # accepted with another witness, or the row was changed by SQL
        return Standing.CURRENT if operator_chain.was_accepted(generation) else Standing.OLDER
    if generation < line.generation:
        return Standing.OLDER
    if line.newest is None:
        return Standing.CURRENT
    event_id, hashed = line.newest
    known = Event.objects.filter(id=event_id, hash=hashed).exists() and _has_ended(line)
    return Standing.CURRENT if known else Standing.OLDER


def _has_ended(line: Line) -> bool:
    """True if the database has the newest ending of a line, which may be younger than the line's newest Event."""
    if not line.endings:
        return True
    last = line.endings[-1]
    return Event.objects.filter(account=UUID(last.account), seq=last.seq, hash=last.hash).exists()


def is_missing(line: Line | None) -> bool:
    """True if this database had a witness, and there is none here; another machine may hold it."""
    return line is None and LedgerState.objects.filter(compared_at__isnull=False).exists()


def has_its_heads() -> bool:
    """True if the accounts of the newest Events have those Events as their heads: otherwise one table is older."""
    newest = Event.objects.order_by("-id").values_list("id", flat=True).first()
    if newest is None:
        return True
    later = Q(seq__gt=F("account__audit_seq"))
    other = Q(seq=F("account__audit_seq")) & ~Q(hash=F("account__audit_head"))
    return not Event.objects.filter(later | other, id__gt=newest - _NEWEST_EVENTS).exists()


def compare_all(line: Line | None, *, now: datetime) -> Standing:
    """`compare`, and the heads of accounts, as for a process that starts."""
    found = compare(line, now=now)
    return Standing.PARTIAL if found == Standing.CURRENT and not has_its_heads() else found


def look(*, now: datetime) -> Standing:
    """Compare now, and hold the result in this process; a change is logged once.

    A witness that cannot be read stops a process that starts, and none that has compared before. A witness that this
    process has seen, and that is gone, stops it too.
    Raises: DatabaseError.
    """
    try:
        line = witness().newest()
        is_started = _Process.compared and _Process.standing != Standing.PARTIAL
        found = (compare if is_started else compare_all)(line, now=now)
        is_gone = line is None and _Process.has_seen
        if is_gone:
            found = Standing.LOST
        _Process.has_seen = _Process.has_seen or line is not None
        _Process.altered = line.altered if line else ()
    except OSError as error:
        logger.error("the witness %s cannot be read: %s", witness(), type(error).__name__)  # noqa: TRY400 - one line
        found, is_gone = Standing.LOST, False
    if found == Standing.LOST and not is_gone and _Process.compared and _Process.standing == Standing.CURRENT:
        return Standing.CURRENT
    if found != _Process.standing:
        if found == Standing.CURRENT and _Process.standing != Standing.UNKNOWN:
            logger.warning("the database agrees with its witness: serving")
        elif found != Standing.CURRENT:
            logger.error("%s See: manage.py restore status. Witness: %s", WORDS[found], witness())
    _Process.standing, _Process.compared = found, True
    return found


def note_agreement() -> None:
    """Refuse nothing in this process; `look` compares again."""
    _Process.standing, _Process.compared, _Process.has_seen = Standing.CURRENT, False, False


def require_comparison() -> None:
    """Refuse everything in this process until `look` has compared."""
    _Process.standing, _Process.compared, _Process.has_seen = Standing.UNKNOWN, False, False


def watch() -> None:
    """Compare before this process serves, and every few seconds from then on, in a thread of its own."""
    require_comparison()
    _looked()
    threading.Thread(target=_watch, name="witness", daemon=True).start()


def _watch() -> None:
    while True:
        time.sleep(_EVERY)
        _looked()


def _looked() -> None:
    try:
        look(now=clock.now())
    except (DatabaseError, Unavailable) as error:  # every request that needs the database is refused meanwhile anyway
        logger.warning("the database was not compared with its witness: %s", type(error).__name__)
    finally:
        connection.close()
