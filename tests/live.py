"""A live Ramet for tests: migrated, served by two processes of eight threads, with a worker, on a database of its own.

The database is of the kind that RAMET_TEST_DATABASE names. Tests speak HTTP to it; `Inside` is one more process with the
server's environment, which makes people quickly and looks at the ledger, so that the HTTP side has only the race itself.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from http.client import HTTPConnection
from pathlib import Path
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from demo.server import PROJECT, Ramet, free_port
from device import proofs
from device.key import DeviceKey
from tests.environment import KIND
from tests.fixtures.databases import migrated, postgresql_copy, postgresql_new

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LONG = bool(os.environ.get("RAMET_TEST_LONG"))
CALLBACK = "https://app.example/callback"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
CSRF = "0123456789abcdefghijklmnopqrstuv"  # a browser's cookie and its form's token may be equal: 32 characters
_SECONDS = 60.0
CARDS, PROXY_SECRET = "localhost:8443", "s" * 40
# Nothing listens there: what its proxy would hand on, tests say themselves.
CERTIFICATE_HOST = {
    "RAMET_CERTIFICATE_URL": f"https://{CARDS}",
    "RAMET_CERTIFICATE_PEERS": '["127.0.0.1"]',
    "RAMET_CERTIFICATE_SECRET": PROXY_SECRET,
}


@dataclass(frozen=True)
class Request:
    """One HTTP request, ready to be sent."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Answer:
    """One HTTP response; the names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The error code of OAuth's or our own JSON form, or an empty text."""
        try:
            found = self.json()
        except ValueError:
            return ""
        return str(found.get("error", "")) if isinstance(found, dict) else ""

    @property
    def location(self) -> dict[str, str]:
        """The parameters of the address that a redirect leads to."""
        return {name: values[0] for name, values in parse_qs(urlsplit(self.headers.get("location", "")).query).items()}


def form(path: str, fields: Mapping[str, str], **headers: str) -> Request:
    """A POST of a form."""
    sent = {"Content-Type": "application/x-www-form-urlencoded", **headers}
    return Request("POST", path, sent, urlencode(fields).encode())


def document(method: str, path: str, value: object, **headers: str) -> Request:
    """A request that carries JSON."""
    return Request(method, path, {"Content-Type": "application/json", **headers}, json.dumps(value).encode())


def cookies(session: str) -> dict[str, str]:
    """The Cookie header of a browser with this session, and with the CSRF cookie that `page_form` answers."""
    return {"Cookie": f"ramet_session={session}; ramet_csrf={CSRF}"}


def page_form(path: str, session: str, **fields: str) -> Request:
    """A POST of one of our own pages' forms by the browser of this session."""
    return form(path, {**fields, "csrfmiddlewaretoken": CSRF}, **cookies(session))


def send(connection: HTTPConnection, request: Request) -> Answer:
    """Send one request on an open connection, and read the answer."""
    connection.request(request.method, request.path, request.body or None, dict(request.headers))
    response = connection.getresponse()
    return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())


_SHED = b"Too many requests are waiting. Try again in a few seconds."  # after 8 s in a queue (docs/operating.md)


def together(port: int, requests: Iterable[Request]) -> list[Answer]:
    """Send requests in parallel: every connection is open and every thread waits at one barrier before the first byte."""
    waiting = list(requests)
    barrier, answers = threading.Barrier(len(waiting)), [Answer(0, {}, b"")] * len(waiting)

    def one(number: int) -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=_SECONDS)
        connection.connect()
        barrier.wait(timeout=_SECONDS)
        answers[number] = send(connection, waiting[number])
        connection.close()
        until = time.monotonic() + _SECONDS
        while answers[number].body == _SHED and time.monotonic() < until:  # no work was done: the caller asks again
            connection = HTTPConnection("127.0.0.1", port, timeout=_SECONDS)
            answers[number] = send(connection, waiting[number])
            connection.close()

    threads = [threading.Thread(target=one, args=(number,)) for number in range(len(waiting))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=2 * _SECONDS)
    return answers


class Inside:
    """A process with the server's environment, asked by JSON lines (`tests/races/inside.py`)."""

    def __init__(self, ramet: Ramet) -> None:
        with (ramet.var / "inside.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.races.inside"],
                cwd=PROJECT,
                env=ramet.environment(),
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )

    def ask(self, command: str, **arguments: Any) -> Any:
        """Run one command; an AssertionError carries what went wrong inside."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"command": command, **arguments}) + "\n")
        process.stdin.flush()
        said = json.loads(process.stdout.readline() or '{"wrong": "the process has ended"}')
        assert "wrong" not in said, said["wrong"]
        return said["right"]

    def stop(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=10)
        self._process.stdout.close()


@dataclass
class Database:
    """A database of its own.

    url: as RAMET_DATABASE_URL takes it; "" for SQLite in the server's folder.
    """

    url: str = ""
    server: str = ""

    @classmethod
    def made(cls, *, empty: bool = False) -> Self:
        """A fresh one of the kind that this run is about; on PostgreSQL it is migrated unless it is to be empty."""
        if KIND != "postgresql":
            return cls()
        server = os.environ.get("RAMET_TEST_POSTGRESQL_SERVERS") or os.environ["RAMET_TEST_POSTGRESQL"]
        return cls(postgresql_new(server) if empty else postgresql_copy(server), server)

    def drop(self) -> None:
        """Take it away."""
        if not self.server:
            return
        import psycopg

        name = urlsplit(self.url).path.removeprefix("/")
        with psycopg.connect(self.server, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')  # type: ignore[call-overload] - a name of ours


class Live:
    """The server, its worker, one source, and what tests need to speak to them."""

    def __init__(self, *, workers: int = 2, threads: int = 8, extra: Mapping[str, str] | None = None) -> None:
        self.database = Database.made(empty="RAMET_KEK" in (extra or {}))
        self.var = Path(tempfile.mkdtemp(prefix="ramet-live-"))
        self.port = free_port()
        settings = {
            "RAMET_LOG_LEVEL": "WARNING",
            **({"RAMET_DATABASE_URL": self.database.url} if self.database.url else {}),
        }
        self.ramet = Ramet(self.var, f"http://127.0.0.1:{self.port}", self.port, {**settings, **(extra or {})})
        migrated(self.ramet)
        self.ramet.start(
            "serve", "serve", "--port", str(self.port), "--workers", str(workers), "--threads", str(threads)
        )
        self.ramet.start("worker", "worker")
        self.inside = Inside(self.ramet)
        self.scim_token: str = self.inside.ask("source", name="hr")
        self.ramet.wait_until_ready()

    @property
    def issuer(self) -> str:
        return self.ramet.issuer

    def call(self, request: Request) -> Answer:
        """One request on a connection of its own."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=_SECONDS)
        try:
            return send(connection, request)
        finally:
            connection.close()

    def together(self, requests: Iterable[Request]) -> list[Answer]:
        """Many at once."""
        return together(self.port, requests)

    def client(self, **wanted: Any) -> dict[str, str]:
        """Register a relying party: client_id, and client_secret unless it is public."""
        found: dict[str, str] = self.inside.ask(
            "client", **{"name": "Race desk", "redirect_uris": [CALLBACK], **wanted}
        )
        return found

    def people(self, count: int, *, enrolled: bool = True) -> list[dict[str, Any]]:
        """People that HR pushed; enrolled ones have a root and a browser that is signed in (`session`)."""
        found: list[dict[str, Any]] = self.inside.ask("people", count=count, enrolled=enrolled)
        return found

    def deactivation(self, person: Mapping[str, Any]) -> Request:
        """HR's `active:false` for a person."""
        body = {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "active", "value": False}]}
        return document("PATCH", f"/scim/v2/Users/{person['scim_id']}", body, Authorization=f"Bearer {self.scim_token}")

    def authorization(
        self, client: Mapping[str, str], session: str, *, scope: str = "openid offline_access"
    ) -> tuple[Answer, str]:
        """An authorization request by this browser, and the verifier of its PKCE challenge."""
        verifier = token_urlsafe(32)
        challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = urlencode({
            "response_type": "code", "client_id": client["client_id"], "redirect_uri": CALLBACK, "scope": scope, "state": "s",
            "nonce": "n", "code_challenge": challenge, "code_challenge_method": "S256",
        })  # fmt: skip
        return self.call(Request("GET", f"/oidc/authorize?{query}", cookies(session))), verifier

    def redemption(self, client: Mapping[str, str], session: str) -> Request:
        """The token request for a fresh code of this browser's person."""
        answer, verifier = self.authorization(client, session)
        assert answer.status == 303, (answer.status, answer.text[:300])
        return self.token_request(
            client,
            grant_type="authorization_code",
            code=answer.location["code"],
            redirect_uri=CALLBACK,
            code_verifier=verifier,
        )

    def token_request(self, client: Mapping[str, str], **fields: str) -> Request:
        """A token request of this client."""
        return form("/oidc/token", {**fields, **credentials(client)})

    def nonce(self, client: Mapping[str, str]) -> str:
        """The nonce that the DPoP proofs of a public client must carry, as the answer to a proof without one gives it."""
        proof = proofs.dpop(DeviceKey.generate(), "POST", url=f"{self.issuer}/oidc/token", now=datetime.now(UTC))
        plain = self.token_request(client, grant_type="refresh_token", refresh_token="x")
        return self.call(Request("POST", plain.path, {**plain.headers, "DPoP": proof}, plain.body)).headers[
            "dpop-nonce"
        ]

    def introspection(self, client: Mapping[str, str], token: str) -> dict[str, Any]:
        """What a confidential client is told of a token."""
        found: dict[str, Any] = self.call(form("/oidc/introspect", {"token": token, **credentials(client)})).json()
        return found

    def logs(self) -> dict[str, str]:
        """What every process has written, by its name."""
        return {path.stem: path.read_text(errors="replace") for path in sorted(self.var.glob("*.log"))}

    def complaints(self) -> list[str]:
        """Lines of the server's and the worker's logs that no test should cause."""
        found = re.compile(r" (ERROR|CRITICAL) |Traceback|panicked")
        return [
            line
            for name, text in self.logs().items()
            for line in text.splitlines()
            if found.search(line) and name != "inside"
        ]

    def stop(self) -> None:
        """Stop everything, and leave nothing behind."""
        self.inside.stop()
        self.ramet.stop()
        self.database.drop()
        shutil.rmtree(self.var, ignore_errors=True)


def credentials(client: Mapping[str, str]) -> dict[str, str]:
    """What a client proves itself with, in the body."""
    return {name: client[name] for name in ("client_id", "client_secret") if client.get(name)}


_shared: list[Live] = []


@pytest.fixture(scope="session")
def live(request: pytest.FixtureRequest) -> Live:
    """The one live Ramet of this run, whichever folders import this fixture."""
    if not _shared:
        _shared.append(Live(extra=CERTIFICATE_HOST))
        request.config.add_cleanup(_shared[0].stop)
    return _shared[0]
