"""What a list request asks for, in the address or in the body of a `.search` (RFC 7644 §3.4.2 and §3.4.3); pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scim.documents import MOST_RESULTS
from scim.errors import invalid_syntax, invalid_value
from scim.filter import parse_filter
from scim.projection import Projection, projection

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scim.schema import Json, ResourceType
    from scim.tree import Tree

URN = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
_DEFAULT_COUNT = 100
_FARTHEST = 2**31
_LONGEST_NUMBER = 18


@dataclass(frozen=True)
class Query:
    """A page of what matches; start: 1-based. count: 0 to 200; other numbers are brought inside (§3.4.2.4)."""

    tree: Tree | None
    start: int
    count: int
    shown: Projection


def of_parameters(given: Mapping[str, str], kind: ResourceType) -> Query:
    """The query in an address.

    Raises: ScimError invalidFilter, or invalidValue for what is no number.
    """
    text = given.get("filter")
    return Query(
        tree=parse_filter(text, kind) if text is not None else None,
        start=max(1, _number(given, "startIndex", 1)),
        count=min(MOST_RESULTS, max(0, _number(given, "count", _DEFAULT_COUNT))),
        shown=projection(kind, attributes=given.get("attributes"), excluded=given.get("excludedAttributes")),
    )


def of_body(body: Json, kind: ResourceType) -> Query:
    """The query in the body of a `.search`.

    Raises: ScimError invalidSyntax for another message, and what `of_parameters` raises.
    """
    if not isinstance(body, dict):
        raise invalid_syntax("The body must be a JSON object.")
    schemas = body.get("schemas")
    if not isinstance(schemas, list) or URN.lower() not in {str(urn).lower() for urn in schemas}:
        raise invalid_syntax(f"schemas must name {URN}.")
    return of_parameters({name: _as_text(name, value) for name, value in body.items() if value is not None}, kind)


def _as_text(name: str, value: Json) -> str:
    """A member as it would stand in an address."""
    if isinstance(value, list):
        return ",".join(one for one in value if isinstance(one, str))
    numeric = name in {"startIndex", "count"}
    if isinstance(value, bool | float | dict) or isinstance(value, str) == numeric:
        raise invalid_value("A member of the search has another type.")
    return str(value)


def _number(given: Mapping[str, str], name: str, default: int) -> int:
    text = given.get(name)
    if text is None:
        return default
    digits = text.strip().removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > _LONGEST_NUMBER:
        raise invalid_value(f"{name} must be a whole number.")
    return max(-_FARTHEST, min(_FARTHEST, int(text)))
