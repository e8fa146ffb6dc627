"""A full disk refuses sign-ins and issuance, and still ends people (R13): a server on a tmpfs that is filled to the
last byte.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from typing import TYPE_CHECKING

import pytest

from idp.edge import space
from tests.environment import KIND
from tests.fixtures.live_server import Live, Request, form

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.slow]
MIB = 1024 * 1024


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A tmpfs of 192 MiB, in which the live server's folder is made."""
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=192m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if done.returncode != 0:
        pytest.skip("this process may not mount a tmpfs")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """A file that takes all that is free."""
    filler = folder / "filler"
    with filler.open("wb") as file:
        try:
            while True:
                file.write(b"\0" * MIB)
                file.flush()
        except OSError:
            os.truncate(file.fileno(), file.tell())
    return filler


@pytest.mark.skipif(KIND != "sqlite", reason="the reserve is for the disk of SQLite")
def test_an_end_is_acknowledged_on_a_full_disk(small: Path) -> None:
    """Revocation and `active:false` in turn, no sign-in, nothing half-written; and sign-ins again within ten seconds
    of space.
    """
    live = Live(workers=1, threads=4)
    try:
        people, client = live.people(30), live.client()
        assert (live.var / "reserve").stat().st_size == space.RESERVE
        filler = fill(small)
        assert live.call(Request("GET", "/login?next=/devices")).status == 503
        assert live.call(live.token_request(client, grant_type="client_credentials")).status == 503
        for person in people:
            assert live.call(live.deactivation(person)).status == 200
            assert live.call(form("/oidc/revoke", {"token": "x", **client})).status == 200
        assert live.call(Request("GET", "/livez")).status == 200
        assert (live.var / "reserve").stat().st_size == 0
        told = [line for line in live.logs()["serve"].splitlines() if "the disk of the database is full" in line]
        assert len(told) == 1
        filler.unlink()
        until = time.monotonic() + 10
        while live.call(Request("GET", "/login")).status == 503 and time.monotonic() < until:
            time.sleep(0.2)
        assert live.call(Request("GET", "/login")).status == 200
        assert (live.var / "reserve").stat().st_size == space.RESERVE
        shown = [live.ramet.ask("person", "show", person["username"]) for person in (people[0], people[-1])]
        assert [one["account"]["status"] for one in shown] == ["terminated"] * 2
    finally:
        live.stop()


def test_a_disk_without_space_for_a_reserve_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reserve that was never made holds nobody up: the operator is told at the start."""
    here = space.Space(tmp_path)
    monkeypatch.setattr(space, "RESERVE", 1 << 62)
    assert not here.make()
    (tmp_path / "reserve").unlink(missing_ok=True)
    assert not here.is_short()


def test_the_reserve_is_released_once_and_filled_when_there_is_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the two marks the state stays as it is: no flapping."""
    monkeypatch.setattr(space, "RESERVE", 4 * MIB)
    monkeypatch.setattr(space, "LOW", 1 * MIB)
    here, free = space.Space(tmp_path), 100 * MIB
    monkeypatch.setattr(here, "_free", lambda: free)
    assert here.make()
    seen = []
    for free in (100 * MIB, 2 * MIB, MIB // 2, 5 * MIB, 7 * MIB, 2 * MIB, 0):  # noqa: B007 - read by the lambda
        short = here.is_short()
        seen.append((short, (tmp_path / "reserve").stat().st_size))
    full = 4 * MIB
    assert seen == [(False, full), (False, full), (True, 0), (True, 0), (False, full), (False, full), (True, 0)]
