"""The account lock is what it is said to be: BEGIN IMMEDIATE on SQLite, FOR UPDATE in a statement of its own on
PostgreSQL.

Watched on the live database, because pytest's own transaction around a test would hide the real one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.environment import KIND

if TYPE_CHECKING:
    from tests.fixtures.live_server import Live

pytestmark = [pytest.mark.database, pytest.mark.slow]


def test_lock_is_the_first_statement_and_alone(live: Live) -> None:
    """Nothing is read or written before the lock, and what locks reads one table (§1.6: a joined lock reads stale
    rows).
    """
    statements = live.inside.ask("lock_statements")
    if KIND == "sqlite":
        assert statements[0] == "BEGIN IMMEDIATE"
        assert [one for one in statements if one.startswith("BEGIN")] == ["BEGIN IMMEDIATE"]
        return
    lock = next(one for one in statements if not one.startswith("BEGIN"))
    assert lock.startswith("SELECT")
    assert lock.endswith("FOR UPDATE")
    assert lock.count("FROM") == 1
    assert 'FROM "derived_account"' in lock
    assert " JOIN " not in lock


def test_database_is_durable(live: Live) -> None:
    """SQLite: WAL, synchronous=FULL, foreign keys, a busy timeout of at least five seconds; PostgreSQL by its own
    settings.
    """
    found = live.inside.ask("lock_settings")
    if KIND == "sqlite":
        assert found.pop("busy_timeout") >= 5000
        assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_lock_excludes_other_writers(live: Live) -> None:
    """On SQLite the write lock is taken at BEGIN, so two transactions cannot both pass their checks (decision 7)."""
    if KIND == "sqlite":
        assert live.inside.ask("rival_write") == "database is locked"


def test_waiter_reads_the_account_after_the_wait(live: Live) -> None:
    """Work that waited reads the account as it is after the wait, not as it was when it began (§1.6: the stale
    snapshot).
    """
    assert live.inside.ask("seen_after_waiting") == "terminated"
