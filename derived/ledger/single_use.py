"""Single use is one primitive: a conditional UPDATE, or an insert on a unique key, inside the transaction it pays for (I3)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from django.db import connection

from derived.ledger.prepared_sql import statements
from derived.models import Spent

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import Model, QuerySet

_SPEND = "INSERT INTO derived_spent (key, expires_at) VALUES (%s, %s) ON CONFLICT (key) DO NOTHING"


def claim_once(rows: QuerySet[Model], *, now: datetime) -> bool:
    """Consume the one row that `rows` selects, if it is unconsumed and unexpired; True for exactly one caller ever.

    rows: selects at most one row, of a model with `consumed_at` and `expires_at`.
    """
    return rows.filter(consumed_at__isnull=True, expires_at__gt=now).update(consumed_at=now) == 1


def claim_key(model: type[Model], key: object, *, now: datetime, **then: object) -> bool:
    """As `claim_once`, of the row with this primary key, without composing anything.

    then: what else is written to the row that is consumed, by attribute name.
    """
    meta = model._meta  # noqa: SLF001
    field = {one.attname: one for one in meta.concrete_fields}
    written = {"consumed_at": now, **then}
    columns = ", ".join(f"{field[name].column} = %s" for name in written)
    text = (
        f"UPDATE {meta.db_table} SET {columns} "  # noqa: S608 - names of ours
        f"WHERE {meta.pk.column} = %s AND consumed_at IS NULL AND expires_at > %s"
    )
    values = [field[name].get_db_prep_save(value, connection) for name, value in written.items()]
    asked = [meta.pk.get_db_prep_value(key, connection), field["expires_at"].get_db_prep_value(now, connection)]
    with statements() as cursor:
        cursor.execute(text, [*values, *asked])
        return bool(cursor.rowcount == 1)


def spend(kind: str, *parts: str, expires_at: datetime) -> bool:
    """Record that something was seen; True for the first caller only.

    The key is a hash over length-prefixed parts, so no two kinds or values run into each other (P14, P49, P65).
    expires_at: until when it could be presented again; the row is kept until then.
    """
    digest = hashlib.sha256()
    for part in (kind, *parts):
        raw = part.encode()
        digest.update(len(raw).to_bytes(4, "big") + raw)
    with statements() as cursor:
        when = Spent._meta.get_field("expires_at").get_db_prep_value(expires_at, connection)  # noqa: SLF001
        # Who comes while another's insert is not committed waits for it, on both databases; then it counts nothing.
        cursor.execute(_SPEND, [digest.hexdigest(), when])
        return bool(cursor.rowcount == 1)
