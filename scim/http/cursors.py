"""Cursors: the position of a reader in a list, authenticated by a MAC (RFC 9865, P61); pure.

A cursor holds the id of the last row, a hash of the list, and its creation time; no personal data. No part of it
reaches the database before its MAC is verified.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from scim.errors import ScimError

LIFE = timedelta(hours=1)
_MAC = 16
_LENGTH = 16 + 16 + 8 + 1


@dataclass(frozen=True)
class CursorPosition:
    """The row after which a page begins; shelf: the number of the row's resource type."""

    row: UUID
    shelf: int


def digest(*parts: str) -> bytes:
    """The hash that identifies a list: its source, its filter, its order."""
    found = hashlib.sha256()
    for part in parts:
        raw = part.encode()
        found.update(len(raw).to_bytes(4, "big") + raw)
    return found.digest()[:16]


def seal(position: CursorPosition, listed: bytes, *, key: bytes, now: datetime) -> str:
    """The cursor of a position in a list; unreserved characters only."""
    body = position.row.bytes + listed + int(now.timestamp()).to_bytes(8, "big") + bytes([position.shelf])
    return base64.urlsafe_b64encode(body + _mac(body, key)).rstrip(b"=").decode()


def unseal(unverified: str, listed: bytes, *, key: bytes, now: datetime) -> CursorPosition:
    """The position in a cursor of this list.

    Raises: ScimError invalidCursor for a forged cursor, or of another list; expiredCursor after an hour.
    """
    try:
        raw = base64.b64decode(
            unverified.encode("ascii") + b"=" * (-len(unverified) % 4), altchars=b"-_", validate=True
        )
    except (ValueError, binascii.Error):
        raw = b""
    body, mac = raw[:_LENGTH], raw[_LENGTH:]
    if len(raw) != _LENGTH + _MAC or not hmac.compare_digest(mac, _mac(body, key)) or body[16:32] != listed:
        raise ScimError(400, "invalidCursor", "The cursor is not one of this list.")
    if now - datetime.fromtimestamp(int.from_bytes(body[32:40], "big"), tz=UTC) > LIFE:
        raise ScimError(400, "expiredCursor", "The cursor is older than an hour; start again without a cursor.")
    return CursorPosition(UUID(bytes=body[:16]), body[40])


def _mac(body: bytes, key: bytes) -> bytes:
    return hmac.new(key, body, hashlib.sha256).digest()[:_MAC]
