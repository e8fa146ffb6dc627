"""How long one statement of a SCIM request may take (C75): what takes longer is stopped, and the caller is told what to do.

PostgreSQL stops it by itself (`statement_timeout`, waiting for locks included), set for as long as a request has its connection
to itself. SQLite has no such thing: we look at the clock every so many steps of its machine; waiting for its one write lock is
bounded by the connection's own timeout instead. A transaction whose statement is stopped is rolled back, so nothing stays
half-written; in a bulk only the one operation fails.
"""

from __future__ import annotations

import contextlib
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.db import OperationalError, connection

from scim.errors import ScimError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECONDS = 2.5
_STEPS = 200_000  # of SQLite's machine, between two looks at the clock: a few milliseconds
_CANCELLED = "57014"


def stopped(error: Exception) -> ScimError | None:
    """What the caller is told if this says that a statement was stopped; else None."""
    if not isinstance(error, OperationalError):
        return None
    cause = error.__cause__
    if getattr(cause, "sqlstate", None) != _CANCELLED and str(error) != "interrupted":
        return None
    return ScimError(
        503,
        None,
        "This took too long and was stopped; it changed nothing. Ask for less (a narrower filter, a smaller page), or try again.",
    )


@contextmanager
def bounded() -> Iterator[None]:
    """Inside, no statement takes longer than SECONDS.

    Raises: ScimError 503 where one did.
    """
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    with connection.execute_wrapper(_clocked() if connection.vendor == "sqlite" else _told):
        _say(f"SET statement_timeout = {int(SECONDS * 1000)}")
        try:
            yield
        except OperationalError as error:  # while rows were fetched
            if (said := stopped(error)) is None:
                raise
            raise said from error
        finally:
            _say("RESET statement_timeout")


def _say(statement: str) -> None:
    """One statement to PostgreSQL, without the layers between; SQLite is told nothing, or to look at no clock any more.

    A connection that has just gone is not told: the request's own statement says so, in words that the edge knows.
    """
    if connection.connection is None:
        return
    if connection.vendor == "postgresql":
        with contextlib.suppress(connection.Database.Error):  # type: ignore[attr-defined]  # of whatever it is
            connection.connection.pgconn.exec_(statement.encode())
    elif statement.startswith("RESET"):
        connection.connection.set_progress_handler(None, 0)


def _told(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: ANN401, FBT001 - Django's
    """Run a statement; if it is stopped, in SCIM's words."""
    try:
        return execute(sql, params, many, context)
    except OperationalError as error:
        if (said := stopped(error)) is None:
            raise
        raise said from error


def _clocked() -> Callable[..., Any]:
    """As `_told`, with a clock that starts anew with each statement."""
    until = time.monotonic() + SECONDS

    def is_late() -> bool:
        return time.monotonic() > until

    def run(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: ANN401, FBT001 - Django's
        nonlocal until
        until = time.monotonic() + SECONDS
        return _told(execute, sql, params, many, context)

    connection.connection.set_progress_handler(is_late, _STEPS)
    return run
