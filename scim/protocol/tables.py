"""People and groups in files, as SCIM resources: CSV with a header, LDIF, and JSON lines; pure.

Every entry carries the number of its first line, so that a refused entry can be found; faults are told in the words of
a person who has the file open in a spreadsheet. Encoding and delimiter are found out, or given.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scim.protocol import account_state, ldap_entries, ldif
from scim.protocol.ldap_entries import EntryKind, FileGroup
from scim.protocol.targets import IDENTIFIERS, STATE, put, target
from scim.protocol.user import CORE_URN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from scim.protocol.schema import Resource

FORMATS = ("csv", "ldif", "jsonl")
DELIMITERS = {",": ",", ";": ";", "|": "|", "tab": "\t"}
ENCODINGS = ("utf-8", "utf-16", "windows-1252", "iso-8859-1", "iso-8859-15", "windows-1250", "windows-1251")
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_SCIENTIFIC = re.compile(r"[+-]?[0-9]+([.,][0-9]+)?[eE][+-]?[0-9]+")
_SEPARATOR = re.compile(r"sep=(.)\s*", re.IGNORECASE)
_LINE_END = re.compile(r"(?<=\n)|(?<=\r)(?!\n)")
_TRUE, _FALSE = "true", "false"

TEMPLATES = {
    "csv": "userName,externalId,given_name,family_name,email,employeeNumber,department,title,active\n"
    "ada,1001,Ada,Lovelace,ada@example.org,0007,Engines,Analyst,true\n"
    "bob,1002,Bob,Builder,bob@example.org,0008,Works,Mason,false\n",
    "ldif": "version: 1\n\ndn: uid=ada,ou=people,dc=example,dc=org\nobjectClass: inetOrgPerson\nuid: ada\n"
    "cn: Ada Lovelace\ngivenName: Ada\nsn: Lovelace\nmail: ada@example.org\nemployeeNumber: 0007\n\n"
    "dn: uid=bob,ou=people,dc=example,dc=org\nobjectClass: inetOrgPerson\nuid: bob\n"
    "cn: Bob Builder\nsn: Builder\nmail: bob@example.org\nnsAccountLock: TRUE\n",
    "jsonl": '{"userName": "ada", "externalId": "1001", "name": {"givenName": "Ada", "familyName": "Lovelace"}, '
    '"emails": [{"value": "ada@example.org", "type": "work", "primary": true}], "active": true}\n'
    '{"userName": "bob", "externalId": "1002", "active": false}\n',
}


@dataclass(frozen=True, kw_only=True)
class FileEntry:
    """A person of a file. body: a User as in a POST; wrong: why the entry cannot be read. dn: of LDIF, compared."""

    line: int
    body: Resource
    wrong: str = ""
    dn: str = ""


@dataclass
class FileContent:
    """The content of a file; skipped: the entries that are no people, by kind. read_as: encoding and delimiter."""

    people: list[FileEntry] = field(default_factory=list)
    groups: list[FileGroup] = field(default_factory=list)
    skipped: Counter[EntryKind] = field(default_factory=Counter)
    read_as: str = ""


def read(raw: bytes, form: str, *, now: datetime, encoding: str = "", delimiter: str = "") -> FileContent:
    """The content of a file in one of `FORMATS`.

    encoding, delimiter: of `ENCODINGS` and `DELIMITERS`; found out if empty. now: for accounts that expire.
    Raises: ValueError for another encoding, or a CSV header with an unknown column.
    """
    text, name = _decoded(raw, form, encoding)
    lines = _LINE_END.split(text)
    match form:
        case "csv":
            header, rows, delimiter = _header(lines, delimiter)
            shown = next(key for key, value in DELIMITERS.items() if value == delimiter)
            return FileContent(people=list(_rows(header, rows, now=now)), read_as=f"{name}, delimiter {shown}")
        case "ldif":
            return _directory(lines, now=now, read_as=name)
        case _:
            return FileContent(people=list(_jsonl(lines)), read_as=name)


def _decoded(raw: bytes, form: str, encoding: str) -> tuple[str, str]:
    """The text of a file, and the name of its encoding."""
    marked = next((name for mark, name in _MARKS if raw.startswith(mark)), "")
    guesses = [encoding or marked or _unmarked(raw)]
    if form == "csv" and not encoding and not marked:
        guesses.append("windows-1252")  # what a spreadsheet writes on a Windows machine of western Europe
    for name in guesses:
        try:
            return raw.decode(name).removeprefix("\ufeff"), name.removesuffix("-sig")
        except UnicodeDecodeError:
            continue
    message = f"the file is not text in {guesses[0].removesuffix('-sig')}: save it as UTF-8, or name it by --encoding"
    raise ValueError(message)


def _unmarked(raw: bytes) -> str:
    """UTF-8, or UTF-16 where every second octet of the beginning is null."""
    head = raw[:64]
    if len(head) > 1 and not any(head[1::2]):
        return "utf-16-le"
    return "utf-16-be" if len(head) > 1 and not any(head[0::2]) else "utf-8"


# --- CSV ---


def _header(lines: Sequence[str], delimiter: str) -> tuple[list[str], _Rows, str]:
    """The targets of the columns, the reader of the rows, and the delimiter.

    Raises: ValueError for a column that names no attribute, or two that name the same.
    """
    named = _SEPARATOR.fullmatch(lines[0].strip("\r\n")) if lines else None
    skipped = 1 if named else 0
    first = lines[skipped] if len(lines) > skipped else ""
    found = DELIMITERS.get(delimiter, delimiter) or (named[1] if named else _delimiter(first))
    if found not in DELIMITERS.values():
        message = f"the delimiter {found!r} is none of {', '.join(DELIMITERS)}"
        raise ValueError(message)
    rows = _Rows(lines[skipped:], found, skipped)
    names = _trimmed(rows.next_row() or [])
    header = [_column(name) for name in names]
    single = [one for one in header if not one.startswith(("emails", "phoneNumbers"))]
    if twice := next((name for name, one in zip(names, header, strict=True) if single.count(one) > 1), ""):
        message = f"two columns of the first line mean the same as {twice!r}"
        raise ValueError(message)
    return header, rows, found


def _delimiter(first: str) -> str:
    """The delimiter by which the most columns of the first line have a meaning."""

    def known(one: str) -> int:
        cells = next(csv.reader([first], delimiter=one), [])
        return sum(target(cell.strip()) is not None for cell in cells)

    return max(DELIMITERS.values(), key=known)


class _Rows:
    """The rows of a CSV, with the line where the next begins."""

    def __init__(self, lines: Iterable[str], delimiter: str, skipped: int) -> None:
        self._reader = csv.reader(lines, delimiter=delimiter)
        self._skipped = skipped

    @property
    def line(self) -> int:
        """The line of the next row."""
        return self._reader.line_num + self._skipped + 1

    def next_row(self) -> list[str] | None:
        """The next row; None at the end.

        Raises: ValueError for a row that cannot be read.
        """
        try:
            return next(self._reader)
        except StopIteration:
            return None
        except csv.Error as error:
            message = f"it cannot be read: {error}"
            raise ValueError(message) from None


def _trimmed(row: list[str]) -> list[str]:
    """The cells without spaces around them, and without empty ones at the end."""
    cells = [cell.strip() for cell in row]
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _rows(header: list[str], rows: _Rows, *, now: datetime) -> Iterator[FileEntry]:
    while True:
        line = rows.line
        try:
            row = rows.next_row()
            if row is None:
                return
            cells = _trimmed(row)
            if not cells:
                continue
            if len(row) < len(header) or len(cells) > len(header):
                message = f"it has {len(row)} cells, and the first line names {len(header)} columns"
                raise ValueError(message)
            yield FileEntry(line=line, body=_user(header, cells, now=now))
        except ValueError as error:
            yield FileEntry(line=line, body={}, wrong=str(error))


def _user(header: list[str], cells: list[str], *, now: datetime) -> Resource:
    """The User of a row.

    Raises: ValueError for a cell that a spreadsheet has changed, or a state that cannot be read.
    """
    body: Resource = {"schemas": [CORE_URN]}
    stated: dict[str, list[str]] = {}
    for name, value in zip(header, cells, strict=False):
        _check_cell(name, value)
        if name.startswith(STATE):
            stated |= {name.removeprefix(STATE): [value]} if value else {}
        elif name == "active" and value:
            put(body, name, _word(value))
        else:
            put(body, name, value)
    active = account_state.is_active(stated, now=now)
    if active is not None and body.get("active") != _FALSE:
        body["active"] = active
    return body


def _check_cell(name: str, value: str) -> None:
    shown = name.rpartition(":")[2]
    if value.startswith("="):
        message = f"{shown} holds the formula {value[:40]}: write the value itself, in a column of the type text"
        raise ValueError(message)
    if shown in IDENTIFIERS and _SCIENTIFIC.fullmatch(value):
        # Different numbers look alike in it, and would join two people.
        message = f"{shown} {value} was rounded by a spreadsheet: give its column the type text, and export it again"
        raise ValueError(message)


def _word(value: str) -> str:
    if value.lower() not in {_TRUE, _FALSE}:
        message = f"active must be true or false, and is {value[:20]!r}"
        raise ValueError(message)
    return value.lower()


def _column(name: str) -> str:
    found = target(name)
    if found is None:
        message = f"the column {name[:60]!r} of the first line names no attribute; docs/hr.md lists the columns"
        raise ValueError(message)
    return found


# --- the others ---


def _jsonl(lines: Iterable[str]) -> Iterator[FileEntry]:
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict):
            yield FileEntry(line=number, body={"schemas": [CORE_URN], **found})
        else:
            yield FileEntry(line=number, body={}, wrong="it is not a JSON object")


def _directory(lines: Iterable[str], *, now: datetime, read_as: str) -> FileContent:
    content = FileContent(read_as=read_as)
    for entry in ldif.entries(lines):
        kind = EntryKind.PERSON if entry.wrong else ldap_entries.kind_of(entry)
        if kind == EntryKind.PERSON:
            content.people.append(_ldif_person(entry, now=now))
        elif kind == EntryKind.GROUP:
            content.groups.append(ldap_entries.group(entry))
        else:
            content.skipped[kind] += 1
    return content


def _ldif_person(entry: ldif.LdifEntry, *, now: datetime) -> FileEntry:
    if entry.wrong:
        return FileEntry(line=entry.line, body={}, wrong=entry.wrong)
    try:
        return FileEntry(line=entry.line, body=ldap_entries.person(entry, now=now), dn=ldif.compared(entry.dn))
    except ValueError as error:
        return FileEntry(line=entry.line, body={}, wrong=str(error))
