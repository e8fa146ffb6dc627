"""Search for people by the beginning of a name, login name, address or employee number, at the same cost on any page.

Each source and each indexed column is one ordered stream; a page merges the heads of all of them and remembers the last
value, so that no page reads what earlier pages showed (PG-1).
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.db.models import Q

from derived.models import Account, Authority, IssuedCertificate
from scim.models import Person, Record, RecordEmail, Source
from scim.protocol.values import fold

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


PAGE: Final = 50
_FEW, _AT_ONCE = 1_000, 500
LONGEST: Final = 256
_COLUMNS: Final = {
    "user_name_fold": "user name", "display_name_fold": "name", "family_name_fold": "family name",
    "employee_number_fold": "employee number",
}  # fmt: skip
_MAIL: Final = "mail address"
_LAST_CHARACTER: Final = 0x10FFFF
_SURROGATES: Final = range(0xD800, 0xE000)


_Row = tuple[str, UUID, str, UUID]


@dataclass(frozen=True)
class Hit:
    """A person who was found. by: what begins with the text; value: in the folded form that was compared."""

    person: Person
    by: str
    value: str


@dataclass(frozen=True)
class Place:
    """Where a page ended: the last value, and its record."""

    value: str
    record: UUID


@dataclass(frozen=True, kw_only=True)
class Sought:
    """What people are sought by.

    text: the beginning of something of theirs. source: only its records. state: of the account.
    """

    text: str = ""
    source: str = ""
    state: str = ""


def page(sought: Sought, *, after: Place | None = None) -> tuple[list[Hit], Place | None]:
    """Fifty hits at most, ordered by the value that was found, and where the next page begins.

    A person whose login name and address both begin with the text is one hit on a page.
    """
    text = fold(sought.text.strip())[:LONGEST]
    if after is None and (exact := _exact(sought.text.strip())) is not None:
        return [exact], None
    columns = _COLUMNS if text else {"user_name_fold": _COLUMNS["user_name_fold"]}
    few = _few(sought.state)
    if few is not None:
        return _page_of(iter(_among(few, sought, text, after, columns)))
    sources = Source.objects.filter(name=sought.source) if sought.source else Source.objects.all()
    streams = [
        stream
        for source in sources.order_by("id")
        for stream in (
            *(_of_column(source, column, text, sought.state, after) for column in columns),
            *([_of_mail(source, text, sought.state, after)] if text else []),
        )
    ]
    return _page_of(heapq.merge(*streams))


def _page_of(rows: Iterator[_Row]) -> tuple[list[Hit], Place | None]:
    merged = list(islice(rows, PAGE + 1))
    found: dict[UUID, tuple[str, str]] = {}
    for value, _, by, person_id in merged[:PAGE]:
        found.setdefault(person_id, (by, value))
    people = Person.objects.select_related("account").in_bulk(list(found))
    hits = [Hit(people[person_id], by, value) for person_id, (by, value) in found.items() if person_id in people]
    more = Place(merged[PAGE - 1][0], merged[PAGE - 1][1]) if len(merged) > PAGE else None
    return hits, more


def gone(text: str) -> list[Hit]:
    """People of whom no source has a record any more, by a part of the name that they had; this reads all people."""
    if not text.strip():
        return []
    rows = Person.objects.filter(user_name__icontains=text.strip()[:LONGEST]).select_related("account")
    return [Hit(one, "former user name", one.user_name) for one in rows.order_by("user_name", "id")[:PAGE]]


def _of_column(source: Source, column: str, text: str, state: str, after: Place | None) -> Iterator[_Row]:
    rows = Record.objects.filter(_within(column, text, after, "id"), source=source, deleted_at__isnull=True)
    rows = rows.filter(person__account__status=state) if state else rows
    values = rows.order_by(column, "id").values_list(column, "id", "person_id")[: PAGE + 1]
    return ((value, record, _COLUMNS[column], person) for value, record, person in values)


def _of_mail(source: Source, text: str, state: str, after: Place | None) -> Iterator[_Row]:
    rows = RecordEmail.objects.filter(_within("value_fold", text, after, "record"), source=source)
    rows = rows.filter(record__deleted_at__isnull=True)
    rows = rows.filter(record__person__account__status=state) if state else rows
    values = rows.order_by("value_fold", "record").values_list("value_fold", "record", "record__person_id")[: PAGE + 1]
    return ((value, record, _MAIL, person) for value, record, person in values)


def _few(state: str) -> list[UUID] | None:
    """The accounts in a state, if they are so few that their records are looked through instead of all records."""
    if not state:
        return None
    found = list(Account.objects.filter(status=state).values_list("id", flat=True)[: _FEW + 1])
    return found if len(found) <= _FEW else None


def _among(
    accounts: list[UUID], sought: Sought, text: str, after: Place | None, columns: Mapping[str, str]
) -> list[_Row]:
    """The hits among the records of a few accounts, in order."""
    found: list[_Row] = []
    for start in range(0, len(accounts), _AT_ONCE):
        some = accounts[start : start + _AT_ONCE]
        people = list(Person.objects.filter(account__in=some).values_list("id", flat=True))
        rows = Record.objects.filter(person__in=people, deleted_at__isnull=True)
        rows = rows.filter(source__name=sought.source) if sought.source else rows
        records = list(rows.only("id", "person_id", *columns))
        for record in records:
            values = ((getattr(record, column), by) for column, by in columns.items())
            found.extend((value, record.id, by, record.person_id) for value, by in values if value is not None)
        if text:
            mails = RecordEmail.objects.filter(record__in=[one.id for one in records])
            listed = mails.values_list("value_fold", "record", "record__person_id")
            found.extend((value, record_id, _MAIL, person_id) for value, record_id, person_id in listed)
    behind = (after.value, after.record) if after is not None else None
    return sorted(one for one in found if one[0].startswith(text) and (behind is None or one[:2] > behind))


def _within(column: str, text: str, after: Place | None, record: str) -> Q:
    """The values that begin with the text, behind a place; as a range, which an index serves on both databases."""
    wanted = Q(**{f"{column}__gte": text}) if text else Q(**{f"{column}__isnull": False})
    if (end := _end_of(text)) is not None:
        wanted &= Q(**{f"{column}__lt": end})
    if after is not None:
        behind = Q(**{f"{column}__gt": after.value}) | Q(**{column: after.value, f"{record}__gt": after.record})
        wanted &= Q(**{f"{column}__gte": after.value}) & behind
    return wanted


def _end_of(text: str) -> str | None:
    """The first text behind all that begin with this one; None if there is none."""
    for at in range(len(text) - 1, -1, -1):
        following = ord(text[at]) + 1
        if following in _SURROGATES:
            following = _SURROGATES.stop
        if following <= _LAST_CHARACTER:
            return text[:at] + chr(following)
    return None


def _exact(text: str) -> Hit | None:
    """The person of an id, or of the serial number of a certificate that was issued here."""
    rows = Person.objects.select_related("account")
    try:
        found = rows.filter(id=UUID(text)).first() if len(text) == len(str(UUID(int=0))) else None
    except ValueError:
        return None
    if found is not None:
        return Hit(found, "id", text)
    serial = text.replace(":", "").lower().lstrip("0")
    if not (serial.isascii() and serial.isalnum()):
        return None
    issued = IssuedCertificate.objects.filter(authority__in=Authority.objects.all(), serial=serial)
    row = issued.select_related("credential__account__person__account").first()
    return Hit(row.credential.account.person, "serial number", serial) if row is not None else None
