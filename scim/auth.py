"""A bearer token names a source, or nobody (RFC 6750, P37)."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING

from scim.errors import ScimError
from scim.models import Source

if TYPE_CHECKING:
    from datetime import datetime

_SEEN_EVERY = timedelta(minutes=1)
_LONGEST_TOKEN = 512


def token_hash(token: str) -> str:
    """The form in which a token is stored and looked up: sha256, in hex."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def source_of(unverified_header: str | None, *, now: datetime) -> Source:
    """The source whose token an Authorization header carries.

    One hash and one look-up by it, whatever the token, so time tells nothing about it. The answer is the same for an
    unknown, an expired and a disabled one.
    Raises: ScimError 401.
    """
    scheme, _, token = (unverified_header or "").strip().partition(" ")
    if scheme.lower() != "bearer" or len(token) > _LONGEST_TOKEN:
        raise ScimError(401, None, "A bearer token is needed.")
    source = Source.objects.filter(token_hash=token_hash(token.strip())).first()
    expired = source is not None and source.token_expires_at is not None and source.token_expires_at <= now
    if source is None or expired or source.disabled_at is not None:
        raise ScimError(401, None, "The bearer token is not valid.")
    if source.last_seen_at is None or now - source.last_seen_at > _SEEN_EVERY:
        Source.objects.filter(id=source.id).update(last_seen_at=now)
    return source
