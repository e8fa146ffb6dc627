"""The plans of the statements of one request, and which of them scan a whole large table."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

LARGE = (
    "scim_record",
    "scim_recordemail",
    "scim_recordkey",
    "scim_person",
    "scim_membership",
    "scim_group",
    "derived_account",
    "derived_credential",
    "derived_event",
    "derived_outboxrow",
)
_READS = ("SELECT", "UPDATE", "DELETE")
_SCANS = {
    # SQLite: SCAN is a whole table or index, SEARCH a part. PostgreSQL: Seq Scan is a whole table.
    "sqlite": re.compile(r"SCAN (\w+)(?: USING COVERING INDEX (\w+))?"),
    "postgresql": re.compile(r"Seq Scan on (\w+)"),
}


@dataclass
class Statement:
    """One statement and its plan. scans: the large tables that it scans."""

    sql: str
    plan: list[str]
    scans: list[str] = field(default_factory=list)


@contextmanager
def explained(large: Sequence[str] = LARGE) -> Iterator[list[Statement]]:
    """Collect the statements that run inside, and explain them afterwards. large: the tables to mark."""
    said: list[tuple[str, Any]] = []
    found: list[Statement] = []

    def listen(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: ANN401, FBT001 - Django's
        if sql.lstrip().upper().startswith(_READS) and not many:
            said.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(listen):
        yield found
    found += [_explain(sql, params, large) for sql, params in said]


def _explain(sql: str, params: Any, large: Sequence[str]) -> Statement:  # noqa: ANN401
    with connection.cursor() as cursor:
        cursor.execute(("EXPLAIN QUERY PLAN " if connection.vendor == "sqlite" else "EXPLAIN ") + sql, params)
        plan = [str(row[-1]).rstrip() for row in cursor.fetchall()]
    names = [match[1] for line in plan for match in [_SCANS[connection.vendor].search(line)] if match]
    aliases = dict(re.findall(r'"?(scim_\w+|derived_\w+)"? (?:AS )?"?([TUVW]\d+)"?', sql))
    tables = {alias: table for table, alias in aliases.items()}
    return Statement(sql, plan, [table for name in names if (table := tables.get(name, name)) in large])
