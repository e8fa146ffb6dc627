"""Tokens of filters and paths, with limits (RFC 7644 §3.4.2.2, with errata 7122 and 7322).

The stock lexer of scim2-filter-parser loses the type of literals, decodes no escapes, reads numbers of one digit and
splits attribute names at keywords; this lexer does not. The token types are the names in the stock grammar.
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from typing import TypeAlias

from scim.errors import invalid_filter

Literal: TypeAlias = "str | int | float | bool | None"

LONGEST = 2_000
MOST_TOKENS = 200
DEEPEST = 32

_WORDS = frozenset({"eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le", "pr", "and", "or", "not"})
_CONSTANTS: dict[str, Literal] = {"true": True, "false": False, "null": None}
_OPENING = frozenset({"LPAREN", "LBRACKET"})
_CLOSING = frozenset({"RPAREN", "RBRACKET"})

_TOKEN = re.compile(
    r"""
    (?P<space>[ \t]+)
  | (?P<COMP_VALUE>"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*")
  | (?P<NUMBER>-?(?:0|[1-9][0-9]{0,30})(?:\.[0-9]{1,30})?(?:[eE][+-]?[0-9]{1,3})?)
  | (?P<LPAREN>\() | (?P<RPAREN>\)) | (?P<LBRACKET>\[) | (?P<RBRACKET>\])
  | (?P<SUBATTR>\.\$?[A-Za-z][A-Za-z0-9_-]*)
  | (?P<SCHEMA_URI>[A-Za-z][A-Za-z0-9+.-]*:(?:[A-Za-z0-9._~%-]+:)+)
  | (?P<ATTRNAME>\$?[A-Za-z][A-Za-z0-9_-]*)
    """,
    re.VERBOSE,
)


@dataclass(frozen=True)
class TypedLiteral:
    """A literal with its written type: "true" is not true (S5)."""

    value: Literal


@dataclass
class FilterToken:
    """A token of the shape that the stock parser reads (it sets nothing, but its classes are not frozen)."""

    type: str
    value: str | TypedLiteral
    index: int
    end: int
    lineno: int = 1


def tokens(text: str) -> list[FilterToken]:
    """The tokens of a filter or path.

    Raises: ScimError invalidFilter for an unknown token, a missing space, or an exceeded limit.
    """
    if len(text) > LONGEST:
        raise invalid_filter(f"The expression is longer than {LONGEST} characters.")
    found: list[FilterToken] = []
    position = depth = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise invalid_filter(f"There is an unexpected character at {position}.")
        position = match.end()
        if match.lastgroup == "space":
            continue
        token = _token(match.lastgroup, match)
        _check_neighbour(found[-1] if found else None, token)
        found.append(token)
        depth += (token.type in _OPENING) - (token.type in _CLOSING)
        if len(found) > MOST_TOKENS or depth > DEEPEST:
            raise invalid_filter(f"The expression has more than {MOST_TOKENS} words or {DEEPEST} open brackets.")
    return found


def _token(kind: str, match: re.Match[str]) -> FilterToken:
    raw, lower = match.group(), match.group().lower()
    value: str | TypedLiteral = raw
    if kind in {"COMP_VALUE", "NUMBER"}:
        value = TypedLiteral(_literal(raw))
    elif kind == "SUBATTR":
        value = raw[1:]
    elif kind == "SCHEMA_URI":
        value = raw[:-1]
    elif kind == "ATTRNAME" and lower in _WORDS:
        kind, value = lower.upper(), lower
    elif kind == "ATTRNAME" and lower in _CONSTANTS:
        kind, value = lower.upper(), TypedLiteral(_CONSTANTS[lower])
    return FilterToken(kind, value, match.start(), match.end())


def _literal(raw: str) -> Literal:
    value: Literal = json.loads(raw)
    if not isinstance(value, str):
        return value
    # PostgreSQL cannot store NUL, and a lone surrogate is not text.
    if any(c == "\x00" or unicodedata.category(c) == "Cs" for c in value):
        raise invalid_filter("A string in the filter has a character that no value can have.")
    return unicodedata.normalize("NFC", value)


def _check_neighbour(before: FilterToken | None, token: FilterToken) -> None:
    """Require spaces between words, and none before `.sub` or after a URN."""
    touching = before is not None and before.end == token.index
    brackets = _OPENING | _CLOSING
    if token.type == "SUBATTR":
        fits = touching and before is not None and before.type in {"ATTRNAME", "RBRACKET"}
    elif before is not None and before.type == "SCHEMA_URI":
        fits = touching and token.type == "ATTRNAME"
    elif token.type == "LBRACKET":
        # `emails.value[…]` is not a value path, and the stock grammar would confuse it with `emails[…].value`.
        fits = touching and before is not None and before.type == "ATTRNAME"
    elif before is None or token.type in brackets or before.type in _OPENING:
        fits = True
    else:
        fits = not touching
    if not fits:
        raise invalid_filter(f"The expression is not well formed at {token.index}.")
