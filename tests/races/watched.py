"""Commands of `inside` that watch the account lock at work, on the live database itself."""

from __future__ import annotations

import sqlite3
import threading
from typing import TYPE_CHECKING, Any

from django.db import connection

from derived import clock
from derived.changes import revoke
from derived.errors import Reason
from derived.ledger import accounts
from derived.ledger.locking import transacted, under_lock

if TYPE_CHECKING:
    from collections.abc import Callable

    from derived.models import Account


def _opened() -> Account:
    return transacted(lambda: accounts.create_account(ial=0, now=clock.now(), actor="operator"))


def _end(locked: Account) -> None:
    revoke.everything(locked, because=Reason.ENDED_BY_MANAGER, now=clock.now(), actor="operator")


def lock_statements() -> list[str]:
    """What one piece of work under the lock says to the database, in order."""
    account, said = _opened(), []
    if connection.vendor == "sqlite":
        connection.ensure_connection()
        connection.connection.set_trace_callback(said.append)
        under_lock(account.id, _end)
        connection.connection.set_trace_callback(None)
        return said

    def listen(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001
        said.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(listen):  # Django's log of queries does not hear prepared ones
        under_lock(account.id, _end)
    return said


def lock_settings() -> dict[str, Any]:
    """What Django's own connection was really set to."""
    if connection.vendor != "sqlite":
        return {}
    with connection.cursor() as cursor:
        names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        return {name: cursor.execute(f"PRAGMA {name}").fetchone()[0] for name in names}


def rival_write() -> str:
    """What a second connection is told that begins to write while work under the lock has so far only read (SQLite)."""
    path, account = str(connection.settings_dict["NAME"]), _opened()

    def work(_: Account) -> str:
        rival = sqlite3.connect(path, isolation_level=None, timeout=0)
        try:
            rival.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            return str(error)
        finally:
            rival.close()
        return "it began"

    return under_lock(account.id, work)


def seen_after_waiting() -> str:
    """The status of an account as work reads it that had to wait for the lock while a winner ended the account."""
    account, held, waiting, seen = _opened(), threading.Event(), threading.Event(), [""]

    def winner() -> None:
        def work(locked: Account) -> None:
            held.set()
            waiting.wait(timeout=5)
            threading.Event().wait(0.3)  # so that the other is really at the lock
            _end(locked)

        under_lock(account.id, work)
        connection.close()

    def waiter() -> None:
        held.wait(timeout=5)
        waiting.set()
        seen[0] = under_lock(account.id, lambda locked: str(locked.status))
        connection.close()

    threads = [threading.Thread(target=one) for one in (winner, waiter)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    return seen[0]


COMMANDS = (lock_statements, lock_settings, rival_write, seen_after_waiting)
