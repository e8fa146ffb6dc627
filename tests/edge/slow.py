"""Sockets of slow callers: each stays open and takes as long as it may over its request or its answer."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SMALL_SEGMENT, _SMALL_BUFFER = 536, 4096
_PIPELINED = 12  # answers of discovery: more than the kernel keeps for a socket of such segments


def _connected(port: int, *, reads_little: bool = False) -> socket.socket:
    made = socket.socket()
    if reads_little:
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _SMALL_SEGMENT)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER)
    made.settimeout(5)
    made.connect(("127.0.0.1", port))
    return made


def unfinished_body(port: int, path: str) -> socket.socket:
    """A declared body of 1,000 bytes, of which one comes."""
    made = _connected(port)
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    made.sendall(f"{head}Content-Length: 1000\r\n\r\na".encode())
    return made


def unfinished_head(port: int, path: str) -> socket.socket:
    """A header section that never ends."""
    made = _connected(port)
    made.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-Slow: ".encode())
    return made


def unread_answer(port: int, path: str, count: int = _PIPELINED) -> socket.socket:
    """Requests whose answers nobody reads. count: of requests."""
    made = _connected(port, reads_little=True)
    made.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode() * count)
    return made


@contextmanager
def opened(
    make: Callable[[int, str], socket.socket], port: int, paths: list[str], count: int
) -> Iterator[list[socket.socket]]:
    """That many of them, on these paths in turn, until the block ends."""
    made: list[socket.socket] = []
    try:
        made.extend(make(port, paths[number % len(paths)]) for number in range(count))
        yield made
    finally:
        for one in made:
            one.close()
