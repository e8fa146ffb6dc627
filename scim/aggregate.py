"""Many sources, one profile: by precedence, with provenance (ID-1, ID-2, ID-7); pure.

The unit is one attribute: the highest source that says anything about it says all of it. `active` is different: one
source that says no is enough. Nothing here is authority: `roles` and `entitlements` are only what a source wrote
(ruling 10).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scim.values import is_unassigned

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from scim.schema import Json, Resource

_NOT_PROFILE = frozenset({"schemas", "id", "externalId", "meta", "active", "groups", "password"})


@dataclass(frozen=True, kw_only=True)
class Said:
    """What one source says about a person.

    source: its name. precedence: lower goes first. at: when it last said anything.
    """

    source: str
    precedence: int
    active: bool
    resource: Resource
    at: datetime


@dataclass(frozen=True)
class Profile:
    """What holds about a person: attributes as in SCIM (an extension's under its URN), and where each comes from.

    provenance: attribute name (`URN:name` in an extension) -> {"source", "since"}; since: ISO 8601, when the value
    came to be what it is.
    """

    attributes: Resource
    provenance: dict[str, dict[str, str]]
    active: bool


def merge(said: Sequence[Said], before: Profile | None = None) -> Profile:
    """One profile from all that is said; before: the last one, whose `since` stays where a value stays.

    Nobody saying anything means nobody vouches: not active.
    """
    attributes: Resource = {}
    provenance: dict[str, dict[str, str]] = {}
    for one in sorted(said, key=lambda one: (one.precedence, one.source)):
        for extension, name, value in _flat(one.resource):
            key = f"{extension}:{name}" if extension else name
            if key in provenance:
                continue
            home = attributes.setdefault(extension, {}) if extension else attributes
            if isinstance(home, dict):
                home[name] = value
            provenance[key] = {"source": one.source, "since": _since(key, value, one, before)}
    return Profile(attributes, provenance, bool(said) and all(one.active for one in said))


def updated_at(profile: Profile) -> str | None:
    """The newest time of all attributes (ID-7), ISO 8601; None for an empty profile."""
    return max((origin["since"] for origin in profile.provenance.values()), default=None)


def _flat(resource: Resource) -> list[tuple[str, str, Json]]:
    found: list[tuple[str, str, Json]] = []
    for name, value in resource.items():
        if name.lower().startswith("urn:") and isinstance(value, dict):
            found += [(name, inner, one) for inner, one in value.items() if not is_unassigned(one)]
        elif name not in _NOT_PROFILE and not is_unassigned(value):
            found.append(("", name, value))
    return found


def _since(key: str, value: Json, one: Said, before: Profile | None) -> str:
    if before is not None and key in before.provenance and before.provenance[key]["source"] == one.source:
        extension, _, name = key.rpartition(":")
        home: Json = before.attributes.get(extension) if extension else before.attributes
        if isinstance(home, dict) and home.get(name) == value:
            return before.provenance[key]["since"]
    return one.at.isoformat()


def addresses(attributes: Mapping[str, Json]) -> list[str]:
    """Every e-mail address of a profile, once each, the primary first; for notices."""
    emails = _emails(attributes)
    ordered = sorted(emails, key=lambda email: email.get("primary") is not True)
    return list(dict.fromkeys(str(email["value"]) for email in ordered))


def invitation_address(attributes: Mapping[str, Json]) -> str | None:
    """Where an invitation goes: the primary work address, else the primary, else a work one, else the first."""
    def rank(email: Resource) -> tuple[bool, bool]:
        return (email.get("primary") is not True, str(email.get("type", "")).lower() != "work")

    best = min(_emails(attributes), key=rank, default=None)
    return None if best is None else str(best["value"])


def _emails(attributes: Mapping[str, Json]) -> list[Resource]:
    found = attributes.get("emails")
    emails = found if isinstance(found, list) else []
    return [email for email in emails if isinstance(email, dict) and isinstance(email.get("value"), str)]


def display_name(attributes: Mapping[str, Json]) -> str:
    """The name to show and to compare when a name changes; empty if no source gave one."""
    name = attributes.get("name")
    parts: Resource = name if isinstance(name, dict) else {}
    joined = " ".join(str(parts[part]) for part in ("givenName", "middleName", "familyName") if parts.get(part))
    return str(attributes.get("displayName") or parts.get("formatted") or joined or "")
