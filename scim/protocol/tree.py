"""The meaning of a filter: a tree with resolved names and checked literals, and its evaluation.

Pure and without a database, so that the value paths of PATCH and the lists of two databases cannot differ. Semantics
(RFC 7644 §3.4.2.2): text is compared folded unless `caseExact`; dates as instants; a multi-valued attribute matches if
any of its values does, also for `ne`; a value path applies all its conditions to the same element; `pr` is false for an
unassigned value, and for an empty string.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias

from scim.protocol.schema import AttributePath, Json, Resource, Type
from scim.protocol.values import fold, is_unassigned

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scim.protocol.schema import Attribute

Operand: TypeAlias = "str | int | float | bool | datetime | None"
Tree: TypeAlias = "And | Or | Not | Compare | Present | Within"


@dataclass(frozen=True)
class And:
    """All terms match."""

    terms: tuple[Tree, ...]


@dataclass(frozen=True)
class Or:
    """Any term matches."""

    terms: tuple[Tree, ...]


@dataclass(frozen=True)
class Not:
    """The term does not match."""

    term: Tree


@dataclass(frozen=True)
class Compare:
    """An attribute compared with a literal.

    operand: the literal in the compared form. written: as written.
    """

    target: AttributePath
    operator: str
    operand: Operand
    written: str | int | float | bool | None = None


@dataclass(frozen=True)
class Present:
    """An attribute has a value."""

    target: AttributePath


@dataclass(frozen=True)
class Within:
    """An element of a multi-valued complex attribute satisfies a tree over its sub-attributes."""

    target: AttributePath
    term: Tree


def matches(tree: Tree, resource: Resource) -> bool:
    """True if a canonical resource (or, inside a value path, an element) satisfies a tree."""
    match tree:
        case And(terms):
            return all(matches(term, resource) for term in terms)
        case Or(terms):
            return any(matches(term, resource) for term in terms)
        case Not(term):
            return not matches(term, resource)
        case Present(target):
            return any(not is_unassigned(value) for value in values_of(target, resource))
        case Within(target, term):
            return any(isinstance(value, dict) and matches(term, value) for value in values_of(target, resource))
        case Compare():
            return _compare(tree, resource)


def comparisons(tree: Tree) -> int:
    """The highest number of comparisons of a tree on a resource."""
    match tree:
        case And(terms) | Or(terms):
            return sum(map(comparisons, terms))
        case Not(term) | Within(_, term):
            return comparisons(term)
        case _:
            return 1


def comparable(attribute: Attribute, value: Json) -> Operand:
    """A stored value in the compared form of its attribute; None if it has none."""
    if is_unassigned(value) or isinstance(value, list | dict):
        return None
    if not isinstance(value, str):
        return value
    if attribute.type == Type.DATETIME:
        return instant(value)
    return value if attribute.case_exact else fold(value)


def instant(text: str) -> datetime | None:
    """The instant of an xsd:dateTime, in UTC; None for an invalid text (RFC 7643 §2.3.5)."""
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def values_of(target: AttributePath, resource: Resource, *, primary_first: bool = False) -> Iterator[Json]:
    """Every assigned value of a name in a resource."""
    home: Json = resource if target.extension is None else resource.get(target.extension)
    if target.attribute is None or not isinstance(home, dict):
        return
    value = home.get(target.attribute.name)
    several = value if isinstance(value, list) else [value]
    if primary_first:
        several = sorted(several, key=lambda one: not (isinstance(one, dict) and one.get("primary") is True))
    for one in several:
        if target.sub is None:
            if not is_unassigned(one):
                yield one
        elif isinstance(one, dict) and not is_unassigned(one.get(target.sub.name)):
            yield one[target.sub.name]


def _compare(tree: Compare, resource: Resource) -> bool:
    attribute = tree.target.last
    if attribute is None:
        return False
    found = [comparable(attribute, value) for value in values_of(tree.target, resource)]
    if tree.operand is None:
        return bool(found) == (tree.operator == "ne")
    if not found and tree.operator == "ne":
        # A missing single value differs from any literal; of a missing multi-valued attribute no value differs.
        return not (tree.target.attribute is not None and tree.target.attribute.multi_valued)
    return any(_holds(tree.operator, value, tree.operand) for value in found)


def _holds(operator: str, value: Operand, operand: Operand) -> bool:
    if operator == "eq":
        return value == operand and isinstance(value, bool) == isinstance(operand, bool)
    if operator == "ne":
        return value != operand
    if isinstance(value, str) and isinstance(operand, str):
        return _text_holds(operator, value, operand)
    if isinstance(value, datetime) and isinstance(operand, datetime):
        return _order_holds(operator, (value > operand) - (value < operand))
    if isinstance(value, int | float) and isinstance(operand, int | float):
        return _order_holds(operator, (value > operand) - (value < operand))
    return False


def _text_holds(operator: str, value: str, operand: str) -> bool:
    match operator:
        case "co":
            return operand in value
        case "sw":
            return value.startswith(operand)
        case "ew":
            return value.endswith(operand)
        case _:
            return _order_holds(operator, (value > operand) - (value < operand))


def _order_holds(operator: str, sign: int) -> bool:
    return {"gt": sign > 0, "ge": sign >= 0, "lt": sign < 0, "le": sign <= 0}.get(operator, False)
