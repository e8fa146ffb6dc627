"""Canonical JSON (RFC 8785): the same bytes for the same value, so that a signature covers a readable file."""

from __future__ import annotations

import json
import math
from decimal import Decimal

_EXACT = 2**53  # integers beyond it have no exact number in ECMAScript
_LEAST, _MOST = 1e-6, 1e21


def canonical(value: object) -> bytes:
    """A value as canonical JSON.

    Raises: ValueError for what JSON or ECMAScript cannot hold exactly.
    """
    return _text(value).encode()


def _text(value: object) -> str:
    match value:
        case dict():
            names = sorted(value, key=lambda name: name.encode("utf-16-be"))
            return "{" + ",".join(f"{_text(str(name))}:{_text(value[name])}" for name in names) + "}"
        case list() | tuple():
            return "[" + ",".join(map(_text, value)) + "]"
        case bool() | None | str():
            return json.dumps(value, ensure_ascii=False)
        case int() if -_EXACT < value < _EXACT:
            return str(value)
        case float() if math.isfinite(value):
            return _number(value)
    message = f"{type(value).__name__} {value} has no canonical JSON"
    raise ValueError(message)


def _number(value: float) -> str:
    """A number as ECMAScript writes it (RFC 8785 §3.2.2.3)."""
    if value == int(value) and abs(value) < _MOST:
        return str(int(value))
    if _LEAST <= abs(value) < _MOST:
        return format(Decimal(repr(value)), "f")
    digits, _, exponent = repr(value).partition("e")
    return f"{digits.removesuffix('.0')}e{int(exponent):+d}"
