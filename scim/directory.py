"""The read side: one record of a source, or a page of them; no source sees another's (C27).

How a list is filtered: where the filter cannot hold unless `id`, `userName` or `externalId` equals a literal, that
index narrows the candidates; then `tree.matches` decides over each candidate, streamed. So no semantics are left to a
database, and the filters that clients send before every create or update stay flat in the number of records. Any other
filter reads all records of its own source once.
"""

from __future__ import annotations

import uuid
from datetime import UTC
from typing import TYPE_CHECKING

from scim.errors import not_found
from scim.models import Person, Record
from scim.tree import matches, required_equalities
from scim.user import USER
from scim.values import fold

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet

    from scim.models import Source
    from scim.schema import Json, Resource
    from scim.tree import Tree

_CHUNK = 500
_LONGEST_NAME = 256


def find(source: Source, unverified_id: str) -> Record:
    """The record of that id, if it is this source's and not deleted.

    Raises: ScimError 404.
    """
    record_id = _as_id(unverified_id)
    record = _records(source).filter(id=record_id).first() if record_id else None
    if record is None:
        raise not_found()
    return record


def page(source: Source, tree: Tree | None, *, start: int, count: int, base: str) -> tuple[int, list[Record]]:
    """How many records of a source match, and `count` of them from the 1-based `start`, oldest first."""
    records = _records(source).order_by("created_at", "id")
    if tree is None:
        return records.count(), list(records[start - 1 : start - 1 + count]) if count else []
    total, found = 0, []
    for record in _narrowed(records, tree).iterator(chunk_size=_CHUNK):
        if matches(tree, view(record, base=base)):
            total += 1
            if start <= total < start + count:
                found.append(record)
    return total, found


def view(record: Record, *, base: str) -> Resource:
    """What this source is shown: its own view, with `id` and `meta`; base: the URL of the SCIM root."""
    schemas: Json = record.resource.get("schemas", [])
    rest = {name: value for name, value in record.resource.items() if name != "schemas"}
    return {"schemas": schemas, "id": str(record.id), **rest, "meta": _meta(record, base)}


def person_by_login_name(unverified_name: str) -> Person | None:
    """The person who logs in with that name, in any case; None for nobody, and for what can be no name."""
    if len(unverified_name) > _LONGEST_NAME or not unverified_name.isprintable():
        return None
    return Person.objects.select_related("account").filter(login_name_fold=fold(unverified_name.strip())).first()


def location(record: Record, *, base: str) -> str:
    """The URL of a record."""
    return f"{base}{USER.endpoint}/{record.id}"


def _meta(record: Record, base: str) -> Json:
    return {
        "resourceType": USER.name,
        "created": _stamp(record.created_at),
        "lastModified": _stamp(record.updated_at),
        "location": location(record, base=base),
        "version": record.etag,
    }


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _records(source: Source) -> QuerySet[Record]:
    return Record.objects.filter(source=source, deleted_at__isnull=True)


def _narrowed(records: QuerySet[Record], tree: Tree) -> QuerySet[Record]:
    for name, value in required_equalities(tree).items():
        if name == "id":
            record_id = _as_id(value)
            records = records.filter(id=record_id) if record_id else records.none()
        elif name == "userName":
            records = records.filter(user_name_fold=value)
        elif name == "externalId":
            records = records.filter(external_id=value)
    return records


def _as_id(text: str) -> uuid.UUID | None:
    """An id in the one spelling that we give out; other spellings of a UUID are other ids."""
    try:
        found = uuid.UUID(text)
    except ValueError:
        return None
    return found if str(found) == text else None
