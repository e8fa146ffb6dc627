"""Deadlines and bounds of requests and answers, on raw sockets to the real server (R28)."""

from __future__ import annotations

import asyncio
import resource
import socket
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from idp.edge import intake, listeners, readers
from tests.edge import slow
from tests.fixtures.live_server import Live, Request, document, form

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = [pytest.mark.slow]
HEADER_SECONDS = 10


@pytest.fixture(scope="module")
def served() -> Iterator[Live]:
    live = Live(workers=1, threads=4, extra={"RAMET_TRUSTED_PROXIES": '["127.0.0.1"]'})
    yield live
    refused = "Service Unavailable: /scim/v2/Users"  # the bodies that strangers hold open
    assert [line for line in live.complaints() if refused not in line] == []
    live.stop()


def ended(line: socket.socket, *, within: float) -> tuple[float, bytes]:
    """After how many seconds the server ends the connection, and what it said."""
    began, got = time.monotonic(), b""
    line.settimeout(within)
    try:
        while part := line.recv(65536):
            got += part
    except ConnectionResetError:
        pass
    line.close()
    return time.monotonic() - began, got


def test_unfinished_requests_are_ended_in_time(served: Live) -> None:
    """Nothing said, half a header section, a body that stops, one that drips: ten seconds each, and 408 where it can
    be said.
    """
    nothing = socket.create_connection(("127.0.0.1", served.port))
    head = slow.unfinished_head(served.port, "/login")
    body = slow.unfinished_body(served.port, "/oidc/token")
    drip = slow.unfinished_body(served.port, "/scim/v2/Users")

    def dripped() -> None:
        for _ in range(40):
            time.sleep(0.5)
            try:
                drip.sendall(b"a")
            except OSError:
                return

    threading.Thread(target=dripped, daemon=True).start()
    found = [ended(one, within=HEADER_SECONDS + 8) for one in (nothing, head, body, drip)]
    assert found[0][1] == found[1][1] == b""
    assert found[2][1].startswith(b"HTTP/1.1 408 ")
    assert b'"error": "invalid_request"' in found[2][1]
    assert found[3][1].startswith(b"HTTP/1.1 408 ")
    assert b"urn:ietf:params:scim:api:messages:2.0:Error" in found[3][1]


def test_an_idle_connection_is_ended(served: Live) -> None:
    """One that has had its answer and says nothing more holds a file descriptor for ten seconds."""
    line = socket.create_connection(("127.0.0.1", served.port))
    line.sendall(f"GET /livez HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n\r\n".encode())
    took, got = ended(line, within=HEADER_SECONDS + 8)
    assert got.startswith(b"HTTP/1.1 200 ")
    assert took > HEADER_SECONDS - 2


def test_callers_who_do_not_read_are_ended(served: Live) -> None:
    """The kernel ends a connection whose window stays shut: the server holds none of them any more."""
    path = "/.well-known/openid-configuration"
    with slow.opened(slow.unread_answer, served.port, [path], 20) as lines:
        ports = {line.getsockname()[1] for line in lines}
        time.sleep(1)
        assert len(held(served.port) & ports) == len(lines)
        time.sleep(listeners.UNREAD_MILLISECONDS / 1000 + 5)
        assert held(served.port) & ports == set()


def test_a_caller_who_drips_is_ended(served: Live) -> None:
    """A window that opens again and again does not count as reading: it is the rate over ten seconds."""
    path = "/.well-known/openid-configuration"
    many = partial(slow.unread_answer, count=100)  # answers that a drip takes minutes for
    with slow.opened(many, served.port, [path], 5) as lines:
        ports = {line.getsockname()[1] for line in lines}
        stop = threading.Event()

        def drip(line: socket.socket) -> None:
            with suppress(OSError):
                while not stop.is_set() and line.recv(256):  # a kibibyte a second
                    time.sleep(0.25)

        for line in lines:
            threading.Thread(target=drip, args=(line,), daemon=True).start()
        time.sleep(1)
        assert len(held(served.port) & ports) == len(lines)
        until = time.monotonic() + readers.WINDOW + 6
        while held(served.port) & ports and time.monotonic() < until:
            time.sleep(0.2)
        assert held(served.port) & ports == set()
        stop.set()


def test_a_reader_who_takes_enough_is_left_alone() -> None:
    """Judged on a real pair of sockets, by the bytes that the other end acknowledged."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        near = [slow._connected(port, reads_little=True) for _ in range(2)]
        far = [listener.accept()[0] for _ in range(2)]

        def fill(line: socket.socket) -> None:
            line.settimeout(0)
            with suppress(BlockingIOError):
                while line.send(b"x" * 65536):
                    pass

        for line in far:
            fill(line)
        watched = readers.Readers([port])
        assert watched.end_slow(now=0.0) == 0
        taken = 0
        while taken < readers.LEAST_RATE * readers.WINDOW * 1.5:
            taken += len(near[0].recv(4096))
            fill(far[0])
        assert watched.end_slow(now=readers.WINDOW - 1) == 0
        assert watched.end_slow(now=readers.WINDOW) == 1
        with pytest.raises(OSError, match=r"(?i)pipe|endpoint|reset"):
            far[1].send(b"x")
        assert watched.end_slow(now=readers.WINDOW + 1) == 0
        for line in (*near, *far):
            line.close()


def held(port: int) -> set[int]:
    """The peers' ports of connections that the server on this port has not closed (proc(5), /proc/net/tcp: state
    01).
    """
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ends = [(row[1].rpartition(":")[2], row[2].rpartition(":")[2], row[3]) for row in rows]
    return {int(there, 16) for here, there, state in ends if int(here, 16) == port and state == "01"}


def test_more_who_do_not_read_than_a_backlog_holds_stop_nobody(served: Live) -> None:
    """1,200 connections that hold an unread answer: `active:false` is acknowledged all the same."""
    wanted = 1_200
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < wanted + 200:
        pytest.skip("this process may not open so many sockets")
    person = served.people(1)[0]
    with slow.opened(slow.unread_answer, served.port, ["/.well-known/openid-configuration"], wanted):
        began = time.monotonic()
        assert served.call(served.deactivation(person)).status == 200
        assert served.call(Request("GET", "/livez")).status == 200
        assert time.monotonic() - began < 3
    until = time.monotonic() + 30
    while served.call(Request("GET", "/login")).status == 503 and time.monotonic() < until:
        time.sleep(0.2)  # what those callers asked for is still being answered, for this network
    assert served.call(Request("GET", "/login")).status == 200


@pytest.mark.parametrize(
    ("path", "most"), [("/oidc/token", 256), ("/scim/v2/Users", 1024), ("/login", 256), ("/enrol/v1/bindings", 256)]
)
def test_a_body_has_a_bound_by_its_path(served: Live, path: str, most: int) -> None:
    """A declared length is refused before a byte is read; a body without one as soon as it is too long."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    )
    declared = socket.create_connection(("127.0.0.1", served.port), timeout=10)
    declared.sendall(f"{head}Content-Length: {most * 1024 + 1}\r\n\r\n".encode())
    assert declared.recv(4096).startswith(b"HTTP/1.1 413 ")
    declared.close()
    chunked = socket.create_connection(("127.0.0.1", served.port), timeout=10)
    chunked.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
    got = b""
    try:
        for _ in range(most // 32 + 2):
            chunked.sendall(b"8000\r\n" + b"a" * 0x8000 + b"\r\n")
        got = chunked.recv(4096)
    except (BrokenPipeError, ConnectionResetError):
        got = b"HTTP/1.1 413 "  # it was said and closed while more was on the way
    assert got.startswith(b"HTTP/1.1 413 ")
    chunked.close()


def test_a_chunked_body_is_read_whole(served: Live) -> None:
    """RFC 9112 §7.1: a length need not be declared; the answer is that of the same body with one."""
    client = served.client()
    asked = form("/oidc/introspect", {"token": "x", **client})
    line = socket.create_connection(("127.0.0.1", served.port), timeout=10)
    head = (
        f"POST {asked.path} HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nConnection: close\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
    )
    line.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
    for part in (asked.body[:7], asked.body[7:]):
        line.sendall(f"{len(part):x}\r\n".encode() + part + b"\r\n")
    line.sendall(b"0\r\n\r\n")
    got = ended(line, within=10)[1]
    assert got.startswith(b"HTTP/1.1 200 ")
    assert got.endswith(b'{"active": false}')


def test_a_body_of_the_largest_size_is_taken(served: Live) -> None:
    """The bound is not one byte less than promised, and its memory comes back."""
    body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": [], "x": "a" * 1_000_000}
    asked = document("POST", "/scim/v2/Bulk", body, Authorization=f"Bearer {served.scim_token}")
    assert {served.call(asked).status for _ in range(40)} == {served.call(asked).status}


def test_bytes_held_are_counted_for_each_network() -> None:
    """One network may hold a part of the memory for bodies, and gets it back."""
    held = intake.Held()
    most = intake.MOST_HELD // 4
    one, other = intake.Reading("one"), intake.Reading("other")
    assert held.add(one, most)
    assert not held.add(one, 1)
    assert held.add(other, most)
    held.drop("one", most + 1)
    assert held.add(intake.Reading("one"), most)


def test_a_full_memory_takes_from_the_network_that_holds_most() -> None:
    """Five networks hold bodies open: a small body of another network is read, and one of theirs is refused."""
    held = intake.Held()
    each = intake.MOST_HELD // 80
    opened = [intake.Reading(f"network {number % 5}") for number in range(80)]
    for reading in opened:
        held.begin(reading)
        assert held.add(reading, each)
    source = intake.Reading("source")
    held.begin(source)
    assert held.add(source, 300)
    assert [one.refusal is not None for one in opened].count(True) == 1
    assert held.add(source, 300), "there is room now"
    late = intake.Reading("network 1")
    held.begin(late)
    assert not held.add(late, 10 * each), "nobody makes room for the network that holds most"


def test_a_body_without_bytes_makes_no_room() -> None:
    """Bodies that came whole fill the memory: refusing one of which nothing has come would free nothing."""
    held = intake.Held()
    for number in range(4):
        whole = intake.Reading(f"network {number}")
        held.begin(whole)
        assert held.add(whole, intake.MOST_HELD // 4)
        held.end(whole, is_whole=True)
    begun = intake.Reading("network 0")
    held.begin(begun)
    source = intake.Reading("source")
    held.begin(source)
    assert not held.add(source, 300)
    assert begun.refusal is None


@pytest.mark.parametrize("refused", [True, False])
def test_a_body_that_is_refused_with_its_last_byte_is_uncounted_once(*, refused: bool) -> None:
    """The application drops the bytes of a whole body; those of a refused one are gone already."""
    held = intake.Held()

    class Line:
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"a" * 5000
            if refused:
                [found] = held._unfinished
                held._drop_all(found)
                found.refusal = intake._TOO_MUCH

        async def __call__(self) -> bytes:
            raise NotImplementedError

        def response_bytes(self, *_: object) -> None:
            raise NotImplementedError

    meta: dict[str, Any] = {"PATH_INFO": "/scim/v2/Users", "CONTENT_LENGTH": "5000"}
    body = asyncio.run(intake.read(meta, Line(), held, "one"))
    assert (len(body), held._all, intake.REFUSED in meta) == ((0, 0, True) if refused else (5000, 5000, False))


def test_bodies_that_strangers_hold_open_refuse_no_ending(served: Live) -> None:
    """80 sockets of 1 MiB less a byte, from five networks, for SCIM: each `active:false` is acknowledged."""
    people = served.people(5)
    head = (
        "POST /scim/v2/Users HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/scim+json\r\n"
        "Content-Length: 1048576\r\n"
    )
    lines = []
    for number in range(80):
        line = socket.create_connection(("127.0.0.1", served.port), timeout=10)
        line.settimeout(10)
        with suppress(OSError):  # some are refused while they send
            line.sendall(f"{head}X-Forwarded-For: 198.51.{number % 5}.7\r\n\r\n".encode() + b"a" * 1048575)
        lines.append(line)
    assert [served.call(served.deactivation(person)).status for person in people] == [200] * 5
    for line in lines:
        line.close()


def test_a_pipelined_second_request_is_answered_after_the_first(served: Live) -> None:
    """RFC 9112 §9.3.2: in their order, each with its own body."""
    client = served.client()
    body = form("/oidc/introspect", {"token": "x", **client}).body
    one = (
        f"POST /oidc/introspect HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nContent-Type: "
        f"application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n"
    )
    line = socket.create_connection(("127.0.0.1", served.port), timeout=10)
    last = f"GET /livez HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nConnection: close\r\n\r\n"
    line.sendall(f"{one}\r\n".encode() + body + f"{one}\r\n".encode() + body + last.encode())
    got = ended(line, within=10)[1]
    assert got.count(b"HTTP/1.1 200 ") == 3
    assert got.count(b'{"active": false}') == 2
    assert got.endswith(b'{"status": "ok"}')
