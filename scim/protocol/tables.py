"""People in files, as SCIM resources: CSV with a header, LDIF of inetOrgPerson, and JSON lines; pure.

Every entry carries the number of its first line, so that a refused entry can be found.
"""

from __future__ import annotations

import base64
import binascii
import csv
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scim.protocol.assurance import ASSURANCE, ASSURANCE_URN
from scim.protocol.user import CORE_URN, ENTERPRISE_URN, USER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from scim.protocol.schema import Json, Resource

FORMATS = ("csv", "ldif", "jsonl")
_SUBS = {
    f"name.{one}".lower(): ("name", one)
    for one in ("givenName", "familyName", "middleName", "formatted", "honorificPrefix", "honorificSuffix")
}
_SHORT = {
    "username": "userName",
    "login": "userName",
    "uid": "userName",
    "id": "externalId",
    "externalid": "externalId",
    "given_name": "name.givenName",
    "givenname": "name.givenName",
    "first_name": "name.givenName",
    "family_name": "name.familyName",
    "familyname": "name.familyName",
    "last_name": "name.familyName",
    "surname": "name.familyName",
    "sn": "name.familyName",
    "cn": "displayName",
    "display_name": "displayName",
    "email": "emails.work",
    "mail": "emails.work",
    "email_home": "emails.home",
    "phone": "phoneNumbers.work",
    "telephonenumber": "phoneNumbers.work",
    "mobile": "phoneNumbers.mobile",
    "employee_number": "employeeNumber",
    "departmentnumber": "department",
    "ou": "department",
    "o": "organization",
    "employeetype": "userType",
    "entryuuid": "externalId",
    "cost_center": "costCenter",
    "preferredlanguage": "preferredLanguage",
}
_LDIF_IGNORED = frozenset({"dn", "objectclass", "changetype", "version", "userpassword"})
_LOCKS = frozenset({"nsaccountlock", "logindisabled"})
_IDENTIFIERS = frozenset({"userName", "externalId", "employeeNumber", "pivIdentifier", "personIdentifier"})
_SCIENTIFIC = re.compile(r"[+-]?[0-9]+([.,][0-9]+)?[eE][+-]?[0-9]+")
_PLURAL = {"emails", "phoneNumbers"}


@dataclass(frozen=True, kw_only=True)
class FileEntry:
    """A person of a file. body: a User as in a POST; wrong: why the entry cannot be read."""

    line: int
    body: Resource
    wrong: str = ""


def entries(lines: Iterable[str], form: str) -> Iterator[FileEntry]:
    """The people of a file in one of `FORMATS`.

    Raises: ValueError for a CSV header with an unknown column.
    """
    match form:
        case "csv":
            return _csv(lines)
        case "ldif":
            return _ldif(lines)
        case _:
            return _jsonl(lines)


def _csv(lines: Iterable[str]) -> Iterator[FileEntry]:
    rows = csv.reader(lines)
    try:
        header = [_column(name) for name in next(rows, [])]
    except csv.Error as error:
        message = f"the first line cannot be read: {error}"
        raise ValueError(message) from None
    while True:
        line = rows.line_num + 1
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield FileEntry(line=line, body={}, wrong=f"it cannot be read: {error}")
            continue
        if not row:
            continue
        if len(row) != len(header):
            yield FileEntry(line=line, body={}, wrong=f"it has {len(row)} fields, and the header {len(header)}")
            continue
        cells = [(name, value.strip()) for name, value in zip(header, row, strict=True)]
        if rounded := next((f"{name} {value}" for name, value in cells if _is_rounded(name, value)), ""):
            yield FileEntry(line=line, body={}, wrong=f"{rounded} was rounded by a spreadsheet: make its column text")
            continue
        body: Resource = {"schemas": [CORE_URN]}
        for name, value in cells:
            _put(body, name, value)
        yield FileEntry(line=line, body=body)


def _is_rounded(column: str, value: str) -> bool:
    """True for an identifier in scientific notation: different numbers look alike in it, and would join two people."""
    return column.rpartition(":")[2] in _IDENTIFIERS and _SCIENTIFIC.fullmatch(value) is not None


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


def _ldif(lines: Iterable[str]) -> Iterator[FileEntry]:
    block: list[str] = []
    first = 1
    for number, text in enumerate([*(line.rstrip("\r\n") for line in lines), ""], 1):
        if text.startswith(" ") and block:
            block[-1] += text[1:]
        elif text and not text.startswith("#"):
            first = number if not block else first
            block.append(text)
        elif not text and block:
            if (entry := _ldif_entry(block, first)) is not None:
                yield entry
            block = []


def _ldif_entry(block: list[str], line: int) -> FileEntry | None:
    body: Resource = {"schemas": [CORE_URN]}
    seen = False
    for text in block:
        name, colon, rest = text.partition(":")
        lower = name.partition(";")[0].lower()
        if not colon or (lower == "changetype" and rest.strip().lower() != "add"):
            return FileEntry(line=line, body={}, wrong="it is not an entry to add")
        seen = seen or lower == "dn"
        value = _ldif_value(rest)
        if value is None:
            return FileEntry(line=line, body={}, wrong=f"{name} is not base64 of text")
        if lower in _LOCKS and value.lower() == "true":
            body["active"] = False
        elif lower not in _LDIF_IGNORED and (column := _known(lower)):
            _put(body, column, value)
    return FileEntry(line=line, body=body) if seen else None


def _ldif_value(rest: str) -> str | None:
    if not rest.startswith(":"):
        return rest.strip()
    try:
        return base64.b64decode(rest[1:].strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return None


def _column(name: str) -> str:
    found = _known(name.strip().lstrip("\ufeff"))
    if found is None:
        message = f"there is no attribute for the column {name!r}"
        raise ValueError(message)
    return found


def _known(name: str) -> str | None:
    """The target of a column: an attribute, `name.part`, `emails.type`, or `URN:attribute`; None if unknown."""
    lower = name.lower()
    if lower in _SHORT:
        return _SHORT[lower]
    if lower in _SUBS:
        return ".".join(_SUBS[lower])
    plural, _, kind = name.partition(".")
    if kind and plural in _PLURAL:
        return name
    for schema in (USER.core, *USER.extensions):
        attribute = schema.attribute(name.rpartition(":")[2])
        if attribute is not None and (":" not in name or lower.startswith(schema.urn.lower())):
            return attribute.name if schema is USER.core else f"{schema.urn}:{attribute.name}"
    return None


def _put(body: Resource, column: str, value: str) -> None:
    """Put a cell into the resource; an empty cell is unassigned."""
    if value == "":
        return
    if column in {"employeeNumber", "department", "organization", "costCenter", "division"}:
        column = f"{ENTERPRISE_URN}:{column}"
    extension, _, name = column.rpartition(":")
    outer, _, inner = name.partition(".")
    if extension:
        home = body.setdefault(extension, {})
        if isinstance(home, dict):
            home[name] = _typed(extension, name, value)
    elif outer in _PLURAL:
        several = body.setdefault(outer, [])
        if isinstance(several, list):
            several.append({"value": value, "type": inner or "work", **({"primary": True} if not several else {})})
    elif inner:
        parts = body.setdefault(outer, {})
        if isinstance(parts, dict):
            parts[inner] = value
    else:
        body[outer] = value


def _typed(extension: str, name: str, value: str) -> Json:
    attribute = ASSURANCE.attribute(name) if extension == ASSURANCE_URN else None
    is_number = attribute is not None and attribute.type.value == "integer"
    return int(value) if is_number and value.isdecimal() else value
