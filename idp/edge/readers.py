"""End connections whose callers read an answer too slowly; granian has no deadline for that.

The kernel knows how much of what was sent is acknowledged (tcp(7), TCP_INFO). A thread compares that every few seconds:
while bytes wait, a caller has to take `LEAST_RATE` on average over `WINDOW` seconds. A caller who takes nothing at all
is ended too; the kernel's own deadline (`edge.listeners`) holds without this thread. No thread and no lane waits for
readers; this bounds sockets and memory.
"""

from __future__ import annotations

import fcntl
import logging
import os
import socket
import struct
import termios
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

logger = logging.getLogger(__name__)

LEAST_RATE = 4 * 1024  # bytes a second
WINDOW = 10.0  # seconds
_EVERY = 2.0
_ACKNOWLEDGED = struct.Struct("=120xQ")  # tcpi_bytes_acked of `struct tcp_info`, since Linux 4.1
_COUNT = struct.Struct("=i")


@dataclass(slots=True)
class _Reader:
    """A connection with bytes that wait: since when, and how many were acknowledged then."""

    since: float
    acknowledged: int


class Readers:
    """The connections of this process's listeners, by the inode of their socket."""

    def __init__(self, ports: Collection[int]) -> None:
        self._ports = frozenset(ports)
        self._waiting: dict[int, _Reader] = {}

    def end_slow(self, *, now: float) -> int:
        """End each connection that took too little since the last full window; returns their number."""
        ended, seen = 0, set[int]()
        for inode, line in self._connections():
            acknowledged = _acknowledged(line)
            seen.add(inode)
            before = self._waiting.setdefault(inode, _Reader(now, acknowledged))
            if now - before.since < WINDOW:
                continue
            if acknowledged - before.acknowledged < LEAST_RATE * (now - before.since):
                with suppress(OSError):
                    line.shutdown(socket.SHUT_RDWR)
                ended += 1
            self._waiting[inode] = _Reader(now, acknowledged)
        for inode in self._waiting.keys() - seen:
            del self._waiting[inode]
        return ended

    def _connections(self) -> Iterator[tuple[int, socket.socket]]:
        """Copies of the connections with bytes that wait: closing a copy leaves the connection as it is."""
        for entry in os.scandir("/proc/self/fd"):
            with suppress(OSError, ValueError):
                if not os.readlink(entry.path).startswith("socket:"):  # noqa: PTH115 - many of them, every few seconds
                    continue
                with _copied(int(entry.name)) as copy:
                    if self._is_reader(copy):
                        yield os.fstat(copy.fileno()).st_ino, copy

    def _is_reader(self, line: socket.socket) -> bool:
        return (
            line.family in {socket.AF_INET, socket.AF_INET6}
            and line.type == socket.SOCK_STREAM
            and line.getsockname()[1] in self._ports
            and not line.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            and _COUNT.unpack(fcntl.ioctl(line, termios.TIOCOUTQ, bytes(_COUNT.size)))[0] > 0
        )


@contextmanager
def _copied(descriptor: int) -> Iterator[socket.socket]:
    """A copy of a socket, closed in any case."""
    copy = os.dup(descriptor)
    try:
        line = socket.socket(fileno=copy)
    except OSError:  # the connection ended, and its number is another file's now
        os.close(copy)
        raise
    with line:
        yield line


def _acknowledged(line: socket.socket) -> int:
    found: int = _ACKNOWLEDGED.unpack(line.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _ACKNOWLEDGED.size))[0]
    return found


def watch(ports: Collection[int]) -> None:
    """End slow readers of these ports from now on, in a thread of its own; Linux only."""
    if hasattr(socket, "TCP_INFO") and Path("/proc/self/fd").exists():
        threading.Thread(target=_watch, args=(Readers(ports),), name="slow-readers", daemon=True).start()


def _watch(readers: Readers) -> None:
    while True:
        time.sleep(_EVERY)
        try:
            if ended := readers.end_slow(now=time.monotonic()):
                logger.info("%s connections were ended: their callers read too slowly", ended)
        except OSError as error:  # no descriptor is free, say: the next look may succeed
            logger.warning("slow readers were not looked for: %s", error)
        except struct.error as error:  # a kernel that tells less: only this bound is missing
            logger.warning("slow readers are not ended: %s", error)
            return
