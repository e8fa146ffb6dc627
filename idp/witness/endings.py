"""Append each ending to the witness as soon as it is committed, in the process that committed it (R17).

The worker's position follows within half a minute and holds every ending again; this shortens the time in which a loss
of the database loses an ending with it. A thread appends, so that no ending waits for the disk or fails with it.
"""

from __future__ import annotations

import atexit
import logging
import threading
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from derived import clock
from derived.ledger import audit
from idp.witness import standing
from idp.witness.folder import witness
from idp.witness.writing import ending_of

if TYPE_CHECKING:
    from derived.models import Event
    from idp.witness.lines import Ending

logger = logging.getLogger(__name__)

_MOST_IN_A_LINE = 1_000
_MOST_WAITING = 20_000  # further ones are left to the worker
_AT_EXIT_SECONDS = 2.0


class Appender:
    """Endings that wait for the witness, and the thread that appends them; started with the first."""

    def __init__(self) -> None:
        self._waiting: deque[Ending] = deque()
        self._changed = threading.Condition()
        self._busy = False
        self._thread: threading.Thread | None = None
        self._failed = False

    def take(self, event: Event) -> None:
        """Let a committed ending wait for the thread."""
        with self._changed:
            if len(self._waiting) >= _MOST_WAITING:
                return
            self._waiting.append(ending_of(event))
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, name="witness-endings", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def flush(self, seconds: float) -> bool:
        """Wait until everything is appended; False if it took longer."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._busy, timeout=seconds)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                some = [self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST_IN_A_LINE))]
                self._busy = True
            try:
                self._append(some)
            finally:
                with self._changed:
                    self._busy = False
                    self._changed.notify_all()

    def _append(self, endings: list[Ending]) -> None:
        """One line, after the newest one, with its position: only the worker says how far the ledger has come."""
        if standing.refusal():
            return
        try:
            if not witness().exists():
                return  # another machine holds the witness
            with witness().held():
                last = witness().newest()
                if last is not None:
                    at = clock.now().isoformat()
                    witness().append(
                        [replace(last, at=at, heads={}, states={}, lost={}, statement="", endings=tuple(endings))]
                    )
        except OSError as error:
            if not self._failed:
                logger.warning(
                    "endings are not appended to the witness %s (%s); the worker appends them",
                    witness(),
                    type(error).__name__,
                )
            self._failed = True
        else:
            self._failed = False


_appender = Appender()


def append_at_once() -> None:
    """Append the endings of this process from now on; call it once for each process, after any fork."""
    audit.send_endings(_appender.take)
    atexit.register(_appender.flush, _AT_EXIT_SECONDS)
