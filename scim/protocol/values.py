"""Check a value against its attribute and make it canonical; and whole resources of such values.

Canonical: names as in the schema, text in NFC and without spaces at its end, real booleans, unassigned values left out
(RFC 7643 §2.5). Comparison: `fold`, computed here and stored, so that no database's case rules matter (S4).
"""

from __future__ import annotations

import base64
import binascii
import unicodedata
from datetime import datetime
from typing import TYPE_CHECKING

from scim.errors import invalid_syntax, invalid_value
from scim.protocol.schema import AttributePath, Json, Mutability, Resource, Type

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from scim.protocol.schema import Attribute, ResourceType

LONGEST_FOLD = 512
_LONGEST_SHOWN = 120
_SHORT = 256  # values up to this length may be in an index, folded
# Invisible, so two identifiers that differ only by these look the same: controls, formats (bidi, zero width), line
# separators, private use, unassigned.
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# Letters and marks by category, but invisible: fillers, joiners, variation selectors (Default_Ignorable).
_FILLERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | {
    chr(code)
    for first, last in ((0x180B, 0x180F), (0xFE00, 0xFE0F), (0xE0100, 0xE01EF))
    for code in range(first, last + 1)
}
_LAYOUT = frozenset("\t\n\r")


def fold(text: str) -> str:
    """The form for comparison without case: NFKC, case folded, NFKC again."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def shown_name(unverified_name: str) -> str:
    """A name that a client gave, for an error message: bounded, and printable."""
    return "".join(one if one.isprintable() else "?" for one in unverified_name[:_LONGEST_SHOWN])


def is_unassigned(value: Json) -> bool:
    """True if a value is unassigned (RFC 7643 §2.5)."""
    return value is None or value in ("", [], {})


def coerce(attribute: Attribute, value: Json, *, where: str) -> Json:
    """The canonical form of a value of an attribute, None for unassigned.

    where: the attribute's full name, for messages. A multi-valued attribute may be a single bare value (OneLogin).
    Raises: ScimError invalidValue for a wrong type or character, invalidSyntax for an unknown sub-attribute.
    """
    if not attribute.multi_valued:
        return _single(attribute, value, where=where)
    given = value if isinstance(value, list) else [value]
    if len(given) > attribute.most:
        raise invalid_value(f"{where} has more than {attribute.most} values.")
    found = (_single(attribute, one, where=where) for one in given)
    values: list[Json] = list({_key(one): one for one in found if one is not None}.values())
    check_primary(values, where=where)
    return values or None


def _key(value: Json) -> Hashable:
    """The key by which canonical values are equal."""
    return (
        tuple(sorted((name, repr(inner)) for name, inner in value.items())) if isinstance(value, dict) else repr(value)
    )


def check_primary(values: list[Json], *, where: str) -> None:
    """Refuse more than one value with primary true (RFC 7643 §2.4)."""
    if sum(isinstance(value, dict) and value.get("primary") is True for value in values) > 1:
        raise invalid_value(f"{where} has more than one primary value.")


def _single(attribute: Attribute, value: Json, *, where: str) -> Json:
    if is_unassigned(value):
        return None
    if attribute.type == Type.COMPLEX:
        return _complex(attribute, value, where=where)
    if attribute.type == Type.BOOLEAN:
        return boolean(value, where=where)
    if attribute.type in {Type.INTEGER, Type.DECIMAL}:
        return _number(attribute, value, where=where)
    if not isinstance(value, str):
        raise invalid_value(f"{where} must be a string.")
    return _text(attribute, value, where=where) or None


def boolean(value: Json, *, where: str) -> bool:
    """A boolean, or the words true and false in any case, which Entra and Keycloak send.

    Raises: ScimError invalidValue.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    raise invalid_value(f"{where} must be true or false.")


def _number(attribute: Attribute, value: Json, *, where: str) -> Json:
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not isinstance(value, int | float) or (attribute.type == Type.INTEGER and not whole):
        raise invalid_value(f"{where} must be a number.")
    return int(value) if attribute.type == Type.INTEGER else value


def _text(attribute: Attribute, value: str, *, where: str) -> str:
    text = unicodedata.normalize("NFC", value).rstrip()
    if len(text) > attribute.longest or (attribute.longest <= _SHORT and len(fold(text)) > LONGEST_FOLD):
        raise invalid_value(f"{where} is longer than {attribute.longest} characters.")
    if attribute.identifier and (text != text.strip() or any(_is_invisible(c) for c in text)):
        raise invalid_value(f"{where} has invisible characters, or a space at an end.")
    if any(unicodedata.category(c) in {"Cc", "Cs"} and c not in _LAYOUT for c in text):
        raise invalid_value(f"{where} has control characters.")
    if attribute.type == Type.BINARY:
        _check_base64(text, where=where)
    if attribute.type == Type.DATETIME:
        _check_moment(text, where=where)
    return text


def _is_invisible(character: str) -> bool:
    return character in _FILLERS or unicodedata.category(character) in _INVISIBLE


def _check_moment(text: str, *, where: str) -> None:
    """Require a date and time as xsd:dateTime (RFC 7643 §2.3.5)."""
    try:
        datetime.fromisoformat(text)
    except ValueError:
        fits = False
    else:
        fits = "T" in text
    if not fits:
        raise invalid_value(f"{where} must be a date and time, as in 2026-11-26T09:00:00Z.")


def _check_base64(text: str, *, where: str) -> None:
    try:
        base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise invalid_value(f"{where} must be base64.") from None


def _complex(attribute: Attribute, value: Json, *, where: str) -> Json:
    if not isinstance(value, dict):
        raise invalid_value(f"{where} must be an object.")
    found: Resource = {}
    seen: set[str] = set()
    for key, inner in value.items():
        sub = attribute.sub(key)
        if sub is None:
            raise invalid_syntax(f"{where} has no sub-attribute {shown_name(key)}.")
        if sub.name in seen:
            raise invalid_syntax(f"{where}.{sub.name} is given twice.")
        seen.add(sub.name)
        # Clients send back what they read: read-only values are ignored, not refused (RFC 7644 §3.5.1).
        if sub.read_only and not attribute.read_only:
            continue
        canonical = coerce(sub, inner, where=f"{where}.{sub.name}")
        if canonical is not None:
            found[sub.name] = canonical
    return found or None


def resource(body: Json, kind: ResourceType) -> Resource:
    """The canonical form of a resource in a POST or PUT.

    Read-only attributes are ignored, a password is dropped (ruling 10), `schemas` follows the content.
    Raises: ScimError invalidSyntax for an unknown attribute or schema, invalidValue for a value that does not fit.
    """
    if not isinstance(body, dict):
        raise invalid_syntax("The body must be a JSON object.")
    found: Resource = {}
    for located, value in members(body, kind):
        _assign(found, located, value)
    _check_schemas(found.get("schemas"), kind)
    return completed(found, kind)


def members(body: dict[str, Json], kind: ResourceType) -> Iterator[tuple[AttributePath, Json]]:
    """Each attribute of an object with its value, those inside an extension one by one.

    Raises: ScimError invalidSyntax for a name that is unknown or duplicate.
    """
    seen: set[str] = set()
    for key, value in body.items():
        whole = kind.extension(key)
        if whole is None:
            inside: list[tuple[str, AttributePath | None, Json]] = [(key, kind.locate_key(key), value)]
        elif value is None or isinstance(value, dict):
            # Some clients (scim2-models) repeat `schemas` inside an extension, without meaning.
            given = {name: inner for name, inner in (value or {}).items() if name.lower() != "schemas"}
            inside = [(f"{whole.urn}:{name}", kind.locate(name, urn=whole.urn), inner) for name, inner in given.items()]
        else:
            raise invalid_syntax(f"{whole.urn} must be an object.")
        for name, located, inner in inside:
            if located is None:
                raise invalid_syntax(f"{shown_name(name)} is in no schema of this resource type.")
            if located.name in seen:
                raise invalid_syntax(f"{located.name} is given twice.")
            seen.add(located.name)
            yield located, inner


def _assign(found: Resource, located: AttributePath, value: Json) -> None:
    attribute = located.attribute
    if attribute is None or attribute.read_only:
        return
    canonical = coerce(attribute, value, where=located.name)
    if canonical is None or attribute.mutability == Mutability.WRITE_ONLY:
        return
    home = found if located.extension is None else found.setdefault(located.extension, {})
    if isinstance(home, dict):
        home[attribute.name] = canonical


def _check_schemas(given: Json, kind: ResourceType) -> None:
    urns = [urn for urn in given if isinstance(urn, str)] if isinstance(given, list) else []
    if kind.core.urn.lower() not in {urn.lower() for urn in urns}:
        raise invalid_syntax(f"schemas must name {kind.core.urn}.")
    if any(kind.schema(urn) is None for urn in urns):
        raise invalid_syntax("schemas names a schema that this resource type does not have.")


def completed(found: Resource, kind: ResourceType) -> Resource:
    """A resource without unassigned values, whose `schemas` follow its content.

    Raises: ScimError invalidValue if a required attribute is missing.
    """
    for attribute in kind.core.attributes:
        if attribute.required and is_unassigned(found.get(attribute.name)):
            raise invalid_value(f"{attribute.name} is required.")
    kept = {key: value for key, value in found.items() if not is_unassigned(value) and key != "schemas"}
    used: list[Json] = [kind.core.urn, *(schema.urn for schema in kind.extensions if schema.urn in kept)]
    return {"schemas": used, **kept}
