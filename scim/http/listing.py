"""A page of a source's people or groups: by index or by cursor, filtered and sorted (RFC 7644 §3.4.2, RFC 9865).

If the filter is `exact` in SQL, the database counts and returns only the page; the first page and the last cost the
same, and memory does not depend on the page number. Otherwise the remaining candidates are read in pieces and evaluated
(`tree.matches`), until the page is full or a limit is passed.
Order: by a column and then by id, so that a cursor only needs the last row. Unassigned values come last in ascending
order and first in descending (§3.4.2.3), as a stretch of their own. Sorting by an attribute without a column is limited
to as many resources as fit in memory.
"""

from __future__ import annotations

import bisect
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import Q, QuerySet

from scim.errors import ScimError
from scim.http import cursors
from scim.http.select import GROUPS, PEOPLE, Column, select
from scim.models import Group, Membership
from scim.people import directory
from scim.protocol.group import GROUP
from scim.protocol.tree import And, Compare, Not, Or, Present, Within, comparable, matches, values_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from scim.http.query import ListQuery, QueryPart
    from scim.http.select import ResourceTable
    from scim.models import Source
    from scim.people.directory import Row
    from scim.protocol.projection import Projection
    from scim.protocol.schema import Resource
    from scim.protocol.tree import Tree

_PIECE = 200
_MOST_READ = 2_000  # candidates for a page by cursor
_MOST_SORTED = 20_000
_MOST_MEMBERS = 50_000
_FAR = 1_000
_LONGEST = 5.0  # seconds of evaluating rows one by one
_SHELVES = (PEOPLE, GROUPS)
_CREATION = Column("created_at", "time")


@dataclass(frozen=True)
class Page:
    """Rows in their source's view.

    total: the number of matches; None if it would take reading all rows. after: the start of the next page, None at the
    end.
    """

    resources: list[Resource]
    total: int | None
    after: cursors.CursorPosition | None = None


@dataclass(frozen=True)
class _Stretch:
    """Rows of a resource type in one order; test: the part of the filter that SQL could not evaluate."""

    shelf: ResourceTable
    part: QueryPart
    rows: QuerySet[Any]
    column: Column
    descending: bool
    test: Tree | None
    unassigned: bool = False

    def ordered(self, *, reverse: bool = False) -> QuerySet[Any]:
        sign = "-" if self.descending != reverse else ""
        names = ["id"] if self.unassigned or self.column.name == "id" else [self.column.name, "id"]
        return self.rows.order_by(*(sign + name for name in names))

    def beyond(self, row: Row) -> QuerySet[Any] | None:
        """The rows after a row, or None if that row is not in this stretch."""
        value = getattr(row, self.column.name)
        if (value is None) != self.unassigned:
            return None
        side = "lt" if self.descending else "gt"
        if self.unassigned or self.column.name == "id":
            return self.ordered().filter(**{f"id__{side}": row.id})
        name = self.column.name
        # The first condition uses the index; the second separates rows of equal value.
        later = Q(**{f"{name}__{side}": value}) | Q(**{f"id__{side}": row.id})
        return self.ordered().filter(later, **{f"{name}__{side}e": value})


def page(source: Source, asked: ListQuery, *, base: str, after: cursors.CursorPosition | None) -> Page:
    """The requested page; after: its start, by cursor and not the first.

    Raises: ScimError tooMany if the response would take too much work, invalidCursor for a missing row.
    """
    if any(_needs_memory(part) for part in asked.parts):
        return _page_in_memory(source, asked, base=base, after=after)
    stretches = [stretch for part in asked.parts for stretch in _stretches(source, part, descending=asked.descending)]
    if asked.cursor is not None:
        return _page_by_cursor(stretches, asked, base=base, after=after)
    return _page_by_index(stretches, asked, base=base)


# --- rows and columns ---


def _shelf(part: QueryPart) -> ResourceTable:
    return GROUPS if part.kind is GROUP else PEOPLE


def _column(part: QueryPart) -> Column | None:
    return _CREATION if part.sort is None else _shelf(part).columns.get(part.sort.name)


def _needs_memory(part: QueryPart) -> bool:
    column = _column(part)
    return column is None or column.kind == "flag"


def _living(source: Source, part: QueryPart) -> tuple[QuerySet[Any], Tree | None]:
    """The candidate rows, and the tree if they must be evaluated."""
    shelf = _shelf(part)
    chosen = select(part.tree, shelf, source)
    rows: QuerySet[Any] = QuerySet(shelf.model).filter(source=source, deleted_at__isnull=True)
    if part.tree is not None:
        rows = rows.filter(chosen.where)
    return rows, None if chosen.exact else part.tree


def _stretches(source: Source, part: QueryPart, *, descending: bool) -> list[_Stretch]:
    rows, test = _living(source, part)
    column, shelf = _column(part) or _CREATION, _shelf(part)
    if not column.nullable:
        return [_Stretch(shelf, part, rows, column, descending, test)]
    there = _Stretch(shelf, part, rows.filter(**{f"{column.name}__isnull": False}), column, descending, test)
    none = _Stretch(
        shelf, part, rows.filter(**{f"{column.name}__isnull": True}), column, descending, test, unassigned=True
    )
    return [none, there] if descending else [there, none]


# --- by index ---


def _page_by_index(stretches: Sequence[_Stretch], asked: ListQuery, *, base: str) -> Page:
    total = 0
    found: list[tuple[_Stretch, Row]] = []
    for stretch in stretches:
        skip, left = max(0, asked.start - 1 - total), asked.count - len(found)
        if stretch.test is None:
            count = stretch.rows.count()
            if left > 0 and skip < count:
                found += [(stretch, row) for row in _slice(stretch, skip, left, count)]
            total += count
            continue
        for row in _tested(stretch, stretch.ordered(), base=base):
            total += 1
            if total >= asked.start and len(found) < asked.count:
                found.append((stretch, row))
    return Page(_shown(found, base), total)


def _slice(stretch: _Stretch, skip: int, most: int, count: int) -> list[Row]:
    """Rows from an offset; a large offset is counted from the nearer end, over the index alone."""
    most = min(most, count - skip)
    if skip <= _FAR:
        return list(stretch.ordered()[skip : skip + most])
    if skip > count // 2:
        begin = count - skip - most
        ids = list(stretch.ordered(reverse=True).values_list("id", flat=True)[begin : begin + most])[::-1]
    else:
        ids = list(stretch.ordered().values_list("id", flat=True)[skip : skip + most])
    there: dict[Any, Any] = QuerySet(stretch.shelf.model).in_bulk(ids)
    return [there[one] for one in ids if one in there]


# --- by cursor ---


def _page_by_cursor(
    stretches: Sequence[_Stretch], asked: ListQuery, *, base: str, after: cursors.CursorPosition | None
) -> Page:
    exact = all(stretch.test is None for stretch in stretches)
    total = sum(stretch.rows.count() for stretch in stretches) if exact else None
    if asked.count == 0:
        return Page([], total)
    found: list[tuple[_Stretch, Row]] = []
    seen: tuple[_Stretch, Row] | None = None
    reads = 0
    for stretch, rows in _from(stretches, after):
        for row, passed in _judged(stretch, rows, base=base, most=asked.count + 1 - len(found)):
            reads += 1
            if passed and len(found) == asked.count:
                return Page(_shown(found, base), total, _position(*found[-1]))
            if passed:
                found.append((stretch, row))
            seen = (stretch, row)
            if reads > _MOST_READ and stretch.test is not None:
                return Page(_shown(found, base), total, _position(*seen))
    return Page(_shown(found, base), total)


def _from(
    stretches: Sequence[_Stretch], after: cursors.CursorPosition | None
) -> Iterator[tuple[_Stretch, QuerySet[Any]]]:
    """Each stretch from the cursor on, with its remaining rows."""
    if after is None:
        yield from ((stretch, stretch.ordered()) for stretch in stretches)
        return
    begun = False
    row = _row_of(after)
    for stretch in stretches:
        if begun:
            yield stretch, stretch.ordered()
        elif stretch.shelf.model is type(row):
            rows = stretch.beyond(row)
            if rows is not None:
                begun = True
                yield stretch, rows


def _row_of(position: cursors.CursorPosition) -> Row:
    """The row of a cursor; a deleted row leaves a tombstone, so its position is still known."""
    shelf = _SHELVES[position.shelf] if position.shelf < len(_SHELVES) else None
    row: Row | None = QuerySet(shelf.model).filter(id=position.row).first() if shelf else None
    if row is None:
        raise ScimError(400, "invalidCursor", "The cursor is not one of this list.")
    return row


def _position(stretch: _Stretch, row: Row) -> cursors.CursorPosition:
    return cursors.CursorPosition(row.id, _SHELVES.index(stretch.shelf))


# --- in memory ---


def _page_in_memory(source: Source, asked: ListQuery, *, base: str, after: cursors.CursorPosition | None) -> Page:
    """A page sorted by an attribute without a column, of a single resource type and a limited number of rows."""
    part = asked.parts[0]
    rows, test = _living(source, part)
    stretch = _Stretch(_shelf(part), part, rows, _CREATION, descending=False, test=test)
    if rows[_MOST_SORTED : _MOST_SORTED + 1].exists():
        raise ScimError(
            400, "tooMany", f"More than {_MOST_SORTED} resources cannot be sorted by that attribute; filter first."
        )
    key = _key(part, base)
    keyed = sorted((key(row), row.id) for row in _tested(stretch, stretch.ordered(), base=base))
    if asked.descending:
        keyed.reverse()
    begin = asked.start - 1
    if after is not None:
        row = _row_of(after)
        place = (key(row), row.id)
        begin = bisect.bisect_right(keyed, place) if not asked.descending else sum(one >= place for one in keyed)
    ids = [row_id for _, row_id in keyed[begin : begin + asked.count]]
    there: dict[Any, Any] = QuerySet(stretch.shelf.model).in_bulk(ids)
    found = [(stretch, there[one]) for one in ids if one in there]
    more = asked.cursor is not None and found and begin + len(ids) < len(keyed)
    return Page(_shown(found, base), len(keyed), _position(*found[-1]) if more else None)


def _key(part: QueryPart, base: str) -> Callable[[Row], tuple[bool, Any]]:
    """The sort key of a row: its primary value, or the first; rows without a value come last."""
    target = part.sort

    def of(row: Row) -> tuple[bool, Any]:
        if target is None or target.last is None:
            return (True, "")
        resource = _views(
            _shelf(part), [row], base, lambda name: target.extension is None and target.name.startswith(name)
        )[0]
        for value in values_of(target, resource, primary_first=True):
            found = comparable(target.last, value)
            if found is not None:
                return (False, found)
        return (True, "")

    return of


# --- rows and views ---


def _tested(stretch: _Stretch, rows: QuerySet[Any], *, base: str) -> Iterator[Row]:
    """The matching rows, within the time limit of a request."""
    begun = time.monotonic()
    for row, passed in _judged(stretch, rows, base=base, most=None):
        if passed:
            yield row
        if time.monotonic() - begun > _LONGEST:
            raise ScimError(
                400, "tooMany", "The filter asks too much of too many resources; narrow it, or page by cursor."
            )


def _judged(stretch: _Stretch, rows: QuerySet[Any], *, base: str, most: int | None) -> Iterator[tuple[Row, bool]]:
    """Each row with whether it matches; read in pieces if there is a test, else no more than `most`."""
    test = stretch.test
    if test is None:
        yield from ((row, True) for row in (rows if most is None else rows[:most]))
        return
    piece: list[Row] = list(rows[:_PIECE])
    while piece:
        views = _views(stretch.shelf, piece, base, lambda name: mentions(test, name))
        yield from ((row, matches(test, view)) for row, view in zip(piece, views, strict=True))
        further = stretch.beyond(piece[-1])
        piece = list(further[:_PIECE]) if further is not None and len(piece) == _PIECE else []


def _shown(found: Sequence[tuple[_Stretch, Row]], base: str) -> list[Resource]:
    """The views of rows, in order, each with the projection of its part of the query."""
    views: list[Resource] = []
    for shelf in _SHELVES:
        mine = [(stretch.part, row) for stretch, row in found if stretch.shelf is shelf]
        if mine:
            part = mine[0][0]
            views += [part.shown.of(view) for view in _views(shelf, [row for _, row in mine], base, part.shown.shows)]
    return views


def _views(shelf: ResourceTable, rows: Sequence[Any], base: str, wanted: Callable[[str], bool]) -> list[Resource]:
    if shelf is PEOPLE:
        return directory.people(rows, base=base, with_groups=wanted("groups"))
    if wanted("members"):
        ids = [row.id for row in rows]
        if Membership.objects.filter(group__in=ids)[_MOST_MEMBERS : _MOST_MEMBERS + 1].exists():
            raise ScimError(
                400, "tooMany", "These groups have too many members to list; use excludedAttributes=members."
            )
    return directory.groups(rows, base=base, with_members=wanted("members"))


def view(row: Row, shown: Projection, *, base: str) -> Resource:
    """A record or group in its source's view."""
    if isinstance(row, Group):
        return shown.of(directory.groups([row], base=base, with_members=shown.shows("members"))[0])
    return shown.of(directory.people([row], base=base, with_groups=shown.shows("groups"))[0])


def mentions(tree: Tree, name: str) -> bool:
    """True if a tree refers to a core attribute."""
    match tree:
        case And(terms) | Or(terms):
            return any(mentions(term, name) for term in terms)
        case Not(term):
            return mentions(term, name)
        case Within(target, _) | Compare(target, _, _) | Present(target):
            return target.extension is None and target.attribute is not None and target.attribute.name == name


def key_of(source: Source, asked: ListQuery) -> bytes:
    """The identity of this list, to which its cursors are bound."""
    return cursors.digest(str(source.id), *asked.spelling)
