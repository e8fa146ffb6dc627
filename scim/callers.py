"""Client authentication: the source of a request, or a refusal (RFC 6750, P37).

A source presents a bearer token of its own, or a credential that `idp` recognises: an access token that Ramet issued to
a client for itself, or a client certificate. `idp` registers its recognisers by `recognise_by`; they return lookup
keys, and only a stored key of an enabled source authenticates; all other requests get the same 401. A request may have
a header and a certificate; then both must be of one source, and an unknown header is refused, whatever else is
presented.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.http import HttpRequest

from derived.ledger.prepared_sql import BoundValue, PreparedSelect, field_of
from scim.errors import ScimError
from scim.models import Source, SourceCredential

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_SEEN_EVERY = timedelta(minutes=1)
_LONGEST_TOKEN = 512
_KINDS = frozenset({"Users", "Groups", "Bulk", "Me", ".search", "Events"})

Recogniser = Callable[[HttpRequest, datetime], "Collection[str]"]
_of_headers: list[Recogniser] = []
_of_connections: list[Recogniser] = []


def key_of_token(token: str) -> str:
    """The stored form of a token: SHA-256, in hex."""
    return f"token:{hashlib.sha256(token.encode('utf-8', 'surrogateescape')).hexdigest()}"


def key_of_client(client_id: str) -> str:
    """The key of an OAuth client, which got an access token for itself."""
    return f"client:{client_id}"


def key_of_certificate(sha256: str) -> str:
    """The key of a client certificate; sha256: of its DER, in lower-case hex."""
    return f"certificate:{sha256}"


def key_of_certified_name(authority: str, name: str) -> str:
    """The key of a name certified by an authority.

    authority: SHA-256 of its certificate, in hex; name: as `dns:hr.example.org`.
    """
    return f"certified:{authority}:{hashlib.sha256(name.encode()).hexdigest()}"


def recognise_by(recogniser: Recogniser, *, connection: bool = False) -> None:
    """Register a function that returns the keys of a request, made as here; it never raises for an unknown client.

    connection: it looks at the connection (a certificate), and not at the Authorization header.
    """
    known = _of_connections if connection else _of_headers
    if recogniser not in known:
        known.append(recogniser)


def of_request(request: HttpRequest, *, now: datetime) -> Source:
    """The source that sent a request.

    A token takes a hash and a lookup by it, whatever the token, so timing reveals nothing. The response is the same for
    unknown, expired and disabled credentials.
    Raises: ScimError 401; 429 above its own rate.
    """
    header = request.headers.get("Authorization", "").strip()
    by_header = _of_header(header, request, now=now) if header else []
    by_connection = _rows([key for recogniser in _of_connections for key in recogniser(request, now)])
    shown = _live(by_header or ([] if header else by_connection), now=now)
    if shown is None or len({row.source_id for row in [*by_header, *by_connection]}) > 1:
        raise ScimError(
            401,
            None,
            "The credentials are not valid, or not of one source."
            if header or by_connection
            else "A bearer token is needed.",
        )
    _note(shown, _said(request), now=now)
    check_rate(rate_key(shown.source), shown.source.most_per_minute, now=now)
    return shown.source


def _of_header(header: str, request: HttpRequest, *, now: datetime) -> list[SourceCredential]:
    """The rows for an Authorization header: a source's own token, or keys from a registered recogniser."""
    return next((found for keys in keys_of_header(header, request, now=now) if (found := _rows(keys))), [])


def keys_of_header(header: str, request: HttpRequest, *, now: datetime) -> Iterator[list[str]]:
    """The keys of an Authorization header, in lookup order."""
    scheme, _, token = header.partition(" ")
    if scheme.lower() == "bearer" and len(token) <= _LONGEST_TOKEN:
        yield [key_of_token(token.strip())]
    yield [key for recogniser in _of_headers for key in recogniser(request, now)]


_CREDENTIAL = PreparedSelect(
    lambda: SourceCredential.objects.select_related("source").filter(
        key=BoundValue("key", field_of(SourceCredential, "key"))
    )
)


def _rows(keys: list[str]) -> list[SourceCredential]:
    return [row for key in keys if (row := _CREDENTIAL.first(key=key)) is not None]


def _live(rows: list[SourceCredential], *, now: datetime) -> SourceCredential | None:
    return next((row for row in rows if row.is_live(now=now) and row.source.disabled_at is None), None)


def _said(request: HttpRequest) -> str:
    """Method and resource type of a request, without any id."""
    kind = next((part for part in request.path.split("/") if part in _KINDS), "")
    return f"{request.method} {kind}".strip()[:80]


def _note(credential: SourceCredential, said: str, *, now: datetime) -> None:
    """Record the last use and the last request of a source, once a minute, for operators."""
    source = credential.source
    if credential.last_used_at is None or now - credential.last_used_at > _SEEN_EVERY:
        SourceCredential.objects.filter(id=credential.id).update(last_used_at=now)
    if source.last_seen_at is None or now - source.last_seen_at > _SEEN_EVERY:
        Source.objects.filter(id=source.id).update(last_seen_at=now, last_said=said)


_lock = threading.Lock()
_heard: dict[tuple[str, int, datetime], tuple[datetime, int]] = {}


def rate_key(source: Source) -> tuple[str, int, datetime]:
    """The key under which the requests of a source are counted."""
    return "source", source.id, source.created_at


def check_rate(key: tuple[str, int, datetime], most_per_minute: int, *, now: datetime, count: int = 1) -> None:
    """Enforce a rate per minute, counted in each process (C75, ruling 12); a restart resets it.

    key: the kind, its number, and its creation time. count: the requests to count.
    Raises: ScimError 429.
    """
    with _lock:
        since, before = _heard.get(key, (now, 0))
        if not timedelta() <= now - since < _SEEN_EVERY:
            since, before = now, 0
        _heard[key] = since, before + count
    if before + count > most_per_minute:
        raise ScimError(429, None, f"This {key[0]} sends more than its rate allows. Wait a minute.")
