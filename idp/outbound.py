"""The guarded fetcher: permitted addresses, bounded responses, no redirects (C45).

Every fetch of this installation from elsewhere goes through `fetch`.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import certifi
import httpcore

from idp import wire
from idp.config import config, is_loopback
from idp.wire import Deadline, is_odd, is_own, is_public

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from idp.wire import Address

_CONNECT = 2.0
_FAILURES = (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol)


class NotFetched(Exception):
    """The fetch failed, or its response is unusable; the message is for an operator's log."""


@dataclass(frozen=True, kw_only=True)
class FetchedResponse:
    """A response: a status, its headers, and a bounded body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@lru_cache(maxsize=1)
def trusted_authorities() -> ssl.SSLContext:
    """Public authorities, and those that this machine's operator added: peers often live inside."""
    context = ssl.create_default_context(cafile=certifi.where())
    context.load_default_certs()
    return context


def fetch(  # noqa: PLR0913 - the parts of a request
    url: str,
    *,
    allowed_hosts: frozenset[str],
    method: str = "GET",
    content: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    fields: Sequence[tuple[str, str]] = (),
    most_bytes: int = 1024 * 1024,
    seconds: float = 3.0,
    plain: bool = False,
    outside: bool = False,
    cut: bool = False,
) -> FetchedResponse:
    """Send one request to one URL.

    allowed_hosts: `host` or `host:port`, exactly as an operator listed them; no other host is contacted. plain: http
    may be used, for signed objects (CRL, OCSP, AIA; RFC 5280 §8). cut: a longer response is cut at `most_bytes`, not
    refused. fields: more header fields, in this order and spelling; names may repeat.
    Raises: NotFetched.
    """
    host, here = _host_of(url, plain=plain)
    if here not in allowed_hosts:
        raise NotFetched("that host is not on the allow-list")
    deadline = Deadline(seconds)
    addresses = _resolved(host, deadline)
    # A listed name that resolves to this machine, or to a link-local address, is refused outside development
    # (rebinding).
    if not is_loopback(config().host) and any(is_own(one) for one in addresses):
        raise NotFetched("the host's address is one of this machine")
    if outside and not is_loopback(config().host) and not all(is_public(one) for one in addresses):
        raise NotFetched("the host's address is not a public one")
    sent = [*_fields(headers), *fields]
    return _send(url, addresses, deadline, method=method, content=content, fields=sent, most_bytes=most_bytes, cut=cut)


def fetch_public(
    url: str, *, inside: frozenset[str], headers: Mapping[str, str] | None = None, most_bytes: int, seconds: float
) -> FetchedResponse:
    """Get a URL that another party named: on the public internet, or on a host that an operator allowed (C45, P55).

    inside: `host` or `host:port` that may have a private address. In development any private or loopback address is
    allowed.
    Raises: NotFetched.
    """
    host, here = _host_of(url)
    deadline = Deadline(seconds)
    addresses = _resolved(host, deadline)
    if is_loopback(config().host):
        refused = any(is_odd(one) for one in addresses)
    elif here in inside:
        refused = any(is_own(one) for one in addresses)
    else:
        refused = not all(is_public(one) for one in addresses)
    if refused:
        raise NotFetched("the host's address is not a public one")
    sent = _fields(headers)
    return _send(url, addresses, deadline, method="GET", content=None, fields=sent, most_bytes=most_bytes)


def _host_of(url: str, *, plain: bool = False) -> tuple[str, str]:
    """The host of a URL, and the host with its port where it names one.

    Raises: NotFetched.
    """
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError as error:
        raise NotFetched("it is no address") from error
    if parts.scheme not in ({"https", "http"} if plain or is_loopback(config().host) else {"https"}):
        raise NotFetched(f"{parts.scheme or 'no scheme'} is not allowed")
    if parts.username or parts.password or not host:
        raise NotFetched("it names a user, or no host")
    return host, f"{host}:{port}" if port else host


def _resolved(host: str, deadline: Deadline) -> list[Address]:
    try:
        found = wire.resolved(host, deadline)
    except (OSError, httpcore.TimeoutException) as error:
        raise NotFetched("the host's address is not known") from error
    if not found:
        raise NotFetched("the host's address is not known")
    return found


def _fields(headers: Mapping[str, str] | None) -> list[tuple[str, str]]:
    return list({"User-Agent": "ramet", "Accept": "*/*", **(headers or {})}.items())


def _send(  # noqa: PLR0913 - the parts of a request
    url: str,
    addresses: list[Address],
    deadline: Deadline,
    *,
    method: str,
    content: bytes | None,
    fields: list[tuple[str, str]],
    most_bytes: int,
    cut: bool = False,
) -> FetchedResponse:
    wait = {name: _CONNECT if name == "connect" else None for name in ("connect", "read", "write", "pool")}
    body = bytearray()
    try:
        with (
            wire.pool(addresses, deadline, trusted_authorities()) as pool,
            pool.stream(method, url, headers=fields, content=content, extensions={"timeout": wait}) as response,
        ):
            for chunk in response.iter_stream():
                body += chunk
                if len(body) > most_bytes and not cut:
                    raise NotFetched("the answer is too large")
                if len(body) > most_bytes:
                    break
            got = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
            return FetchedResponse(status=response.status, headers=got, body=bytes(body[:most_bytes]))
    except (*_FAILURES, OSError, ValueError, TypeError) as error:  # the last two for a URL that cannot be written
        raise NotFetched(type(error).__name__) from error
