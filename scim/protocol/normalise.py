"""Rewrite vendors' deviations from the RFC before the strict engine reads them; pure, chosen per source.

Each normaliser maps the body of a PATCH to another. A source has none unless its operator names them, one by one or by
a vendor's name. Common deviations that no reading of the RFC forbids (operations in any case, booleans as words, a bare
object for a list, a `remove` with a value) are accepted from every source.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from scim.protocol.operations import URN
from scim.protocol.user import ENTERPRISE_URN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from scim.protocol.schema import Json, Resource

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MANAGER = f"{ENTERPRISE_URN}:manager".lower()


def normalise(body: Json, names: Iterable[str]) -> Json:
    """The body after the normalisers of these names, in the order of `NORMALISERS`; unknown names do nothing."""
    chosen = {part for name in names for part in VENDORS.get(name, (name,))}
    for name, rewrite in NORMALISERS.items():
        if name in chosen and isinstance(body, dict):
            body = rewrite(body)
    return body


def missing_schemas(body: Resource) -> Resource:
    """Add missing `schemas`, as in some custom connectors and WSO2 examples."""
    return body if _part(body, "schemas") else {**body, "schemas": [URN]}


def dotted_keys(body: Resource) -> Resource:
    """Convert Entra's old form: `{"name.givenName": …}` without a path becomes an operation with that path."""
    return _each(body, _undotted)


def bare_manager(body: Resource) -> Resource:
    """Convert Entra's manager, which is an id, or an array with one object."""
    return _each(body, lambda operation: [_with_manager(operation)])


def create_on_replace(body: Resource) -> Resource:
    """Convert Entra's `replace` through a value path that selects nothing, which is expected to add the element."""
    return _each(body, lambda operation: [_as_add(operation)])


def foreign_members(body: Resource) -> Resource:
    """Drop members with ids that were never issued here, as some connectors send them."""
    return _each(body, lambda operation: [_without_foreign(operation)])


NORMALISERS: dict[str, Callable[[Resource], Resource]] = {
    "missing_schemas": missing_schemas,
    "dotted_keys": dotted_keys,
    "bare_manager": bare_manager,
    "create_on_replace": create_on_replace,
    "foreign_members": foreign_members,
}
VENDORS: dict[str, tuple[str, ...]] = {
    "entra": ("dotted_keys", "bare_manager", "create_on_replace"),
    "okta": (),
    "onelogin": ("missing_schemas", "create_on_replace"),
    "jumpcloud": (),
    "ping": ("create_on_replace",),
    "sailpoint": ("create_on_replace", "bare_manager"),
    "authentik": (),
    "keycloak": ("dotted_keys",),
    "hr": ("missing_schemas", "dotted_keys", "bare_manager", "create_on_replace", "foreign_members"),
}
KNOWN = (*NORMALISERS, *VENDORS)


def _part(given: Resource, name: str) -> Json:
    return next((value for key, value in given.items() if key.lower() == name), None)


def _each(body: Resource, rewrite: Callable[[Resource], list[Json]]) -> Resource:
    operations = _part(body, "operations")
    if not isinstance(operations, list):
        return body
    rest: Resource = {key: value for key, value in body.items() if key.lower() != "operations"}
    rewritten = [rewrite(one) if isinstance(one, dict) else [one] for one in operations]
    return {**rest, "Operations": [one for several in rewritten for one in several]}


def _undotted(operation: Resource) -> list[Json]:
    value = _part(operation, "value")
    if _part(operation, "path") is not None or not isinstance(value, dict):
        return [operation]
    dotted = {key: inner for key, inner in value.items() if "." in key and not key.lower().startswith("urn:")}
    plain: Resource = {key: inner for key, inner in value.items() if key not in dotted}
    op = _part(operation, "op")
    first: list[Json] = [{"op": op, "value": plain}] if plain else []
    return [*first, *({"op": op, "path": key, "value": inner} for key, inner in dotted.items())]


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
