"""Rewrite vendors' deviations from the RFC before the strict engine reads them; pure, chosen per source.

Each normaliser rewrites every body of a source alike: a resource in POST or PUT, a PATCH message, and the envelope of a
bulk, whose operations are normalised one by one. A source has none unless its operator names them, one by one or by a
vendor's name. Common deviations that no reading of the RFC forbids (operations in any case, booleans as words, a bare
object for a list, a `remove` with a value) are accepted from every source.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from scim.protocol.operations import BULK_URN, URN
from scim.protocol.user import ENTERPRISE_URN, USER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from scim.protocol.schema import Json, Resource, ResourceType

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DOTTED = re.compile(r'([A-Za-z][\w$-]*)(?:\[\s*type\s+eq\s+"([^"\\]*)"\s*\])?\.([\w$-]+)', re.IGNORECASE)
_MANAGER = f"{ENTERPRISE_URN}:manager".lower()


class Form(StrEnum):
    """The forms of a body."""

    RESOURCE = "resource"
    PATCH = "patch"
    BULK = "bulk"


@dataclass(frozen=True)
class Body:
    """A body to rewrite; kind: of the resource that it holds or changes."""

    content: Resource
    form: Form
    kind: ResourceType


def normalise(body: Json, names: Iterable[str], form: Form, kind: ResourceType = USER) -> Json:
    """The body after the normalisers of these names, in the order of `NORMALISERS`; unknown names do nothing."""
    chosen = {part for name in names for part in VENDORS.get(name, (name,))}
    for name, rewrite in NORMALISERS.items():
        if name in chosen and isinstance(body, dict):
            body = rewrite(Body(body, form, kind))
    return body


def missing_schemas(body: Body) -> Resource:
    """Add missing `schemas`, as in some custom connectors and WSO2 examples."""
    urn = {Form.RESOURCE: body.kind.core.urn, Form.PATCH: URN, Form.BULK: BULK_URN}[body.form]
    if _part(body.content, "schemas"):
        return body.content
    return {**{key: value for key, value in body.content.items() if key.lower() != "schemas"}, "schemas": [urn]}


def foreign_schemas(body: Body) -> Resource:
    """Drop URNs from `schemas` that are no schema of the type, if the body has no attribute of them (Entra)."""
    given, present = _part(body.content, "schemas"), {key.lower() for key in body.content}
    if body.form != Form.RESOURCE or not isinstance(given, list):
        return body.content
    kept = [
        urn for urn in given if not isinstance(urn, str) or body.kind.schema(urn) is not None or urn.lower() in present
    ]
    return {key: kept if key.lower() == "schemas" else value for key, value in body.content.items()}


def dotted_keys(body: Body) -> Resource:
    """Convert Entra's old form, `{"name.givenName": …}`: nested in a resource, an operation with a path in a PATCH."""
    return _nested(body) if body.form == Form.RESOURCE else _each(body, _undotted)


def bare_manager(body: Body) -> Resource:
    """Convert Entra's manager, which is an id, or an array with one object."""
    if body.form == Form.RESOURCE:
        return {key: _in_value(key, inner) for key, inner in body.content.items()}
    return _each(body, lambda operation: [_with_manager(operation)])


def create_on_replace(body: Body) -> Resource:
    """Convert Entra's `replace` through a value path that selects nothing, which is expected to add the element."""
    return _each(body, lambda operation: [_as_add(operation)])


def foreign_members(body: Body) -> Resource:
    """Drop members with ids that were never issued here, as some connectors send them."""
    if body.form == Form.RESOURCE:
        return {key: _ours(inner) if key.lower() == "members" else inner for key, inner in body.content.items()}
    return _each(body, lambda operation: [_without_foreign(operation)])


NORMALISERS: dict[str, Callable[[Body], Resource]] = {
    "missing_schemas": missing_schemas,
    "foreign_schemas": foreign_schemas,
    "dotted_keys": dotted_keys,
    "bare_manager": bare_manager,
    "create_on_replace": create_on_replace,
    "foreign_members": foreign_members,
}
_SCHEMAS = ("missing_schemas", "foreign_schemas")
VENDORS: dict[str, tuple[str, ...]] = {
    "entra": (*_SCHEMAS, "dotted_keys", "bare_manager", "create_on_replace"),
    "okta": _SCHEMAS,
    "onelogin": (*_SCHEMAS, "create_on_replace"),
    "jumpcloud": _SCHEMAS,
    "ping": (*_SCHEMAS, "create_on_replace"),
    "sailpoint": (*_SCHEMAS, "create_on_replace", "bare_manager"),
    "workday": tuple(NORMALISERS),
    "authentik": _SCHEMAS,
    "keycloak": (*_SCHEMAS, "dotted_keys"),
    "hr": tuple(NORMALISERS),
}
KNOWN = (*NORMALISERS, *VENDORS)


def _part(given: Resource, name: str) -> Json:
    return next((value for key, value in given.items() if key.lower() == name), None)


def _each(body: Body, rewrite: Callable[[Resource], list[Json]]) -> Resource:
    """The PATCH message with its operations rewritten; another form as it is."""
    operations = _part(body.content, "operations")
    if body.form != Form.PATCH or not isinstance(operations, list):
        return body.content
    rest: Resource = {key: value for key, value in body.content.items() if key.lower() != "operations"}
    rewritten = [rewrite(one) if isinstance(one, dict) else [one] for one in operations]
    return {**rest, "Operations": [one for several in rewritten for one in several]}


def _is_dotted(key: str) -> bool:
    return "." in (key.rpartition(":")[2] if key.lower().startswith("urn:") else key)


def _undotted(operation: Resource) -> list[Json]:
    value = _part(operation, "value")
    if _part(operation, "path") is not None or not isinstance(value, dict):
        return [operation]
    dotted = {key: inner for key, inner in value.items() if _is_dotted(key)}
    plain: Resource = {key: inner for key, inner in value.items() if key not in dotted}
    op = _part(operation, "op")
    first: list[Json] = [{"op": op, "value": plain}] if plain or not dotted else []
    return [*first, *({"op": op, "path": key, "value": inner} for key, inner in dotted.items())]


def _nested(body: Body) -> Resource:
    """The resource with each dotted key inside its attribute; a key that names none stays, for the engine to refuse."""
    found: Resource = {key: value for key, value in body.content.items() if not _is_dotted(key)}
    for key, value in body.content.items():
        if not _is_dotted(key):
            continue
        urn, name = (key.rpartition(":")[0], key.rpartition(":")[2]) if key.lower().startswith("urn:") else ("", key)
        parts = _DOTTED.fullmatch(name)
        located = body.kind.locate(parts[1], urn=urn or None, sub=parts[3]) if parts else None
        if parts is None or located is None or located.attribute is None or located.sub is None:
            found[key] = value
            continue
        home = _inside(found, located.extension) if located.extension else found
        spelled = _spelled(home, located.attribute.name)
        if located.attribute.multi_valued:
            home[spelled] = _with_element(home.get(spelled), parts[2], located.sub.name, value)
        else:
            _inside(home, spelled)[located.sub.name] = value
    return found


def _spelled(home: Resource, name: str) -> str:
    """The key of an attribute as the object spells it."""
    return next((key for key in home if key.lower() == name.lower()), name)


def _inside(home: Resource, name: str) -> Resource:
    """A copy of the object under a key, put in its place; a missing one is added."""
    spelled = _spelled(home, name)
    present = home.get(spelled)
    made: Resource = dict(present) if isinstance(present, dict) else {}
    home[spelled] = made
    return made


def _with_element(present: Json, kind: str | None, sub: str, value: Json) -> Json:
    """The values with a sub-attribute set in the one of this type, or in a new one."""
    values = list(present) if isinstance(present, list) else []
    for at, one in enumerate(values):
        if isinstance(one, dict) and (kind is None or str(_part(one, "type")).lower() == kind.lower()):
            values[at] = {**{key: inner for key, inner in one.items() if key.lower() != sub.lower()}, sub: value}
            return values
    return [*values, {sub: value, **({"type": kind} if kind else {})}]


def _with_manager(operation: Resource) -> Json:
    path, value = _part(operation, "path"), _part(operation, "value")
    if isinstance(path, str) and path.lower() == _MANAGER:
        return {"op": _part(operation, "op"), "path": path, "value": _as_manager(value)}
    if path is not None or not isinstance(value, dict):
        return operation
    return {"op": _part(operation, "op"), "value": {key: _in_value(key, inner) for key, inner in value.items()}}


def _in_value(key: str, inner: Json) -> Json:
    if key.lower() == _MANAGER:
        return _as_manager(inner)
    if key.lower() == ENTERPRISE_URN.lower() and isinstance(inner, dict):
        return {name: _as_manager(one) if name.lower() == "manager" else one for name, one in inner.items()}
    return inner


def _as_manager(value: Json) -> Json:
    single = value[0] if isinstance(value, list) and len(value) == 1 else value
    return {"value": single} if isinstance(single, str) and single else single


def _as_add(operation: Resource) -> Json:
    path, op = _part(operation, "path"), _part(operation, "op")
    replaces = isinstance(op, str) and op.lower() == "replace"
    if not replaces or not isinstance(path, str) or "[" not in path or _part(operation, "value") is None:
        return operation
    return {**{key: value for key, value in operation.items() if key.lower() != "op"}, "op": "add"}


def _without_foreign(operation: Resource) -> Json:
    path, value = _part(operation, "path"), _part(operation, "value")
    if isinstance(path, str) and path.lower() == "members":
        return {**{key: inner for key, inner in operation.items() if key.lower() != "value"}, "value": _ours(value)}
    if path is not None or not isinstance(value, dict):
        return operation
    kept: Resource = {key: _ours(inner) if key.lower() == "members" else inner for key, inner in value.items()}
    return {**{key: inner for key, inner in operation.items() if key.lower() != "value"}, "value": kept}


def _ours(value: Json) -> Json:
    """The members whose id could be one of this server's; malformed ones stay, and the engine refuses them."""
    members = value if isinstance(value, list) else [value]
    named = [one for one in members if isinstance(one, dict) and isinstance(one.get("value"), str)]
    return [
        one for one in members if one not in named or _ID.fullmatch(str(one["value"] if isinstance(one, dict) else ""))
    ]
