"""The effect of PATCH operations on a group's members, as a set difference; pure.

Ten thousand operations with one member each take ten thousand steps, and adding a member to a group of any size takes
one: the present members are read only for a filter on anything but their `value`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scim.errors import invalid_filter, invalid_value, mutability, no_target
from scim.protocol.filter import PatchPath, parse_path
from scim.protocol.group import GROUP, MEMBERS
from scim.protocol.operations import Operation, OperationType
from scim.protocol.tree import And, Compare, Or, Tree, matches
from scim.protocol.values import coerce, members

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from scim.protocol.schema import AttributePath, Json

_MOST_SCANS = 50


@dataclass
class MemberChange:
    """The difference of members: first all removed if `reset`, then `removed`; then `added`.

    added: ids with the claimed type, empty for none. An id is in at most one of both.
    """

    reset: bool = False
    added: dict[str, str] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)

    def add(self, wanted: Iterable[tuple[str, str]]) -> None:
        """Add members."""
        for member, kind in wanted:
            self.removed.discard(member)
            self.added[member] = kind or self.added.get(member, "")

    def remove(self, gone: Iterable[str]) -> None:
        """Remove members."""
        for member in gone:
            self.added.pop(member, None)
            self.removed.add(member)

    def clear(self) -> None:
        """Remove all members."""
        self.reset = True
        self.added.clear()
        self.removed.clear()


def members_in(value: Json) -> list[tuple[str, str]]:
    """The members in a value of `members`: ids, each with its claimed type, empty for none.

    Raises: ScimError invalidValue or invalidSyntax.
    """
    canonical = coerce(MEMBERS, value, where="members")
    return [_member(one) for one in canonical] if isinstance(canonical, list) else []


def _member(one: Json) -> tuple[str, str]:
    part = one if isinstance(one, dict) else {}
    named, kind, reference = part.get("value"), part.get("type"), part.get("$ref")
    if not isinstance(named, str):
        # RFC 7643 §2.4: `$ref` alone also identifies the member.
        named = reference.rstrip("/").rpartition("/")[2] if isinstance(reference, str) else ""
    if not named:
        raise invalid_value("A member needs a value.")
    kinds = {"user": "User", "group": "Group", "": ""}
    found = kinds.get(str(kind or "").lower())
    if found is None:
        raise invalid_value("members.type must be User or Group.")
    return named, found


def split(
    asked: Sequence[Operation], everyone: Callable[[], Iterable[tuple[str, str]]]
) -> tuple[MemberChange, list[Operation]]:
    """The member changes of a PATCH, and its other operations in order.

    everyone: the present members, as ids and types; called only if a filter needs it.
    Raises: ScimError of Table 9.
    """
    work = _Work(everyone)
    others = [other for operation in asked for other in work.run(operation)]
    return work.change, others


class _Work:
    """The change so far."""

    def __init__(self, everyone: Callable[[], Iterable[tuple[str, str]]]) -> None:
        self.change = MemberChange()
        self._everyone = everyone
        self._scans = 0

    def run(self, operation: Operation) -> Iterator[Operation]:
        """Take the member changes out of an operation, and yield the rest."""
        if operation.unverified_path is None:
            yield from self._without_path(operation)
            return
        path = parse_path(operation.unverified_path, GROUP)
        if path.target.attribute != MEMBERS:
            yield operation
        elif operation.op == OperationType.REMOVE:
            self._remove(path, operation)
        else:
            self._set(operation, path)

    def _without_path(self, operation: Operation) -> Iterator[Operation]:
        if operation.op == OperationType.REMOVE or not isinstance(operation.value, dict):
            yield operation
            return
        rest = dict(operation.value)
        for located, value in members(operation.value, GROUP):
            if located.attribute == MEMBERS:
                rest = {key: inner for key, inner in rest.items() if not _is_members(GROUP.locate_key(key))}
                self._set(Operation(operation.op, "members", value, has_value=True), PatchPath(located))
        if rest or not operation.value:
            yield Operation(operation.op, None, rest, has_value=True)

    def _set(self, operation: Operation, path: PatchPath) -> None:
        if path.target.sub is not None:
            raise mutability(f"{path.target.name} cannot be changed; remove the member and add another.")
        if not operation.has_value:
            raise invalid_value(f"{operation.op} needs a value.")
        found = members_in(operation.value)
        if path.only is None:
            if operation.op == OperationType.REPLACE:
                self.change.clear()
            self.change.add(found)
            return
        chosen = self._matching(path.only) if operation.op == OperationType.REPLACE else self._chosen(path.only)
        if operation.op == OperationType.REPLACE and not chosen:
            raise no_target("No member matches.")
        if {member for member, _ in found} - chosen:
            raise mutability("A member cannot become another; remove it and add the other.")
        self.change.add(found)

    def _remove(self, path: PatchPath, operation: Operation) -> None:
        if path.target.sub is not None:
            raise mutability(f"{path.target.name} cannot be removed from a member.")
        if path.only is not None:
            self.change.remove(self._chosen(path.only))
        elif operation.value is not None:
            # A remove with a value removes that member, and never the rest (Entra, authentik).
            self.change.remove(member for member, _ in members_in(operation.value))
        else:
            self.change.clear()

    def _chosen(self, only: Tree) -> set[str]:
        named = _named(only)
        return self._matching(only) if named is None else named

    def _matching(self, only: Tree) -> set[str]:
        """The members that match a filter on more than ids, evaluated over the members as changed so far."""
        self._scans += 1
        if self._scans > _MOST_SCANS:
            raise invalid_filter("Too many operations select members by something else than their value.")
        now = {} if self.change.reset else dict(self._everyone())
        now = {member: kind for member, kind in now.items() if member not in self.change.removed} | self.change.added
        return {member for member, kind in now.items() if matches(only, {"value": member, "type": kind or "User"})}


def _is_members(located: AttributePath | None) -> bool:
    return located is not None and located.attribute == MEMBERS


def _named(only: Tree) -> set[str] | None:
    """The ids that a filter selects, if it only compares ids; else None."""
    match only:
        case Compare(target, "eq", str() as operand) if target.name == "value":
            return {operand}
        case Or(terms):
            each = [_named(term) for term in terms]
            return None if None in each else {one for some in each for one in some or ()}
        case And((term,)):
            return _named(term)
        case _:
            return None
