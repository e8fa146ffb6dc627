"""A backup is restored while the witness stays: nothing is served until an operator accepts it (C90, R17, ruling
30).
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.fixtures.live_server import Inside, Live, Request, cookies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.database
_SECONDS = 60


@pytest.fixture
def server() -> Iterator[Live]:
    """A Ramet of its own, since it is stopped and restored."""
    made = Live(workers=1, threads=2)
    yield made
    made.stop()


class Backup:
    """A copy of the database, made while nothing runs."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._file = live.var / "ramet.sqlite3"
        self._copy()

    def _copy(self) -> None:
        if not self._live.database.server:
            with sqlite3.connect(self._file) as source, sqlite3.connect(self._live.var / "backup") as target:
                source.backup(target)
            return
        self._exchange(f'CREATE DATABASE "{self._name}_backup" TEMPLATE "{self._name}"')

    def restore(self) -> None:
        """Bring the database back to the moment of the copy."""
        if not self._live.database.server:
            for extra in ("-wal", "-shm"):
                self._file.with_name(self._file.name + extra).unlink(missing_ok=True)
            shutil.copy(self._live.var / "backup", self._file)
            return
        self._exchange(
            f'DROP DATABASE "{self._name}" WITH (FORCE)',
            f'ALTER DATABASE "{self._name}_backup" RENAME TO "{self._name}"',
        )

    @property
    def _name(self) -> str:
        return urlsplit(self._live.database.url).path.removeprefix("/")

    def _exchange(self, *statements: str) -> None:
        import psycopg

        with psycopg.connect(self._live.database.server, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)  # type: ignore[call-overload] - names of ours


def manage(live: Live, *words: str, inside: Inside | None = None) -> dict[str, str]:
    """A command of the operator: `output`, and `refused`, the message of a refusal."""
    found: dict[str, str] = (inside or live.inside).ask("manage", words=list(words))
    return found


def mails(live: Live) -> list[str]:
    """The mails that were sent."""
    return sorted(str(path) for path in (live.var / "mail").rglob("*") if path.is_file())


def start(live: Live, *, worker: bool = True) -> None:
    live.ramet.start("serve", "serve", "--port", str(live.port), "--workers", "1", "--threads", "2")
    if worker:
        live.ramet.start("worker", "worker")
    until(lambda: live.call(Request("GET", "/livez")).status == 200)


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        try:
            if is_so():
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise AssertionError("it did not happen in time")


def test_a_restored_backup_serves_nothing_until_it_is_accepted(server: Live) -> None:
    """Leavers of after the backup do not come back, and nothing that was live at the backup is accepted again."""
    stays, leaves = server.people(2)
    desk = server.client()
    tokens = [server.call(server.redemption(desk, person["session"])).json() for person in (stays, leaves)]
    refreshes = [
        server.token_request(desk, grant_type="refresh_token", refresh_token=token["refresh_token"]) for token in tokens
    ]
    page = [Request("GET", "/devices", cookies(person["session"])) for person in (stays, leaves)]
    waiting_code = server.redemption(desk, stays["session"])
    assert server.call(page[1]).status == 200
    server.inside.stop()
    server.ramet.stop()
    backup = Backup(server)

    start(server)
    assert server.call(server.deactivation(leaves)).status == 200
    assert server.call(refreshes[1]).status == 400
    server.ramet.stop()
    backup.restore()
    sent = len(mails(server))

    start(server)
    for request in (*refreshes, *page, waiting_code, server.deactivation(stays), Request("GET", "/oidc/jwks")):
        answer = server.call(request)
        assert answer.status == 503, (request.path, answer.status, answer.text)
    assert server.call(Request("GET", "/readyz")).json()["status"] == "restored"
    assert server.call(Request("GET", "/livez")).status == 200
    assert "older than its witness" in server.logs()["serve"]
    server.inside = Inside(server.ramet)
    assert "older than its witness" in manage(server, "person", "list")["refused"]
    assert "nothing is served" in manage(server, "worker", "--once")["refused"]
    assert "the witness has seen" in manage(server, "audit", "verify")["refused"]
    assert json.loads(manage(server, "restore", "status", "--json")["output"])["standing"] == "older"
    assert len(mails(server)) == sent

    accepted = json.loads(manage(server, "restore", "accept", "--json")["output"])
    assert accepted["generation"] == 2
    assert accepted["endings"] == 1
    assert leaves["username"] in accepted["look_at"]
    until(lambda: server.call(Request("GET", "/readyz")).status == 200)
    for request in refreshes:
        assert server.call(request).status == 400
    for request in page:
        assert server.call(request).status in {302, 303}
    assert server.call(waiting_code).status == 400
    for token in tokens:
        userinfo = Request("GET", "/oidc/userinfo", {"Authorization": f"Bearer {token['access_token']}"})
        assert server.call(userinfo).status == 401
    assert manage(server, "audit", "verify")["refused"] == ""
    ended = json.loads(manage(server, "audit", "show", leaves["account"], "--json")["output"])
    assert ended[-1]["kind"] == "account.terminated"
    assert "account.terminated" not in manage(server, "audit", "show", stays["account"], "--json")["output"]
    assert "nothing to accept" in manage(server, "restore", "accept")["refused"]


def test_a_missing_witness_stops_a_process_that_starts(server: Live) -> None:
    """A database that had a witness is not served without it, until an operator accepts; a first start needs none."""
    folder = server.var / "witness"
    until(lambda: any(folder.glob("*.jsonl")))
    server.ramet.stop()
    shutil.rmtree(folder)
    _age_the_comparison(server)
    start(server)
    assert server.call(Request("GET", "/oidc/jwks")).status == 503
    assert server.call(Request("GET", "/readyz")).json()["status"] == "witness"
    assert not any(folder.glob("*.jsonl"))
    assert manage(server, "restore", "accept")["refused"] == ""
    until(lambda: server.call(Request("GET", "/oidc/jwks")).status == 200)
    assert any(folder.glob("*.jsonl"))


def _age_the_comparison(live: Live) -> None:
    """Let the last comparison be an hour old: in two minutes another process could still hold the witness."""
    statement = "UPDATE derived_ledgerstate SET compared_at = '2026-01-01 00:00:00+00:00'"
    live.inside.ask("execute", sql=statement)


def test_an_ending_reaches_the_witness_at_once(server: Live) -> None:
    """R17: the process that ended the person appends it, without a worker; a restore knows every acknowledged one."""
    person = server.people(1)[0]
    until(lambda: any((server.var / "witness").glob("*.jsonl")))
    server.inside.stop()
    server.ramet.stop()
    start(server, worker=False)
    assert server.call(server.deactivation(person)).status == 200

    def is_witnessed() -> bool:
        texts = [file.read_text() for file in (server.var / "witness").glob("*.jsonl")]
        lines = [json.loads(line) for text in texts for line in text.splitlines()]
        return any(person["account"] in ending for line in lines for ending in line.get("endings", ()))

    began = time.monotonic()
    until(is_witnessed)
    assert time.monotonic() - began < 3


def test_verification_reads_one_moment(server: Live) -> None:
    """People who enrol and end meanwhile are no faults, on PostgreSQL either."""
    stop = threading.Event()
    second = Inside(server.ramet)

    def write() -> None:
        while not stop.is_set():
            server.inside.ask("people", count=1, enrolled=True)

    writer = threading.Thread(target=write)
    server.inside.ask("people", count=50, enrolled=True)
    writer.start()
    try:
        found = [manage(server, "audit", "verify", inside=second)["refused"] for _ in range(10)]
    finally:
        stop.set()
        writer.join()
        second.stop()
    assert found == [""] * 10
