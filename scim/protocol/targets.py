"""The place in a User of a column of a table or an attribute of a directory; pure.

Columns that docs/hr.md lists are names here; a test keeps the two equal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scim.protocol.account_state import ATTRIBUTES
from scim.protocol.assurance import ASSURANCE, ASSURANCE_URN
from scim.protocol.schema import Type
from scim.protocol.user import ENTERPRISE_URN, USER

if TYPE_CHECKING:
    from scim.protocol.schema import Json, Resource

_SUBS = {
    f"name.{one}".lower(): f"name.{one}"
    for one in ("givenName", "familyName", "middleName", "formatted", "honorificPrefix", "honorificSuffix")
}
COLUMNS = {
    "username": "userName",
    "login": "userName",
    "uid": "userName",
    "samaccountname": "userName",
    "id": "externalId",
    "externalid": "externalId",
    "entryuuid": "externalId",
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
    "emailaddress": "emails.work",
    "email_home": "emails.home",
    "phone": "phoneNumbers.work",
    "telephonenumber": "phoneNumbers.work",
    "mobile": "phoneNumbers.mobile",
    "employee_number": "employeeNumber",
    "employeeid": "employeeNumber",
    "departmentnumber": "department",
    "ou": "department",
    "o": "organization",
    "company": "organization",
    "employeetype": "userType",
    "cost_center": "costCenter",
    "preferredlanguage": "preferredLanguage",
}
IDENTIFIERS = frozenset({"userName", "externalId", "employeeNumber", "pivIdentifier", "personIdentifier"})
_ENTERPRISE = frozenset({"employeeNumber", "department", "organization", "costCenter", "division"})
_PLURAL = frozenset({"emails", "phoneNumbers"})
STATE = "state:"  # before a column that says whether the account is disabled


def target(name: str) -> str | None:
    """The target of a column: an attribute, `name.part`, `emails.type`, `URN:attribute` or `state:name`, or None."""
    lower = name.lower()
    if lower in COLUMNS:
        return COLUMNS[lower]
    if lower in ATTRIBUTES:
        return f"{STATE}{lower}"
    if lower in _SUBS:
        return _SUBS[lower]
    plural, _, kind = name.partition(".")
    if kind and plural in _PLURAL:
        return name
    for schema in (USER.core, *USER.extensions):
        attribute = schema.attribute(name.rpartition(":")[2])
        takes_text = attribute is not None and (attribute.type != Type.COMPLEX or attribute.name in _PLURAL)
        if attribute is None or attribute.read_only or not takes_text:
            continue
        if ":" not in name or lower.startswith(schema.urn.lower()):
            return attribute.name if schema is USER.core else f"{schema.urn}:{attribute.name}"
    return None


def put(body: Resource, where: str, value: str) -> None:
    """Put a value at its target; an empty one is unassigned, and of several for a single value the first stays."""
    if value == "":
        return
    full = f"{ENTERPRISE_URN}:{where}" if where in _ENTERPRISE else where
    extension, _, name = full.rpartition(":")
    outer, _, inner = name.partition(".")
    if extension:
        home = body.setdefault(extension, {})
        if isinstance(home, dict):
            home.setdefault(name, _typed(extension, name, value))
    elif outer in _PLURAL:
        several = body.setdefault(outer, [])
        if isinstance(several, list):
            several.append({"value": value, "type": inner or "work", **({"primary": True} if not several else {})})
    elif inner:
        parts = body.setdefault(outer, {})
        if isinstance(parts, dict):
            parts.setdefault(inner, value)
    else:
        body.setdefault(outer, value)


def _typed(extension: str, name: str, value: str) -> Json:
    attribute = ASSURANCE.attribute(name) if extension == ASSURANCE_URN else None
    is_number = attribute is not None and attribute.type.value == "integer"
    return int(value) if is_number and value.isdecimal() else value
