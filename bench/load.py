"""Send prepared requests over a few kept-alive connections to loopback, from the load's core."""

from __future__ import annotations

import ipaddress
import selectors
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_REQUESTS = 20_000
MOST_SECONDS = 60.0
CONNECTIONS = 8


@dataclass(frozen=True)
class Run:
    """The result of one run. seconds: in all; middle, slowest: 50th and 99th percentile of latencies, in ms."""

    requests: int
    seconds: float
    middle: float
    slowest: float

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds


class Unexpected(Exception):
    """An answer that is not the measured success."""


@dataclass
class _Line:
    """One connection: the received part of the present answer, and the time of its request."""

    socket: socket.socket
    good: tuple[bytes, ...]
    came: bytearray = field(default_factory=bytearray)
    asked: float = 0.0

    def ask(self, request: bytes) -> None:
        """Send one request, which fits into a socket's buffer."""
        self.came.clear()
        self.asked = time.perf_counter()
        self.socket.sendall(request)

    def answered(self) -> bool:
        """Read the available bytes; True if the answer is complete.

        Raises: Unexpected.
        """
        got = self.socket.recv(65536)
        if not got:
            raise Unexpected("the connection was closed")
        self.came += got
        head, found, body = bytes(self.came).partition(b"\r\n\r\n")
        if not found:
            return False
        if not head.startswith(self.good):
            raise Unexpected(f"{head.splitlines()[0]!r} {body[:300]!r}")
        lowered = head.lower()
        if b"transfer-encoding: chunked" in lowered:
            return body.endswith(b"0\r\n\r\n")
        _, given, after = lowered.partition(b"content-length:")
        return not given or len(body) >= int(after.split(b"\r\n", 1)[0])  # a 204 has none


def run(
    port: int,
    requests: Sequence[bytes],
    *,
    connections: int = CONNECTIONS,
    seconds: float = MOST_SECONDS,
    good: Sequence[int] = (200,),
) -> Run:
    """Send each request once over a few connections and read every answer; after some seconds send no more.

    good: the statuses of success.
    Raises: Unexpected for another answer, or after a timeout.
    """
    if len(requests) > MOST_REQUESTS:
        raise ValueError("too many requests for one run")
    waiting, spans = list(reversed(requests)), []
    selector = selectors.DefaultSelector()
    starts = tuple(f"HTTP/1.1 {status}".encode() for status in good)
    lines = [_Line(_connected(port), starts) for _ in range(min(connections, len(requests)))]
    began = time.perf_counter()
    try:
        for line in lines:
            selector.register(line.socket, selectors.EVENT_READ, line)
            line.ask(waiting.pop())
        asked = len(lines)
        while len(spans) < asked:
            if time.perf_counter() - began > MOST_SECONDS:
                raise Unexpected(f"{len(spans)} of {asked} answers in {MOST_SECONDS:.0f} s")
            for key, _ in selector.select(timeout=1):
                line = key.data
                if line.answered():
                    spans.append(time.perf_counter() - line.asked)
                    if waiting and time.perf_counter() - began < seconds:
                        line.ask(waiting.pop())
                        asked += 1
    finally:
        took = time.perf_counter() - began
        selector.close()
        for line in lines:
            line.socket.close()
    spans.sort()
    return Run(len(spans), took, spans[len(spans) // 2] * 1000, spans[int(len(spans) * 0.99)] * 1000)


def _connected(port: int) -> socket.socket:
    where = "127.0.0.1"
    if not ipaddress.ip_address(where).is_loopback:
        raise ValueError("this load is for loopback only")
    made = socket.create_connection((where, port), timeout=10)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def http(method: str, path: str, port: int, headers: dict[str, str], body: bytes = b"") -> bytes:
    """One request as bytes."""
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    if method == "POST":
        lines += ["Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body
