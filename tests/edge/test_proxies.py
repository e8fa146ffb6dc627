"""A forged certificate through nginx, HAProxy and Apache, each from the file that we ship, in every spelling of every
name (ruling 32).

The certificate is a good one of a real person, a real client or a real source; what is missing is its key. The
forged field
even holds the right secret, which no stranger knows: the proxy replaces it whole.
"""

from __future__ import annotations

import base64
import re
import socket
import ssl
import subprocess
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import httpx
import pytest

from demo.browser import Browser
from demo.card_pages import refusal_reason
from tests.edge.proxies import PROXIES, RECOMMENDED, missing, negotiated
from tests.fixtures.client_certificates import in_set, made
from tests.fixtures.live_server import Request
from tests.fixtures.served_behind_nginx import ServedBehindNginx, opened_behind_nginx

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from demo.pki import Card

pytestmark = [pytest.mark.slow]
Fields = list[tuple[str, str]]
SPELLINGS = ("RametHop", "ramethop", "RAMETHOP", "Ramet_Hop", "Ramet-Hop", "rAMET_hOP")
FORMER = ("Ramet-Client-Cert", "Ramet-Proxy-Secret", "Ramet-Tls-Resumed", "Client-Cert")


@pytest.fixture(scope="module", params=list(PROXIES))
def served_behind_nginx(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServedBehindNginx]:
    if words := missing(request.param):
        pytest.skip(words)
    with opened_behind_nginx(tmp_path_factory.mktemp("nginx"), PROXIES[request.param]) as found:
        yield found


def forgeries(card: Card, secret: str) -> dict[str, Fields]:
    """Header fields that would present this certificate to somebody who believes them, by what is tried."""
    pem, der = quote(card.pem, safe=""), base64.b64encode(card.der).decode()
    value = f"secret={secret}; resumed=.; pem={pem}"
    other = f"secret={secret}; resumed=0; der={der}"
    found: dict[str, Fields] = {name: [(name, value)] for name in SPELLINGS}
    found["every spelling"] = [(name, value) for name in SPELLINGS]
    found["every spelling, backwards"] = [(name, other) for name in reversed(SPELLINGS)]
    found["repeated"] = [("RametHop", value), ("RametHop", value)]
    found["an empty one before"] = [("RametHop", ""), ("Ramet_Hop", value)]
    found["an empty one after"] = [("Ramet_Hop", value), ("ramethop", "")]
    found["among others"] = [*[(f"X-Filler-{number}", "x") for number in range(20)], ("RametHop", value)]
    old = {"Ramet-Client-Cert": pem, "Ramet-Proxy-Secret": secret, "Ramet-Tls-Resumed": ".", "Client-Cert": f":{der}:"}
    found["the former names"] = [(name, old[name]) for name in FORMER]
    found["the former names, underscores"] = [(name.replace("-", "_"), old[name]) for name in FORMER]
    found["Client_Cert alone"] = [("Client_Cert", f":{der}:")]
    return found


CASES = [
    *SPELLINGS, "every spelling", "every spelling, backwards", "repeated", "an empty one before", "an empty one after",
    "among others",
    "the former names", "the former names, underscores", "Client_Cert alone",
]  # fmt: skip


def ask(
    served_behind_nginx: ServedBehindNginx,
    method: str,
    path: str,
    fields: Fields,
    body: bytes = b"",
    *,
    last: bool = False,
) -> tuple[int, str]:
    """Status and Location of the answer to a request without a certificate; last: the fields come after all others."""
    proxy = served_behind_nginx.card_office.proxy
    own = [("Host", f"localhost:{proxy.port}"), ("Connection", "close")]
    if body:
        kind = "application/scim+json" if "/scim/" in path else "application/x-www-form-urlencoded"
        own += [("Content-Type", kind), ("Content-Length", str(len(body)))]
    lines = [f"{name}: {value}" for name, value in ([*own, *fields] if last else [*fields, *own])]
    trust = ssl.create_default_context(cafile=proxy.ca_file)
    got = b""
    with (
        socket.create_connection(("127.0.0.1", proxy.port), timeout=20) as plain,
        trust.wrap_socket(plain, server_hostname="localhost") as line,
    ):
        line.sendall("\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode() + body)
        while part := line.recv(65536):
            got += part
    head = got.partition(b"\r\n\r\n")[0].decode("latin-1")
    location = re.search(r"(?im)^location: (\S+)", head)
    return int(head.split()[1]), location[1] if location else ""


def test_a_card_signs_in(served_behind_nginx: ServedBehindNginx) -> None:
    """The shipped file works: a real handshake with a real card."""
    with served_behind_nginx.card_office.client(served_behind_nginx.card) as client:
        page = served_behind_nginx.press(Browser(client))
    assert page.path == "/devices", page.words()


def test_a_client_cannot_take_the_proxys_fields_off(served_behind_nginx: ServedBehindNginx) -> None:
    """A proxy removes the fields that Connection names (RFC 9110 §7.6.1): not those that it sets itself."""
    names = "close, RametHop, X-Forwarded-For, X-Forwarded-Proto"
    with served_behind_nginx.card_office.client(served_behind_nginx.card, Connection=names) as client:
        page = served_behind_nginx.press(Browser(client))
    assert page.path == "/devices", page.words()


def test_without_a_card_or_with_a_strangers_nobody_is_signed_in(served_behind_nginx: ServedBehindNginx) -> None:
    """A handshake without a certificate goes through, and ends in words."""
    for card, reason in (
        (None, "certificate_missing"),
        (served_behind_nginx.card_office.pki.card(), "credential_unknown"),
    ):
        with served_behind_nginx.card_office.client(card) as client:
            assert refusal_reason(served_behind_nginx.press(Browser(client))) == reason


def test_tls_1_2_has_the_recommended_cipher_suites_only(served_behind_nginx: ServedBehindNginx) -> None:
    """RFC 9325 §4.2, as the FAPI modules of the conformance suite test it: no CBC, no static RSA."""
    proxy = served_behind_nginx.card_office.proxy
    assert negotiated(proxy.port, proxy.ca_file, "ALL") in RECOMMENDED
    with pytest.raises(OSError, match=r"(?i)handshake|reset|eof"):
        negotiated(proxy.port, proxy.ca_file, "ALL:!ECDHE+AESGCM")


@pytest.mark.parametrize("last", [False, True], ids=["first", "last"])
@pytest.mark.parametrize("case", CASES)
def test_a_forged_card_signs_nobody_in(served_behind_nginx: ServedBehindNginx, case: str, *, last: bool) -> None:
    """H4, C22: refused, or as if there were none: in any spelling and order, with the right secret in it."""
    fields = forgeries(served_behind_nginx.card, served_behind_nginx.card_office.proxy.secret)[case]
    with httpx.Client() as client:
        browser = Browser(client)
        status, back = ask(
            served_behind_nginx, "GET", httpx.URL(served_behind_nginx.ticket(browser)).path, fields, last=last
        )
        assert status in {302, 400}, status
        if status == 302:
            assert refusal_reason(browser.get(back)) == "certificate_missing"
        assert browser.get(f"{served_behind_nginx.live.issuer}/devices").path == "/login"


@pytest.mark.parametrize("last", [False, True], ids=["first", "last"])
def test_a_forged_certificate_is_no_client_no_source_and_renews_nothing(
    served_behind_nginx: ServedBehindNginx, *, last: bool
) -> None:
    """RFC 8705, RFC 7030, SCIM by certificate: GET and POST, with and without a body."""
    own = made()
    known = served_behind_nginx.live.client(auth_method="self_signed_tls_client_auth", jwks=in_set(own, x5c=True))[
        "client_id"
    ]
    form = urlencode({"token": "x", "client_id": known}).encode()
    with served_behind_nginx.card_office.client(own) as client:
        url = f"{served_behind_nginx.card_office.proxy.url}/certificate/oidc/introspect"
        assert client.post(url, data={"token": "x", "client_id": known}).status_code == 200
    for case, fields in forgeries(own, served_behind_nginx.card_office.proxy.secret).items():
        for method, path, body in (
            ("POST", "/certificate/oidc/introspect", form),
            (
                "POST",
                "/certificate/oidc/token",
                urlencode({"grant_type": "client_credentials", "client_id": known}).encode(),
            ),
            ("GET", "/certificate/scim/v2/Users", b""),
            ("POST", "/certificate/scim/v2/Users", b'{"schemas": []}'),
            ("POST", "/.well-known/est/simplereenroll", b"AAAA"),
            ("GET", "/certificate/oidc/userinfo", b""),
        ):
            status, _ = ask(served_behind_nginx, method, path, fields, body, last=last)
            assert status in {400, 401, 403}, (case, method, path, status)


def test_the_probe_passes_and_the_callers_address_is_the_proxys_word(served_behind_nginx: ServedBehindNginx) -> None:
    """H4: the operator's own check, through the public address."""
    assert served_behind_nginx.probe() == "forged headers are stripped"


@pytest.mark.parametrize("version", ["tls1_2", "tls1_3"])
def test_no_session_is_resumed(served_behind_nginx: ServedBehindNginx, tmp_path: Path, version: str) -> None:
    """Ruling 7: every presentation is a handshake in which the key was used."""
    place, session = f"localhost:{served_behind_nginx.card_office.proxy.port}", tmp_path / "session"
    said = ""
    for option in ("-sess_out", "-sess_in"):
        if option == "-sess_in" and not session.exists():
            return
        said = subprocess.run(
            ["openssl", "s_client", "-connect", place, "-servername", "localhost", f"-{version}", option, str(session)],
            input="GET /certificate/x HTTP/1.0\r\n\r\n", capture_output=True, text=True, timeout=20, check=False,
        ).stdout  # fmt: skip
    assert "\nReused, " not in said


def test_nothing_else_is_served_there(served_behind_nginx: ServedBehindNginx) -> None:
    """The certificate host has its own paths only."""
    for path in ("/login", "/", "/oidc/token", "/scim/v2/Users", "/devices"):
        assert ask(served_behind_nginx, "GET", path, [])[0] == 404
    assert served_behind_nginx.live.call(Request("GET", "/certificate/anything")).status == 404
