"""The attributes of a resource in a response (RFC 7644 §3.9); pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scim.errors import ScimError, invalid_value
from scim.protocol.filter import parse_path
from scim.protocol.schema import AttributePath, Json, Resource, Returned

if TYPE_CHECKING:
    from scim.protocol.schema import ResourceType

_LONGEST = 4_000
_ALWAYS = ("schemas", "id")


@dataclass(frozen=True)
class Projection:
    """The requested attributes: only these, or all except these; unknown names are ignored."""

    only: tuple[AttributePath, ...] | None = None
    without: tuple[AttributePath, ...] = ()

    def of(self, resource: Resource) -> Resource:
        """The shown part of a canonical resource, always with `schemas` and `id`."""
        if self.only is not None:
            found: Resource = {name: resource[name] for name in _ALWAYS if name in resource}
            for located in self.only:
                _add(found, resource, located)
            return found
        shown: Resource = dict(resource)
        for located in self.without:
            _drop(shown, located)
        return shown

    def shows(self, name: str) -> bool:
        """True if any part of a core attribute is shown; otherwise it need not be read."""
        if self.only is not None:
            return any(
                located.extension is None and located.attribute and located.attribute.name == name
                for located in self.only
            )
        whole = (located for located in self.without if located.extension is None and located.sub is None)
        return not any(located.attribute is not None and located.attribute.name == name for located in whole)


def projection(kind: ResourceType, *, attributes: str | None, excluded: str | None) -> Projection:
    """The projection of the query parameters `attributes` and `excludedAttributes`.

    Raises: ScimError invalidValue if both are given.
    """
    if attributes is not None and excluded is not None:
        raise invalid_value("attributes and excludedAttributes exclude each other.")
    if attributes is not None:
        return Projection(only=_located(attributes, kind))
    return Projection(without=_located(excluded or "", kind))


def _located(text: str, kind: ResourceType) -> tuple[AttributePath, ...]:
    if len(text) > _LONGEST:
        raise invalid_value(f"attributes is longer than {_LONGEST} characters.")
    found: list[AttributePath] = []
    for name in filter(None, (part.strip() for part in text.split(","))):
        try:
            path = parse_path(name, kind)
        except ScimError:
            continue
        if path.only is None:
            found.append(path.target)
    return tuple(found)


def _add(found: Resource, resource: Resource, located: AttributePath) -> None:
    source: Json = resource if located.extension is None else resource.get(located.extension)
    if not isinstance(source, dict) or (located.last is not None and located.last.returned == Returned.NEVER):
        return
    if located.attribute is None:
        found[located.extension or ""] = source
        return
    value = source.get(located.attribute.name)
    if value is None:
        return
    home = found if located.extension is None else found.setdefault(located.extension, {})
    if isinstance(home, dict):
        shown = value if located.sub is None else _narrowed(value, located.sub.name, home.get(located.attribute.name))
        if shown is not None:
            home[located.attribute.name] = shown


def _narrowed(value: Json, name: str, already: Json) -> Json:
    """A complex value, or each of several, with one sub-attribute added to those already shown."""
    if isinstance(value, list):
        before = already if isinstance(already, list) and len(already) == len(value) else [None] * len(value)
        return [_narrowed(one, name, other) for one, other in zip(value, before, strict=True)]
    kept: Resource = already if isinstance(already, dict) else {}
    return {**kept, name: value[name]} if isinstance(value, dict) and name in value else kept


def _drop(shown: Resource, located: AttributePath) -> None:
    if located.attribute is None:
        shown.pop(located.extension or "", None)
        return
    if located.attribute.returned == Returned.ALWAYS:
        return
    home: Json = shown if located.extension is None else shown.get(located.extension)
    if not isinstance(home, dict):
        return
    kept = {key: value for key, value in home.items() if key != located.attribute.name}
    if located.sub is not None and located.attribute.name in home:
        kept[located.attribute.name] = _without(home[located.attribute.name], located.sub.name)
    if located.extension is None:
        shown.clear()
        shown.update(kept)
    else:
        shown[located.extension] = kept


def _without(value: Json, name: str) -> Json:
    if isinstance(value, list):
        return [_without(one, name) for one in value]
    return {key: inner for key, inner in value.items() if key != name} if isinstance(value, dict) else value
