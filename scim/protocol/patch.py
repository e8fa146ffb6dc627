"""PATCH on a resource (RFC 7644 §3.5.2), pure and atomic: it works on a copy, and returns it or raises.

The engine is strict except for three points on which vendors agree and the RFC is open: operation names in any case, a
bare object for a multi-valued attribute, and `add` through a value path that selects nothing, which creates the element
described by its filter. `scim.protocol.normalise` rewrites other deviations before. A `remove` with a value removes
that value and never the rest (Entra, authentik).
"""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING

from scim.errors import invalid_value, mutability, no_target
from scim.protocol.filter import PatchPath, parse_path
from scim.protocol.operations import Operation, OperationType
from scim.protocol.schema import Attribute, AttributePath, Json, Mutability, Resource, ResourceType, Type
from scim.protocol.tree import And, Compare, Tree, comparisons, matches
from scim.protocol.values import check_primary, coerce, completed, is_unassigned, members

if TYPE_CHECKING:
    from collections.abc import Sequence


def apply(resource: Resource, operations: Sequence[Operation], kind: ResourceType) -> Resource:
    """The resource after all operations, in order.

    resource: canonical, with its `id`; it is not touched.
    Raises: ScimError invalidPath, noTarget, mutability, invalidValue or invalidSyntax; then nothing has changed.
    """
    work = _Work(copy.deepcopy(resource), kind)
    for operation in operations:
        work.run(operation)
    return completed(work.resource, kind)


_MOST_LOOKS = 50_000  # comparisons with present values, because this runs while the account is locked


class _Work:
    """The copy in progress."""

    def __init__(self, resource: Resource, kind: ResourceType) -> None:
        self.resource = resource
        self._kind = kind
        self._left = _MOST_LOOKS

    def run(self, operation: Operation) -> None:
        """Apply one operation."""
        if operation.op == OperationType.REMOVE:
            self._remove(operation)
            return
        if not operation.has_value:
            raise invalid_value(f"{operation.op} needs a value.")
        if operation.unverified_path is None:
            self._without_path(operation)
        else:
            self._set(operation.op, parse_path(operation.unverified_path, self._kind), operation.value)

    def _without_path(self, operation: Operation) -> None:
        if not isinstance(operation.value, dict):
            raise invalid_value("Without a path, value must be an object of attributes.")
        for located, value in members(operation.value, self._kind):
            if not self._may_be_repeated(located, value):
                self._set(operation.op, PatchPath(located), value)

    def _may_be_repeated(self, located: AttributePath, value: Json) -> bool:
        """True for `schemas` and a correct id, which clients send back with the whole resource (authentik)."""
        attribute = located.attribute
        if attribute is None or located.extension is not None:
            return False
        if attribute.read_only:
            return is_unassigned(value) or value == self.resource.get(attribute.name)
        return attribute.name == "schemas"

    def _set(self, op: OperationType, path: PatchPath, value: Json) -> None:
        target, attribute = path.target, path.target.attribute
        if attribute is None:
            self._set_extension(op, target, value)
            return
        _check_writable(target)
        home = self._home(target)
        self._look(path, home)
        if path.only is not None or (target.sub is not None and attribute.multi_valued):
            _set_elements(op, path, value, home)
        elif target.sub is not None:
            inside = home.get(attribute.name)
            inside = inside if isinstance(inside, dict) else {}
            _put(inside, target.sub, coerce(target.sub, value, where=target.name))
            _put(home, attribute, inside)
        else:
            _set_attribute(op, target, attribute, value, home)

    def _set_extension(self, op: OperationType, target: AttributePath, value: Json) -> None:
        if value is None and op == OperationType.REPLACE:
            self.resource.pop(target.extension or "", None)
            return
        if not isinstance(value, dict):
            raise invalid_value(f"{target.extension} must be an object.")
        for located, inner in members({target.extension or "": value}, self._kind):
            self._set(op, PatchPath(located), inner)

    def _look(self, path: PatchPath, home: Resource) -> None:
        """Count the comparisons of an operation.

        Raises: ScimError invalidValue if a message takes more than a request may cost (C75).
        """
        if path.target.attribute is not None:
            self._left -= len(_elements(home, path.target.attribute)) * (
                1 if path.only is None else comparisons(path.only)
            )
        if self._left < 0:
            raise invalid_value("The operations look at too many values; send fewer in one message.")

    def _home(self, target: AttributePath) -> Resource:
        """The object that holds an attribute: the resource, or one of its extensions."""
        if target.extension is None:
            return self.resource
        home = self.resource.setdefault(target.extension, {})
        return home if isinstance(home, dict) else {}

    def _remove(self, operation: Operation) -> None:
        if operation.unverified_path is None:
            raise no_target("remove needs a path.")
        path = parse_path(operation.unverified_path, self._kind)
        target, attribute = path.target, path.target.attribute
        if attribute is None:
            self.resource.pop(target.extension or "", None)
            return
        _check_writable(target)
        if target.last is not None and target.last.required:
            raise mutability(f"{target.name} is required.")
        home = self._home(target)
        self._look(path, home)
        if path.only is None and target.sub is None and operation.value is not None and attribute.multi_valued:
            _remove_values(target, attribute, operation.value, home)
        elif path.only is not None or target.sub is not None:
            _remove_inside(path, attribute, home)
        else:
            home.pop(attribute.name, None)


def _check_writable(target: AttributePath) -> None:
    if any(part is not None and part.read_only for part in (target.attribute, target.sub)):
        raise mutability(f"{target.name} is read-only.")


def _put(home: Resource, attribute: Attribute, value: Json) -> None:
    """Set an attribute or clear it if unassigned; a password is dropped (ruling 10)."""
    if is_unassigned(value):
        home.pop(attribute.name, None)
    elif attribute.mutability != Mutability.WRITE_ONLY:
        home[attribute.name] = value


def _elements(home: Resource, attribute: Attribute) -> list[Json]:
    found = home.get(attribute.name)
    return found if isinstance(found, list) else []


def _set_attribute(op: OperationType, target: AttributePath, attribute: Attribute, value: Json, home: Resource) -> None:
    if attribute.multi_valued:
        given = coerce(attribute, value, where=target.name)
        added = given if isinstance(given, list) else []
        _put(
            home, attribute, _joined(attribute, _elements(home, attribute), added) if op == OperationType.ADD else added
        )
    elif attribute.type == Type.COMPLEX and not is_unassigned(value):
        before = home.get(attribute.name)
        _put(home, attribute, _merged(attribute, before if isinstance(before, dict) else {}, value, where=target.name))
    elif op == OperationType.REPLACE or not is_unassigned(value):
        _put(home, attribute, coerce(attribute, value, where=target.name))


def _merged(attribute: Attribute, before: Resource, value: Json, *, where: str) -> Resource:
    """A complex value with the named sub-attributes changed, and the others kept (§3.5.2.3)."""
    given = coerce(attribute, value, where=where)
    after = {**before, **(given if isinstance(given, dict) else {})}
    for name, inner in value.items() if isinstance(value, dict) else ():
        sub = attribute.sub(name)
        if sub is not None and not sub.read_only and is_unassigned(inner):
            after.pop(sub.name, None)
    return after


def _joined(attribute: Attribute, before: list[Json], added: list[Json]) -> list[Json]:
    """Values with others added, without duplicates; a new primary replaces the old (§3.5.2, RFC 7643 §2.4)."""
    after = list(before)
    places = {_spelled(value): place for place, value in reversed(list(enumerate(before)))}
    for value in added:
        same = places.setdefault(_spelled(value), len(after))
        if same == len(after):
            after.append(value)
        elif _is_primary(value):
            after[same] = value
    _check_number(attribute, after)
    chosen = next((_bare(value) for value in added if _is_primary(value)), None)
    return after if chosen is None else [value if _bare(value) == chosen else _demoted(value) for value in after]


def _check_number(attribute: Attribute, values: list[Json]) -> None:
    """Require no more values than the attribute may have.

    Raises: ScimError invalidValue.
    """
    if len(values) > attribute.most:
        raise invalid_value(f"{attribute.name} has more than {attribute.most} values.")


def _spelled(value: Json) -> str:
    """The lookup key of a value, without `primary`."""
    return json.dumps(_bare(value), sort_keys=True)


def _is_primary(value: Json) -> bool:
    return isinstance(value, dict) and value.get("primary") is True


def _bare(value: Json) -> Json:
    """A value without `primary`, which does not make it another value."""
    return {key: inner for key, inner in value.items() if key != "primary"} if isinstance(value, dict) else value


def _demoted(value: Json) -> Json:
    return {**value, "primary": False} if isinstance(value, dict) and value.get("primary") is True else value


def _set_elements(op: OperationType, path: PatchPath, value: Json, home: Resource) -> None:
    """Change the elements that a value path selects, or all for a sub-attribute without a filter."""
    target, attribute = path.target, path.target.attribute
    if attribute is None:
        return
    elements = _elements(home, attribute)
    chosen = {i for i, element in enumerate(elements) if _is_selected(element, path.only)}
    if not chosen:
        described = _described(attribute, path.only, where=target.name) if op == OperationType.ADD else None
        if described is None:
            raise no_target(f"No element of {target.name} matches.")
        elements, chosen = [*elements, described], {len(elements)}
        _check_number(attribute, elements)
    changed = [_changed(op, element, path, value) if i in chosen else element for i, element in enumerate(elements)]
    kept = [element for element in changed if not is_unassigned(element)]
    check_primary([element for i, element in enumerate(changed) if i in chosen], where=target.name)
    if any(_is_primary(changed[i]) and not _is_primary(elements[i]) for i in chosen):
        new = {id(changed[i]) for i in chosen}
        kept = [element if id(element) in new else _demoted(element) for element in kept]
    _put(home, attribute, kept)


def _is_selected(element: Json, only: Tree | None) -> bool:
    return isinstance(element, dict) and (only is None or matches(only, element))


def _changed(op: OperationType, element: Json, path: PatchPath, value: Json) -> Json:
    """A selected element after the change: a sub-attribute set, or the element merged or replaced."""
    target, attribute = path.target, path.target.attribute
    if attribute is None or not isinstance(element, dict):
        return element
    if target.sub is not None:
        after = dict(element)
        _put(after, target.sub, coerce(target.sub, value, where=target.name))
        return after
    single = value[0] if isinstance(value, list) and len(value) == 1 else value
    if single is None:
        return element if op == OperationType.ADD else None
    if not isinstance(single, dict):
        raise invalid_value(f"{target.name} must be an object.")
    given = coerce(attribute, single, where=target.name)
    canonical = given[0] if isinstance(given, list) else None
    return {**element, **canonical} if op == OperationType.ADD and isinstance(canonical, dict) else canonical


def _described(attribute: Attribute, only: Tree | None, *, where: str) -> Json:
    """The element that a filter of equalities describes (Entra relies on it), or None for any other filter.

    Raises: ScimError invalidValue if the element is invalid, because a filter may compare with anything.
    """
    terms = only.terms if isinstance(only, And) else (only,)
    found: Resource = {}
    for term in terms:
        if not isinstance(term, Compare) or term.operator != "eq" or term.target.attribute is None:
            return None
        found[term.target.attribute.name] = term.written if isinstance(term.written, str) else None
        if isinstance(term.operand, bool):
            found[term.target.attribute.name] = term.operand
    element = coerce(attribute, [found], where=where)
    return element[0] if isinstance(element, list) else None


def _remove_values(target: AttributePath, attribute: Attribute, value: Json, home: Resource) -> None:
    """Remove the named values, by their `value` if they have one."""
    given = coerce(attribute, value, where=target.name)
    named = [_identity(one) for one in given] if isinstance(given, list) else []
    _put(home, attribute, [element for element in _elements(home, attribute) if _identity(element) not in named])


def _identity(element: Json) -> Json:
    return element["value"] if isinstance(element, dict) and "value" in element else _bare(element)


def _remove_inside(path: PatchPath, attribute: Attribute, home: Resource) -> None:
    """Remove the elements that a value path selects, or a sub-attribute of them, or of a complex value."""
    sub, found = path.target.sub, home.get(attribute.name)
    if isinstance(found, dict) and sub is not None:
        found.pop(sub.name, None)
        _put(home, attribute, found)
        return
    kept: list[Json] = []
    for element in _elements(home, attribute):
        if not _is_selected(element, path.only):
            kept.append(element)
        elif sub is not None and isinstance(element, dict):
            kept.append({key: inner for key, inner in element.items() if key != sub.name})
    _put(home, attribute, [element for element in kept if not is_unassigned(element)])
