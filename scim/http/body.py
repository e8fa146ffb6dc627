"""Check request bodies before any engine reads them: type, size, depth, duplicate keys, characters (A20, E23)."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

from scim.errors import ScimError, invalid_syntax

if TYPE_CHECKING:
    from django.http import HttpRequest

    from scim.protocol.schema import Json, Resource

LARGEST = 1024 * 1024
DEEPEST = 32
_TYPES = frozenset({"application/scim+json", "application/json"})
_UTF8 = frozenset({"utf-8", "utf8"})


def of(request: HttpRequest) -> Json:
    """The JSON body of a request.

    Raises: ScimError 415 for another type, 413 above 1 MiB, 400 invalidSyntax for unacceptable JSON.
    """
    if (
        request.content_type not in _TYPES
        or (request.content_params or {}).get("charset", "utf-8").strip("\"' ").lower() not in _UTF8
    ):
        raise ScimError(415, None, "The body must be application/scim+json, in UTF-8.")
    if len(request.body) > LARGEST:  # Django itself refuses a larger declared length, by its setting
        raise ScimError(413, None, "The body is larger than 1 MiB.")
    return parse(request.body)


def parse(raw: bytes) -> Json:
    """The JSON value of some bytes, without duplicate keys, NUL, lone surrogates or infinite numbers.

    A byte order mark is skipped (RFC 8259 §8.1).

    Raises: ScimError 400 invalidSyntax.
    """
    try:
        found: Json = json.loads(raw.decode("utf-8-sig"), object_pairs_hook=_object, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise invalid_syntax("The body is not JSON, or an object in it has a duplicate key.") from None
    _check(found)
    return found


def _object(pairs: list[tuple[str, Json]]) -> Resource:
    found = dict(pairs)
    if len(found) != len(pairs):
        message = "a key twice"
        raise ValueError(message)
    return found


def _refuse_constant(name: str) -> Json:
    raise ValueError(name)


def _check(root: Json) -> None:
    """Check depth and values without recursion; values that PostgreSQL cannot store are refused here."""
    level, depth = [root], 0
    while level:
        if depth > DEEPEST:
            raise invalid_syntax(f"The body is nested deeper than {DEEPEST}.")
        inner: list[Json] = []
        for value in level:
            if isinstance(value, dict):
                inner += [*value, *value.values()]
            elif isinstance(value, list):
                inner += value
            elif not _is_storable(value):
                raise invalid_syntax("The body has a character or a number that cannot be kept.")
        level, depth = inner, depth + 1


def _is_storable(value: Json) -> bool:
    if isinstance(value, str):
        return "\x00" not in value and not any("\ud800" <= c <= "\udfff" for c in value)
    return not isinstance(value, float) or math.isfinite(value)
