"""Find the person of a record by the operator's rules, on identifiers of trusted sources; never by name or e-mail.

This is the reading half of matching: it finds people and says whether the case is unambiguous. `scim.people.matching`
acts on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Q

from scim.models import Match, MatchRule, MatchState, Record, RecordKey
from scim.protocol import trust
from scim.protocol.user import USER
from scim.protocol.values import fold

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from django.db.models import QuerySet

    from scim.models import Person, Source
    from scim.protocol.schema import Resource

KEYS = (trust.EMPLOYEE_NUMBER, trust.PIV_IDENTIFIER, trust.PERSON_IDENTIFIER)
_EXACT = frozenset(
    f"{schema.urn}:{one.name}" for schema in USER.extensions for one in schema.attributes if one.case_exact
)
_DECIDED = (MatchState.APART, MatchState.UNDONE)
SEVERAL = "several people have this identifier"
SAME_SOURCE = "its source has or had another record of that person"
KEPT_APART = "a manager has kept a record of its source apart from that person"
DIFFERS = "another identifier differs"
LOSES_JOINER = "the joiner of one source would move into the account of another source"
IN_USE = "both have an account that is in use"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A person with a record of the same identifier; why: the ambiguity, "" if there is none."""

    person: Person
    attribute: str
    why: str = ""


def keys_of(source: Source, resource: Resource) -> dict[str, str]:
    """The identifiers of a record for which its source is trusted, in their compared form."""
    said = trust.assigned_attributes(resource)
    found = {name: str(said[name]) for name in KEYS if name in said and name in source.trusted_for}
    return {name: value if name in _EXACT else fold(value) for name, value in found.items()}


def find(source: Source, keys: Mapping[str, str], *, record: Record | None = None) -> list[Candidate]:
    """The people that a record with these identifiers may belong to; record: the stored one, if any.

    People whom a manager has kept apart from it are left out. A single result without `why` is the person.
    """
    if not keys:
        return []
    rules = set(MatchRule.objects.filter(attribute__in=list(keys)).values_list("attribute", flat=True))
    people: dict[UUID, Candidate] = {}
    for attribute in sorted(rules):
        for row in _rows(attribute, keys[attribute], record):
            if attribute in row.record.source.trusted_for:
                people.setdefault(row.record.person_id, Candidate(person=row.record.person, attribute=attribute))
    apart = _apart(record, list(people)) if record is not None else set()
    left = [one for person_id, one in people.items() if person_id not in apart]
    if len(left) > 1:
        return [Candidate(person=one.person, attribute=one.attribute, why=SEVERAL) for one in left]
    return [
        Candidate(person=one.person, attribute=one.attribute, why=_ambiguity(one.person, source, keys, record))
        for one in left
    ]


def _rows(attribute: str, value: str, record: Record | None) -> list[RecordKey]:
    rows = RecordKey.objects.filter(attribute=attribute, value=value, record__deleted_at__isnull=True)
    if record is not None:
        rows = rows.exclude(record__person_id=record.person_id)
    return list(rows.select_related("record__person__account", "record__source").order_by("record__created_at"))


def _apart(record: Record, people: list[UUID]) -> set[UUID]:
    """The people whom a manager has kept apart from this record, or whose records from this record's person."""
    decided = Match.objects.filter(state__in=_DECIDED)
    theirs = decided.filter(Q(record=record, person__in=people) | Q(record__person__in=people, person=record.person_id))
    found: set[UUID] = set()
    for match in theirs.select_related("record"):
        found |= {match.person_id, match.record.person_id} & set(people)
    return found


def _ambiguity(person: Person, source: Source, keys: Mapping[str, str], record: Record | None) -> str:
    """The reason why a manager must decide about the only person found, or ""."""
    if Match.objects.filter(state__in=_DECIDED, record__source=source, person=person).exists():
        return KEPT_APART
    sources = {source.id} if record is None else {source.id, *_counted(record.person).values_list("source", flat=True)}
    if _counted(person).filter(source__in=sources).exists():
        return SAME_SOURCE
    mine = set(keys.items()) if record is None else set(keys.items()) | _known(record.person)
    if any(name == other and value != theirs for name, value in mine for other, theirs in _known(person)):
        return DIFFERS
    if record is not None and not has_nothing_to_lose(record.person) and not has_nothing_to_lose(person):
        return IN_USE
    return ""


def _counted(person: Person) -> QuerySet[Record]:
    """The records by which a source states, or stated, anything about a person."""
    return Record.objects.filter(Q(deleted_at__isnull=True) | Q(was_active=True), person=person)


def _known(person: Person) -> set[tuple[str, str]]:
    """The identifiers of a person's records; joining two people joins all of both."""
    return set(
        RecordKey.objects.filter(record__person=person, record__deleted_at__isnull=True).values_list(
            "attribute", "value"
        )
    )


def has_nothing_to_lose(person: Person) -> bool:
    """True if moving a person's only record to another person loses nothing: no other record, never enrolled."""
    return person.records.filter(deleted_at__isnull=True).count() == 1 and not person.account.credentials.exists()
