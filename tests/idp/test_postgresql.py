"""A request learns from the socket whether its connection to PostgreSQL still lives, and asks nothing else."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from django.db import OperationalError, connection, connections

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.database,
    pytest.mark.postgresql,  # SQLite has no connection that could be lost
]


@pytest.fixture(autouse=True)
def checked(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Health checks on, as in the server; tests switch Django's own signals off."""
    connection.ensure_connection()
    connection.close_if_unusable_or_obsolete()
    monkeypatch.setattr(connections["default"], "health_check_enabled", True)
    connection.health_check_done = False
    yield
    connection.close()


def process() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def end(number: int) -> None:
    """Terminate a process of the server, and wait until its end has reached the socket."""
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [number])
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", [number])
        until = time.monotonic() + 10
        while cursor.fetchone()[0] and time.monotonic() < until:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", [number])
    other.close()


def test_living_connection_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """No statement is sent to find out that nothing has happened; the connection stays the same."""
    first, asked = process(), list[bool]()
    monkeypatch.setattr(connections["default"], "is_usable", lambda _self: asked.append(True))
    connection.health_check_done = False
    assert process() == first
    assert asked == []


def test_ended_connection_is_replaced() -> None:
    """The first statement of the next request finds a new connection, and does not fail."""
    first = process()
    end(first)
    connection.health_check_done = False
    assert process() != first


def test_connection_that_ends_within_a_request_fails_it() -> None:
    """Nothing is repeated: the request may have written."""
    first = process()
    end(first)
    with pytest.raises(OperationalError):
        process()
