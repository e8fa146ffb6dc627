"""The main host behind nginx from the file that we ship: whose address counts, and what slow callers get (P52, R28)."""

from __future__ import annotations

import socket
import ssl
import time
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from tests.edge.proxies import RECOMMENDED, MainHostProxy, missing, negotiated
from tests.fixtures.live_server import CSRF, Live

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.slow]


@pytest.fixture(scope="module")
def served() -> Iterator[Live]:
    live = Live(workers=1, threads=4, extra={"RAMET_TRUSTED_PROXIES": '["127.0.0.1"]'})
    yield live
    assert live.complaints() == []
    live.stop()


@pytest.fixture(scope="module")
def proxy(served: Live, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MainHostProxy]:
    if words := missing("nginx"):
        pytest.skip(words)
    found = MainHostProxy(tmp_path_factory.mktemp("nginx"), f"127.0.0.1:{served.port}")
    found.prepare()
    found.start()
    yield found
    found.stop()


def connected(proxy: MainHostProxy) -> ssl.SSLSocket:
    trust = ssl.create_default_context(cafile=proxy.ca_file)
    return trust.wrap_socket(
        socket.create_connection(("127.0.0.1", proxy.port), timeout=20), server_hostname="localhost"
    )


def ask(proxy: MainHostProxy, head: str, fields: list[str], body: bytes = b"") -> int:
    """The status of one answer."""
    got = b""
    with connected(proxy) as line:
        own = [f"Host: localhost:{proxy.port}", "Connection: close", f"Content-Length: {len(body)}"]
        line.sendall("\r\n".join([f"{head} HTTP/1.1", *own, *fields, "", ""]).encode() + body)
        while part := line.recv(65536):
            got += part
    return int(got.split()[1])


def test_pages_and_endpoints_are_served(proxy: MainHostProxy) -> None:
    """The shipped file works; the certificate host's paths are not there."""
    assert ask(proxy, "GET /login", []) == 200
    assert ask(proxy, "GET /.well-known/openid-configuration", []) == 200
    assert ask(proxy, "GET /certificate/x", []) == 404
    assert ask(proxy, "GET /livez", []) == 200


def test_tls_1_2_has_the_recommended_cipher_suites_only(proxy: MainHostProxy) -> None:
    """RFC 9325 §4.2, as the FAPI modules of the conformance suite test it: no CBC, no static RSA."""
    assert negotiated(proxy.port, proxy.ca_file, "ALL") in RECOMMENDED
    with pytest.raises(OSError, match=r"(?i)handshake|reset|eof"):
        negotiated(proxy.port, proxy.ca_file, "ALL:!ECDHE+AESGCM")


@pytest.mark.parametrize("name", ["X-Forwarded-For", "X_Forwarded_For", "x-forwarded_for", "Forwarded"])
def test_guesses_are_counted_for_the_socket_that_nginx_saw(proxy: MainHostProxy, name: str) -> None:
    """P52: each guess with another forged address, and the sixth wrong one is slowed all the same."""
    body = urlencode({"username": f"{name}@example.org", "password": "a guess", "csrfmiddlewaretoken": CSRF}).encode()
    kind = [
        "Content-Type: application/x-www-form-urlencoded",
        f"Cookie: ramet_csrf={CSRF}",
        "Referer: https://localhost/",
    ]
    kind[2] = f"Referer: https://localhost:{proxy.port}/login"
    statuses = [ask(proxy, "POST /login", [*kind, f"{name}: 198.51.{number}.7"], body) for number in range(12)]
    assert statuses.count(429) >= 5, statuses


@pytest.mark.parametrize(
    "sent",
    [
        "GET /login HTTP/1.1\r\nX-Slow: ",
        "POST /oidc/token HTTP/1.1\r\nContent-Length: 1000\r\nHost: localhost\r\n\r\na",
    ],
)
def test_slow_callers_are_ended_by_nginx(proxy: MainHostProxy, sent: str) -> None:
    """Ten seconds for the header section, and between two reads of a body."""
    with connected(proxy) as line:
        line.sendall(sent.encode())
        began = time.monotonic()
        while line.recv(4096):
            pass
        assert time.monotonic() - began < 15
