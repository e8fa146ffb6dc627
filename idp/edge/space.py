"""A reserve on the disk of the SQLite database: it keeps endings working when the disk is full.

A file of 64 MiB is beside the database. When free space runs out, it is emptied, and until there is space again only
requests that end something are served, whose rows fit into that space; the others get 503. A PostgreSQL server needs a
reserve of its own (docs/operating.md).
"""

from __future__ import annotations

import logging
import os
import threading
import time
from contextlib import suppress
from pathlib import Path

from idp.config import config

logger = logging.getLogger(__name__)

_MIB = 1024 * 1024
RESERVE = 64 * _MIB
LOW = 16 * _MIB  # bytes; with less free space the reserve is released
SERVED = frozenset(
    {"live", "ready", "scim", "scim-reads", "bulk", "endings"}
)  # lanes that are served while it is released
_NAME = "reserve"
_MOMENT = 0.05  # seconds, in which a process writes far less than `LOW`


class Space:
    """The free space beside a database file; a released reserve is empty, one that was never made is missing."""

    def __init__(self, folder: Path) -> None:
        self._path, self._lock = folder / _NAME, threading.Lock()
        self._enough_until = 0.0

    def was_short(self) -> bool:
        """As `is_short`, for each request: space that was enough is not asked for again for a moment."""
        now = time.monotonic()
        if now < self._enough_until:
            return False
        if self.is_short():
            return True
        self._enough_until = now + _MOMENT
        return False

    def is_short(self) -> bool:
        """True while the reserve is released; releases it, or fills it again, as the free space demands."""
        try:
            size = self._path.stat().st_size
        except FileNotFoundError:
            return False
        free = self._free()
        if size > 0:
            if free < LOW:
                self._release()
            return free < LOW
        return free < RESERVE + 2 * LOW or not self.make()

    def make(self) -> bool:
        """Make or fill the reserve; False where there is no space for it."""
        with self._lock:
            try:
                with self._path.open("ab") as file:
                    os.posix_fallocate(file.fileno(), 0, RESERVE)
            except OSError as error:
                with suppress(OSError):
                    os.truncate(self._path, 0)
                logger.warning("there is no space for a reserve of %s MiB: %s", RESERVE // _MIB, error.strerror)
                return False
        logger.info("the reserve of %s MiB is in place", RESERVE // _MIB)
        return True

    def _release(self) -> None:
        os.truncate(self._path, 0)
        logger.error(
            "the disk of the database is full: its reserve is released, and only SCIM, revocation and logout are served"
            " until %s MiB are free",
            (RESERVE + 2 * LOW) // _MIB,
        )

    def _free(self) -> int:
        found = os.statvfs(self._path.parent)
        return found.f_bavail * found.f_frsize


def beside_database() -> Space | None:
    """The space beside the SQLite database; None for PostgreSQL."""
    url = config().database
    return Space(Path(url.removeprefix("sqlite:///")).parent) if url.startswith("sqlite:///") else None
