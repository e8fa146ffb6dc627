"""The order of writes of a source, and who may return (C29, I8, ruling 11); pure.

A source that numbers its records in `meta.version` (a plain number, not the entity tag that it got from the server) is
ordered by that number: whatever the order of arrival, the highest wins; of two with the same number the deactivating
one, else the one that is greater as text. Such a write is complete, so it must contain `active`. A write with the
entity tag of the present version (If-Match) is provably newer. A write with neither proves nothing: it may end a
person, but not bring one back.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from scim.errors import invalid_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scim.protocol.operations import Operation
    from scim.protocol.schema import Json, Resource

_SEQUENCE = re.compile(r"[0-9]{1,18}")


def sequence(body: Json) -> int | None:
    """The source's number of this version: `meta.version` of digits only, else None."""
    version = _meta(body, "version")
    return int(version) if isinstance(version, str) and _SEQUENCE.fullmatch(version) else None


def stated_at(body: Json, *, now: datetime) -> datetime:
    """The source's own time of the change if it numbers its versions, never later than now; else now."""
    text = _meta(body, "lastModified")
    if sequence(body) is None or not isinstance(text, str):
        return now
    try:
        found = datetime.fromisoformat(text)
        return min(found.astimezone(UTC), now) if found.tzinfo is not None else now
    except (ValueError, OverflowError):  # not a time, or its UTC is outside the calendar
        return now


def _meta(body: Json, name: str) -> Json:
    meta = body.get("meta") if isinstance(body, dict) else None
    return meta.get(name) if isinstance(meta, dict) else None


def require_active_stated(number: int | None, resource: Resource) -> None:
    """Require that a numbered version contains `active`.

    Raises: ScimError invalidValue.
    """
    if number is not None and "active" not in resource:
        raise invalid_value(
            "A resource with a number in meta.version must contain active, because such writes may arrive in any order."
        )


def wins_over(given: Resource, present: Resource) -> bool:
    """True if the given content wins over the present one of the same number: a deactivation, else the greater text."""
    return _weight(given) > _weight(present)


def _weight(resource: Resource) -> tuple[bool, str]:
    return (resource.get("active") is False, json.dumps(resource, sort_keys=True))


def is_versioned(number: int | None, if_match: str | None) -> bool:
    """True if a write is provably newer: by its number, or by an entity tag."""
    tags = [tag.strip() for tag in (if_match or "*").split(",")]
    return number is not None or "*" not in tags


def mentions_active(asked: Sequence[Operation]) -> bool:
    """True if a PATCH refers to `active`."""

    def names(operation: Operation) -> set[str]:
        if operation.unverified_path is not None:
            return {operation.unverified_path.rpartition(":")[2].lower()}
        return (
            {key.rpartition(":")[2].lower() for key in operation.value} if isinstance(operation.value, dict) else set()
        )

    return any("active" in names(operation) for operation in asked)
