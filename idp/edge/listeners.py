"""Options of this process's listening sockets, inherited by accepted connections.

granian has no deadline for a caller who does not read a response. The kernel has one: a connection is ended if sent
data is not acknowledged, or the caller's window stays closed, for that long (TCP_USER_TIMEOUT, tcp(7)).
"""

from __future__ import annotations

import logging
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from idp.edge import readers

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

logger = logging.getLogger(__name__)
UNREAD_MILLISECONDS = 10_000
_AGAIN_SECONDS = 0.2
_TRIES = 50


def watch(loop: asyncio.AbstractEventLoop, tries: int = _TRIES) -> None:
    """Set the options as soon as the server listens, which is shortly after this."""
    if not hasattr(socket, "TCP_USER_TIMEOUT"):
        return
    if ports := set_options():
        readers.watch(ports)
        return
    if tries > 0:
        loop.call_later(_AGAIN_SECONDS, watch, loop, tries - 1)


def set_options() -> set[int]:
    """Set the options of every listening TCP socket of this process; returns their ports."""
    found: set[int] = set()
    for listener in _listening():
        with listener:
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_MILLISECONDS)
            found.add(listener.getsockname()[1])
    return found


def _listening() -> Iterator[socket.socket]:
    """Copies of this process's listening TCP sockets: closing a copy leaves the socket as it is."""
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError, ValueError):
            if not str(entry.readlink()).startswith("socket:"):
                continue
            copy = socket.socket(fileno=os.dup(int(entry.name)))
            if copy.family in {socket.AF_INET, socket.AF_INET6} and copy.getsockopt(
                socket.SOL_SOCKET, socket.SO_ACCEPTCONN
            ):
                yield copy
            else:
                copy.close()
