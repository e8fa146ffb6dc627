"""The content of the feed: people and groups as resources, and events about them (RFC 9967); pure.

A person's event carries the person after the change (`put`), so the last event is the state. A group's event carries
the difference (`patch`), so adding one member to a group of ten thousand is short (RFC 9967 §5). A receiver gets the
attributes that it may see, or only their names if it receives notices; a change of other attributes sends it no event.
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
class ReceiverScope:
    """The visible part for a receiver: attributes of people, by full name; full: values, else names."""

    attributes: Collection[str]
    full: bool


@dataclass(frozen=True, kw_only=True)
class FeedChange:
    """A change, as `models.FeedEvent` stores it."""

    kind: str
    subject: str
    what: Collection[str]
    data: Resource
    changed: Collection[str]
    version: str


# --- resources ---


def person(person_id: object, attributes: Mapping[str, Json], *, active: bool) -> Resource:
    """A person as a User: the merged attributes, and whether the account is active."""
    shown: Resource = dict(attributes)
    if isinstance(enterprise := shown.pop(ENTERPRISE_URN, None), dict):
        # A manager is the id of a source's record, which means nothing to a receiver.
        rest: Resource = {name: value for name, value in enterprise.items() if name != "manager"}
        shown |= {ENTERPRISE_URN: rest} if rest else {}
    extensions = [name for name in shown if name.lower().startswith("urn:")]
    return {"schemas": [CORE_URN, *extensions], "id": str(person_id), **shown, trust.ACTIVE: active}


def group(group_id: object, display_name: str, members: Iterable[tuple[str, str]]) -> Resource:
    """A group with its members: ids and types of people and groups."""
    return {
        "schemas": [GROUP_URN],
        "id": str(group_id),
        "displayName": display_name,
        "members": [_member(one, kind) for one, kind in members],
    }


def _member(member: str, kind: str) -> Json:
    return {"value": member, "type": kind}


def patch(*, display_name: str | None, come: Iterable[tuple[str, str]], gone: Iterable[str]) -> Resource:
    """The PATCH that leads from a group's former state to its present one; no member is added and removed."""
    operations: list[Json] = [{"op": "remove", "path": f'members[value eq "{one}"]'} for one in gone]
    added = [_member(one, kind) for one, kind in come]
    if added:
        operations.append({"op": "add", "path": "members", "value": added})
    if display_name is not None:
        operations.append({"op": "replace", "path": "displayName", "value": display_name})
    return {"schemas": [PATCH_URN], "Operations": operations}


def changed_names(before: Mapping[str, Json], after: Mapping[str, Json]) -> list[str]:
    """The full names of attributes with different values, without `active`."""
    old, new = _flat(before), _flat(after)
    return sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


def _flat(attributes: Mapping[str, Json]) -> dict[str, Json]:
    return trust.assigned_attributes(person("", attributes, active=True))


def meta(kind: str, *, created: datetime, modified: datetime, version: str) -> Resource:
    """`meta` of a resource, without its location, which depends on the requested URL."""
    return {"resourceType": kind, "created": _stamp(created), "lastModified": _stamp(modified), "version": version}


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def path(kind: str, subject: object) -> str:
    """The relative path of a resource, as in the subject of a SET."""
    return f"{KINDS[kind].endpoint}/{subject}"


# --- the view of a receiver ---


def visible_part(resource: Resource, kind: str, scope: ReceiverScope, *, base: str) -> Resource:
    """The visible part of a resource for a receiver, with its location; base: the URL of the feed."""
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


def payloads(happened: FeedChange, scope: ReceiverScope, *, base: str) -> dict[str, Resource]:
    """The `events` of a SET for a receiver; empty if nothing visible changed."""
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
                    "data": happened.data
                    if one == PATCH
                    else visible_part(happened.data, happened.kind, scope, base=base)
                }
            found[f"{PREFIX}{one}:{'full' if scope.full else 'notice'}"] = {**content, "version": happened.version}
    return found
