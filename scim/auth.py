"""Who speaks: a request names a source, or nobody (RFC 6750, P37).

A source shows a bearer token of its own. Or it shows what another part of the house recognises: an access token that our own
provider issued to a client for itself, or a client certificate. Those parts stand above this floor, so they come down and say
how: `recognise_by`. Whatever they find is only a key, looked up here; without a row for it, and a source that is heard, the
answer is the same 401.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.http import HttpRequest

from scim.errors import ScimError
from scim.models import Source, SourceCredential

if TYPE_CHECKING:
    from collections.abc import Iterable

_SEEN_EVERY = timedelta(minutes=1)
_LONGEST_TOKEN = 512
_KINDS = frozenset({"Users", "Groups", "Bulk", "Me", ".search", "Events"})

Recogniser = Callable[[HttpRequest, datetime], "str | None"]
_recognisers: list[Recogniser] = []


def key_of_token(token: str) -> str:
    """The form in which a token is stored and looked up: sha256, in hex."""
    return f"token:{hashlib.sha256(token.encode('utf-8', 'surrogateescape')).hexdigest()}"


def key_of_client(client_id: str) -> str:
    """The key of a client of our own provider, which got an access token for itself."""
    return f"client:{client_id}"


def key_of_certificate(sha256: str) -> str:
    """The key of a certificate; sha256: of its DER, in lower-case hex."""
    return f"certificate:{sha256}"


def recognise_by(recogniser: Recogniser) -> None:
    """Let a floor above say whose request this is: it returns a key as made here, or None; it never raises for a stranger."""
    if recogniser not in _recognisers:
        _recognisers.append(recogniser)


def of_request(request: HttpRequest, *, now: datetime) -> Source:
    """The source that sent a request.

    Raises: ScimError 401, 429 above its own rate.
    """
    source = source_of(
        request.headers.get("Authorization"), now=now, said=_said(request),
        others=(key for recogniser in _recognisers if (key := recogniser(request, now)) is not None),
    )
    _check_rate(source, now=now)
    return source


def source_of(unverified_header: str | None, *, now: datetime, said: str = "", others: Iterable[str] = ()) -> Source:
    """The source whose token an Authorization header carries, or to which one of the `others` leads.

    One hash and one look-up by it, whatever the token, so time tells nothing about it. The answer is the same for an
    unknown, an expired and a disabled one.
    Raises: ScimError 401.
    """
    scheme, _, token = (unverified_header or "").strip().partition(" ")
    is_ours = scheme.lower() == "bearer" and len(token) <= _LONGEST_TOKEN
    credential = _credential(key_of_token(token.strip()), now=now) if is_ours else None
    if credential is None:
        found = (_credential(key, now=now) for key in others)
        credential = next((one for one in found if one is not None), None)
    if credential is None:
        raise ScimError(401, None, "The bearer token is not valid." if is_ours else "A bearer token is needed.")
    _note(credential, said, now=now)
    return credential.source


def _credential(key: str, *, now: datetime) -> SourceCredential | None:
    row = SourceCredential.objects.select_related("source").filter(key=key).first()
    return row if row is not None and row.is_live(now=now) and row.source.disabled_at is None else None


def _said(request: HttpRequest) -> str:
    """Method and kind of what a source asks for, without anybody's id."""
    kind = next((part for part in request.path.split("/") if part in _KINDS), "")
    return f"{request.method} {kind}".strip()[:80]


def _note(credential: SourceCredential, said: str, *, now: datetime) -> None:
    """When it last spoke, and what it asked for; noted once a minute: this is for people to read."""
    source = credential.source
    if credential.last_used_at is None or now - credential.last_used_at > _SEEN_EVERY:
        SourceCredential.objects.filter(id=credential.id).update(last_used_at=now)
    if source.last_seen_at is None or now - source.last_seen_at > _SEEN_EVERY:
        Source.objects.filter(id=source.id).update(last_seen_at=now, last_said=said)


_lock = threading.Lock()
_heard: dict[tuple[int, datetime], tuple[datetime, int]] = {}


def _check_rate(source: Source, *, now: datetime) -> None:
    """No more than its share of a minute; counted in each process, and a restart forgives (C75, ruling 12).

    Raises: ScimError 429.
    """
    key = (source.id, source.created_at)
    with _lock:
        since, count = _heard.get(key, (now, 0))
        if not timedelta() <= now - since < _SEEN_EVERY:
            since, count = now, 0
        _heard[key] = since, count + 1
    if count >= source.most_per_minute:
        raise ScimError(429, None, "This source sends more than its rate allows. Wait a minute.")
