"""End the coroutines of requests that a thread has answered, several at a time.

A thread hands its answer to the server itself. Waking the event loop only to end the request's coroutine costs as much
as the loop's other work for a request, so it is ended by the next request, or after a moment.
"""

from __future__ import annotations

import asyncio
from collections import deque

MOMENT = 0.1  # seconds


class AnsweredRequests:
    """The requests of one event loop that are answered, or will be, and whose coroutines have not ended."""

    def __init__(self) -> None:
        self._waiting = 0
        self._answered: deque[asyncio.Future[None]] = deque()
        self._is_due = False

    def begin(self) -> asyncio.Future[None]:
        """The future that a request's coroutine awaits; on the loop."""
        loop = asyncio.get_running_loop()
        self._waiting += 1
        self._end_later(loop)
        return loop.create_future()

    def add(self, ended: asyncio.Future[None]) -> None:
        """Note that a request is answered; from any thread."""
        self._answered.append(ended)

    def end_all(self) -> None:
        """End the coroutines of all answered requests; on the loop."""
        while self._answered:
            ended = self._answered.popleft()
            self._waiting -= 1
            if not ended.done():
                ended.set_result(None)

    def _end_later(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._is_due and self._waiting:
            self._is_due = True
            loop.call_later(MOMENT, self._end_due, loop)

    def _end_due(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_due = False
        self.end_all()
        self._end_later(loop)
