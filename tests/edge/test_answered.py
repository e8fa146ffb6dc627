"""Requests that a thread has answered: their coroutines end with the next request, or after a moment."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from idp.edge import answered
from idp.edge.answered import AnsweredRequests

if TYPE_CHECKING:
    import pytest


def in_thread(work: threading.Thread) -> None:
    work.start()
    work.join()


def test_next_request_ends_answered_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that is not answered yet still waits."""
    monkeypatch.setattr(answered, "MOMENT", 60.0)

    async def serve() -> tuple[bool, bool]:
        requests = AnsweredRequests()
        first, second = requests.begin(), requests.begin()
        in_thread(threading.Thread(target=requests.add, args=(first,)))
        requests.end_all()
        return first.done(), second.done()

    assert asyncio.run(serve()) == (True, False)


def test_answered_request_ends_without_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that is answered only after the first look at it."""
    monkeypatch.setattr(answered, "MOMENT", 0.01)

    async def serve() -> None:
        requests = AnsweredRequests()
        ended = requests.begin()
        timer = threading.Timer(0.05, requests.add, args=(ended,))
        timer.start()
        await asyncio.wait_for(ended, 5)

    asyncio.run(serve())


def test_cancelled_request_is_passed_over() -> None:
    """The server cancels a request whose caller has gone; the others end all the same."""

    async def serve() -> bool:
        requests = AnsweredRequests()
        gone, other = requests.begin(), requests.begin()
        gone.cancel()
        requests.add(gone)
        requests.add(other)
        requests.end_all()
        return other.done() and not other.cancelled()

    assert asyncio.run(serve())
