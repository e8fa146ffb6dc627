"""A flood of sign-ins: endings stay fast, the flood is shed, and the server recovers (R28)."""

from __future__ import annotations

import statistics
import threading
import time
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Self
from urllib.parse import urlencode

import pytest

from tests.fixtures.live_server import CSRF, Live, Request, form, send

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.slow, pytest.mark.timed]
CALLERS, SECONDS, RECOVERS = 160, 8.0, 10.0


@pytest.fixture(scope="module")
def served() -> Iterator[Live]:
    live = Live(workers=1, threads=4, extra={"RAMET_TRUSTED_PROXIES": '["127.0.0.1"]'})
    yield live
    assert live.complaints() == []
    live.stop()


class Flood:
    """Callers of forty networks, each of whom tries passwords as fast as they are answered; for eight seconds."""

    def __init__(self, live: Live) -> None:
        self.statuses: list[int] = []
        self._live, self._until = live, time.monotonic() + SECONDS
        self._threads = [threading.Thread(target=self._ask, args=(number,), daemon=True) for number in range(CALLERS)]

    def __enter__(self) -> Self:
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._threads:
            one.join(timeout=30)

    def _ask(self, number: int) -> None:
        connection = HTTPConnection("127.0.0.1", self._live.port, timeout=30)
        body = urlencode(
            {"username": f"x{number}@example.org", "password": "a wrong guess", "csrfmiddlewaretoken": CSRF}
        )
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Cookie": f"ramet_csrf={CSRF}",
            "X-Forwarded-For": f"198.51.{number % 40}.7",
        }
        while time.monotonic() < self._until:
            self.statuses.append(send(connection, Request("POST", "/login", headers, body.encode())).status)
        connection.close()


def timed(work: Callable[[], int]) -> float:
    began = time.monotonic()
    assert work() == 200
    return time.monotonic() - began


def test_endings_stay_fast_in_a_flood_of_sign_ins(served: Live) -> None:
    """Revocation, introspection and `active:false` within a second at the 99th percentile; afterwards a sign-in page
    in ten seconds.
    """
    people, client = served.people(10), served.client()
    revocation = form("/oidc/revoke", {"token": "x", **client}, **{"X-Forwarded-For": "203.0.113.7"})
    introspection = form("/oidc/introspect", {"token": "x", **client}, **{"X-Forwarded-For": "203.0.113.7"})
    spans: list[float] = []
    with Flood(served) as flood:
        time.sleep(1)
        for person in people:
            spans.append(timed(lambda person=person: served.call(served.deactivation(person)).status))  # type: ignore[misc]
            spans.extend(timed(lambda one=one: served.call(one).status) for one in (revocation, introspection) * 3)  # type: ignore[misc]
    assert len(flood.statuses) > CALLERS
    assert statistics.quantiles(spans, n=100)[98] < 1.0, sorted(spans)[-5:]
    began = time.monotonic()
    assert served.call(Request("GET", "/login")).status == 200
    assert time.monotonic() - began < RECOVERS
