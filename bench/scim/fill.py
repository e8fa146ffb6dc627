"""Fill a Ramet with people: the engine makes one, and SQL in the database copies it.

A process with Ramet's environment. JSON out: the source's token and the group's id. The ids of people follow from
their numbers (`people.record_id`). Copies have their own keys, names, numbers and times, but the template's audit
hashes, so `audit verify` fails on them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
import uuid
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "idp.settings")
django.setup()

from django.db import connection, models, transaction  # noqa: E402 - Django's apps come first

from bench.scim.people import MARK, body  # noqa: E402
from derived import clock  # noqa: E402
from derived.changes import issue  # noqa: E402
from derived.ledger.locking import under_lock  # noqa: E402
from derived.models import Account, Credential, Event  # noqa: E402
from derived.rules.eligibility import BoundBy, BoundVia  # noqa: E402
from scim.models import Membership, Person, Record, RecordEmail, RecordKey, Source  # noqa: E402
from scim.people import groups, provision, sources  # noqa: E402
from scim.protocol.group import GROUP  # noqa: E402

_CHUNK = 10_000
_APART = 0.01  # seconds between two people's times


class _Copies:
    """INSERT … SELECT of copies of one row; the models tell which columns are keys."""

    def __init__(self, users: int) -> None:
        self._users = users
        self._is_sqlite = connection.vendor == "sqlite"
        self._keys: dict[type[models.Model], str] = {
            Account: "account",
            Person: "person",
            Record: "record",
            Credential: "credential",
        }
        if self._is_sqlite:
            connection.ensure_connection()
            connection.connection.create_function(
                "md5", 1, lambda text: hashlib.md5(text.encode(), usedforsecurity=False).hexdigest(), deterministic=True
            )

    def key(self, name: str) -> str:
        """The SQL expression of a key."""
        return f"md5('{name}' || s.n)" if self._is_sqlite else f"md5('{name}' || s.n)::uuid"

    def of(self, model: type[models.Model], begin: int, end: int, **instead: str) -> None:
        """Copy the template person's row for the numbers begin to end - 1; instead: SQL of single columns."""
        meta = model._meta  # noqa: SLF001
        fields = [field for field in meta.concrete_fields if not isinstance(field, models.AutoField)]
        where = instead.pop("where")
        picked = [instead.get(field.attname) or self._value(field, model) for field in fields]
        series = (
            # numbers
            f"WITH RECURSIVE s(n) AS (SELECT {begin} UNION ALL SELECT n + 1 FROM s WHERE n + 1 < {end})"  # noqa: S608
            if self._is_sqlite
            else f"WITH s(n) AS (SELECT generate_series({begin}, {end - 1}))"
        )
        columns = ", ".join(f'"{field.column}"' for field in fields)
        with connection.cursor() as cursor:
            cursor.execute(
                f'INSERT INTO "{meta.db_table}" ({columns}) '  # noqa: S608 - names and numbers of ours
                f'{series} SELECT {", ".join(picked)} FROM "{meta.db_table}" t, s WHERE {where}'
            )

    def _value(self, field: models.Field[Any, Any], model: type[models.Model]) -> str:
        column, target = f't."{field.column}"', field.remote_field.model if field.remote_field else model
        if (field.primary_key or field.remote_field) and target in self._keys:
            return f"CASE WHEN {column} IS NULL THEN NULL ELSE {self.key(self._keys[target])} END"
        if isinstance(field, models.DateTimeField):
            back = f"{self._users} - s.n"
            if self._is_sqlite:
                return f"strftime('%Y-%m-%d %H:%M:%f', {column}, '-' || (({back}) * {_APART}) || ' seconds')"
            return f"{column} - ({back}) * interval '{_APART} seconds'"
        own = "printf('n%07d', s.n)" if self._is_sqlite else "'n' || lpad(s.n::text, 7, '0')"
        if isinstance(field, models.JSONField) and not self._is_sqlite:
            return f"replace({column}::text, '{MARK}', {own})::jsonb"
        if isinstance(field, models.CharField | models.TextField | models.JSONField) and field.choices is None:
            return f"replace({column}, '{MARK}', {own})"
        return column


def _first(source: Source) -> Record:
    """Make number 0 by the engine, with password and TOTP as a root."""
    now = clock.now()
    record = provision.create_user(source, body(MARK), now=now)
    under_lock(record.person.account_id, lambda account: issue.password_totp(
        account, credential_id=uuid.uuid4(), password_hash="x",  # noqa: S106 - nobody signs in
        totp_seed=b"x", totp_step=0, recovery_code_hashes=[],
        bound_by=BoundBy(how=BoundVia.INVITATION), now=now, actor="person",
    ))  # fmt: skip
    return record


def fill(users: int, members: int) -> dict[str, Any]:
    """People 1 to `users`, of whom the first `members` are in one group."""
    source, token = provision.register_source("bench", vouched_ial=2, now=clock.now())
    sources.set_brake(source, 1_000_000, 100)  # the benchmark ends many people on purpose
    Source.objects.filter(id=source.id).update(most_per_minute=10_000_000)
    first = _first(source)
    account = first.person.account_id
    group = groups.create_group(
        source,
        {"schemas": [GROUP.core.urn], "displayName": "Everybody", "members": [{"value": str(first.id)}]},
        now=clock.now(),
    )
    copies = _Copies(users)
    steps: list[tuple[type[models.Model], str, dict[str, str]]] = [
        (Account, f"t.id = '{_key(account)}'", {"audit_seq": "t.audit_seq"}),
        (Person, f"t.id = '{_key(first.person_id)}'", {}),
        (Record, f"t.id = '{_key(first.id)}'", {}),
        (RecordEmail, f"t.record_id = '{_key(first.id)}'", {}),
        (RecordKey, f"t.record_id = '{_key(first.id)}'", {}),
        (Credential, f"t.account_id = '{_key(account)}'", {}),
        (Event, f"t.account_id = '{_key(account)}'", {}),
    ]
    for begin in range(1, users + 1, _CHUNK):
        end = min(begin + _CHUNK, users + 1)
        with transaction.atomic():
            for model, where, instead in steps:
                copies.of(model, begin, end, where=where, **instead)
            if begin <= members:
                copies.of(
                    Membership,
                    begin,
                    min(end, members + 1),
                    where=f"t.record_id = '{_key(first.id)}'",
                    group_id="t.group_id",
                )
        sys.stderr.write(f"\rbench: filling {connection.vendor}, {end - 1:,} of {users:,} people        ")
        sys.stderr.flush()
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")  # autovacuum would do the same a minute later
    return {"token": token, "group": str(group.id)}


def _key(key: uuid.UUID) -> str:
    return key.hex if connection.vendor == "sqlite" else str(key)


def main() -> None:
    """Fill the database; print the token and the group's id."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, required=True)
    parser.add_argument("--members", type=int, required=True)
    asked = parser.parse_args()
    began = time.monotonic()
    found = fill(asked.users, asked.members)
    sys.stdout.write(json.dumps({**found, "seconds": time.monotonic() - began}) + "\n")


if __name__ == "__main__":
    main()
