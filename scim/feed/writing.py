"""Write the feed: each change of a person or group is written where it happens, in its transaction (RFC 9967).

The caller holds the lock of the event's subject, so events of a subject are in the order of their changes, and a
rolled-back change leaves no event. There is one row for all receivers; each receiver's view is made on request
(`scim.feed.delivery`). Without receivers nothing is written; `FOLLOWED` reads that in a statement that the change needs
anyway.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, TypedDict

from django.db.models import Exists, F

from scim.feed import events
from scim.models import FeedEvent, Group, Membership, Person, Receiver, Record

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime
    from typing import TypeAlias
    from uuid import UUID

    from django_stubs_ext import WithAnnotations

    from derived.models import Account
    from scim.protocol.schema import Json, Resource


class Followed(TypedDict):
    """The annotation `FOLLOWED` of a row: whether the feed has a receiver."""

    followed: bool


if TYPE_CHECKING:
    FollowedRecord: TypeAlias = WithAnnotations[Record, Followed]
    FollowedGroup: TypeAlias = WithAnnotations[Group, Followed]

FOLLOWED = Exists(Receiver.objects.filter(disabled_at__isnull=True))
_CHUNK = 500


def is_followed() -> bool:
    """True if the feed has a receiver, for callers without a statement to join `FOLLOWED` to."""
    return Receiver.objects.filter(disabled_at__isnull=True).exists()


def new_txn() -> str:
    """A new `txn`, the common id of all events of a transaction."""
    return uuid.uuid4().hex


def _write(  # noqa: PLR0913 - the fields of an event
    kind: str,
    subject: UUID,
    what: list[str],
    *,
    txn: str,
    now: datetime,
    data: Resource | None = None,
    changed: Iterable[str] = (),
    version: str = "",
) -> None:
    FeedEvent.objects.create(
        txn=txn, kind=kind, subject=subject, what=what, data=data or {}, changed=list(changed), version=version, at=now
    )


# --- people ---


def resource(person: Person, account: Account) -> Resource:
    """A person as a feed resource with all merged attributes; `events.visible_part` cuts it for a receiver."""
    found = events.person(person.id, person.profile, active=account.is_active)
    return {
        **found,
        "meta": events.meta("User", created=person.created_at, modified=person.updated_at, version=person.etag),
    }


def person_changed(  # noqa: PLR0913 - before and after, and the transaction
    person: Person,
    account: Account,
    before: Mapping[str, Json],
    *,
    was_active: bool,
    appears: bool,
    txn: str,
    now: datetime,
) -> None:
    """Write the event of a change of a person.

    before: the former attributes. appears: no receiver was shown the person until now.
    """
    changed = events.changed_names({} if appears else before, person.profile)
    turned = account.is_active != was_active
    if not (appears or changed or turned):
        return
    what = [events.CREATE if appears else events.PUT]
    if turned and not appears:
        what.append(events.ACTIVATE if account.is_active else events.DEACTIVATE)
    if turned or appears:
        changed = [*changed, "active"]
    _write(
        "User", person.id, what, data=resource(person, account), changed=changed, version=person.etag, txn=txn, now=now
    )


def person_deleted(person: Person, *, txn: str, now: datetime) -> None:
    """Write the event that a person's last record was deleted or joined to another person's."""
    _write("User", person.id, [events.DELETE], txn=txn, now=now)


def account_changed(account: Account, *, was_active: bool, now: datetime) -> None:
    """Write the event that a manager or the person changed whether an account is active; the caller has locked it."""
    if account.is_active == was_active or not is_followed():
        return
    person = Person.objects.filter(account=account, records__deleted_at__isnull=True).distinct().first()
    if person is not None:
        raise_version(person, now=now)
        person_changed(person, account, person.profile, was_active=was_active, appears=False, txn=new_txn(), now=now)


def raise_version(person: Person, *, now: datetime) -> None:
    """Raise the version of a person whose row is not written otherwise."""
    person.version, person.updated_at = person.version + 1, now
    Person.objects.filter(id=person.id).update(version=person.version, updated_at=now)


# --- groups ---


def members(group: Group) -> list[tuple[str, str]]:
    """The members of a group, people and groups once each, in order of their addition."""
    return members_of([group.id]).get(group.id, [])


def members_of(groups: Collection[UUID]) -> dict[UUID, list[tuple[str, str]]]:
    """The members of several groups."""
    found: dict[UUID, dict[str, str]] = {}
    rows = (
        Membership.objects.filter(group__in=list(groups))
        .order_by("id")
        .values_list("group_id", "record__person_id", "child_id")
    )
    for one, person, child in rows.iterator(chunk_size=2000):
        found.setdefault(one, {}).setdefault(str(person or child), "User" if person else "Group")
    return {one: list(inside.items()) for one, inside in found.items()}


def group_resource(group: Group, inside: Iterable[tuple[str, str]]) -> Resource:
    """A group as a feed resource."""
    found = events.group(group.id, group.display_name, inside)
    return {
        **found,
        "meta": events.meta("Group", created=group.created_at, modified=group.updated_at, version=group.feed_etag),
    }


def group_created(group: Group, *, now: datetime) -> None:
    """Write the event of a new group, with its members."""
    data = group_resource(group, members(group))
    changed = ["displayName", *(["members"] if data["members"] else [])]
    _write(
        "Group",
        group.id,
        [events.CREATE],
        data=data,
        changed=changed,
        version=group.feed_etag,
        txn=new_txn(),
        now=now,
    )


def group_changed(  # noqa: PLR0913 - the changes, and the transaction
    group: Group, *, come: Mapping[str, str], gone: Iterable[str], renamed: bool, txn: str | None = None, now: datetime
) -> None:
    """Write the event of a group's new name or members.

    come: the new members' ids with their types; gone: the ids of removed ones; both of people and groups.
    """
    left = list(gone)
    changed = [*(["displayName"] if renamed else []), *(["members"] if come or left else [])]
    if not changed:
        return
    data = events.patch(display_name=group.display_name if renamed else None, come=come.items(), gone=left)
    _write(
        "Group",
        group.id,
        [events.PATCH],
        data=data,
        changed=changed,
        version=group.feed_etag,
        txn=txn or new_txn(),
        now=now,
    )


def group_deleted(group: Group, *, now: datetime, txn: str) -> None:
    """Write the event of a deleted group."""
    _write("Group", group.id, [events.DELETE], txn=txn, now=now)


def people_of(records: Collection[UUID]) -> dict[UUID, UUID]:
    """The person of each record."""
    ids = list(records)
    found: dict[UUID, UUID] = {}
    for start in range(0, len(ids), _CHUNK):
        found |= dict(Record.objects.filter(id__in=ids[start : start + _CHUNK]).values_list("id", "person_id"))
    return found


def memberships(groups: Collection[UUID], people: Collection[UUID]) -> dict[tuple[UUID, UUID], set[UUID]]:
    """For each of these groups and people, the records by which the person is a member."""
    ids = list(people)
    found: dict[tuple[UUID, UUID], set[UUID]] = {}
    for start in range(0, len(ids), _CHUNK):
        rows = Membership.objects.filter(group__in=list(groups), record__person__in=ids[start : start + _CHUNK])
        for group, person, record in rows.values_list("group_id", "record__person_id", "record_id"):
            found.setdefault((group, person), set()).add(record)
    return found


def record_moved(record: Record, *, old: UUID, new: UUID, txn: str, now: datetime) -> None:
    """Write the group events of a record that a join or a split has moved to another person.

    Its groups have another member for receivers, but not for the record's source.
    """
    ids = list(Membership.objects.filter(record=record).values_list("group_id", flat=True))
    if not ids:
        return
    groups = list(Group.objects.select_for_update().filter(id__in=ids).order_by("id"))
    Group.objects.filter(id__in=ids).update(moved=F("moved") + 1)
    if not is_followed():
        return
    there = memberships(ids, [old, new])
    for group in groups:
        group.moved += 1
        come = {} if there.get((group.id, new), set()) - {record.id} else {str(new): "User"}
        left = [] if there.get((group.id, old)) else [str(old)]
        group_changed(group, come=come, gone=left, renamed=False, txn=txn, now=now)
