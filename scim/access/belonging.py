"""The groups of a person: through any of their records, directly or through nested groups; one SQL statement.

Only memberships of adopted records of enabled sources count (ruling 27). The recursion is over ids, so that a cycle, or
many ways to one group, cost nothing more; `MOST` groups bound it.
"""

from __future__ import annotations

import uuid

from django.db import connection

from derived.ledger.prepared_sql import field_of, table_of
from scim.models import Group, Membership, Person, Record, Source

MOST = 10_000  # groups of one person

_SQL = """
WITH RECURSIVE inside(id) AS (
    SELECT m.group_id FROM {membership} m JOIN {record} r ON r.id = m.record_id JOIN {group} g ON g.id = m.group_id
    JOIN {source} s ON s.id = r.source_id
    WHERE r.person_id = %s AND r.adopted AND r.deleted_at IS NULL AND g.deleted_at IS NULL AND s.disabled_at IS NULL
  UNION
    SELECT m.group_id
    FROM inside JOIN {membership} m ON m.child_id = inside.id JOIN {group} g ON g.id = m.group_id
    WHERE g.deleted_at IS NULL
)
SELECT g.id, g.display_name, s.name
FROM (SELECT id FROM inside LIMIT %s) found
JOIN {group} g ON g.id = found.id JOIN {source} s ON s.id = g.source_id
"""


def groups_of(person: Person) -> frozenset[str]:
    """The ids of every group of a person."""
    return frozenset(one for one, _, _ in rows_of(person))


def rows_of(person: Person) -> list[tuple[str, str, str]]:
    """Id, name and source of every group of a person."""
    names = {"membership": Membership, "record": Record, "group": Group, "source": Source}
    sql = _SQL.format(**{name: table_of(model) for name, model in names.items()})
    with connection.cursor() as cursor:
        cursor.execute(sql, [field_of(Person).get_db_prep_value(person.id, connection), MOST])
        return [(str(uuid.UUID(str(one))), name, source) for one, name, source in cursor.fetchall()]
