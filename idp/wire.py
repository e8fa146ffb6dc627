"""Connections to checked addresses, with a deadline for everything together (C45, P55).

A name is resolved once; its addresses are checked, and exactly these are connected to, so a name that resolves
differently a moment later (rebinding) gains nothing. A peer that sends slowly is cut off at the deadline.
"""

from __future__ import annotations

import ipaddress
import queue
import socket
import threading
import time
from typing import TYPE_CHECKING

import httpcore

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# Special-purpose blocks that `is_global` lets pass: site-local, IETF protocol assignments, 6to4 relay anycast.
_SPECIAL = tuple(ipaddress.ip_network(one) for one in ("fec0::/10", "192.0.0.0/24", "192.88.99.0/24"))
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_MOST_ADDRESSES = 4


class Deadline:
    """Until when something may take, on this process's clock."""

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def left(self, most: float | None = None) -> float:
        """Seconds.

        Raises: httpcore.ReadTimeout when none are left.
        """
        left = self._at - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout
        return left if most is None else min(left, most)


def resolved(host: str, deadline: Deadline) -> list[Address]:
    """The addresses of a name, at most four; a slow name server is not waited for beyond the deadline.

    Raises: OSError, httpcore.ReadTimeout.
    """
    answers: queue.SimpleQueue[list[Address] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            answers.put(list(dict.fromkeys(ipaddress.ip_address(entry[4][0]) for entry in found)))
        except (OSError, UnicodeError, ValueError) as error:
            answers.put(OSError(str(error)))

    threading.Thread(target=ask, daemon=True).start()
    try:
        found = answers.get(timeout=deadline.left())
    except queue.Empty:
        raise httpcore.ConnectTimeout from None
    if isinstance(found, OSError):
        raise found
    return found[:_MOST_ADDRESSES]


def is_public(address: Address) -> bool:
    """True for an address of the public internet, also if embedded in an IPv6 address."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
    if any(address in one for one in _SPECIAL):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def is_own(address: Address) -> bool:
    """True for an address of this machine or its network segment."""
    inner = getattr(address, "ipv4_mapped", None) or address
    return inner.is_loopback or is_odd(inner)


def is_odd(address: Address) -> bool:
    """True for a link-local (cloud metadata), multicast or unspecified address."""
    inner = getattr(address, "ipv4_mapped", None) or address
    return inner.is_link_local or inner.is_multicast or inner.is_unspecified


class _Stream(httpcore.NetworkStream):
    """A stream whose every step is limited by the deadline."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._inner, self._deadline = inner, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._deadline.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._deadline.left(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(
            self._inner.start_tls(ssl_context, server_hostname, self._deadline.left(timeout)), self._deadline
        )

    def get_extra_info(self, info: str) -> object:
        return self._inner.get_extra_info(info)


class _Pinned(httpcore.NetworkBackend):
    """Connects to the checked addresses, without resolving the name again."""

    def __init__(self, addresses: Sequence[Address], deadline: Deadline) -> None:
        self._inner, self._addresses, self._deadline = httpcore.SyncBackend(), addresses, deadline

    def connect_tcp(
        self,
        host: str,  # noqa: ARG002
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,  # noqa: ARG002 - the name was judged before
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        failed: Exception = httpcore.ConnectError("no address")
        for address in self._addresses:
            try:
                stream = self._inner.connect_tcp(str(address), port, self._deadline.left(timeout), None, socket_options)
                return _Stream(stream, self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed


def pool(addresses: Sequence[Address], deadline: Deadline, trust: ssl.SSLContext) -> httpcore.ConnectionPool:
    """A client that can reach these addresses only, until then only."""
    return httpcore.ConnectionPool(
        ssl_context=trust, max_connections=1, retries=0, network_backend=_Pinned(addresses, deadline)
    )
