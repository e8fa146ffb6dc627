"""The full state for a receiver, at first and after it has fallen behind: people and groups, by cursor (RFC 9865)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import Exists, OuterRef

from scim.errors import ScimError, not_found
from scim.feed import delivery, events, receivers
from scim.feed import writing as feed
from scim.http import cursors
from scim.models import Group, Person, Record
from scim.people.directory import as_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from django.db.models import QuerySet

    from scim.models import Receiver
    from scim.protocol.schema import Resource

# A transaction that began before the receiver was registered may still be running; none takes this long.
_QUIET = timedelta(seconds=5)


def list_identity(receiver: Receiver, kind: str) -> bytes:
    """The identity of this list, for its cursors."""
    return cursors.digest("feed", str(receiver.id), kind)


def page_for(  # noqa: PLR0913 - the parts of a page
    receiver: Receiver, kind: str, *, count: int, after: cursors.CursorPosition | None, base: str, now: datetime
) -> tuple[list[Resource], cursors.CursorPosition | None]:
    """A page of visible resources, and where the next begins; the first page starts the events.

    Raises: ScimError 404 for a kind that the receiver does not follow, 503 in the first seconds of a new receiver.
    """
    require_followed(receiver, kind)
    if after is None:
        if now - receiver.since < _QUIET:
            raise ScimError(503, None, "This feed is new; try again in a few seconds.")
        delivery.read_begins(receiver, kind)
    rows = _rows(kind).order_by("id")
    some = list((rows if after is None else rows.filter(id__gt=after.row))[: count + 1])
    further = cursors.CursorPosition(some[count - 1].id, 0) if count and len(some) > count else None
    return [_shown(receiver, kind, one, base=base) for one in _whole(kind, some[:count])], further


def resource_for(receiver: Receiver, kind: str, unverified_id: str, *, base: str) -> Resource:
    """A single resource.

    Raises: ScimError 404.
    """
    require_followed(receiver, kind)
    row_id = as_id(unverified_id)
    row = _rows(kind).filter(id=row_id).first() if row_id else None
    if row is None:
        raise not_found()
    return _shown(receiver, kind, _whole(kind, [row])[0], base=base)


def require_followed(receiver: Receiver, kind: str) -> None:
    """Require that the receiver follows this kind, otherwise answer as for a missing resource.

    Raises: ScimError 404.
    """
    if kind not in receiver.kinds:
        raise not_found()


def _rows(kind: str) -> QuerySet[Any]:
    """The groups, or every person with a record, active or not."""
    if kind == "Group":
        return Group.objects.filter(deleted_at__isnull=True)
    here = Record.objects.filter(person=OuterRef("pk"), deleted_at__isnull=True)
    return Person.objects.filter(Exists(here)).select_related("account")


def _whole(kind: str, rows: Sequence[Person | Group]) -> list[Resource]:
    if kind == "User":
        return [feed.resource(row, row.account) for row in rows if isinstance(row, Person)]
    groups = [row for row in rows if isinstance(row, Group)]
    inside = feed.members_of([group.id for group in groups])
    return [feed.group_resource(group, inside.get(group.id, [])) for group in groups]


def _shown(receiver: Receiver, kind: str, resource: Resource, *, base: str) -> Resource:
    return events.visible_part(resource, kind, receivers.scope(receiver), base=base)
