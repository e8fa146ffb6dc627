"""List requests: query parameters, or the body of a `.search` (RFC 7644 §3.4.2, §3.4.3, RFC 9865); pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scim.errors import ScimError, invalid_path, invalid_syntax, invalid_value
from scim.http.documents import DEFAULT_RESULTS, MOST_RESULTS
from scim.protocol.filter import parse_filter, parse_path
from scim.protocol.projection import Projection, projection
from scim.protocol.schema import AttributePath, Returned, Type

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scim.protocol.schema import Json, ResourceType
    from scim.protocol.tree import Tree

URN = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
_FARTHEST = 2**31
_LONGEST_NUMBER = 18
_LONGEST_CURSOR = 512


@dataclass(frozen=True)
class QueryPart:
    """The request for a resource type; tree: None for all resources. sort: None for the order of creation."""

    kind: ResourceType
    tree: Tree | None
    shown: Projection
    sort: AttributePath | None = None


@dataclass(frozen=True)
class ListQuery:
    """The requested page of matching resources.

    start: 1-based. count: 0 to 200; other numbers are clamped (§3.4.2.4). cursor: None for paging by index, empty for
    the first page by cursor. spelling: the filter and the order as requested, to which a cursor is bound.
    """

    parts: tuple[QueryPart, ...]
    start: int
    count: int
    descending: bool = False
    cursor: str | None = None
    spelling: tuple[str, ...] = ()


def of_parameters(given: Mapping[str, str], kinds: Sequence[ResourceType]) -> ListQuery:
    """The query in query parameters.

    Raises: ScimError invalidFilter, invalidPath for an impossible order, or invalidValue.
    """
    cursor = given.get("cursor")
    if cursor is not None and "startIndex" in given:
        raise invalid_value("cursor and startIndex exclude each other.")
    if cursor is not None and len(cursor) > _LONGEST_CURSOR:
        raise ScimError(400, "invalidCursor", "The cursor is not one of this list.")
    order = given.get("sortOrder", "ascending").lower()
    if order not in {"ascending", "descending"}:
        raise invalid_value("sortOrder must be ascending or descending.")
    return ListQuery(
        parts=_parts(given, kinds),
        start=max(1, _number(given, "startIndex", 1)),
        count=min(MOST_RESULTS, max(0, _number(given, "count", DEFAULT_RESULTS))),
        descending=order == "descending" and "sortBy" in given,
        cursor=cursor,
        spelling=(*(kind.name for kind in kinds), given.get("filter", ""), given.get("sortBy", "").lower(), order),
    )


def of_body(body: Json, kinds: Sequence[ResourceType]) -> ListQuery:
    """The query in the body of a `.search`.

    Raises: ScimError invalidSyntax for another message; as `of_parameters`.
    """
    if not isinstance(body, dict):
        raise invalid_syntax("The body must be a JSON object.")
    schemas = body.get("schemas")
    if not isinstance(schemas, list) or URN.lower() not in {str(urn).lower() for urn in schemas}:
        raise invalid_syntax(f"schemas must name {URN}.")
    return of_parameters({name: _as_text(name, value) for name, value in body.items() if value is not None}, kinds)


def _parts(given: Mapping[str, str], kinds: Sequence[ResourceType]) -> tuple[QueryPart, ...]:
    """A part for each resource type that has the attributes of the filter; without any, the first type's error."""
    text, sort_by = given.get("filter"), given.get("sortBy")
    if sort_by is not None and len(kinds) > 1:
        raise invalid_value("Resources of several kinds have no common order; search one kind to sort.")
    found: list[QueryPart] = []
    refused: ScimError | None = None
    for kind in kinds:
        try:
            tree = parse_filter(text, kind) if text is not None else None
        except ScimError as error:
            refused = refused or error
            continue
        shown = projection(kind, attributes=given.get("attributes"), excluded=given.get("excludedAttributes"))
        found.append(QueryPart(kind, tree, shown, _sort(sort_by, kind) if sort_by is not None else None))
    if refused is not None and not found:
        raise refused
    return tuple(found)


def _sort(text: str, kind: ResourceType) -> AttributePath:
    """The attribute to sort by; a complex one means its `value` (§3.4.2.3)."""
    path = parse_path(text, kind)
    target = path.target
    if (
        path.only is None
        and target.sub is None
        and target.attribute is not None
        and target.attribute.type == Type.COMPLEX
    ):
        target = AttributePath(target.extension, target.attribute, target.attribute.sub("value"))
    last = target.last
    if path.only is not None or last is None or last.type == Type.COMPLEX or last.returned == Returned.NEVER:
        raise invalid_path("sortBy must name one attribute that has an order.")
    return target


def _as_text(name: str, value: Json) -> str:
    """A member of the body as a query parameter."""
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
