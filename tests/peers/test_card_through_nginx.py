"""The certificate host with real parts: nginx from the configuration that we ship, a UNIX socket, curl, openssl,
SoftHSM2 (H1-H4, ruling 7).
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from demo.browser import Browser
from demo.card_office import CardOffice
from demo.card_pages import refusal_reason
from demo.proxy import nginx
from tests.fixtures.proxy_hop import said
from tests.fixtures.served_behind_nginx import MISSING, ServedBehindNginx, opened_behind_nginx

if TYPE_CHECKING:
    from collections.abc import Iterator

    from demo.pki import Card

pytestmark = pytest.mark.slow
HOP_LINE = 'proxy_set_header RametHop "'
_MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
_ENGINES = ("/usr/lib/x86_64-linux-gnu/engines-3/pkcs11.so", "/usr/lib/aarch64-linux-gnu/engines-3/pkcs11.so")


@pytest.fixture(scope="module")
def served_behind_nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedBehindNginx]:
    if not nginx():
        pytest.skip(MISSING)
    with opened_behind_nginx(tmp_path_factory.mktemp("nginx")) as found:
        yield found


def test_card_signs_in_through_nginx(served_behind_nginx: ServedBehindNginx) -> None:
    """AU-2: a real handshake, the shipped configuration, a UNIX socket behind it."""
    with served_behind_nginx.card_office.client(served_behind_nginx.card) as client:
        page = served_behind_nginx.press(Browser(client))
    assert page.path == "/devices", page.words()


def test_missing_or_unknown_card_is_refused(served_behind_nginx: ServedBehindNginx) -> None:
    """The handshake without a certificate succeeds, and the page shows the reason."""
    for card, reason in (
        (None, "certificate_missing"),
        (served_behind_nginx.card_office.pki.card(), "credential_unknown"),
    ):
        with served_behind_nginx.card_office.client(card) as client:
            assert refusal_reason(served_behind_nginx.press(Browser(client))) == reason


def curl(*arguments: str, **more: str) -> tuple[int, str, str]:
    """Status, Location and body."""
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--include", "--max-time", "20", *arguments], capture_output=True,
        text=True, check=False, env=more or None,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    head, _, body = done.stdout.partition("\r\n\r\n")
    location = re.search(r"(?im)^location: (\S+)", head)
    return int(head.split()[1]), location[1] if location else "", body


def forged(card: Card, *, secret: str) -> list[str]:
    """The field that could carry a certificate, and names like it."""
    [(name, value)] = said(secret, pem=card.pem).items()
    spelled = [(spelling, value) for spelling in (name, name.lower(), "Ramet_Hop", "Ramet-Hop", "Client_Cert")]
    return [part for name, value in spelled for part in ("--header", f"{name}: {value}")]


@pytest.mark.parametrize("guess", ["", "g" * 64, "the right one"])
@pytest.mark.parametrize("door", ["nginx", "the socket", "the main listener"])
def test_forged_headers_are_ignored_everywhere(served_behind_nginx: ServedBehindNginx, door: str, guess: str) -> None:
    """H4, C22: with a good certificate of Alex in every header, and no key: nobody is signed in."""
    secret = (
        served_behind_nginx.card_office.proxy.secret if guess == "the right one" and door != "the socket" else guess
    )
    fields = forged(served_behind_nginx.card, secret=secret)
    with served_behind_nginx.card_office.client(None) as client:
        browser = Browser(client)
        status, back, _ = curl(*fields, *way(served_behind_nginx, door, served_behind_nginx.ticket(browser)))
        assert status == (302 if door == "nginx" else 400)  # twice is refused; nginx puts its own in the place of both
        if status == 302:
            assert refusal_reason(browser.get(back)) == "certificate_missing"
        status, back, _ = curl(*fields[:2], *way(served_behind_nginx, door, served_behind_nginx.ticket(browser)))
        assert status == 302
        assert refusal_reason(browser.get(back)) == "certificate_missing"


def way(served_behind_nginx: ServedBehindNginx, door: str, url: str) -> list[str]:
    """Curl's arguments for a URL of the certificate host, by its proxy or past it."""
    if door == "nginx":
        return ["--cacert", str(served_behind_nginx.card_office.proxy.ca_file), url]
    host, path = ["--header", f"Host: localhost:{served_behind_nginx.card_office.proxy.port}"], httpx.URL(url).path
    if door == "the socket":
        return ["--unix-socket", str(served_behind_nginx.card_office.socket), *host, f"http://localhost{path}"]
    return [*host, f"http://127.0.0.1:{served_behind_nginx.live.port}{path}"]


def test_secret_from_an_unlisted_peer_is_ignored(served_behind_nginx: ServedBehindNginx) -> None:
    """C22: listed peer and secret, both: the main listener's peer is 127.0.0.1, and only `unix` is listed."""
    with served_behind_nginx.card_office.client(None) as client:
        browser = Browser(client)
        url = served_behind_nginx.ticket(browser)
        way = [
            "--header",
            f"Host: localhost:{served_behind_nginx.card_office.proxy.port}",
            f"http://127.0.0.1:{served_behind_nginx.live.port}{httpx.URL(url).path}",
        ]
        _, back, _ = curl(
            *forged(served_behind_nginx.card, secret=served_behind_nginx.card_office.proxy.secret)[:2], *way
        )
        assert refusal_reason(browser.get(back)) == "certificate_missing"


def test_hosts_serve_only_their_own_paths(served_behind_nginx: ServedBehindNginx) -> None:
    """A login page on the certificate host, or a presentation on the main one, is not there."""
    for path in ("/login", "/", "/oidc/token", "/scim/v2/Users"):
        assert (
            curl(
                "--cacert",
                str(served_behind_nginx.card_office.proxy.ca_file),
                served_behind_nginx.card_office.proxy.url + path,
            )[0]
            == 404
        )
        assert (
            curl(
                "--unix-socket",
                str(served_behind_nginx.card_office.socket),
                "--header",
                f"Host: localhost:{served_behind_nginx.card_office.proxy.port}",
                f"http://localhost{path}",
            )[0]
            == 404
        )
    assert curl(f"{served_behind_nginx.live.issuer}/certificate/anything")[0] == 404


@pytest.fixture
def other(served_behind_nginx: ServedBehindNginx, tmp_path: Path) -> Iterator[CardOffice]:
    """One more nginx in the same place, for tests of what goes wrong with it."""
    made = replace(served_behind_nginx.card_office.proxy, folder=tmp_path / "nginx", edit=())
    made._child = None
    served_behind_nginx.card_office.proxy.stop()
    found = CardOffice(
        served_behind_nginx.card_office.folder,
        served_behind_nginx.card_office.pki,
        served_behind_nginx.card_office.responder,
        made,
    )
    yield found
    made.stop()
    served_behind_nginx.card_office.proxy.start()
    assert served_behind_nginx.probe() == "forged headers are stripped"


def start_edited(served_behind_nginx: ServedBehindNginx, other: CardOffice, *edit: tuple[str, str]) -> None:
    other.proxy.folder.mkdir(parents=True, exist_ok=True)
    for name in ("tls.pem", "tls-key.pem", "tls-authority.pem"):
        shutil.copyfile(served_behind_nginx.card_office.proxy.folder / name, other.proxy.folder / name)
    other.proxy.edit = edit
    other.proxy.start()


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (((HOP_LINE, 'proxy_set_header X-Nothing "'),), "came through"),
        ((("proxy_set_header X-Forwarded-For $remote_addr;", ""),), "came through"),
        ((("proxy_set_header X-Forwarded-Proto https;", ""),), "came through"),
        (
            (
                (
                    "proxy_set_header X-Forwarded-For $remote_addr;",
                    "proxy_set_header X-Forwarded-For $http_x_forwarded_for;",
                ),
            ),
            "came through",
        ),
        (((HOP_LINE, 'proxy_set_header RametHop $http_ramethop; proxy_set_header X-Nothing "'),), "came through"),
    ],
    ids=["our own field", "the address", "the scheme", "the client's address", "the client's field"],
)
def test_leaking_proxy_turns_cards_off(
    served_behind_nginx: ServedBehindNginx, other: CardOffice, edit: tuple[tuple[str, str], ...], words: str
) -> None:
    """H4: the probe sees it, and cards are off until it passes again."""
    start_edited(served_behind_nginx, other, *edit)
    assert words in served_behind_nginx.probe()
    with httpx.Client() as client:
        page = Browser(client).get(f"{served_behind_nginx.live.issuer}/login/card")
    assert (page.status, refusal_reason(page)) == (404, "certificate_login_off")


def test_proxy_without_the_secret_turns_cards_off(served_behind_nginx: ServedBehindNginx, other: CardOffice) -> None:
    """The probe must come through the believed hop; and there must be one."""
    start_edited(
        served_behind_nginx,
        other,
        (f"secret={other.proxy.secret};", "secret=something-else-something-else-something;"),
    )
    assert "listed peer with the secret" in served_behind_nginx.probe()
    other.proxy.stop()
    assert "could not be reached" in served_behind_nginx.probe()


def resumed(served_behind_nginx: ServedBehindNginx, version: str, folder: Path) -> str:
    """What openssl says of a second handshake that offers the first one's session."""
    place, session = f"localhost:{served_behind_nginx.card_office.proxy.port}", folder / f"session-{version}"
    said = ""
    for option in ("-sess_out", "-sess_in"):
        if option == "-sess_in" and not session.exists():
            return "no session was given"
        said = subprocess.run(
            ["openssl", "s_client", "-connect", place, "-servername", "localhost", f"-{version}", option, str(session)],
            input="GET /certificate/x HTTP/1.0\r\n\r\n", capture_output=True, text=True, timeout=20, check=False,
        ).stdout  # fmt: skip
    return "reused" if "\nReused, " in said else "a whole handshake"


@pytest.mark.parametrize("version", ["tls1_2", "tls1_3"])
def test_tls_sessions_are_not_resumed(served_behind_nginx: ServedBehindNginx, tmp_path: Path, version: str) -> None:
    """Ruling 7: no tickets, no cache: every presentation asks the card."""
    assert resumed(served_behind_nginx, version, tmp_path) in {"a whole handshake", "no session was given"}


def test_resumed_handshake_is_refused_by_the_application(
    served_behind_nginx: ServedBehindNginx, other: CardOffice, tmp_path: Path
) -> None:
    """Ruling 7: seen with openssl to be resumable, and then refused by what nginx says of the handshake."""
    start_edited(
        served_behind_nginx, other, ("ssl_session_tickets off;", "ssl_session_tickets on;"),
        ("ssl_session_cache off;", "ssl_session_cache shared:x:1m;"),
        ("ssl_protocols TLSv1.2 TLSv1.3;", "ssl_protocols TLSv1.2;"),
    )  # fmt: skip
    assert served_behind_nginx.probe() == "forged headers are stripped"
    with served_behind_nginx.card_office.client(None) as client:
        browser = Browser(client)
        pem = tmp_path / "card.pem"
        pem.write_bytes(served_behind_nginx.card.pem + served_behind_nginx.card.key_pem)
        place, session = f"localhost:{served_behind_nginx.card_office.proxy.port}", tmp_path / "session"
        backs = []
        for option in ("-sess_out", "-sess_in"):
            path = httpx.URL(served_behind_nginx.ticket(browser)).path
            said = subprocess.run(
                [
                    "openssl",
                    "s_client",
                    "-connect",
                    place,
                    "-servername",
                    "localhost",
                    "-cert",
                    str(pem),
                    "-key",
                    str(pem),
                    option,
                    str(session),
                    "-ign_eof",
                ],
                input=f"GET {path} HTTP/1.0\r\nHost: {place}\r\n\r\n",
                capture_output=True,
                text=True,
                timeout=20,
                check=False,
            ).stdout
            backs.append((("\nReused, " in said), re.search(r"(?im)^location: (\S+)", said)[1]))  # type: ignore[index]
        assert [one[0] for one in backs] == [False, True]
        assert refusal_reason(browser.get(backs[1][1])) == "certificate_not_proven"


def test_one_connection_carries_one_request(served_behind_nginx: ServedBehindNginx) -> None:
    """Ruling 7: no keep-alive: what comes next on it would have no handshake of its own."""
    done = subprocess.run(
        [
            "openssl",
            "s_client",
            "-connect",
            f"localhost:{served_behind_nginx.card_office.proxy.port}",
            "-servername",
            "localhost",
            "-ign_eof",
        ],
        input=f"GET /certificate/x HTTP/1.1\r\nHost: localhost:{served_behind_nginx.card_office.proxy.port}\r\n\r\n"
        * 2,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    ).stdout
    assert done.count("HTTP/1.1 4") == 1


def test_key_in_a_pkcs11_token_signs_in(served_behind_nginx: ServedBehindNginx, tmp_path: Path) -> None:
    """The key never leaves SoftHSM2, as it never leaves a card: curl asks it to sign the handshake, after the PIN."""
    if not _MODULE.exists() or not any(Path(one).exists() for one in _ENGINES) or not shutil.which("pkcs11-tool"):
        pytest.skip(
            "SoftHSM2's parts are missing: apt-get install --no-install-recommends softhsm2 opensc "
            "libengine-pkcs11-openssl"
        )
    tokens, pin = tmp_path / "tokens", "123456"
    tokens.mkdir()
    (tmp_path / "softhsm2.conf").write_text(
        f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n"
    )
    (tmp_path / "openssl.cnf").write_text("")
    environment = {
        "SOFTHSM2_CONF": str(tmp_path / "softhsm2.conf"),
        "PATH": "/usr/bin:/bin",
        "OPENSSL_CONF": str(tmp_path / "openssl.cnf"),
    }

    def run(*command: str) -> None:
        subprocess.run(command, env=environment, check=True, capture_output=True)

    card = served_behind_nginx.card_office.pki.card(person="TOKEN")
    (tmp_path / "key.pem").write_bytes(card.key_pem)
    (tmp_path / "card.pem").write_bytes(card.pem)
    run("softhsm2-util", "--init-token", "--free", "--label", "card", "--pin", pin, "--so-pin", "654321")
    run(
        "softhsm2-util",
        "--import",
        str(tmp_path / "key.pem"),
        "--token",
        "card",
        "--label",
        "piv",
        "--id",
        "01",
        "--pin",
        pin,
    )
    (tmp_path / "key.pem").unlink()
    name = served_behind_nginx.live.people(1)[0]["username"]
    served_behind_nginx.live.ramet.ask("card", "bind", name, "--certificate", str(tmp_path / "card.pem"))
    with httpx.Client() as client:
        browser = Browser(client)
        url = served_behind_nginx.ticket(browser)
        token = f"pkcs11:token=card;object=piv;type=private;pin-value={pin}"
        status, back, _ = curl(
            "--engine", "pkcs11", "--key-type", "ENG", "--key", token, "--cert", str(tmp_path / "card.pem"), "--cacert",
            str(served_behind_nginx.card_office.proxy.ca_file), url,
            **environment, PKCS11_MODULE_PATH=str(_MODULE),
        )  # fmt: skip
        assert status == 302
        page = browser.get(back)
    assert page.path == "/devices", page.words()
