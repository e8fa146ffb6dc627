"""The people of the benchmark, by number; every server gets the same data."""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

MARK = "n0000000"
CORE = "urn:ietf:params:scim:schemas:core:2.0:User"


def mark(number: int) -> str:
    """The text that is part of every attribute of one person."""
    return f"n{number:07d}"


def body(mark: str) -> dict[str, Any]:
    """A User resource that every measured server can store."""
    address = f"bench-{mark}@example.org"
    return {
        "schemas": [CORE],
        "userName": address,
        "externalId": f"x-{mark}",
        "displayName": f"Bench {mark}",
        "active": True,
        "name": {"formatted": f"Bench Mark {mark}", "givenName": "Bench", "familyName": f"Mark {mark}"},
        "emails": [{"value": address}],
    }


def record_id(number: int) -> str:
    """The SCIM id that a filled person has in Ramet."""
    return str(uuid.UUID(hashlib.md5(f"record{number}".encode(), usedforsecurity=False).hexdigest()))
