"""What whoever follows us is shown: people and groups as resources, and the events about them (RFC 9967); pure.

A person's event carries the person as they are after it (`put`), so the last one that was taken is the state. A group's carries the
difference (`patch`), so that one member into a group of ten thousand is one line (RFC 9967 §5). A receiver is shown the attributes
that it is trusted with, or, if it follows by notices, their names; what changes nothing that it may see does not reach it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING

from scim.protocol import trust
from scim.protocol.group import CORE_URN as GROUP_URN
from scim.protocol.group import GROUP
from scim.protocol.operations import URN as PATCH_URN
from scim.protocol.user import CORE_URN, ENTERPRISE_URN, USER

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime

    from scim.protocol.schema import Json, Resource, ResourceType

PREFIX = "urn:ietf:params:scim:event:"
CREATE, PUT, PATCH = "prov:create", "prov:put", "prov:patch"
DELETE, ACTIVATE, DEACTIVATE = "prov:delete", "prov:activate", "prov:deactivate"
_WITH_CONTENT = (CREATE, PUT, PATCH)
ALL_URIS = [
    *(f"{PREFIX}{one}:{mode}" for one in _WITH_CONTENT for mode in ("full", "notice")),
    *(PREFIX + one for one in (DELETE, ACTIVATE, DEACTIVATE)),
]
KINDS: dict[str, ResourceType] = {USER.name: USER, GROUP.name: GROUP}
_ALWAYS = frozenset({"schemas", "id", "meta", trust.ACTIVE})


@dataclass(frozen=True, kw_only=True)
class Scope:
    """How much one receiver may see: attributes of people, by their full names; full: values, else names."""

    attributes: Collection[str]
    full: bool


@dataclass(frozen=True, kw_only=True)
class Happened:
    """One change, as `models.FeedEvent` keeps it."""

    kind: str
    subject: str
    what: Collection[str]
    data: Resource
    changed: Collection[str]
    version: str


# --- resources --------------------------------------------------------------------------------------------------------


def person(person_id: object, attributes: Mapping[str, Json], *, active: bool) -> Resource:
    """A person as a User: what is merged of them, and whether the account may do anything at all."""
    shown: Resource = dict(attributes)
    if isinstance(enterprise := shown.pop(ENTERPRISE_URN, None), dict):
        # A manager is the id of a source's record, which names nobody to whoever follows us.
        rest: Resource = {name: value for name, value in enterprise.items() if name != "manager"}
        shown |= {ENTERPRISE_URN: rest} if rest else {}
    extensions = [name for name in shown if name.lower().startswith("urn:")]
    return {"schemas": [CORE_URN, *extensions], "id": str(person_id), **shown, trust.ACTIVE: active}


def group(group_id: object, display_name: str, members: Iterable[tuple[str, str]]) -> Resource:
    """A group, whose members are people and groups: ids and types."""
    return {
        "schemas": [GROUP_URN],
        "id": str(group_id),
        "displayName": display_name,
        "members": [_member(one, kind) for one, kind in members],
    }


def _member(member: str, kind: str) -> Json:
    return {"value": member, "type": kind}


def patch(*, display_name: str | None, come: Iterable[tuple[str, str]], gone: Iterable[str]) -> Resource:
    """The PATCH that makes a group of what it was before; no member is in both."""
    operations: list[Json] = [{"op": "remove", "path": f'members[value eq "{one}"]'} for one in gone]
    added = [_member(one, kind) for one, kind in come]
    if added:
        operations.append({"op": "add", "path": "members", "value": added})
    if display_name is not None:
        operations.append({"op": "replace", "path": "displayName", "value": display_name})
    return {"schemas": [PATCH_URN], "Operations": operations}


def names(before: Mapping[str, Json], after: Mapping[str, Json]) -> list[str]:
    """The attributes of people whose values differ, by their full names; `active` apart."""
    old, new = _flat(before), _flat(after)
    return sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


def _flat(attributes: Mapping[str, Json]) -> dict[str, Json]:
    return trust.said(person("", attributes, active=True))


def meta(kind: str, *, created: datetime, modified: datetime, version: str) -> Resource:
    """`meta` of a resource, but for its location, which depends on where it is asked for."""
    return {"resourceType": kind, "created": _stamp(created), "lastModified": _stamp(modified), "version": version}


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def path(kind: str, subject: object) -> str:
    """The relative path of a resource, which a SET names it by."""
    return f"{KINDS[kind].endpoint}/{subject}"


# --- what one receiver is shown ---------------------------------------------------------------------------------------


def shown(resource: Resource, kind: str, scope: Scope, *, base: str) -> Resource:
    """The part of a resource that a receiver may see, with its location; base: the URL of the feed."""
    found: Resource = {}
    for name, value in resource.items():
        if kind != USER.name or name in _ALWAYS or name in scope.attributes:
            found[name] = value
        elif name.lower().startswith("urn:") and isinstance(value, dict):
            inner: Resource = {one: each for one, each in value.items() if f"{name}:{one}" in scope.attributes}
            found |= {name: inner} if inner else {}
    urns = resource.get("schemas")
    found["schemas"] = (
        [urn for urn in urns if urn in found or str(urn) in {CORE_URN, GROUP_URN}] if isinstance(urns, list) else []
    )
    if isinstance(about := resource.get("meta"), dict):
        found["meta"] = {**about, "location": base + path(kind, resource["id"])}
    return found


def payloads(happened: Happened, scope: Scope, *, base: str) -> dict[str, Resource]:
    """The `events` of a SET for one receiver; empty where nothing happened that it may see."""
    visible = [
        name
        for name in happened.changed
        if happened.kind != USER.name or name == trust.ACTIVE or name in scope.attributes
    ]
    found: dict[str, Resource] = {}
    for one in happened.what:
        if one not in _WITH_CONTENT:
            found[PREFIX + one] = {}
        elif one == CREATE or visible:
            content: Resource = {"attributes": list(visible)}
            if scope.full:
                content = {
                    "data": happened.data if one == PATCH else shown(happened.data, happened.kind, scope, base=base)
                }
            found[f"{PREFIX}{one}:{'full' if scope.full else 'notice'}"] = {**content, "version": happened.version}
    return found
