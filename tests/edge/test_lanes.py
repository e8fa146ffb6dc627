"""Turns between networks, bounds of a lane's queue, and work that is too late to be done."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import pytest

from idp.edge import lanes, routes
from idp.edge.lanes import Job, Lane


@dataclass
class Asked:
    """A lane of one thread that is held until `go`, and what became of each request."""

    lane: Lane = field(default_factory=lambda: Lane("test", 1))
    go: threading.Event = field(default_factory=threading.Event)
    run: list[str] = field(default_factory=list)
    shed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        begun = threading.Event()

        def hold() -> None:
            begun.set()
            self.go.wait(10)

        self.lane.submit(Job("holder", hold, begun.set))
        assert begun.wait(10)

    def ask(self, network: str, name: str = "") -> None:
        self.lane.submit(
            Job(network, lambda: self.run.append(name or network), lambda: self.shed.append(name or network))
        )

    def finish(self, count: int) -> None:
        self.go.set()
        until = time.monotonic() + 10
        while len(self.run) + len(self.shed) < count and time.monotonic() < until:
            time.sleep(0.005)


def test_networks_take_turns() -> None:
    """A hundred requests of one network do not stand before the first of another; each network keeps its own order."""
    asked = Asked()
    for number in range(100):
        asked.ask("flood", f"flood {number}")
    asked.ask("hr", "hr 0")
    asked.ask("other", "other 0")
    asked.ask("hr", "hr 1")
    asked.finish(103)
    assert asked.run[:6] == ["flood 0", "hr 0", "other 0", "flood 1", "hr 1", "flood 2"]
    assert [one for one in asked.run if one.startswith("flood")] == [f"flood {number}" for number in range(100)]


@pytest.mark.parametrize("error", [RuntimeError, SystemExit])
def test_an_error_ends_no_thread(error: type[BaseException]) -> None:
    """The lane's only thread goes on after a request whose answer failed."""
    asked = Asked()

    def fail() -> None:
        raise error

    asked.lane.submit(Job("a", fail, fail))
    asked.ask("a", "next")
    asked.finish(1)
    assert asked.run == ["next"]


def test_a_network_has_a_bound() -> None:
    """What comes beyond it is shed at once, and nobody else is."""
    asked = Asked()
    for _ in range(lanes.MOST_OF_A_NETWORK + 7):
        asked.ask("flood")
    asked.ask("hr")
    assert asked.shed == ["flood"] * 7
    asked.finish(lanes.MOST_OF_A_NETWORK + 8)
    assert asked.run.count("hr") == 1


def test_a_full_lane_takes_from_the_longest_queue() -> None:
    """Many networks together fill a lane; one that asks little still gets in, in the place of the longest queue's
    youngest.
    """
    asked = Asked()
    networks = lanes.MOST_IN_ALL // lanes.MOST_OF_A_NETWORK
    for number in range(lanes.MOST_IN_ALL):
        asked.ask(f"flood {number % networks}", f"{number}")
    assert asked.shed == []
    asked.ask("hr")
    assert len(asked.shed) == 1
    assert "hr" not in asked.shed
    asked.finish(lanes.MOST_IN_ALL + 1)
    assert "hr" in asked.run
    assert len(asked.run) == lanes.MOST_IN_ALL


def test_what_waited_too_long_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asked has given up: no late work."""
    monkeypatch.setattr(lanes, "LONGEST_WAIT", 0.0)
    asked = Asked()
    asked.ask("late")
    asked.finish(1)
    assert (asked.run, asked.shed) == ([], ["late"])


def test_threads_are_started_when_they_are_needed_and_no_more() -> None:
    """Idle lanes cost nothing; each of four requests at once gets a thread, and a fifth waits."""
    before = threading.active_count()
    lane = Lane("four", 4)
    assert threading.active_count() == before
    running, go = threading.Semaphore(0), threading.Event()

    def work() -> None:
        running.release()
        go.wait(10)

    for _ in range(5):
        lane.submit(Job("one", work, work))
    for _ in range(4):
        assert running.acquire(timeout=10)
    assert not running.acquire(timeout=0.1)
    go.set()
    assert running.acquire(timeout=10)
    assert threading.active_count() <= before + 4


@pytest.mark.parametrize(
    ("path", "lane"),
    [
        ("GET /scim/v2/Users", "scim-reads"), ("GET /scim/v2/Users/x", "scim-reads"),
        ("POST /scim/v2/Users/.search", "scim-reads"), ("POST /certificate/scim/v2/.search", "scim-reads"),
        ("/livez", "live"), ("/readyz", "ready"), ("/scim/v2/Users/x", "scim"), ("/certificate/scim/v2/Users", "scim"),
        ("/scim/v2/Bulk", "bulk"),
        ("/certificate/scim/v2/Bulk", "bulk"), ("/oidc/revoke", "endings"), ("/certificate/oidc/revoke", "endings"),
        ("/oidc/introspect", "endings"),
        ("/oidc/logout", "endings"), ("/oidc/logout/confirmed", "endings"), ("/undo/x", "endings"),
        ("/sessions/end-others", "endings"),
        ("/devices/4/remove", "endings"), ("/devices/roots/4/report", "endings"), ("/devices/apps/4/end", "endings"),
        ("/oidc/token", "others"), ("/login", "others"), ("/devices", "others"), ("/certificate/x", "others"),
        ("/oidc/revoked", "others"),
    ],
)  # fmt: skip
def test_what_ends_something_has_threads_of_its_own(path: str, lane: str) -> None:
    """R28: SCIM, revocation, logout and the probes never wait for sign-ins."""
    method, _, path = path.rpartition(" ")
    assert routes.lane(path, method or "PATCH") == lane
    assert lane in routes.LANES
