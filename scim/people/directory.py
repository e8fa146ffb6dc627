"""The read side: a source's own view of its records and groups; no source sees another's (C27)."""

from __future__ import annotations

import uuid
from collections import defaultdict
from datetime import UTC
from typing import TYPE_CHECKING, TypeAlias

from derived.ledger.prepared_sql import BoundValue, PreparedSelect, field_of
from scim.errors import not_found
from scim.feed import writing as feed
from scim.models import Group, Membership, Person, Record, Source
from scim.protocol.assurance import ASSURANCE_URN, READMISSION_PENDING
from scim.protocol.group import GROUP
from scim.protocol.user import USER
from scim.protocol.values import fold

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from django.db.models import QuerySet

    from scim.feed.writing import FollowedRecord
    from scim.protocol.schema import Json, Resource, ResourceType

Row: TypeAlias = "Record | Group"

_LONGEST_NAME = 256
_MOST_LEVELS = 32


def _living(*related: str) -> QuerySet[FollowedRecord]:
    rows = Record.objects.filter(
        source_id=BoundValue("source", field_of(Source)),
        deleted_at__isnull=True,
        id=BoundValue("id", field_of(Record)),
    ).annotate(followed=feed.FOLLOWED)
    return rows.select_related(*related) if related else rows


_ALONE, _WITH_PERSON = PreparedSelect(_living), PreparedSelect(lambda: _living("person"))


def find(source: Source, unverified_id: str, *, to_write: bool = False) -> FollowedRecord:
    """The record of this id, if it belongs to this source and is not deleted.

    Its `followed` says whether the feed has a receiver. to_write: with its person.
    Raises: ScimError 404.
    """
    record_id = as_id(unverified_id)
    read = _WITH_PERSON if to_write else _ALONE
    record = read.first(source=source.id, id=record_id) if record_id else None
    if record is None:
        raise not_found()
    record.source = source
    return record


def find_group(source: Source, unverified_id: str) -> Group:
    """The group of this id, if it belongs to this source and is not deleted.

    Raises: ScimError 404.
    """
    group_id = as_id(unverified_id)
    group = Group.objects.filter(source=source, deleted_at__isnull=True, id=group_id).first() if group_id else None
    if group is None:
        raise not_found()
    return group


def as_id(text: str) -> uuid.UUID | None:
    """An id in the canonical spelling; other spellings of a UUID are other ids."""
    try:
        found = uuid.UUID(text)
    except ValueError:
        return None
    return found if str(found) == text else None


def person_by_login_name(unverified_name: str) -> Person | None:
    """The person with this login name, compared without case; None if there is none, or for an impossible name."""
    if len(unverified_name) > _LONGEST_NAME or not unverified_name.isprintable():
        return None
    return Person.objects.select_related("account").filter(login_name_fold=fold(unverified_name.strip())).first()


def location(row: Row, *, base: str) -> str:
    """The URL of a record or group; base: the URL of the SCIM root."""
    return _place(GROUP if isinstance(row, Group) else USER, row.id, base)


def people(records: Sequence[Record], *, base: str, with_groups: bool = True) -> list[Resource]:
    """A source's view of its records, with `groups`, `id` and `meta`."""
    within = _groups_of([record.id for record in records], base) if with_groups else {}
    found: list[Resource] = []
    for record in records:
        shown = record.resource if record.returns_at is None else _waiting(record.resource)
        schemas: Json = shown.get("schemas", [])
        rest = {name: value for name, value in shown.items() if name != "schemas"}
        groups: Resource = {"groups": list(within[record.id])} if record.id in within else {}
        found.append({"schemas": schemas, "id": str(record.id), **rest, **groups, "meta": _meta(USER, record, base)})
    return found


def _waiting(resource: Resource) -> Resource:
    """The view of a record whose `active: true` waits for a manager: not active, and the extension says why."""
    extension, schemas = resource.get(ASSURANCE_URN), resource.get("schemas")
    urns: list[Json] = [urn for urn in schemas if urn != ASSURANCE_URN] if isinstance(schemas, list) else []
    return {
        **resource,
        "schemas": [*urns, ASSURANCE_URN],
        "active": False,
        ASSURANCE_URN: {**(extension if isinstance(extension, dict) else {}), "readmission": READMISSION_PENDING},
    }


def groups(found: Sequence[Group], *, base: str, with_members: bool = True) -> list[Resource]:
    """A source's view of its groups, with `members`, `id` and `meta`."""
    inside = _members_of([group.id for group in found], base) if with_members else {}
    return [
        {
            "schemas": [GROUP.core.urn],
            "id": str(group.id),
            **({} if group.external_id is None else {"externalId": group.external_id}),
            "displayName": group.display_name,
            **({"members": list(inside[group.id])} if group.id in inside else {}),
            "meta": _meta(GROUP, group, base),
        }
        for group in found
    ]


def _members_of(ids: Iterable[uuid.UUID], base: str) -> dict[uuid.UUID, list[Json]]:
    """The members of each group, in order of their addition."""
    found: dict[uuid.UUID, list[Json]] = defaultdict(list)
    users, inner = f"{base}{USER.endpoint}/", f"{base}{GROUP.endpoint}/"
    rows = (
        Membership.objects.filter(group__in=list(ids)).order_by("id").values_list("group_id", "record_id", "child_id")
    )
    for group, record, child in rows.iterator(chunk_size=2000):
        member, kind, place = (str(record), "User", users) if record else (str(child), "Group", inner)
        found[group].append({"value": member, "$ref": place + member, "type": kind})
    return found


def _groups_of(ids: Iterable[uuid.UUID], base: str) -> dict[uuid.UUID, list[Json]]:
    """The groups of each record, direct or through another group (RFC 7643 §4.1.2)."""
    direct: dict[uuid.UUID, dict[uuid.UUID, str]] = defaultdict(dict)
    names: dict[uuid.UUID, str] = {}
    rows = Membership.objects.filter(record__in=list(ids)).order_by("id")
    for record, group, name in rows.values_list("record_id", "group_id", "group__display_name"):
        direct[record][group] = "direct"
        names[group] = name
    above = _above(names)
    for groups_of_one in direct.values():
        waiting = list(groups_of_one)
        while waiting:
            for parent in above.get(waiting.pop(), ()):
                if parent not in groups_of_one:
                    groups_of_one[parent] = "indirect"
                    waiting.append(parent)
    return {
        record: [
            {"value": str(one), "$ref": _place(GROUP, one, base), "display": names[one], "type": how}
            for one, how in groups_of_one.items()
        ]
        for record, groups_of_one in direct.items()
    }


def _above(names: dict[uuid.UUID, str]) -> dict[uuid.UUID, list[uuid.UUID]]:
    """The parents of the named groups, upwards, whose names are added to `names`. Cycles end by themselves."""
    above: dict[uuid.UUID, list[uuid.UUID]] = defaultdict(list)
    level = list(names)
    for _ in range(_MOST_LEVELS):
        if not level:
            break
        rows = Membership.objects.filter(child__in=level).order_by("id")
        level = []
        for child, parent, name in rows.values_list("child_id", "group_id", "group__display_name"):
            above[child].append(parent)
            if parent not in names:
                names[parent] = name
                level.append(parent)
    return above


def _place(kind: ResourceType, row_id: uuid.UUID, base: str) -> str:
    return f"{base}{kind.endpoint}/{row_id}"


def _meta(kind: ResourceType, row: Row, base: str) -> Json:
    return {
        "resourceType": kind.name,
        "created": _stamp(row.created_at),
        "lastModified": _stamp(row.updated_at),
        "location": location(row, base=base),
        "version": row.etag,
    }


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
