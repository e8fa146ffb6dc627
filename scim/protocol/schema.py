"""Schemas as data (RFC 7643 §2 and §7): attributes, their characteristics, and case-insensitive lookups."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TypeAlias

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"
Resource: TypeAlias = dict[str, Json]


class Type(StrEnum):
    """The data types of attributes (RFC 7643 §2.3)."""

    STRING = "string"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    DECIMAL = "decimal"
    DATETIME = "dateTime"
    REFERENCE = "reference"
    BINARY = "binary"
    COMPLEX = "complex"


class Mutability(StrEnum):
    """When a client may set an attribute (RFC 7643 §7)."""

    READ_ONLY = "readOnly"
    READ_WRITE = "readWrite"
    IMMUTABLE = "immutable"
    WRITE_ONLY = "writeOnly"


class Returned(StrEnum):
    """When an attribute is in a response (RFC 7643 §7)."""

    ALWAYS = "always"
    DEFAULT = "default"
    NEVER = "never"


@dataclass(frozen=True, kw_only=True)
class Attribute:
    """An attribute and its characteristics (RFC 7643 §7).

    identifier: other systems find people by it, so it may hold no invisible characters (C76). longest: characters,
    after normalisation. most: the number of values.
    """

    name: str
    description: str = ""
    type: Type = Type.STRING
    multi_valued: bool = False
    required: bool = False
    case_exact: bool = False
    mutability: Mutability = Mutability.READ_WRITE
    returned: Returned = Returned.DEFAULT
    uniqueness: str = "none"
    sub_attributes: tuple[Attribute, ...] = ()
    canonical_values: tuple[str, ...] = ()
    reference_types: tuple[str, ...] = ()
    identifier: bool = False
    longest: int = 256
    most: int = 1000

    @cached_property
    def _subs(self) -> dict[str, Attribute]:
        return {sub.name.lower(): sub for sub in self.sub_attributes}

    def sub(self, name: str) -> Attribute | None:
        """The sub-attribute of that name in any case, or None."""
        return self._subs.get(name.lower())

    @property
    def read_only(self) -> bool:
        """True if no client may set it."""
        return self.mutability == Mutability.READ_ONLY


@dataclass(frozen=True, kw_only=True)
class Schema:
    """A schema: a URN and its attributes."""

    urn: str
    name: str
    description: str
    attributes: tuple[Attribute, ...]

    @cached_property
    def _attributes(self) -> dict[str, Attribute]:
        return {attribute.name.lower(): attribute for attribute in self.attributes}

    def attribute(self, name: str) -> Attribute | None:
        """The attribute of that name in any case, or None."""
        return self._attributes.get(name.lower())


@dataclass(frozen=True)
class AttributePath:
    """The target of a name: an attribute of the core or of an extension, or a sub-attribute.

    extension: the URN of its extension, None for the core. attribute: None for the name of a whole extension.
    """

    extension: str | None
    attribute: Attribute | None
    sub: Attribute | None = None

    @property
    def name(self) -> str:
        """The full name, for messages."""
        parts = [part.name for part in (self.attribute, self.sub) if part is not None]
        return ":".join(filter(None, [self.extension, ".".join(parts)]))

    @property
    def last(self) -> Attribute | None:
        """The attribute that holds the value."""
        return self.sub or self.attribute


_META = (
    Attribute(name="resourceType", case_exact=True, mutability=Mutability.READ_ONLY),
    Attribute(name="created", type=Type.DATETIME, mutability=Mutability.READ_ONLY),
    Attribute(name="lastModified", type=Type.DATETIME, mutability=Mutability.READ_ONLY),
    Attribute(name="location", type=Type.REFERENCE, case_exact=True, mutability=Mutability.READ_ONLY),
    Attribute(name="version", case_exact=True, mutability=Mutability.READ_ONLY),
)

COMMON = (
    Attribute(
        name="schemas",
        type=Type.REFERENCE,
        multi_valued=True,
        required=True,
        returned=Returned.ALWAYS,
        description="URNs of the schemas that this resource uses.",
    ),
    Attribute(
        name="id",
        case_exact=True,
        mutability=Mutability.READ_ONLY,
        returned=Returned.ALWAYS,
        uniqueness="server",
        description="The server's identifier of this source's record.",
    ),
    Attribute(
        name="externalId", case_exact=True, identifier=True, description="The source's own identifier of this record."
    ),
    Attribute(
        name="meta",
        type=Type.COMPLEX,
        mutability=Mutability.READ_ONLY,
        sub_attributes=_META,
        description="When and where this record is kept.",
    ),
)
_COMMON = {attribute.name.lower(): attribute for attribute in COMMON}


@dataclass(frozen=True, kw_only=True)
class ResourceType:
    """A resource type: its endpoint, its core schema and its extensions (RFC 7643 §6)."""

    name: str
    endpoint: str
    description: str
    core: Schema
    extensions: tuple[Schema, ...] = ()

    def extension(self, urn: str) -> Schema | None:
        """The extension of that URN in any case, or None."""
        return next((schema for schema in self.extensions if schema.urn.lower() == urn.lower()), None)

    def schema(self, urn: str) -> Schema | None:
        """The core schema or extension of that URN in any case, or None."""
        return self.core if self.core.urn.lower() == urn.lower() else self.extension(urn)

    def locate(self, name: str, *, urn: str | None = None, sub: str | None = None) -> AttributePath | None:
        """The target of `[urn:]name[.sub]`, case-insensitive; None for an unknown name."""
        extension = None if urn is None else self.extension(urn)
        if extension is not None:
            attribute = extension.attribute(name)
        elif urn is None or urn.lower() == self.core.urn.lower():
            attribute = self.core.attribute(name) or _COMMON.get(name.lower())
        else:
            return None
        inner = attribute.sub(sub) if attribute is not None and sub is not None else None
        if attribute is None or (sub is not None and inner is None):
            return None
        return AttributePath(extension.urn if extension else None, attribute, inner)

    def locate_key(self, key: str) -> AttributePath | None:
        """The target of a key of a JSON object: a name, or a URN with a name."""
        urn, colon, name = key.rpartition(":")
        return self.locate(name, urn=urn if colon else None)
