"""Which of two pushes is the newer, and who may come back (C29, I8, ruling 11); pure.

A source that numbers its records in `meta.version` (a plain number, not the entity tag that it got from us) is ordered by that
number: whatever the order in which they arrive, the highest stands, and of two of one number the one that deactivates, else the
one that is greater as text. Such a push is a whole statement, so it must say `active`. A push with the entity tag of the present
version (If-Match) is the newer one by proof. Of a push with neither nothing is known but that it came: it may end a person, and
not bring one back.
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
    """The number that a source gives this version: `meta.version` of digits only, else None."""
    version = _meta(body, "version")
    return int(version) if isinstance(version, str) and _SEQUENCE.fullmatch(version) else None


def stated_at(body: Json, *, now: datetime) -> datetime:
    """When a source that numbers its versions says that it changed this one; never later than now. Else now."""
    text = _meta(body, "lastModified")
    if sequence(body) is None or not isinstance(text, str):
        return now
    try:
        found = datetime.fromisoformat(text)
        return min(found.astimezone(UTC), now) if found.tzinfo is not None else now
    except (ValueError, OverflowError):  # no time at all, or one whose UTC is not in the calendar
        return now


def _meta(body: Json, name: str) -> Json:
    meta = body.get("meta") if isinstance(body, dict) else None
    return meta.get(name) if isinstance(meta, dict) else None


def check_whole(number: int | None, resource: Resource) -> None:
    """Raises: ScimError invalidValue for a numbered version that leaves `active` to what was there before."""
    if number is not None and "active" not in resource:
        raise invalid_value(
            "A push with a number in meta.version must say active: it stands for itself, in whatever order it comes."
        )


def overrules(given: Resource, present: Resource) -> bool:
    """Whether, of two contents of one number, the given one stands: a deactivation wins, else what is greater as text."""
    return _weight(given) > _weight(present)


def _weight(resource: Resource) -> tuple[bool, str]:
    return (resource.get("active") is False, json.dumps(resource, sort_keys=True))


def is_versioned(number: int | None, if_match: str | None) -> bool:
    """Whether a push shows that it is newer than what is there: by its number, or by an entity tag that fits."""
    tags = [tag.strip() for tag in (if_match or "*").split(",")]
    return number is not None or "*" not in tags


def says_active(asked: Sequence[Operation]) -> bool:
    """Whether a PATCH speaks of `active` at all."""

    def names(operation: Operation) -> set[str]:
        if operation.unverified_path is not None:
            return {operation.unverified_path.rpartition(":")[2].lower()}
        return (
            {key.rpartition(":")[2].lower() for key in operation.value} if isinstance(operation.value, dict) else set()
        )

    return any("active" in names(operation) for operation in asked)
