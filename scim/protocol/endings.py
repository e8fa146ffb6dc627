"""Whether a body that was refused states that a person is no longer active; pure.

The body has failed some check, so nothing of it is believed. In doubt the answer is yes: a manager looks, and nothing
is changed by it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from scim.protocol.values import is_unassigned

if TYPE_CHECKING:
    from scim.protocol.schema import Json

_ACTIVE = "active"
_TRUE = frozenset({"true", "1", "yes"})


def may_end(method: str, unverified_raw: bytes | None) -> bool:
    """True if a request to a person may state an ending; unverified_raw: None for a body that could not be read."""
    if method == "DELETE" or unverified_raw is None:
        return True
    try:
        unverified_body = json.loads(unverified_raw.decode("utf-8-sig"), object_pairs_hook=_with_repeated_names)
        return states_ending(unverified_body)
    except (ValueError, RecursionError):
        text = unverified_raw.replace(b"\x00", b"").lower()
        return _ACTIVE.encode() in text and b"false" in text


def _with_repeated_names(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    """An object; a name that stands in it twice keeps all its values, since each of them may be meant."""
    values: dict[str, list[Json]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return {name: found[0] if len(found) == 1 else found for name, found in values.items()}


def states_ending(unverified_body: Json) -> bool:
    """True if any `active` of a resource, a PATCH message or a bulk is not true, or an operation of a bulk deletes."""
    waiting: list[Json] = [unverified_body]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            parts = {key.lower(): inner for key, inner in value.items()}
            if str(parts.get("method")).upper() == "DELETE":
                return True
            named = [inner for key, inner in value.items() if _is_active(key)]
            if _is_active(parts.get("path")) and "value" in parts:
                named.append(parts["value"])
            if any(not _is_true(inner) for inner in named):
                return True
            waiting += value.values()
    return False


def _is_active(name: Json) -> bool:
    return isinstance(name, str) and name.strip().rpartition(":")[2].lower() == _ACTIVE


def _is_true(value: Json) -> bool:
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, dict):
        return all(_is_true(inner) for inner in value.values())
    return is_unassigned(value) or str(value).strip().lower() in _TRUE
