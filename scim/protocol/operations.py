"""PATCH messages: envelope and operations, with paths not yet resolved (RFC 7644 §3.5.2); pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from scim.errors import invalid_path, invalid_syntax

if TYPE_CHECKING:
    from scim.protocol.schema import Json

URN = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
BULK_URN = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
MOST_OPERATIONS = 1000


class OperationType(StrEnum):
    """The types of operation."""

    ADD = "add"
    REPLACE = "replace"
    REMOVE = "remove"


@dataclass(frozen=True)
class Operation:
    """An operation of a PATCH message, with its path not yet resolved.

    has_value: whether `value` was present; null is a value.
    """

    op: OperationType
    unverified_path: str | None
    value: Json
    has_value: bool


def parse(body: Json, *, most: int = MOST_OPERATIONS) -> list[Operation]:
    """The operations of a PATCH message, at most `most`.

    Raises: ScimError invalidSyntax for a body or an operation of another form.
    """
    if not isinstance(body, dict):
        raise invalid_syntax("The body must be a JSON object.")
    parts = {key.lower(): value for key, value in body.items()}
    schemas = parts.get("schemas")
    if not isinstance(schemas, list) or URN.lower() not in {str(urn).lower() for urn in schemas}:
        raise invalid_syntax(f"schemas must name {URN}.")
    operations = parts.get("operations")
    if not isinstance(operations, list) or not operations:
        raise invalid_syntax("Operations must be a list with at least one operation.")
    if len(operations) > most:
        raise invalid_syntax(f"There are more than {most} operations.")
    return [_operation(operation) for operation in operations]


def _operation(given: Json) -> Operation:
    if not isinstance(given, dict):
        raise invalid_syntax("An operation must be a JSON object.")
    parts = {key.lower(): value for key, value in given.items()}
    name, path = parts.get("op"), parts.get("path")
    if not isinstance(name, str) or name.lower() not in set(OperationType):
        raise invalid_syntax("op must be add, replace or remove.")
    if path is not None and not isinstance(path, str):
        raise invalid_path("path must be a string.")
    return Operation(OperationType(name.lower()), path, parts.get("value"), "value" in parts)
