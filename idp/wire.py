"""Connections to an address that was looked at first, and that end when their time is over (C45, P55).

A name is resolved once; what it led to is judged, and exactly that is connected to, so that a name which answers something
else a moment later (rebinding) gains nothing. The time is for everything together: a peer that drips its answer is cut off.
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
    """Where a name leads now, at most four places; a name server that does not answer is not waited for longer.

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
    """Whether an address is one of the open internet, also inside its IPv6 disguises."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast and not address.is_reserved


def is_own(address: Address) -> bool:
    """Whether an address is this machine's, or one that only this machine's network segment gives a meaning."""
    inner = getattr(address, "ipv4_mapped", None) or address
    return inner.is_loopback or is_odd(inner)


def is_odd(address: Address) -> bool:
    """Whether an address is nobody's: link-local (metadata services of clouds), multicast, unspecified."""
    inner = getattr(address, "ipv4_mapped", None) or address
    return inner.is_link_local or inner.is_multicast or inner.is_unspecified


class _Stream(httpcore.NetworkStream):
    """A stream whose every step gets what is left of the time."""

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
    """Connects to the addresses that were judged, whatever the name says by now."""

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
