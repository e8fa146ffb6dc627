"""Unknown attributes taken out of a body, for a source whose operator wants that; pure.

What the schemas know stays, above all `active` beside something unknown, and is checked as ever. Without this, one
unknown attribute refuses the whole body (RFC 7644 §3.5).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scim.protocol.normalise import Form
from scim.protocol.schema import Type

if TYPE_CHECKING:
    from scim.protocol.schema import Attribute, AttributePath, Json, Resource, ResourceType

_PATH = re.compile(r"(?:(?P<urn>urn:.+):)?(?P<name>[^:.\[\]]+)(?:\[.*\])?(?:\.(?P<sub>[^.\[\]]+))?", re.IGNORECASE)
_LONGEST = 120


@dataclass
class _Dropping:
    """A body on its way; dropped: the names of what was taken out, never a value."""

    kind: ResourceType
    dropped: set[str] = field(default_factory=set)

    def drop(self, *parts: str) -> None:
        name = ".".join(parts)[:_LONGEST]
        self.dropped.add("".join(one if one.isprintable() else "?" for one in name))

    def resource(self, given: Resource) -> Resource:
        """The known attributes of an object of attributes, their known sub-attributes, and the known schemas."""
        kept: Resource = {}
        for key, value in given.items():
            extension = self.kind.extension(key)
            located = self.kind.locate_key(key) if extension is None else None
            if extension is not None:
                kept[key] = self.extension(extension.urn, value)
            elif located is None:
                self.drop(key)
            elif key.lower() == "schemas" and isinstance(value, list):
                kept[key] = [urn for urn in value if self.is_schema(urn)]
            else:
                kept[key] = self.inside(located, value)
        return kept

    def is_schema(self, urn: Json) -> bool:
        if not isinstance(urn, str) or self.kind.schema(urn) is not None:
            return True
        self.drop(urn)
        return False

    def extension(self, urn: str, value: Json) -> Json:
        if not isinstance(value, dict):
            return value
        kept: Resource = {}
        for name, inner in value.items():
            located = self.kind.locate(name, urn=urn)
            if located is not None:
                kept[name] = self.inside(located, inner)
            elif name.lower() != "schemas":
                self.drop(f"{urn}:{name}")
        return kept

    def inside(self, located: AttributePath, value: Json) -> Json:
        """The value of an attribute without unknown sub-attributes."""
        attribute = located.attribute
        if attribute is None or attribute.type != Type.COMPLEX or located.sub is not None:
            return value
        if isinstance(value, list):
            return [self.element(located, attribute, one) for one in value]
        return self.element(located, attribute, value)

    def element(self, located: AttributePath, attribute: Attribute, value: Json) -> Json:
        if not isinstance(value, dict):
            return value
        for name in value:
            if attribute.sub(name) is None:
                self.drop(located.name, name)
        return {name: inner for name, inner in value.items() if attribute.sub(name) is not None}

    def operation(self, given: Json) -> Json:
        """An operation without unknown attributes; None if nothing is left of it."""
        if not isinstance(given, dict):
            return given
        parts = {key.lower(): key for key in given}
        path, value = given.get(parts.get("path", "")), given.get(parts.get("value", ""))
        if not isinstance(path, str):
            if not isinstance(value, dict):
                return given
            kept = self.resource(value)
            return {**given, parts["value"]: kept} if kept or not value else None
        extension = self.kind.extension(path)
        if extension is not None:
            return {**given, parts["value"]: self.extension(extension.urn, value)} if "value" in parts else given
        found = _PATH.fullmatch(path)
        if found is None:
            return given  # malformed, and the engine says so
        located = self.kind.locate(found["name"], urn=found["urn"], sub=found["sub"])
        if located is None:
            self.drop(":".join(filter(None, (found["urn"], found["name"]))), *filter(None, (found["sub"],)))
            return None
        return {**given, parts["value"]: self.inside(located, value)} if "value" in parts else given


def without_unknown(body: Json, form: Form, kind: ResourceType) -> tuple[Json, set[str]]:
    """The body without attributes that the schemas do not know, and their names."""
    work = _Dropping(kind)
    if not isinstance(body, dict):
        return body, set()
    if form == Form.RESOURCE:
        return work.resource(body), work.dropped
    key = next((key for key in body if key.lower() == "operations"), "")
    asked = body.get(key)
    if form != Form.PATCH or not isinstance(asked, list):
        return body, set()
    left: list[Json] = [one for one in map(work.operation, asked) if one is not None]
    nothing: list[Json] = [{"op": "add", "value": {}}]  # a message needs an operation; this one changes nothing
    return {**body, key: left or (nothing if asked else asked)}, work.dropped
