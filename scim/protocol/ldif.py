"""LDIF (RFC 2849): a text as entries with their attribute lines; pure.

An own reader: python-ldap's and `ldif`'s stop at the first malformed line and do not say where an entry began, ldap3
only writes LDIF. Here a malformed entry is refused by its line, and the others are read. A value is decoded when it is
asked for, so a photograph that nobody wants refuses no entry. A URL as a value is never fetched.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_DESCRIPTION = re.compile(r"(?:[A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)*)(?:;[A-Za-z0-9-]+)*")
_HEX = re.compile(r"[0-9A-Fa-f]{2}")
_MALFORMED = "the line that begins with {!r} is not `name: value`"
_CHANGES = frozenset({"delete", "modify", "modrdn", "moddn"})


@dataclass(frozen=True)
class AttributeValue:
    """A value as written, not decoded; options: the attribute's options in lower case, as `lang-de` or `binary`."""

    written: str
    options: frozenset[str] = frozenset()

    def octets(self) -> bytes:
        """The value's octets.

        Raises: ValueError for malformed base64, or a URL.
        """
        if self.written.startswith("<"):
            message = "is a URL, which is not fetched"
            raise ValueError(message)
        if not self.written.startswith(":"):
            return self.written.strip(" ").encode()
        try:
            return base64.b64decode(self.written[1:].strip(" "), validate=True)
        except binascii.Error:
            message = "is not base64"
            raise ValueError(message) from None

    def text(self) -> str:
        """The value as text.

        Raises: ValueError for malformed base64, octets that are not UTF-8, or a URL.
        """
        try:
            return self.octets().decode().strip()
        except UnicodeDecodeError:
            message = "is not text in UTF-8"
            raise ValueError(message) from None


@dataclass
class LdifEntry:
    """An entry: its first line's number, its DN, and its attributes in lower case; wrong: why it cannot be read."""

    line: int
    dn: str = ""
    attributes: dict[str, list[AttributeValue]] = field(default_factory=dict)
    wrong: str = ""

    def values(self, name: str) -> list[AttributeValue]:
        """The values of an attribute without options; without any, those of its first language (RFC 3866)."""
        found = self.attributes.get(name.lower(), [])
        plain = [one for one in found if not one.options]
        if plain or not found:
            return plain
        tongue = next((one.options for one in found if _is_language(one.options)), None)
        return [one for one in found if one.options == tongue]

    def texts(self, name: str, *, with_options: bool = False) -> list[str]:
        """The same as texts, empty ones left out; with_options: those with options too.

        Raises: ValueError, which names the attribute.
        """
        found = self.attributes.get(name.lower(), []) if with_options else self.values(name)
        try:
            return [text for one in found if (text := one.text())]
        except ValueError as error:
            message = f"{name} {error}"
            raise ValueError(message) from None


def _is_language(options: frozenset[str]) -> bool:
    return bool(options) and all(one.startswith("lang-") for one in options)


def entries(lines: Iterable[str]) -> Iterator[LdifEntry]:
    """The entries of a text, line by line; what is no entry (`version`, comments) is left out."""
    block: list[tuple[int, str]] = []
    for number, text in _unfolded(lines):
        if text:
            block.append((number, text))
        elif block:
            yield from _entry(block)
            block = []
    if block:
        yield from _entry(block)


def _unfolded(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """The logical lines, each with the number of its first; a comment takes its continuations with it (note 3)."""
    number, logical = 0, ""
    for at, line in enumerate(lines, 1):
        text = line.rstrip("\r\n")
        if text.startswith(" ") and logical:
            logical += text[1:]
            continue
        if number and not logical.startswith("#"):
            yield number, logical
        number, logical = at, text
    if number and not logical.startswith("#"):
        yield number, logical


def _entry(block: list[tuple[int, str]]) -> Iterator[LdifEntry]:
    found = LdifEntry(line=block[0][0])
    has_dn, is_version = False, False
    for number, text in block:
        description, colon, rest = text.partition(":")
        name, *options = description.lower().split(";")
        if not colon or not _DESCRIPTION.fullmatch(description):
            found.wrong = found.wrong or _MALFORMED.format(text[:20])
        elif name == "version" and not has_dn:
            is_version = True
            found.line = number + 1
        elif name == "dn":
            found.line, has_dn = number, True
            found.wrong = found.wrong or _with_dn(found, rest)
        elif name == "changetype" and rest.strip().lower() in _CHANGES:
            found.wrong = found.wrong or f"it is a change ({rest.strip().lower()}), not an entry to add"
        else:
            value = rest.removeprefix(" ") if not rest.startswith((":", "<")) else rest
            found.attributes.setdefault(name, []).append(AttributeValue(value, frozenset(options)))
    if not has_dn and not found.wrong and found.attributes:
        found.wrong = "it has no dn"
    if has_dn or found.wrong or not is_version:
        yield found


def _with_dn(found: LdifEntry, rest: str) -> str:
    """Read the DN of an entry; the fault if there is any."""
    try:
        found.dn = AttributeValue(rest).text()
    except ValueError as error:
        return f"dn {error}"
    return ""


def naming_values(dn: str) -> dict[str, str]:
    """The attributes of a DN's first RDN, in lower case, with their values (RFC 4514); {} for a malformed DN."""
    found: dict[str, str] = {}
    for part in _split(_split(dn, ",")[0], "+"):
        name, equals, value = part.partition("=")
        if not equals:
            return {}
        found[name.strip().lower()] = _unescaped(value.strip())
    return found


def compared(dn: str) -> str:
    """A DN in a form for comparison: case folded, without spaces around names and values."""
    parts = ["+".join(sorted(_compared(one) for one in _split(rdn, "+"))) for rdn in _split(dn, ",")]
    return ",".join(parts)


def _compared(part: str) -> str:
    name, _, value = part.partition("=")
    return f"{name.strip().lower()}={' '.join(_unescaped(value.strip()).casefold().split())}"


def _split(text: str, at: str) -> list[str]:
    """The parts of a text at a character that no backslash escapes."""
    found, part, escaped = list[str](), "", False
    for character in text:
        if character == at and not escaped:
            found.append(part)
            part = ""
            continue
        part += character
        escaped = character == "\\" and not escaped
    return [*found, part]


def _unescaped(value: str) -> str:
    """A value without its escapes: a backslash before a character, or before two hexadecimal digits of an octet."""
    found, at = bytearray(), 0
    while at < len(value):
        if value[at] != "\\" or at + 1 == len(value):
            found += value[at].encode("utf-8", "surrogatepass")
            at += 1
        elif _HEX.fullmatch(value[at + 1 : at + 3]):
            found.append(int(value[at + 1 : at + 3], 16))
            at += 3
        else:
            found += value[at + 1].encode("utf-8", "surrogatepass")
            at += 2
    return found.decode("utf-8", "replace")
