"""The account lock: everything that issues, renews, suspends or revokes runs under it.

The order is always the same: a plain read finds the account; the Account row is locked in a statement of its own; state
is read; single-use values are claimed; rows are written. (The locking statement may look up the owner of a row, because
an owner never changes.) In measurements every other order left living children under revoked parents. On SQLite
`select_for_update` does nothing, and `BEGIN IMMEDIATE` is the lock (held by a test).
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from django.db import OperationalError, connection, transaction

from derived.errors import Reason, Refused, Unavailable
from derived.ledger.prepared_sql import (
    BoundValue,
    PreparedSelect,
    field_of,
    options,
    statement_cursor,
    table_of,
)
from derived.models import Account

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Iterable, Iterator


T = TypeVar("T")
Row = TypeVar("Row")

MOST_SKEW = timedelta(seconds=2)  # ruling 15
_LONG_WAIT = timedelta(milliseconds=500)
_unflushed: ContextVar[bool] = ContextVar("unflushed", default=False)  # commits need not wait for the disk
_TRIES = 4


@dataclass(frozen=True)
class OwnedRow:
    """A kind of row whose account never changes, such as a code or a refresh token.

    select: the text of a SELECT of its account's id, by one value. missing: the reason to refuse if there is none.
    """

    select: str
    missing: Reason


_ITSELF = OwnedRow("%s", Reason.ACCOUNT_NOT_ACTIVE)
_ACCOUNT = PreparedSelect(lambda: Account.objects.filter(id=BoundValue("id", field_of(Account))))


def database_now() -> datetime | None:
    """The clock of the database server, or None where it is the clock of this process (SQLite)."""
    if connection.vendor != "postgresql":
        return None
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cursor.fetchone()[0].astimezone(UTC)  # type: ignore[no-any-return]


def _hold(owned: OwnedRow, key: str | uuid.UUID) -> tuple[Account | None, datetime | None]:
    """Lock one Account row, and read the database's clock in the same statement.

    The owner of a row never changes, so the same statement may look it up; everything else is read after it (a joined
    lock reads stale rows).
    """
    fields = options(Account).concrete_fields
    names, columns = [field.attname for field in fields], ", ".join(str(field.column) for field in fields)
    text = (
        f"SELECT {columns}, clock_timestamp() FROM {table_of(Account)}"  # noqa: S608 - names of the models
        f" WHERE {field_of(Account).column} = ({owned.select}) FOR UPDATE"
    )
    with statement_cursor() as cursor:
        cursor.execute(text, [key])
        row = cursor.fetchone()
    return (
        (None, None) if row is None else (Account.from_db(connection.alias, names, row[:-1]), row[-1].astimezone(UTC))
    )


def _require_one_time(there: datetime | None, before: datetime) -> None:
    """Require that this clock and the database's differ by at most two seconds (ruling 15).

    The database may have read its clock before or after it waited for the lock, so any time between `before` and now is
    accepted. After a long wait the clock is read again.
    Raises: Unavailable(CLOCK_SKEW).
    """
    after = datetime.now(tz=UTC)
    if there is not None and after - before > _LONG_WAIT:
        there, before, after = database_now(), after, datetime.now(tz=UTC)
    if there is not None and not before - MOST_SKEW <= there <= after + MOST_SKEW:
        raise Unavailable(Reason.CLOCK_SKEW)


def _lock(account_id: uuid.UUID) -> Account:
    if connection.vendor == "postgresql":
        before = datetime.now(tz=UTC)
        found, there = _hold(_ITSELF, account_id)
        _require_one_time(there, before)
    else:
        found = _ACCOUNT.first(id=account_id)  # SQLite only
    if found is None:
        raise Refused(Reason.ACCOUNT_NOT_ACTIVE)
    return found


def transacted(work: Callable[[], T]) -> T:
    """Run `work` in a transaction, again after a deadlock; a Refused that spends still commits.

    `work` may run more than once, so it touches nothing outside the database.
    Raises: any exception of `work`; Unavailable(DATABASE_BUSY) if the lock was not granted.
    """
    for attempt in range(_TRIES):
        kept: Refused | None = None
        try:
            with transaction.atomic(durable=True):
                if _unflushed.get():
                    _tell("SET LOCAL synchronous_commit = off")
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


@contextmanager
def flushed_once(last: Callable[[], object]) -> Iterator[None]:
    """Commit the transactions inside without waiting for the disk, and flush them all on leaving.

    For callers that acknowledge many transactions in one response: either all are durable, or none was acknowledged.
    PostgreSQL is told in each transaction (`SET LOCAL`): a setting of the session would stay on a connection that a
    pooler gives to somebody else. last: a transaction that writes at least one row; its flush makes all earlier
    commits durable.
    """
    if connection.in_atomic_block:  # a test's own transaction: nothing is flushed here anyway
        yield
        return
    with _unflushed_sqlite() if connection.vendor == "sqlite" else _unflushed_postgresql():
        yield
    transacted(last)


@contextmanager
def _unflushed_sqlite() -> Iterator[None]:
    _tell("PRAGMA synchronous=NORMAL")
    try:
        yield
    finally:
        _tell("PRAGMA synchronous=FULL")


@contextmanager
def _unflushed_postgresql() -> Iterator[None]:
    before = _unflushed.set(True)
    try:
        yield
    finally:
        _unflushed.reset(before)


@contextmanager
def snapshot() -> Iterator[None]:
    """Let every read inside see the database at one moment, without stopping any writer.

    PostgreSQL: REPEATABLE READ. SQLite: a deferred transaction, since Django's own begins by taking the write lock.
    """
    if connection.in_atomic_block:  # a test's own transaction, which nobody else writes into
        yield
    elif connection.vendor == "sqlite":
        _tell("BEGIN DEFERRED")
        try:
            yield
        finally:
            _tell("ROLLBACK")
    else:
        with transaction.atomic():
            _tell("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield


def _tell(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def under_lock(account_id: uuid.UUID, work: Callable[[Account], T]) -> T:
    """Run `work(account)` in a transaction, with that account's row locked.

    Raises: Refused(ACCOUNT_NOT_ACTIVE) if there is no such account; Unavailable if the clocks differ or the lock is not
    granted; any exception of `work` (rolled back, unless it is a Refused that spends).
    """
    return transacted(lambda: work(_lock(account_id)))


def under_locks(account_ids: Iterable[uuid.UUID], work: Callable[[dict[uuid.UUID, Account]], T]) -> T:
    """Run `work` in a transaction with several accounts locked, in ascending order of their ids.

    Raises: as `under_lock`.
    """
    ordered = sorted(set(account_ids))
    return transacted(lambda: work({account_id: _lock(account_id) for account_id in ordered}))


def under_lock_of(owned: OwnedRow, key: str, read: Callable[[], Row | None], work: Callable[[Row], T]) -> T:
    """As `under_lock`, for a row whose account is unknown: find and lock, then `read` in a second statement.

    read: the row, joined with its Account and with every fact of the decision. On SQLite it is the first statement
    after BEGIN IMMEDIATE, which is the lock there.
    Raises: Refused(owned.missing); Unavailable; any exception of `work`.
    """

    def held() -> T:
        if connection.vendor == "postgresql":
            before = datetime.now(tz=UTC)
            account, there = _hold(owned, key)
            if account is None:
                raise Refused(owned.missing)
            _require_one_time(there, before)
        row = read()
        if row is None:
            raise Refused(owned.missing)
        return work(row)

    return transacted(held)
