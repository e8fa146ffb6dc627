"""Whose address a guess is counted for, over real sockets to the real server behind a proxy that passes underscores
on (P52).
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from tests.fixtures.live_server import CSRF, Live

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.slow]
GUESSES, FREE = 40, 5
PROXYS = ("X-Forwarded-For", "203.0.113.7")


@pytest.fixture(scope="module")
def served() -> Iterator[Live]:
    live = Live(workers=1, threads=4, extra={"RAMET_TRUSTED_PROXIES": '["127.0.0.1"]'})
    yield live
    live.stop()


def guess(live: Live, name: str, fields: list[tuple[str, str]]) -> str:
    """What became of one wrong password: looked at, slowed, or refused at the edge."""
    body = urlencode({"username": name, "password": "a wrong guess", "csrfmiddlewaretoken": CSRF}).encode()
    own = [
        ("Host", f"127.0.0.1:{live.port}"),
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Content-Length", str(len(body))),
        ("Cookie", f"ramet_csrf={CSRF}"),
        ("Connection", "close"),
    ]
    lines = [f"{name}: {value}" for name, value in [*own, *fields]]
    got = b""
    with socket.create_connection(("127.0.0.1", live.port), timeout=20) as line:
        line.sendall("\r\n".join(["POST /login HTTP/1.1", *lines, "", ""]).encode() + body)
        while part := line.recv(65536):
            got += part
    if b"header fields have names that are read as" in got:
        return "refused"
    return {b"400": "looked at", b"429": "slowed"}[got.split()[1]]


@pytest.mark.parametrize(
    "fields",
    [
        lambda address: [PROXYS, ("X_Forwarded_For", address)],
        lambda address: [("X_Forwarded_For", address), PROXYS],
        lambda address: [("X_Forwarded_For", address)],
        lambda address: [("x-forwarded_for", address), ("X.Forwarded.For", address), PROXYS],
        lambda address: [("X-Forwarded-For", address), PROXYS],
        lambda address: [("Forwarded", f"for={address}"), PROXYS],
    ],
    ids=["after", "before", "alone", "mixed", "repeated", "Forwarded"],
)
def test_guesses_are_counted_for_the_address_that_the_proxy_saw(
    served: Live, fields: object, request: pytest.FixtureRequest
) -> None:
    """40 guesses at one name, each with another forged address: those after the free ones wait, or are refused."""
    name = f"{request.node.callspec.id}@example.org"
    found = [guess(served, name, fields(f"198.51.{number}.7")) for number in range(GUESSES)]  # type: ignore[operator]
    assert found.count("looked at") <= FREE + 1, found
