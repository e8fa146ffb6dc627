"""Limits on anonymous requests that read or write rows or cause outbound requests; counted before anything is read.

A caller is a network (/24, /48) and, within it, a browser. The counters are in the memory of a process, for windows of
ten minutes: they cost no SQL statement, and several processes permit as many times more. Guesses of secrets are counted
in the database, by `idp.login.throttle`.
"""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import dataclass
from enum import StrEnum

from derived.errors import TryLater

WINDOW = 600.0  # seconds
_MOST_COUNTERS = 100_000  # then networks that were not seen in this window share one counter


class Kind(StrEnum):
    """What a stranger asks for."""

    AUTHORIZE = "authorize"  # an authorization request: a row until it is answered or expires
    PUSH = "push"  # a pushed request, or a device's, by a public client: a row
    PAGE = "page"  # any other page: a browser session
    CODE = "code"  # names a person, or brings a code that binds a device
    UPSTREAM = "upstream"  # makes this server ask another one


@dataclass(frozen=True)
class Limit:
    """Requests in a window. network: of a network; browser: of one browser with a session cookie."""

    network: int
    browser: int


LIMITS = {
    Kind.AUTHORIZE: Limit(network=6_000, browser=300),
    Kind.PUSH: Limit(network=6_000, browser=6_000),
    Kind.PAGE: Limit(network=30_000, browser=3_000),
    Kind.CODE: Limit(network=6_000, browser=6_000),
    Kind.UPSTREAM: Limit(network=600, browser=60),
}


@dataclass(frozen=True)
class Caller:
    """Who asks. network: as text. cookie: the browser's session cookie, or "" without one."""

    network: str
    cookie: str = ""


class Gate:
    """The counters of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._window = -1
        self._counts: dict[str, int] = {}

    def admit(self, caller: Caller, kind: Kind) -> None:
        """Count one request.

        Raises: TryLater.
        """
        now, limit = time.time(), LIMITS[kind]
        browser = hashlib.sha256(caller.cookie.encode()).hexdigest()[:32] if caller.cookie else ""
        with self._lock:
            if int(now // WINDOW) != self._window:
                self._window = int(now // WINDOW)
                self._counts.clear()
            over = self._count(f"{kind}|{caller.network}", limit.network)
            if browser and not over:
                over = self._count(f"{kind}|{caller.network}|{browser}", limit.browser)
        if over:
            raise TryLater(WINDOW - now % WINDOW)

    def clear(self) -> None:
        """Forget all counts."""
        with self._lock:
            self._counts.clear()

    def _count(self, name: str, most: int) -> bool:
        """Count under a name; whether that is more than the most."""
        if name not in self._counts and len(self._counts) >= _MOST_COUNTERS:
            name = name.partition("|")[0]
        found = self._counts[name] = self._counts.get(name, 0) + 1
        return found > most


gate_of_process = Gate()


def gate(caller: Caller, kind: Kind) -> None:
    """Count one request of a caller, before anything is read for it.

    Raises: TryLater.
    """
    gate_of_process.admit(caller, kind)
