"""The attributes for which a source is trusted (ID-2, C27, P38); pure.

An attribute is named as in a profile's provenance: `title`, or `URN:department` in an extension. Other attributes of a
source stay in its own record, which it reads back unchanged (ruling 11), and never reach a person.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scim.protocol.assurance import ASSURANCE, ASSURANCE_URN
from scim.protocol.user import ENTERPRISE_URN, USER
from scim.protocol.values import is_unassigned

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from scim.protocol.schema import Json, Resource

ACTIVE = "active"
IAL, STATUS, ELIGIBLE = (f"{ASSURANCE_URN}:{name}" for name in ("ial", "status", "eligible"))
EMPLOYEE_NUMBER = f"{ENTERPRISE_URN}:employeeNumber"
PIV_IDENTIFIER, PERSON_IDENTIFIER = (f"{ASSURANCE_URN}:{name}" for name in ("pivIdentifier", "personIdentifier"))
NOT_PROFILE = frozenset({"schemas", "id", "externalId", "meta", "groups", "password"})

_CORE = frozenset(one.name for one in USER.core.attributes) - NOT_PROFILE
_ENTERPRISE = frozenset(
    f"{schema.urn}:{one.name}"
    for schema in USER.extensions
    if schema.urn == ENTERPRISE_URN
    for one in schema.attributes
)
_ASSURANCE = frozenset(f"{ASSURANCE_URN}:{one.name}" for one in ASSURANCE.attributes if not one.read_only)
# For attributes that sound like authority a source must be trusted by name (ruling 10).
_BY_NAME_ONLY = frozenset({"roles", "entitlements"})
EVERY = (_CORE - _BY_NAME_ONLY) | _ENTERPRISE
KNOWN = _CORE | _ENTERPRISE | _ASSURANCE

PRESETS: dict[str, frozenset[str]] = {
    "everything": EVERY,
    "hr": (EVERY - {"x509Certificates"}) | {f"{ASSURANCE_URN}:{name}" for name in ("homeOrganization", "affiliation")},
    "security": _ASSURANCE | {"x509Certificates", EMPLOYEE_NUMBER},
    "directory": frozenset(
        {
            "userName",
            "name",
            "displayName",
            "nickName",
            "emails",
            "phoneNumbers",
            "ims",
            "photos",
            "preferredLanguage",
            "locale",
            "timezone",
        }
    ),
}
_SHORT = {name.rpartition(":")[2].lower(): name for name in sorted(KNOWN)} | {name.lower(): name for name in KNOWN}


def full_names(names: Iterable[str]) -> frozenset[str]:
    """The full names of attributes, case-insensitive, those of an extension with or without URN.

    Raises: ValueError for an unknown attribute.
    """
    given = list(names)
    if unknown := [name for name in given if name.lower() not in _SHORT]:
        message = f"there is no attribute {unknown[0]} to be trusted for"
        raise ValueError(message)
    return frozenset(_SHORT[name.lower()] for name in given)


def states_ineligible(resource: Resource) -> bool:
    """True if a resource says that the person may hold no derived credentials."""
    extension = resource.get(ASSURANCE_URN)
    return isinstance(extension, dict) and extension.get("eligible") is False


def without_eligible(resource: Resource) -> Resource:
    """The resource as if its source had not said that the person is ineligible."""
    extension = resource.get(ASSURANCE_URN)
    if not isinstance(extension, dict) or not states_ineligible(resource):
        return resource
    return {**resource, ASSURANCE_URN: {name: value for name, value in extension.items() if name != "eligible"}}


def assigned_attributes(resource: Resource) -> dict[str, Json]:
    """Each assigned attribute of a record, under its full name."""
    found: dict[str, Json] = {}
    for name, value in resource.items():
        if name.lower().startswith("urn:") and isinstance(value, dict):
            found |= {f"{name}:{inner}": one for inner, one in value.items() if not is_unassigned(one)}
        elif name not in NOT_PROFILE and not is_unassigned(value):
            found[name] = value
    return found


def untrusted_attributes(resource: Resource, trusted_for: Collection[str]) -> list[str]:
    """The attributes of a record for which its source is not trusted."""
    return sorted(name for name in assigned_attributes(resource) if name not in trusted_for)
