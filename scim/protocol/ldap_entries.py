"""Entries of a directory as people and groups (RFC 2798 and the directories' own classes); pure.

Classes decide: people are imported, groups where they are asked for, and containers and everything else are counted.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from scim.protocol import account_state, ldif
from scim.protocol.targets import STATE, put, target
from scim.protocol.user import CORE_URN

if TYPE_CHECKING:
    from datetime import datetime

    from scim.protocol.ldif import LdifEntry
    from scim.protocol.schema import Resource

_NO_PEOPLE = frozenset({"computer", "device", "contact", "foreignsecurityprincipal", "msds-groupmanagedserviceaccount"})
_PEOPLE = frozenset(
    {"person", "organizationalperson", "inetorgperson", "user", "account", "posixaccount", "shadowaccount", "inetuser"}
)
_GROUPS = frozenset(
    {"group", "groupofnames", "groupofuniquenames", "groupofmembers", "groupofurls", "posixgroup", "ipausergroup"}
)
_CONTAINERS = frozenset(
    {"organizationalunit", "organization", "domain", "dcobject", "container", "locality", "country", "nscontainer"}
)
_LOGIN_NAMES = ("uid", "userName", "sAMAccountName", "userPrincipalName")
_EXTERNAL_IDS = ("entryUUID", "externalId", "ipaUniqueID", "nsUniqueId", "objectGUID")
# Attributes of a directory that would mean something else in a table, or are secret.
_IGNORED = frozenset({"objectclass", "userpassword", "unicodepwd", "id", "groups", "password", "schemas", "meta"})
_FIRST = {"displayName": ("displayName", "cn"), "department": ("department", "departmentNumber", "ou")}
_LONGEST = 256
_UNIQUE = re.compile(r"#'[01]*'B\Z")  # Name and Optional UID (RFC 4517 §3.3.21)


class EntryKind(StrEnum):
    """The kinds of entries."""

    PERSON = "people"
    GROUP = "groups"
    CONTAINER = "containers"
    OTHER = "others"


@dataclass(frozen=True, kw_only=True)
class FileGroup:
    """A group of a file; dn: in the compared form. members: DNs in that form. names: login names."""

    line: int
    dn: str
    display_name: str = ""
    external_id: str = ""
    members: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    wrong: str = ""


def kind_of(entry: LdifEntry) -> EntryKind:
    """The kind of an entry, by its object classes; without a known one, by its login name."""
    classes = {one.written.strip(": ").lower() for one in entry.attributes.get("objectclass", [])}
    if classes & _NO_PEOPLE:
        return EntryKind.OTHER
    for kind, names in ((EntryKind.PERSON, _PEOPLE), (EntryKind.GROUP, _GROUPS), (EntryKind.CONTAINER, _CONTAINERS)):
        if classes & names:
            return kind
    return EntryKind.PERSON if any(one.lower() in entry.attributes for one in _LOGIN_NAMES) else EntryKind.OTHER


def person(entry: LdifEntry, *, now: datetime) -> Resource:
    """The User of an entry.

    Raises: ValueError for a value that is wanted and cannot be read.
    """
    body: Resource = {"schemas": [CORE_URN]}
    put(body, "userName", _login_name(entry))
    put(body, "externalId", _external_id(entry))
    for where, names in _FIRST.items():
        put(body, where, next((text for one in names for text in entry.texts(one)), ""))
    stated: dict[str, list[str]] = {}
    for name in entry.attributes:
        place = None if name in _IGNORED else target(name)
        if place is None or place in {"userName", "externalId", *_FIRST}:
            continue
        if place.startswith(STATE):
            # An option is part of how an attribute is written, never of whether it disables.
            stated[name] = entry.texts(name, with_options=True)
        else:
            _put_all(body, place, entry.texts(name))
    active = account_state.is_active(stated, now=now, dn=entry.dn)
    return body if active is None else {**body, "active": active}


def _put_all(body: Resource, where: str, texts: list[str]) -> None:
    for text in texts:
        put(body, where, text)


def _login_name(entry: LdifEntry) -> str:
    """Of several values of the naming attribute the one in the RDN, else the first."""
    for name in _LOGIN_NAMES:
        found = entry.texts(name)
        named = ldif.naming_values(entry.dn).get(name.lower(), "").strip()
        if named and (not found or named.casefold() in {one.casefold() for one in found}):
            return named
        if found:
            return found[0]
    return ""


def _external_id(entry: LdifEntry) -> str:
    for name in _EXTERNAL_IDS:
        found = entry.values(name) or [one for one in entry.attributes.get(name.lower(), []) if "binary" in one.options]
        if name == "objectGUID" and found:
            try:
                return str(uuid.UUID(bytes_le=found[0].octets()))
            except ValueError:
                return ""
        if texts := entry.texts(name):
            return texts[0]
    return ""


def group(entry: LdifEntry) -> FileGroup:
    """The group of an entry."""
    dn = ldif.compared(entry.dn)
    try:
        name = next(iter([*entry.texts("cn"), *entry.texts("displayName")]), "")
        members = [_UNIQUE.sub("", text) for one in ("member", "uniqueMember") for text in entry.texts(one)]
        names = entry.texts("memberUid")
        external = _external_id(entry) or dn[:_LONGEST]
    except ValueError as error:
        return FileGroup(line=entry.line, dn=dn, wrong=str(error))
    return FileGroup(
        line=entry.line,
        dn=dn,
        display_name=name,
        external_id=external,
        members=[ldif.compared(one) for one in members],
        names=names,
    )
