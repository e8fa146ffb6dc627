"""A request as the server hands it over (granian's RSGI) → the environ that Django reads, whole, within a deadline.

No thread is taken before the last byte of a body is there: a body has ten seconds, and then must have come at 64 KiB a
second. Slow header sections are the server's own deadline (`manage.py serve`).
"""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from idp.edge import caller, fields, routes, unlisted
from idp.login.hop import UNIX

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

FIRST_SECONDS = 10.0
LEAST_RATE = 64 * 1024  # bytes a second
MOST_HELD = 64 * 1024 * 1024  # bytes of bodies that are not answered yet, in this process
_SMALL = 4 * 1024  # bytes of a body that needs no rate, and is counted when it is whole
_HELD_SHARE = 4  # the share that one network may hold
REFUSED, PEER, ARRIVED = "ramet.refused", "ramet.peer", "ramet.arrived"
_SERVER = {
    "SCRIPT_NAME": "",
    "SERVER_NAME": "localhost",
    "SERVER_PORT": "80",
    "wsgi.version": (1, 0),
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
}


class Headers(Protocol):
    """Header fields as they arrived: names in lower case, repeated fields as often as sent."""

    def items(self) -> list[tuple[str, str]]:
        """All fields, in order."""


class Scope(Protocol):
    """The part of a request before its body, as RSGI has it."""

    client: str
    scheme: str
    method: str
    path: str
    query_string: str
    http_version: str
    authority: str | None

    @property
    def headers(self) -> Headers:
        """The header fields."""


class Transport(Protocol):
    """The source of a body, and the target of a response."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The parts, as they come."""

    def __call__(self) -> Awaitable[bytes]:
        """The whole body."""

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Answer."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal before the request is examined: an HTTP status, an OAuth error, and words for the caller."""

    status: int
    error: str
    words: str


class _Refused(Exception):
    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.words)
        self.refusal = refusal


def environ(scope: Scope) -> dict[str, Any]:
    """The request's environ, without its body (RFC 3875 and PEP 3333); an early refusal is under `ramet.refused`."""
    arrived = scope.headers.items()
    meta, wrong = fields.fold(arrived)
    found: dict[str, Any] = {
        **_SERVER,
        **meta,
        "REQUEST_METHOD": scope.method,
        "PATH_INFO": scope.path.encode("utf-8", "surrogatepass").decode("latin-1"),
        "QUERY_STRING": scope.query_string,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "REMOTE_ADDR": scope.client.rpartition(":")[0].strip("[]") or UNIX,
        "wsgi.url_scheme": scope.scheme,
        ARRIVED: arrived,
    }
    if not wrong and scope.authority is not None and scope.authority.lower() != meta.get("HTTP_HOST", "").lower():
        wrong = "The request's target names another host than its field Host."
    if wrong:
        found[REFUSED] = Refusal(400, "invalid_request", wrong)
        caller.without_forwarding(found)
    elif not caller.is_from_listed_proxy(found):
        if forwarded := found.get("HTTP_X_FORWARDED_FOR"):
            unlisted.watch.note(found["REMOTE_ADDR"], forwarded)
        caller.without_forwarding(found)
    found[PEER] = caller.address(found)
    return found


def has_body(meta: dict[str, Any]) -> bool:
    """True if bytes follow the header section (RFC 9112 §6.3)."""
    return meta.get("CONTENT_LENGTH", "0") != "0" or "HTTP_TRANSFER_ENCODING" in meta


_CUT_SHORT = Refusal(400, "invalid_request", "The request's body is shorter than its Content-Length.")
_TOO_MUCH = Refusal(503, "temporarily_unavailable", "Too much is being sent at once.")


class Reading:
    """A body that is being received: its network, its bytes so far, and the refusal that ends it early."""

    def __init__(self, network: str, deadline: asyncio.Timeout | None = None) -> None:
        self.network, self.deadline = network, deadline
        self.count = 0
        self.refusal: Refusal | None = None

    def refuse(self) -> None:
        """End it now, for another caller's sake."""
        self.refusal = _TOO_MUCH
        if self.deadline is not None and not self.deadline.expired():
            self.deadline.reschedule(0)


class Held:
    """The number of bytes of unanswered bodies in this process, in all and for each network.

    Where there are too many, the largest unfinished body of the network that holds most is refused, so that callers who
    hold bodies open keep nobody out of another network.
    """

    def __init__(self) -> None:
        self._all = 0
        self._of: dict[str, int] = {}
        self._unfinished: set[Reading] = set()

    def begin(self, reading: Reading) -> None:
        """Know a body that is being received."""
        self._unfinished.add(reading)

    def end(self, reading: Reading, *, is_whole: bool) -> None:
        """Forget a body that came whole, whose bytes stay counted until it is answered, or will never be."""
        self._unfinished.discard(reading)
        if not is_whole:
            self._drop_all(reading)

    def add(self, reading: Reading, count: int) -> bool:
        """Count received bytes; False if the body is to be refused."""
        reading.count += count
        self._all += count
        own = self._of[reading.network] = self._of.get(reading.network, 0) + count
        if own > MOST_HELD // _HELD_SHARE:
            return False
        while self._all > MOST_HELD:
            if not self._make_room(reading):
                return False
        return True

    def _make_room(self, reading: Reading) -> bool:
        """Refuse the largest unfinished body of the network that holds most; False if that is this one's network."""
        others = (one for one in self._unfinished if one.count and one is not reading)
        found = max(others, key=self._weight, default=reading)
        if self._of[found.network] <= self._of[reading.network]:
            return False
        self._unfinished.discard(found)
        self._drop_all(found)
        found.refuse()
        return True

    def _weight(self, reading: Reading) -> tuple[int, int]:
        return self._of.get(reading.network, 0), reading.count

    def _drop_all(self, reading: Reading) -> None:
        self.drop(reading.network, reading.count)
        reading.count = 0

    def drop(self, network: str, count: int) -> None:
        """Uncount the bytes of an answered or abandoned body."""
        self._all -= count
        own = self._of.get(network, 0) - count
        if own > 0:
            self._of[network] = own
        else:
            self._of.pop(network, None)


async def read(meta: dict[str, Any], transport: Transport, held: Held, network: str) -> bytes:
    """The whole body, or b"" and a refusal under `ramet.refused`. The caller drops its bytes from `held`."""
    body, reading = bytearray(), Reading(network)
    is_whole = False
    held.begin(reading)
    try:
        await _read(body, meta, transport, held, reading)
        if reading.refusal is not None:  # refused with its last byte: its bytes are uncounted already
            raise _Refused(reading.refusal)
        is_whole = True
    except _Refused as refused:
        meta[REFUSED] = refused.refusal
    except TimeoutError:
        meta[REFUSED] = reading.refusal or Refusal(408, "invalid_request", "The request's body came too slowly.")
    finally:
        held.end(reading, is_whole=is_whole)
    return bytes(body) if is_whole else b""


async def _read(body: bytearray, meta: dict[str, Any], transport: Transport, held: Held, reading: Reading) -> None:
    """Read the parts.

    Raises: TimeoutError, _Refused.
    """
    most = routes.most_body(meta["PATH_INFO"])
    declared = meta.get("CONTENT_LENGTH", "")
    if declared.isascii() and declared.isdecimal() and (len(declared) > len(str(most)) or int(declared) > most):
        raise _Refused(too_large(most))
    if declared.isascii() and declared.isdecimal() and int(declared) <= _SMALL:
        async with asyncio.timeout(FIRST_SECONDS) as reading.deadline:
            try:
                body += await transport()  # waits once, and not for each part and the end
            except RuntimeError:  # granian's RSGIProtocolError: the caller closed before the last byte
                raise _Refused(_CUT_SHORT) from None
        if not held.add(reading, len(body)):
            raise _Refused(_TOO_MUCH)
        return
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout_at(began + FIRST_SECONDS) as deadline:
        reading.deadline = deadline
        async for part in transport:
            if reading.refusal is not None:
                raise _Refused(reading.refusal)
            body += part
            if not held.add(reading, len(part)):
                raise _Refused(_TOO_MUCH)
            if len(body) > most:
                raise _Refused(too_large(most))
            deadline.reschedule(began + FIRST_SECONDS + len(body) / LEAST_RATE)


def too_large(most: int) -> Refusal:
    """The refusal of a body with more bytes than are read there."""
    return Refusal(413, "invalid_request", f"A request's body here has at most {most // 1024} KiB.")


def with_body(meta: dict[str, Any], body: bytes) -> dict[str, Any]:
    """The environ, complete."""
    meta["wsgi.input"] = io.BytesIO(body)
    if body or "CONTENT_LENGTH" in meta:
        meta["CONTENT_LENGTH"] = str(len(body))
    return meta
