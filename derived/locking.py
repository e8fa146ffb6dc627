"""The account lock: everything that mints, renews, suspends or revokes runs under it.

The order is always the same: a plain read finds the account; the Account row is locked in a statement of its own; state
is read; single-use things are claimed; rows are written. Measured: any other order left live children under revoked
parents. On SQLite `select_for_update` does nothing, and `BEGIN IMMEDIATE` is the lock (a test asserts it).
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from django.db import OperationalError, connection, transaction

from derived.errors import Reason, Refused, Unavailable
from derived.models import Account

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Iterable


T = TypeVar("T")

MOST_SKEW = timedelta(seconds=2)  # ruling 15
_TRIES = 4


def database_now() -> datetime | None:
    """The database server's own clock, or None where it is this process's (SQLite)."""
    if connection.vendor != "postgresql":
        return None
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cursor.fetchone()[0].astimezone(UTC)  # type: ignore[no-any-return]


def _lock(account_id: uuid.UUID) -> Account:
    found = Account.objects.select_for_update().filter(id=account_id).first()
    there = database_now()
    # How long we waited for the lock must not count as skew, so the comparison is with this process's clock now.
    if there is not None and abs(there - datetime.now(tz=UTC)) > MOST_SKEW:
        raise Unavailable(Reason.CLOCK_SKEW)
    if found is None:
        raise Refused(Reason.ACCOUNT_NOT_ACTIVE)
    return found


def transacted(work: Callable[[], T]) -> T:
    """Run `work` in one transaction, again if the database says deadlock; a Refused that spends still commits.

    `work` may run more than once, so it touches nothing outside the database.
    Raises: what `work` raises; Unavailable(DATABASE_BUSY) when the lock could not be had.
    """
    for attempt in range(_TRIES):
        kept: Refused | None = None
        try:
            with transaction.atomic(durable=True):
                try:
                    result = work()
                except Refused as refused:
                    if not refused.spends:
                        raise
                    kept = refused
        except OperationalError as error:
            if not _worth_retrying(error):
                raise
            if attempt == _TRIES - 1:
                raise Unavailable(Reason.DATABASE_BUSY) from error
            time.sleep(0.01 * 2**attempt)
            continue
        if kept is not None:
            raise kept
        return result
    raise AssertionError  # the loop returns or raises


def _worth_retrying(error: OperationalError) -> bool:
    code = getattr(error.__cause__, "sqlstate", None)
    return code in {"40001", "40P01", "55P03"} or "database is locked" in str(error)


def under_lock(account_id: uuid.UUID, work: Callable[[Account], T]) -> T:
    """Run `work(account)` in one transaction, with that account's row locked.

    Raises: Refused(ACCOUNT_NOT_ACTIVE) if there is no such account; Unavailable if clocks disagree or the lock cannot be
    had; whatever `work` raises (rolled back, unless it is a Refused that spends).
    """
    return transacted(lambda: work(_lock(account_id)))


def under_locks(account_ids: Iterable[uuid.UUID], work: Callable[[dict[uuid.UUID, Account]], T]) -> T:
    """Run `work` in one transaction with several accounts locked, in the order of their ids, as everybody locks them.

    Raises: as `under_lock`.
    """
    ordered = sorted(set(account_ids))
    return transacted(lambda: work({account_id: _lock(account_id) for account_id in ordered}))
