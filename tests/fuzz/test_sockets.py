"""Bytes that no HTTP library would send, on raw sockets to the live server: no 5xx, no hang, and the next caller is
served.
"""

from __future__ import annotations

import re
import socket
import time
from typing import TYPE_CHECKING

import pytest

from tests.fixtures.live_server import Request

if TYPE_CHECKING:
    from tests.fixtures.live_server import Live

pytestmark = [pytest.mark.slow]

SECONDS = 10.0
HOST = b"Host: 127.0.0.1\r\nConnection: close\r\n"
FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"
ODDITIES = {
    "a cookie of 64 KB": b"GET /login HTTP/1.1\r\n" + HOST + b"Cookie: ramet_session=" + b"a" * 65536 + b"\r\n\r\n",
    "a header of 200 KB": b"GET / HTTP/1.1\r\n" + HOST + b"X-Long: " + b"a" * 200_000 + b"\r\n\r\n",
    "a thousand headers": b"GET / HTTP/1.1\r\n"
    + HOST
    + b"".join(b"X-%d: 1\r\n" % number for number in range(1000))
    + b"\r\n",
    "a path of 100 KB": b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "a query of 60 KB": b"GET /oidc/authorize?" + b"a=b&" * 15_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "length and chunks": b"POST /oidc/token HTTP/1.1\r\n"
    + HOST
    + FORM
    + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x",
    "two lengths": b"POST /oidc/token HTTP/1.1\r\n"
    + HOST
    + FORM
    + b"Content-Length: 3\r\nContent-Length: 5\r\n\r\na=bcd",
    "a length below zero": b"POST /oidc/token HTTP/1.1\r\n" + HOST + FORM + b"Content-Length: -1\r\n\r\na=b",
    "a length that is no number": b"POST /oidc/token HTTP/1.1\r\n" + HOST + FORM + b"Content-Length: 1e3\r\n\r\na=b",
    "a length that never comes": b"POST /oidc/token HTTP/1.1\r\n"
    + HOST
    + FORM
    + b"Content-Length: 500\r\n\r\ngrant_type=x",
    "a body of 1 EB": b"POST /scim/v2/Users HTTP/1.1\r\n" + HOST + b"Content-Length: 1152921504606846976\r\n\r\n{",
    "a bad chunk": b"POST /oidc/token HTTP/1.1\r\n"
    + HOST
    + FORM
    + b"Transfer-Encoding: chunked\r\n\r\nzz\r\na=b\r\n0\r\n\r\n",
    "an unfinished chunk": b"POST /oidc/token HTTP/1.1\r\n"
    + HOST
    + FORM
    + b"Transfer-Encoding: chunked\r\n\r\n5\r\na=",
    "two codings": b"POST /oidc/token HTTP/1.1\r\n"
    + HOST
    + FORM
    + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "NUL in the path": b"GET /lo\x00gin HTTP/1.1\r\n" + HOST + b"\r\n",
    "an encoded NUL in the path": b"GET /oidc/authorize/%00%00 HTTP/1.1\r\n" + HOST + b"\r\n",
    "an encoded NUL in SCIM": b"GET /scim/v2/Users/%00 HTTP/1.1\r\n" + HOST + b"Authorization: Bearer \x01\r\n\r\n",
    "bytes in the path": b"GET /\xff\xfe\x80 HTTP/1.1\r\n" + HOST + b"\r\n",
    "NUL in a header": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\x00b\r\n\r\n",
    "bytes in a header": b"POST /oidc/token HTTP/1.1\r\n"
    + HOST
    + FORM
    + b"Authorization: Basic \xff\xfe\r\nContent-Length: 0\r\n\r\n",
    "bytes in a cookie": b"GET /devices HTTP/1.1\r\n"
    + HOST
    + b"Cookie: ramet_session=\xff\xfe\x80; \x80=1; ramet_csrf\r\n\r\n",
    "bare line feeds": b"GET / HTTP/1.1\nHost: 127.0.0.1\nConnection: close\n\n",
    "a space before the colon": b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length : 5\r\n\r\nhello",
    "a folded header": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n  b\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\n" + HOST + b"Host: evil.example\r\n\r\n",
    "a strange host": b"GET / HTTP/1.1\r\nHost: [::1:x%00\r\nConnection: close\r\n\r\n",
    "HTTP/1.0": b"GET / HTTP/1.0\r\n\r\n",
    "HTTP/0.9": b"GET /\r\n\r\n",
    "HTTP/9.9": b"GET / HTTP/9.9\r\n" + HOST + b"\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    "an upgrade": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: eA==\r\n\r\n",
    "an absolute address": b"GET http://evil.example/login HTTP/1.1\r\n" + HOST + b"\r\n",
    "an authority": b"CONNECT evil.example:443 HTTP/1.1\r\n" + HOST + b"\r\n",
    "an asterisk": b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
    "a climbing path": b"GET /static/../../../../etc/passwd HTTP/1.1\r\n" + HOST + b"\r\n",
    "an encoded climbing path": b"GET /static/%2e%2e/%2e%2e/idp/settings.py HTTP/1.1\r\n" + HOST + b"\r\n",
    "a method in lower case": b"post /oidc/token HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n",
    "a method that is none": b"<script> / HTTP/1.1\r\n" + HOST + b"\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 40,
    "noise": bytes(range(256)) * 8,
    "nothing": b"",
    "an expectation": b"POST /oidc/token HTTP/1.1\r\n"
    + HOST
    + FORM
    + b"Expect: 100-continue\r\nContent-Length: 0\r\n\r\n",
    "a codec as charset": b"POST /oidc/token HTTP/1.1\r\n"
    + HOST
    + b"Content-Type: application/x-www-form-urlencoded; charset=base64\r\n"
    b"Content-Length: 3\r\n\r\na=b",
    "many parameters beside a charset": b"GET /?"
    + b"a=b&" * 101
    + b" HTTP/1.1\r\n"
    + HOST
    + b"Content-Type: a/b; charset=utf-8\r\n\r\n",
    "a type of 20 KB": b"POST /oidc/token HTTP/1.1\r\n"
    + HOST
    + b"Content-Type: a/b"
    + b"; a=b" * 4000
    + b"\r\nContent-Length: 0\r\n\r\n",
    "a proof of 60 KB": b"POST /oidc/token HTTP/1.1\r\n"
    + HOST
    + FORM
    + b"DPoP: "
    + b"e" * 60_000
    + b"\r\nContent-Length: 0\r\n\r\n",
}


def _said(port: int, request: bytes) -> bytes:
    """Everything that comes back before the server closes; the sending side is closed after the last byte."""
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as raw:
        answer = b""
        try:
            raw.sendall(request)
            raw.shutdown(socket.SHUT_WR)
            while chunk := raw.recv(65536):
                answer += chunk
        except TimeoutError:
            raise
        except OSError:
            pass  # it may hang up on bytes like these
        return answer


@pytest.mark.parametrize("oddity", list(ODDITIES))
def test_odd_bytes_are_refused_or_dropped(live: Live, oddity: str) -> None:
    """A refusal below 500, or a closed connection, in good time; then an ordinary request works."""
    before, began = len(live.complaints()), time.monotonic()
    answer = _said(live.port, ODDITIES[oddity])
    took = time.monotonic() - began
    statuses = [int(found) for found in re.findall(rb"^HTTP/1\.[01] (\d{3})", answer, re.MULTILINE)]
    assert all(status < 500 for status in statuses), answer[:500]
    assert len(statuses) <= 1, f"one request was read as {len(statuses)}: {answer[:1000]!r}"
    assert b"root:" not in answer
    assert b"SECRET_KEY" not in answer
    assert took < SECONDS
    assert live.call(Request("GET", "/livez")).status == 200
    assert live.complaints()[before:] == []
