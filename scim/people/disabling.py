"""Disable a source, which takes back what it said, and enable it again (issue 12 B).

`rehearse` shows the effect before: who would end, and whose data would change. A person for whom no other source is
trusted for `active` ends, through the source's brake: beyond it people are held.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scim.models import Person
from scim.people import settle, waiting_returns
from scim.protocol import aggregate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from uuid import UUID

    from scim.models import Source

_MOST_NAMES = 50


@dataclass
class Rehearsal:
    """The effect of disabling a source. names: of those who would end, at most 50."""

    would_end: int = 0
    would_change: int = 0
    names: list[str] = field(default_factory=list)


def rehearse(source: Source) -> Rehearsal:
    """Merge every person of a source without it, and write nothing."""
    found = Rehearsal()
    for person in Person.objects.filter(id__in=_people(source)).select_related("account").iterator(chunk_size=500):
        said = settle.statements_about(person)
        after = aggregate.merge([one for one in said if one.source != source.name])
        if person.active and not after.active:
            found.would_end += 1
            if len(found.names) < _MOST_NAMES:
                found.names.append(person.login_name or person.user_name)
        elif after.attributes != person.profile:
            found.would_change += 1
    return found


def disable_source(source: Source, *, now: datetime) -> int:
    """Refuse a source from now on and take back what it said; returns the number of people who were merged again."""
    source.disabled_at = now
    source.save(update_fields=["disabled_at"])
    return _merge_all(source, now=now)


def enable_source(source: Source, *, now: datetime) -> int:
    """Enable a source again, with its credentials and its statements. An ended person stays ended until readmitted."""
    source.disabled_at = None
    source.save(update_fields=["disabled_at"])
    rows = source.records.filter(active=True, person__active=False, deleted_at__isnull=True)
    waiting_returns.let_wait(rows, now=now)
    return _merge_all(source, now=now)


def _merge_all(source: Source, *, now: datetime) -> int:
    ids = list(_people(source))
    for person_id in ids:
        settle.merge_again(person_id, now=now, actor=source.actor)
    return len(ids)


def _people(source: Source) -> Iterator[UUID]:
    rows = source.records.filter(adopted=True, deleted_at__isnull=True)
    return rows.values_list("person_id", flat=True).order_by("person_id").distinct().iterator(chunk_size=2000)
