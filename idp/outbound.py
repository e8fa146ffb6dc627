"""The one guarded way out: addresses that an operator allowed, small and quick answers, no redirects (C45).

Everything that this house fetches from somewhere else goes through `fetch`.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from idp.config import config

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

_CONNECT = 2.0


class NotFetched(Exception):
    """Nothing usable came back; the words are for an operator's log."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back: a status, its headers, and at most as many bytes as were allowed."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@lru_cache(maxsize=1)
def trust() -> ssl.SSLContext:
    """Public authorities, and those that this machine's operator added: peers often live inside."""
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context


def fetch(  # noqa: PLR0913 - one request
    url: str, *, allowed_hosts: frozenset[str], method: str = "GET", content: bytes | None = None,
    headers: Mapping[str, str] | None = None, most_bytes: int = 1024 * 1024, seconds: float = 3.0, plain: bool = False,
) -> Answer:
    """Ask one address once.

    allowed_hosts: `host` or `host:port`, exactly as an operator listed them; nothing else is ever asked. plain: http may be
    used, for what is signed by itself (CRL, OCSP, AIA; RFC 5280 §8).
    Raises: NotFetched.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    here = f"{host}:{parts.port}" if parts.port else host
    if parts.scheme not in ({"https", "http"} if plain or config().is_local else {"https"}):
        raise NotFetched(f"{parts.scheme or 'no scheme'} is not allowed")
    if parts.username or parts.password or here not in allowed_hosts:
        raise NotFetched("that host is not on the allow-list")
    _require_outside(host)
    deadline = time.monotonic() + seconds
    timeout = httpx.Timeout(seconds, connect=min(_CONNECT, seconds))
    try:
        with (
            httpx.Client(timeout=timeout, follow_redirects=False, trust_env=False, verify=trust()) as client,
            client.stream(method, url, content=content, headers=dict(headers or {})) as response,
        ):
            body = bytearray()
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > most_bytes:
                    raise NotFetched("the answer is too large")
                if time.monotonic() > deadline:
                    raise NotFetched("the answer is too slow")
            return Answer(status=response.status_code, headers=dict(response.headers), body=bytes(body))
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise NotFetched(type(error).__name__) from error


def _require_outside(host: str) -> None:
    """A listed name that leads to this machine, or to a link-local address, is refused outside development (rebinding)."""
    if config().is_local:
        return
    try:
        found = {ipaddress.ip_address(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except (OSError, ValueError) as error:
        raise NotFetched("the host's address is not known") from error
    if not found or any(one.is_loopback or one.is_link_local or one.is_multicast or one.is_unspecified for one in found):
        raise NotFetched("the host's address is one of this machine")
