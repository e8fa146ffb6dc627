"""A statement that takes too long is stopped by the database, and leaves nothing behind (C75)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection, transaction

from derived.models import Account, Event, OutboxRow
from scim.http import patience
from scim.models import Person, Record
from tests.fixtures.scim_client import Scim, user

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.django_db, pytest.mark.database]

BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
SLOW = (
    "SELECT pg_sleep(20)"
    if connection.vendor == "postgresql"
    else "SELECT count(*) FROM " + ", ".join(f"sqlite_master a{n}" for n in range(9))  # noqa: S608
)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Whatever statement holds one of these words takes twenty seconds; a third of one is allowed."""
    monkeypatch.setattr(patience, "SECONDS", 0.3)
    words: list[str] = []

    def drag(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001
        hit = any(word in sql or word in str(params) for word in words)
        return execute(SLOW, None, False, context) if hit else execute(sql, params, many, context)  # noqa: FBT003

    with connection.execute_wrapper(drag):
        yield words


def _rows() -> tuple[int, ...]:
    return tuple(model._default_manager.count() for model in (Account, Person, Record, Event, OutboxRow))


def test_slow_read_is_stopped(hr: Scim, slow: list[str]) -> None:
    """503 with Retry-After, in SCIM's form, within a moment; the connection is as it was."""
    ada = hr.create("ada")
    slow.append("scim_membership")
    began, mark = time.monotonic(), transaction.savepoint()
    status, body = hr("GET", f"/Users/{ada}")
    transaction.savepoint_rollback(mark)  # a test is one transaction; a request is none
    assert time.monotonic() - began < 10
    assert (status, body["status"], "too long" in body["detail"]) == (503, "503", True)
    assert hr.last is not None
    assert int(hr.last["Retry-After"]) > 0
    slow.clear()
    assert hr("GET", f"/Users/{ada}")[0] == 200


@pytest.mark.parametrize(
    "where", ['INSERT INTO "scim_record"', 'INSERT INTO "derived_outboxrow"', 'INSERT INTO "derived_event"']
)
def test_slow_write_leaves_nothing(hr: Scim, slow: list[str], where: str) -> None:
    """Wherever in its transaction a joiner is stopped: no account, person, record, event or message; the same push
    works later.
    """
    before = _rows()
    slow.append(where)
    assert hr("POST", "/Users", user("ada"))[0] == 503
    slow.clear()
    assert _rows() == before
    assert hr("POST", "/Users", user("ada"))[0] == 201


def test_stopped_active_false_changes_nothing(hr: Scim, slow: list[str]) -> None:
    """An `active: false` that is stopped was not acknowledged, and did nothing; said again it ends everything
    (promise 4).
    """
    ada = hr.create("ada")
    slow.append('UPDATE "derived_credential"')
    leave = {"op": "replace", "path": "active", "value": False}
    assert hr.patch(ada, leave)[0] == 503
    slow.clear()
    assert (Account.objects.get().status, Record.objects.get().active) == ("active", True)
    assert hr.patch(ada, leave)[0] == 200
    assert Account.objects.get().status == "terminated"


def test_only_the_slow_operation_of_a_bulk_fails(hr: Scim, slow: list[str]) -> None:
    """Each operation is a transaction of its own: the others are made and said to be."""
    slow.append("bob@example.org")
    posts = [
        {"method": "POST", "path": "/Users", "bulkId": name, "data": user(name)} for name in ("ada", "bob", "cleo")
    ]
    status, body = hr("POST", "/Bulk", {"schemas": [BULK], "Operations": posts})
    assert (status, [one["status"] for one in body["Operations"]]) == (200, ["201", "503", "201"])
    assert set(Record.objects.values_list("user_name_fold", flat=True)) == {"ada", "cleo"}


def test_timeout_applies_to_scim_requests_only(hr: Scim) -> None:
    """The bound ends with the request: the same connection serves logins, whose waits for a lock may be longer."""
    hr.names()
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SHOW statement_timeout")
            assert cursor.fetchone() == ("0",)
            with patience.limited_statements():
                cursor.execute("SHOW statement_timeout")
                assert cursor.fetchone() == ("2500ms",)
    else:
        with connection.cursor() as cursor:
            cursor.execute(
                "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 300000) SELECT max(x) FROM c"
            )
            assert cursor.fetchone() == (300000,)


@pytest.mark.postgresql  # SQLite has no connection that could go
@pytest.mark.django_db(transaction=True)
def test_lost_database_connection_is_503(hr: Scim) -> None:
    """C75: 503 and not 500, also where the limit of a statement can no longer be taken back."""
    ada = hr.create("ada")

    def gone(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001
        if "scim_record" in sql:
            connection.connection.pgconn.finish()
        return execute(sql, params, many, context)

    with connection.execute_wrapper(gone):
        status, _ = hr("GET", f"/Users/{ada}")
    connection.close()
    assert status == 503
