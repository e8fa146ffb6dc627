"""The writer of groups: create, replace, patch and delete (RFC 7644 §3.3, §3.5, §3.6), with members as rows.

Each write is a transaction with the group's row locked. A change of members is a set difference that touches only added
and removed rows, so adding a member costs the same in a group of ten and of ten thousand. Groups are source data, never
authority by themselves (ruling 10): no account is locked or changed here.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from django.db import IntegrityError
from django.db.models import F, Q, QuerySet

from derived.ledger.locking import transacted
from scim.errors import invalid_value, not_found, uniqueness
from scim.feed import writing as feed
from scim.models import Group, Membership, Record
from scim.people import bodies
from scim.people.directory import as_id, find_group
from scim.protocol import membership, operations, patch, tags, values
from scim.protocol.group import GROUP, MOST_MEMBERS
from scim.protocol.normalise import Form

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime
    from uuid import UUID

    from scim.feed.writing import FollowedGroup
    from scim.models import Source
    from scim.protocol.schema import Json, Resource

T = TypeVar("T")

_CHUNK = 500


def create_group(source: Source, unverified_body: Json, *, now: datetime) -> Group:
    """Create a group with its members.

    Raises: ScimError 400 invalidSyntax or invalidValue, 409 uniqueness.
    """
    resource = values.resource(bodies.read(source, unverified_body, Form.RESOURCE, GROUP), GROUP)
    change = membership.MemberChange()
    change.add(membership.members_in(resource.pop("members", None)))

    def work() -> Group:
        group = Group(source=source, created_at=now, version=0)
        _store(group, resource, now=now)
        _settle(group, change, followed=False, now=now)
        if feed.is_followed():
            feed.group_created(group, now=now)
        return group

    return _unique(work)


def replace_group(
    source: Source, unverified_id: str, unverified_body: Json, *, if_match: str | None = None, now: datetime
) -> Group:
    """Replace a group by the body; members that the body does not name are removed (RFC 7644 §3.5.1).

    Raises: ScimError 400 invalidSyntax or invalidValue, 404, 409 uniqueness, 412 for another version.
    """
    resource = values.resource(bodies.read(source, unverified_body, Form.RESOURCE, GROUP), GROUP)
    if isinstance(unverified_body, dict) and unverified_body.get("id") not in (None, unverified_id):
        raise invalid_value("The id in the body is not the id in the path.")
    change = membership.MemberChange(reset=True)
    change.add(membership.members_in(resource.pop("members", None)))
    return _write(source, unverified_id, lambda _: (resource, change), if_match=if_match, now=now)


def patch_group(
    source: Source, unverified_id: str, unverified_body: Json, *, if_match: str | None = None, now: datetime
) -> Group:
    """Apply the operations of a PATCH message, all of them or none (RFC 7644 §3.5.2).

    Raises: ScimError 400 of Table 9, 404, 409 uniqueness, 412 for another version.
    """
    message = bodies.read(source, unverified_body, Form.PATCH, GROUP)
    asked = operations.parse(message, most=MOST_MEMBERS)

    def change(group: Group) -> tuple[Resource, membership.MemberChange]:
        members, others = membership.split(asked, lambda: _everyone(group))
        after = patch.apply({"id": str(group.id), **attributes(group)}, others, GROUP)
        del after["id"]
        return after, members

    return _write(source, unverified_id, change, if_match=if_match, now=now)


def delete_group(source: Source, unverified_id: str, *, if_match: str | None = None, now: datetime) -> None:
    """Delete the group with its members and its memberships; its id is never found again.

    Raises: ScimError 404, 412 for another version.
    """

    def work() -> None:
        group = _locked(source, unverified_id, if_match)
        group.deleted_at, group.updated_at, group.version = now, now, group.version + 1
        group.save(update_fields=["deleted_at", "updated_at", "version"])
        parents, txn = Membership.objects.filter(child=group), feed.new_txn()
        touched = _touch(list(parents.values_list("group_id", flat=True)), now=now)
        parents.delete()
        Membership.objects.filter(group=group).delete()
        if group.followed:
            for parent in touched:
                feed.group_changed(parent, come={}, gone=[str(group.id)], renamed=False, txn=txn, now=now)
            feed.group_deleted(group, txn=txn, now=now)

    transacted(work)


def remove_from_groups(record: Record, *, followed: bool, txn: str, now: datetime) -> None:
    """Remove a record, deleted in this transaction, from all groups; followed, txn: as in `scim.feed.writing`."""
    found = Membership.objects.filter(record=record)
    groups = list(found.values_list("group_id", flat=True))
    if not groups:
        return
    touched = _touch(groups, now=now)
    found.delete()
    if followed:
        person = record.person_id
        there = feed.memberships(groups, [person])
        for group in touched:
            if (group.id, person) not in there:
                feed.group_changed(group, come={}, gone=[str(person)], renamed=False, txn=txn, now=now)


def attributes(group: Group) -> Resource:
    """A group's canonical resource, without its members, `id` and `meta`."""
    external: Resource = {} if group.external_id is None else {"externalId": group.external_id}
    return {"schemas": [GROUP.core.urn], **external, "displayName": group.display_name}


def _touch(groups: Iterable[UUID], *, now: datetime) -> list[Group]:
    """Raise the version of groups whose members change, locked in the order of every writer; returns them."""
    locked = list(Group.objects.select_for_update().filter(id__in=groups).order_by("id"))
    Group.objects.filter(id__in=[group.id for group in locked]).update(version=F("version") + 1, updated_at=now)
    for group in locked:
        group.version, group.updated_at = group.version + 1, now
    return locked


def _write(
    source: Source,
    unverified_id: str,
    change: Callable[[Group], tuple[Resource, membership.MemberChange]],
    *,
    if_match: str | None,
    now: datetime,
) -> Group:
    """Apply a change under the group's lock; without a difference, version and time stay."""

    def work() -> Group:
        group = _locked(source, unverified_id, if_match)
        resource, members = change(group)
        before = group.display_name
        moved = _settle(group, members, followed=group.followed, now=now)
        if moved or resource != attributes(group):
            _store(group, resource, now=now)
        if group.followed:
            _tell(group, moved, renamed=group.display_name != before, now=now)
        return group

    return _unique(work)


def _locked(source: Source, unverified_id: str, if_match: str | None) -> FollowedGroup:
    rows = Group.objects.select_for_update().annotate(followed=feed.FOLLOWED)
    group = rows.filter(id=find_group(source, unverified_id).id, deleted_at=None).first()
    if group is None:
        raise not_found()
    tags.check(if_match, group.etag)
    return group


def _store(group: Group, resource: Resource, *, now: datetime) -> None:
    external = resource.get("externalId")
    group.external_id = external if isinstance(external, str) else None
    group.display_name = str(resource["displayName"])
    group.display_name_fold = values.fold(group.display_name)
    group.version += 1
    group.updated_at = now
    others = Group.objects.filter(source=group.source_id, deleted_at__isnull=True).exclude(id=group.id)
    if group.external_id is not None and others.filter(external_id=group.external_id).exists():
        raise uniqueness("externalId is in use.")
    group.save()


def _everyone(group: Group) -> list[tuple[str, str]]:
    rows = Membership.objects.filter(group=group).values_list("record_id", "child_id")
    return [(str(record or child), "User" if record else "Group") for record, child in rows]


@dataclass(frozen=True)
class _Moved:
    """The keys of added and removed records and groups; gone: read only if the feed has a receiver."""

    come: list[tuple[str, UUID]]
    gone: list[tuple[UUID | None, UUID | None]]
    removed: int

    def __bool__(self) -> bool:
        return bool(self.come or self.removed)


def _settle(group: Group, change: membership.MemberChange, *, followed: bool, now: datetime) -> _Moved:
    """Update the rows to the change; returns the added and removed members."""
    removed, left = 0, list[tuple["UUID | None", "UUID | None"]]()
    if change.reset:
        there = dict(_everyone(group))
        gone = [one for one in there if one not in change.added]
        new = {one: kind for one, kind in change.added.items() if one not in there}
        _check_kinds(change.added, there)
    else:
        gone, new = list(change.removed), _not_there(group, change.added)
    for some in _chunks(gone):
        rows = Membership.objects.filter(group=group)
        if followed:
            left += rows.filter(Q(record_id__in=some) | Q(child_id__in=some)).values_list("record_id", "child_id")
        removed += rows.filter(record_id__in=some).delete()[0] + rows.filter(child_id__in=some).delete()[0]
    come = _resolved(group.source_id, new)
    Membership.objects.bulk_create(Membership(group=group, added_at=now, **{column: one}) for column, one in come)
    return _Moved(come, left, removed)


def _tell(group: Group, moved: _Moved, *, renamed: bool, now: datetime) -> None:
    """Write the feed event with added and removed people; a person in the group by another record is neither."""
    came = {one for column, one in moved.come if column == "record_id"}
    went = {record for record, _ in moved.gone if record}
    person_of = feed.people_of(came | went)
    there = feed.memberships([group.id], set(person_of.values())) if person_of else {}
    come = {str(one): "Group" for column, one in moved.come if column != "record_id"}
    gone = [str(child) for _, child in moved.gone if child]
    left = {person_of[record] for record in went}
    for person in dict.fromkeys(person_of.values()):
        now_by = there.get((group.id, person), set())
        was_in, is_in = bool(now_by - came) or person in left, bool(now_by)
        if is_in and not was_in:
            come[str(person)] = "User"
        elif was_in and not is_in:
            gone.append(str(person))
    feed.group_changed(group, come=come, gone=gone, renamed=renamed, now=now)


def _not_there(group: Group, added: dict[str, str]) -> dict[str, str]:
    """The ids that are not yet members."""
    there: dict[str, str] = {}
    for some in _chunks(added):
        rows = Membership.objects.filter(group=group)
        there |= {str(one): "User" for one in rows.filter(record_id__in=some).values_list("record_id", flat=True)}
        there |= {str(one): "Group" for one in rows.filter(child_id__in=some).values_list("child_id", flat=True)}
    _check_kinds(added, there)
    return {one: kind for one, kind in added.items() if one not in there}


def _resolved(source_id: int, added: dict[str, str]) -> list[tuple[str, UUID]]:
    """The column and the key of each id, which must be a record or a group of the same source (C27).

    Records are locked while they are read, so that none is deleted in between and stays a member.
    """
    found: dict[str, tuple[str, UUID]] = {}
    for some in _chunks(added):
        for column, model in (("record_id", Record), ("child_id", Group)):
            left = [one for one in some if str(one) not in found]
            if left:
                living: QuerySet[Any] = QuerySet(model).filter(source=source_id, id__in=left, deleted_at__isnull=True)
                locked = living.select_for_update(no_key=True).order_by("id").values_list("id", flat=True)
                found |= {str(one): (column, one) for one in locked}
    if len(found) < len(added):
        raise invalid_value("A member is not a resource of this source.")
    _check_kinds(added, {one: "User" if column == "record_id" else "Group" for one, (column, _) in found.items()})
    return [found[one] for one in added]


def _chunks(ids: Iterable[str]) -> Iterator[list[UUID]]:
    """The keys of ids, in chunks of the size of a statement."""
    keys = filter(None, map(as_id, ids))
    while some := list(islice(keys, _CHUNK)):
        yield some


def _check_kinds(added: dict[str, str], there: dict[str, str]) -> None:
    if any(kind and there.get(one, kind) != kind for one, kind in added.items()):
        raise invalid_value("A member has another type.")


def _unique(work: Callable[[], T]) -> T:
    """Run `work`; concurrent writers both pass the check, and the unique index admits one."""
    try:
        return transacted(work)
    except IntegrityError as error:
        if "group_external_id_per_source" not in str(error) and "scim_group.external_id" not in str(error):
            raise
        raise uniqueness("externalId is in use.") from None
