"""A time limit for each SQL statement of a SCIM request (C75), with advice to the caller.

PostgreSQL has `statement_timeout` (which includes waiting for locks), set while a request uses the connection. SQLite
has none: a progress handler reads the clock; waiting for the write lock is bounded by the connection's own timeout. The
transaction of a stopped statement is rolled back, so nothing stays half-written; in a bulk only that operation fails.
"""

from __future__ import annotations

import contextlib
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from django.db import OperationalError, connection

from scim.errors import ScimError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECONDS = 2.5
_STEPS = 200_000  # SQLite instructions between two readings of the clock: a few milliseconds
_CANCELLED = "57014"
_Result: TypeAlias = Any  # as Django's execute wrappers return it


def timeout_error(error: Exception) -> ScimError | None:
    """The error for the caller if the exception is a stopped statement; else None."""
    if not isinstance(error, OperationalError):
        return None
    cause = error.__cause__
    if getattr(cause, "sqlstate", None) != _CANCELLED and str(error) != "interrupted":
        return None
    return ScimError(
        503,
        None,
        "This took too long and was stopped; it changed nothing."
        " Ask for less (a narrower filter, a smaller page), or try again.",
    )


@contextmanager
def limited_statements() -> Iterator[None]:
    """Limit every statement inside to SECONDS.

    Raises: ScimError 503 after a stopped statement.
    """
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    with connection.execute_wrapper(_clocked() if connection.vendor == "sqlite" else _told):
        _say(f"SET statement_timeout = {int(SECONDS * 1000)}")
        try:
            yield
        except OperationalError as error:  # while rows are fetched
            if (said := timeout_error(error)) is None:
                raise
            raise said from error
        finally:
            _say("RESET statement_timeout")


def _say(statement: str) -> None:
    """Send a statement to PostgreSQL directly; on SQLite, only remove the progress handler at the end.

    A lost connection is ignored here: the request's own statement then fails, and `idp.edge` handles that error.
    """
    if connection.connection is None:
        return
    if connection.vendor == "postgresql":
        with contextlib.suppress(connection.Database.Error):  # type: ignore[attr-defined]  # any driver error
            connection.connection.pgconn.exec_(statement.encode())
    elif statement.startswith("RESET"):
        connection.connection.set_progress_handler(None, 0)


def _told(execute: Callable[..., _Result], *statement: object) -> _Result:
    """Run a statement; raise ScimError if it was stopped."""
    try:
        return execute(*statement)
    except OperationalError as error:
        if (said := timeout_error(error)) is None:
            raise
        raise said from error


def _clocked() -> Callable[..., Any]:
    """As `_told`, with a new time limit for each statement."""
    until = time.monotonic() + SECONDS

    def is_late() -> bool:
        return time.monotonic() > until

    def run(execute: Callable[..., _Result], *statement: object) -> _Result:
        nonlocal until
        until = time.monotonic() + SECONDS
        return _told(execute, *statement)

    connection.connection.set_progress_handler(is_late, _STEPS)
    return run
