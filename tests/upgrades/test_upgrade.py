"""`manage.py migrate` upgrades a database that commit f38bb16 has filled, and what lived in it lives on.

`tests/data/f38bb16.*` are dumps of such databases (SQLite's `.dump`, `pg_dump --inserts`), and what their people,
apps and source
know. Every secret there was made for this test, and the key encryption key is the one below.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from base64 import b64encode
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from demo.server import PROJECT, Ramet
from tests.environment import KIND
from tests.fixtures.databases import SQLITE_NAME
from tests.fixtures.live_server import Database

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.database, pytest.mark.slow]

DATA = Path(__file__).resolve().parents[1] / "data"
DUMP = DATA / f"f38bb16.{KIND}.sql"
KNOWN = DATA / f"f38bb16.{KIND}.json"
KEK = b64encode(b"a fake key for tests, no secret!").decode()


@pytest.fixture
def before(tmp_path: Path) -> Iterator[Ramet]:
    """A Ramet on a database as f38bb16 has left it."""
    database = Database.made(empty=True)
    if database.url:
        with psycopg.connect(database.url, autocommit=True) as connection:
            connection.execute(DUMP.read_bytes())
    else:
        with closing(sqlite3.connect(tmp_path / SQLITE_NAME)) as connection:
            connection.executescript(DUMP.read_text())
    more = {"RAMET_DATABASE_URL": database.url} if database.url else {}
    yield Ramet(tmp_path, "http://localhost:8000", 8000, {"RAMET_LOG_LEVEL": "WARNING", "RAMET_KEK": KEK, **more})
    database.drop()


def test_database_of_f38bb16_is_upgraded(before: Ramet) -> None:
    """The person signs in, the refresh token refreshes, the phone logs in, SCIM lists, and every audit chain
    verifies.
    """
    before.manage("migrate", "--verbosity", "0")
    assert before.manage("migrate", "--plan").splitlines()[-1].strip() == "No planned migration operations."
    done = subprocess.run(
        [sys.executable, "-m", "tests.upgrades.visit", str(KNOWN)],
        cwd=PROJECT,
        env=before.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout) == {
        "signed in": "/devices",
        "refreshed": 200,
        "refreshed for": "alex@example.org",
        "refresh token rotated": True,
        "phone": True,
        "listed": ["alex@example.org", "bo@example.org", "cleo@example.org", "dana@example.org"],
        "living": 7,
        "ended": 2,
        "certificates": 1,
        "broken before": [],
        "broken after": [],
    }
