"""Single use: a conditional UPDATE, or an insert on a unique key, in the transaction that it protects (I3)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from django.db import connection

from derived.ledger.prepared_sql import field_of, options, statement_cursor, table_of
from derived.models import Spent

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from django.db.models import Model, QuerySet

_TOGETHER = 500  # names in one statement


def claim_once(rows: QuerySet[Model], *, now: datetime) -> bool:
    """Consume the row that `rows` selects, if it is unconsumed and unexpired; True for exactly one caller ever.

    rows: selects at most one row, of a model with `consumed_at` and `expires_at`.
    """
    return rows.filter(consumed_at__isnull=True, expires_at__gt=now).update(consumed_at=now) == 1


def claim_key(model: type[Model], key: object, *, now: datetime, **then: object) -> bool:
    """As `claim_once`, for the row with this primary key, without building a queryset.

    then: further values for the consumed row, by attribute name.
    """
    key_field = field_of(model)
    field = {one.attname: one for one in options(model).concrete_fields}
    written = {"consumed_at": now, **then}
    columns = ", ".join(f"{field[name].column} = %s" for name in written)
    text = (
        f"UPDATE {table_of(model)} SET {columns} "  # noqa: S608 - names of the models
        f"WHERE {key_field.column} = %s AND consumed_at IS NULL AND expires_at > %s"
    )
    values = [field[name].get_db_prep_save(value, connection) for name, value in written.items()]
    asked = [key_field.get_db_prep_value(key, connection), field["expires_at"].get_db_prep_value(now, connection)]
    with statement_cursor() as cursor:
        cursor.execute(text, [*values, *asked])
        return bool(cursor.rowcount == 1)


def name_of(kind: str, *parts: str) -> str:
    """The key of a value that is spent: a hash over length-prefixed parts."""
    digest = hashlib.sha256()
    for part in (kind, *parts):
        raw = part.encode()
        digest.update(len(raw).to_bytes(4, "big") + raw)
    return digest.hexdigest()


def spent_of(names: Iterable[str]) -> set[str]:
    """Those of some names (`name_of`) that are spent, for callers with many candidates; `spend` decides."""
    wanted, found = list(names), set[str]()
    for start in range(0, len(wanted), _TOGETHER):
        rows = Spent.objects.filter(key__in=wanted[start : start + _TOGETHER])
        found.update(rows.values_list("key", flat=True))
    return found


def spend(kind: str, *parts: str, expires_at: datetime) -> bool:
    """Record a value as seen; True for the first caller only.

    The key is a hash over length-prefixed parts, so no two kinds or values collide (P14, P49, P65).
    expires_at: until when the value could be presented again; the row is kept until then.
    """
    seen, until = field_of(Spent), field_of(Spent, "expires_at")
    text = (
        f"INSERT INTO {table_of(Spent)} ({seen.column}, {until.column})"  # noqa: S608 - names of the models
        f" VALUES (%s, %s) ON CONFLICT ({seen.column}) DO NOTHING"
    )
    with statement_cursor() as cursor:
        # A second insert waits until the first transaction ends, on both databases, and then changes no row.
        cursor.execute(text, [name_of(kind, *parts), until.get_db_prep_value(expires_at, connection)])
        return bool(cursor.rowcount == 1)
