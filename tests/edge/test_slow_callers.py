"""Strangers who are slow hold nothing that anybody else needs (R28): the real server, with its defaults, and 200
sockets.
"""

from __future__ import annotations

import time
from http.client import HTTPConnection
from typing import TYPE_CHECKING

import pytest

from tests.edge import slow
from tests.fixtures.live_server import Live, Request, send

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.slow]
SHED = 503
SOCKETS = 200
METADATA = "/.well-known/openid-configuration"
EVERYWHERE = [
    "/login",
    "/oidc/token",
    "/scim/v2/Users",
    "/oidc/revoke",
    "/oidc/logout",
    "/scim/v2/Bulk",
    "/livez",
    "/readyz",
]


@pytest.fixture(scope="module")
def served() -> Iterator[Live]:
    """One process with the threads that `serve` takes by itself."""
    live = Live(workers=1, threads=4)
    yield live
    assert live.complaints() == []
    live.stop()


def timed(live: Live, request: Request, *, within: float) -> int:
    """The status of the answer, which comes within so many seconds.

    A page that the server sheds (503 with Retry-After, where a machine is busy with other tests) is requested again.
    """
    began = time.monotonic()
    while True:
        connection = HTTPConnection("127.0.0.1", live.port, timeout=within)
        try:
            status = send(connection, request).status
        finally:
            connection.close()
        assert time.monotonic() - began < within
        if status != SHED or request.path != "/login":
            return status
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("make", "paths"),
    [(slow.unfinished_body, EVERYWHERE), (slow.unfinished_head, EVERYWHERE), (slow.unread_answer, [METADATA])],
    ids=["bodies", "headers", "readers"],
)
def test_an_end_is_acknowledged_within_a_second(
    served: Live, make: Callable[[int, str], socket.socket], paths: list[str]
) -> None:
    """200 slow callers, and meanwhile `active:false`, the probes, a revocation and a page are answered."""
    person = served.people(1)[0]
    client = served.client()
    with slow.opened(make, served.port, paths, SOCKETS):
        time.sleep(0.3)
        assert timed(served, served.deactivation(person), within=1.0) == 200
        assert timed(served, Request("GET", "/livez"), within=1.0) == 200
        assert timed(served, Request("GET", "/readyz"), within=1.0) == 200
        revocation = served.token_request(client, token="nothing")
        assert timed(served, Request("POST", "/oidc/revoke", revocation.headers, revocation.body), within=1.0) == 200
        assert timed(served, Request("GET", "/login"), within=2.0) == 200
