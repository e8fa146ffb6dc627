"""Limits on anonymous requests that read or write rows or cause outbound requests; counted before anything is read.

A caller is a network (/24, /48) and, within it, a browser. The counters are in the memory of a process, for windows of
ten minutes: they cost no SQL statement, and several processes permit as many times more. Their number is bounded, and
strangers can fill only counters of their own networks: callers from other networks never share one with them. Guesses
of secrets are counted in the database, by `idp.login.throttle`.
"""

from __future__ import annotations

import hashlib
import ipaddress
import threading
import time
from dataclasses import dataclass
from enum import StrEnum

from derived.errors import TryLater

WINDOW = 600.0  # seconds
_MOST_NETWORKS = 200_000  # then networks that were not seen in this window are counted by the /16 or /32 around them
_MOST_BROWSERS = 500  # of a network; its further browsers are counted with the network alone
_WIDE = {4: 16, 6: 32}
_WIDE_SHARE = 16  # the limit of such a wide network, in limits of a network


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
        self._networks: dict[str, int] = {}
        self._wide: dict[str, int] = {}
        self._browsers: dict[str, dict[str, int]] = {}

    def admit(self, caller: Caller, kind: Kind) -> None:
        """Count one request.

        Raises: TryLater.
        """
        now, limit = time.time(), LIMITS[kind]
        browser = hashlib.sha256(caller.cookie.encode()).hexdigest()[:32] if caller.cookie else ""
        with self._lock:
            if int(now // WINDOW) != self._window:
                self._window = int(now // WINDOW)
                self._forget()
            over = self._is_over(f"{kind}|", caller.network, limit.network)
            if browser and not over:
                over = self._is_browser_over(f"{kind}|{caller.network}", browser, limit.browser)
        if over:
            raise TryLater(WINDOW - now % WINDOW)

    def clear(self) -> None:
        """Forget all counts."""
        with self._lock:
            self._forget()

    def _forget(self) -> None:
        for counts in (self._networks, self._wide, self._browsers):
            counts.clear()

    def _is_over(self, kind: str, network: str, most: int) -> bool:
        """Count a request of a network; whether that is more than the most."""
        name = kind + network
        if name in self._networks or len(self._networks) < _MOST_NETWORKS:
            found = self._networks[name] = self._networks.get(name, 0) + 1
            return found > most
        name = kind + _wide(network)
        if name not in self._wide and len(self._wide) >= _MOST_NETWORKS:
            return False  # so many networks are no single stranger's, and the others are not refused for theirs
        found = self._wide[name] = self._wide.get(name, 0) + 1
        return found > most * _WIDE_SHARE

    def _is_browser_over(self, name: str, browser: str, most: int) -> bool:
        counts = self._browsers.setdefault(name, {})
        if browser not in counts and len(counts) >= _MOST_BROWSERS:
            return False
        found = counts[browser] = counts.get(browser, 0) + 1
        return found > most


def _wide(network: str) -> str:
    try:
        found = ipaddress.ip_network(network, strict=False)
    except ValueError:
        return network
    return str(found.supernet(new_prefix=min(found.prefixlen, _WIDE[found.version])))


gate_of_process = Gate()


def gate(caller: Caller, kind: Kind) -> None:
    """Count one request of a caller, before anything is read for it.

    Raises: TryLater.
    """
    gate_of_process.admit(caller, kind)
