"""Compile a filter to SQL: a condition that every match satisfies, and whether it is exact.

`tree.matches` defines the meaning of a filter. Its comparisons on the columns of `scim.protocol.index` can be expressed
in SQL by code points, independent of the database's collation and NULL rules; everything else is left to it. The
condition is `exact` if only matches satisfy it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import and_, or_
from typing import TYPE_CHECKING, Literal, TypeAlias

from django.db.models import F, Q, Value
from django.db.models.functions import Right, StrIndex
from django.db.models.lookups import Exact, GreaterThan

from scim.models import Group, Membership, Record, RecordEmail
from scim.people.directory import as_id
from scim.protocol.group import GROUP
from scim.protocol.tree import And, Compare, Not, Or, Present, Within
from scim.protocol.user import ENTERPRISE_URN, USER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from uuid import UUID

    from scim.models import Source
    from scim.protocol.schema import ResourceType
    from scim.protocol.tree import Tree

Sort: TypeAlias = Literal["text", "flag", "time", "id"]

_NEVER = Q(pk__in=[])
_ALWAYS = ~_NEVER
_MILLISECOND = timedelta(milliseconds=1)
_LAST = 0x10FFFF
_SURROGATES = (0xD800, 0xDFFF)
_MOST_LEVELS = 32
_FEW = 200


@dataclass(frozen=True)
class Column:
    """The column of an attribute; nullable: None where the attribute is unassigned."""

    name: str
    kind: Sort
    nullable: bool = False


@dataclass(frozen=True)
class SqlCondition:
    """A condition that every match satisfies; exact: only matches satisfy it."""

    where: Q
    exact: bool


@dataclass(frozen=True)
class ResourceTable:
    """A resource type and its table; columns: by full attribute names."""

    kind: ResourceType
    model: type[Record | Group]
    columns: Mapping[str, Column]


_COMMON = {
    "id": Column("id", "id"),
    "externalId": Column("external_id", "text", nullable=True),
    "meta.created": Column("created_at", "time"),
    "meta.lastModified": Column("updated_at", "time"),
}
PEOPLE = ResourceTable(USER, Record, {
    **_COMMON,
    "userName": Column("user_name_fold", "text"),
    "displayName": Column("display_name_fold", "text", nullable=True),
    "name.familyName": Column("family_name_fold", "text", nullable=True),
    f"{ENTERPRISE_URN}:employeeNumber": Column("employee_number_fold", "text", nullable=True),
    "active": Column("shows_active", "flag", nullable=True),
})  # fmt: skip
GROUPS = ResourceTable(GROUP, Group, {**_COMMON, "displayName": Column("display_name_fold", "text")})
_ADDRESS = {"value": Column("value_fold", "text")}


def select(tree: Tree | None, shelf: ResourceTable, source: Source | None = None) -> SqlCondition:
    """The condition for a tree; source: the owner, so that no search reads another source's addresses."""
    if tree is None:
        return SqlCondition(_ALWAYS, exact=True)
    found = _Compiler(shelf, source=source).condition(tree)
    return SqlCondition(_ALWAYS, exact=False) if found is None else found


class _Compiler:
    """Compile a tree; None means not expressible in SQL."""

    def __init__(
        self, shelf: ResourceTable | None, columns: Mapping[str, Column] | None = None, source: Source | None = None
    ) -> None:
        self._shelf, self._source = shelf, source
        self._columns = columns if columns is not None else (shelf.columns if shelf else {})

    def condition(self, tree: Tree) -> SqlCondition | None:
        match tree:
            case And(terms):
                each = [self.condition(term) for term in terms]
                known = [one for one in each if one is not None]
                exact = len(known) == len(each) and all(one.exact for one in known)
                return SqlCondition(reduce(and_, (one.where for one in known)), exact) if known else None
            case Or(terms):
                either = [self.condition(term) for term in terms]
                all_known = [one for one in either if one is not None]
                if len(all_known) < len(either):
                    return None
                return SqlCondition(reduce(or_, (one.where for one in all_known)), all(one.exact for one in all_known))
            case Not(_) if self._shelf is None:
                return None  # an element without a value has no row, but is not equal to anything
            case Not(term):
                inner = self.condition(term)
                return SqlCondition(~inner.where, exact=True) if inner is not None and inner.exact else None
            case Within(target, term):
                return self._within(target.name, term)
            case Present(target):
                return self._leaf(target.name, "pr", None)
            case Compare(target, operator, operand):
                return self._leaf(target.name, operator, operand)

    def _within(self, name: str, term: Tree) -> SqlCondition | None:
        if name == "emails" and self._shelf is PEOPLE:
            return _of_rows(_Compiler(None, _ADDRESS).condition(term), self._source)
        if name == "members" and self._shelf is GROUPS and isinstance(term, Compare) and term.target.name == "value":
            return _members(term.operator, term.operand)
        return None

    def _leaf(self, name: str, operator: str, operand: object) -> SqlCondition | None:
        if (
            self._shelf is not None
            and name == "meta.resourceType"
            and operator in {"eq", "ne"}
            and isinstance(operand, str)
        ):
            return SqlCondition(
                _ALWAYS if (operand == self._shelf.kind.name) == (operator == "eq") else _NEVER, exact=True
            )
        if self._shelf is PEOPLE and name == "emails.value":
            return _addresses(operator, operand, self._source)
        if self._shelf is PEOPLE and name == "groups.value" and operator == "eq" and isinstance(operand, str):
            return _in_group(operand)
        if self._shelf is GROUPS and name == "members.value":
            return _members(operator, operand)
        column = self._columns.get(name)
        if column is None or (self._shelf is None and (operator == "ne" or (operator != "pr" and operand is None))):
            return None
        where = _where(column, operator, operand)
        return None if where is None else SqlCondition(where, exact=True)


def _of_rows(inner: SqlCondition | None, source: Source | None) -> SqlCondition | None:
    """The owners of matching addresses; a few are looked up at once, so both databases start with those."""
    if inner is None:
        return None
    rows = (
        RecordEmail.objects.filter(inner.where)
        if source is None
        else RecordEmail.objects.filter(inner.where, source=source)
    )
    few = list(rows.values_list("record_id", flat=True)[: _FEW + 1])
    return SqlCondition(Q(id__in=few if len(few) <= _FEW else rows.values("record_id")), inner.exact)


def _addresses(operator: str, operand: object, source: Source | None) -> SqlCondition | None:
    """Any address matches; `eq null`: there is none; `ne null` and `pr`: there is one."""
    if operand is None:
        there = Q(id__in=RecordEmail.objects.values("record_id"))
        return SqlCondition(~there if operator == "eq" else there, exact=True)
    where = _where(_ADDRESS["value"], operator, operand)
    return None if where is None else _of_rows(SqlCondition(where, exact=True), source)


def _members(operator: str, operand: object) -> SqlCondition | None:
    if operator != "eq" or not isinstance(operand, str):
        return None
    member = as_id(operand)
    if member is None:
        return SqlCondition(_NEVER, exact=True)
    rows = Membership.objects.filter(Q(record=member) | Q(child=member))
    few = list(rows.values_list("group_id", flat=True)[: _FEW + 1])
    return SqlCondition(Q(id__in=few if len(few) <= _FEW else rows.values("group_id")), exact=True)


def _in_group(operand: str) -> SqlCondition:
    """The members of a group, directly or through nested groups."""
    group = as_id(operand)
    if group is None:
        return SqlCondition(_NEVER, exact=True)
    found: set[UUID] = {group}
    level: list[UUID] = [group]
    for _ in range(_MOST_LEVELS):
        if not level:
            break
        rows = Membership.objects.filter(group__in=level, child__isnull=False).values_list("child_id", flat=True)
        level = [child for child in rows if child is not None and child not in found]
        found.update(level)
    members = Membership.objects.filter(group__in=list(found), record__isnull=False)
    return SqlCondition(Q(id__in=members.values("record_id")), exact=True)


def _where(column: Column, operator: str, operand: object) -> Q | None:
    there = ~Q(**{f"{column.name}__isnull": True}) if column.nullable else _ALWAYS
    if operator == "pr" or (operator == "ne" and operand is None):
        return there
    if operator == "eq" and operand is None:
        return ~there
    builders: dict[Sort, Callable[[Column, str, object], Q | None]] = {
        "text": _text,
        "flag": _flag,
        "time": _time,
        "id": _identity,
    }
    if operator == "ne":
        same = builders[column.kind](column, "eq", operand)
        return None if same is None else ~(there & same)
    found = builders[column.kind](column, operator, operand)
    return None if found is None else there & found


def _text(column: Column, operator: str, operand: object) -> Q | None:
    if not isinstance(operand, str):
        return None
    name = column.name
    match operator:
        case "eq":
            return Q(**{name: operand}) if operand else _NEVER  # an empty value is unassigned, and equals nothing
        case "co":
            return Q(GreaterThan(StrIndex(F(name), Value(operand)), 0)) if operand else _ALWAYS
        case "ew":
            return Q(Exact(Right(F(name), len(operand)), Value(operand))) if operand else _ALWAYS
        case "sw":
            past = _past(operand)
            return Q(**{f"{name}__gte": operand}) & (Q(**{f"{name}__lt": past}) if past else _ALWAYS)
        case "gt" | "lt":
            return Q(**{f"{name}__{operator}": operand})
        case "ge" | "le":
            return Q(**{f"{name}__{operator[0]}te": operand})
        case _:
            return None


def _past(prefix: str) -> str | None:
    """The first text after all texts with this prefix, by code points; None if there is none."""
    for end in range(len(prefix), 0, -1):
        code = ord(prefix[end - 1]) + 1
        if code <= _LAST:
            return prefix[: end - 1] + chr(_SURROGATES[1] + 1 if code == _SURROGATES[0] else code)
    return None


def _flag(column: Column, operator: str, operand: object) -> Q | None:
    return Q(**{column.name: operand}) if operator == "eq" and isinstance(operand, bool) else None


def _time(column: Column, operator: str, operand: object) -> Q | None:
    """Compare to the millisecond, as times are shown; the column has more digits."""
    if not isinstance(operand, datetime):
        return None
    try:
        floor = operand.replace(microsecond=operand.microsecond // 1000 * 1000).astimezone(UTC)
        after = floor + _MILLISECOND
    except OverflowError:
        return None
    aligned = floor == operand
    match operator:
        case "eq":
            return Q(**{f"{column.name}__gte": floor, f"{column.name}__lt": after}) if aligned else _NEVER
        case "gt":
            return Q(**{f"{column.name}__gte": after})
        case "le":
            return Q(**{f"{column.name}__lt": after})
        case "ge" | "lt":
            edge = floor if aligned else after
            return Q(**{f"{column.name}__{'gte' if operator == 'ge' else 'lt'}": edge})
        case _:
            return None


def _identity(column: Column, operator: str, operand: object) -> Q | None:
    if operator != "eq" or not isinstance(operand, str):
        return None
    found = as_id(operand)
    return Q(**{column.name: found}) if found else _NEVER
