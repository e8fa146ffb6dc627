"""Options of the sockets on which this process listens; the connections that it accepts inherit them.

granian has no deadline for a caller who does not read an answer. The kernel has one: a connection is ended when what was sent
is not acknowledged, or when the caller's window stays shut, for that long (TCP_USER_TIMEOUT, tcp(7)).
"""

from __future__ import annotations

import logging
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

logger = logging.getLogger(__name__)
UNREAD_MILLISECONDS = 10_000
_AGAIN_SECONDS = 0.2
_TRIES = 50


def watch(loop: asyncio.AbstractEventLoop, tries: int = _TRIES) -> None:
    """Set the options as soon as the server listens, which is shortly after this."""
    if not hasattr(socket, "TCP_USER_TIMEOUT") or set_options():
        return
    if tries > 0:
        loop.call_later(_AGAIN_SECONDS, watch, loop, tries - 1)


def set_options() -> int:
    """How many TCP sockets of this process listen; each has its options now."""
    found = 0
    for listener in _listening():
        with listener:
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_MILLISECONDS)
            found += 1
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
