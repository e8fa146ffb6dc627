"""Many processes that start together agree on one signing key and one development key-encryption key."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from demo.server import PROJECT, Ramet
from tests.fixtures.databases import migrated
from tests.fixtures.live_server import Database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.database, pytest.mark.slow]

MANY = 6
_KEK = """
import hashlib, sys
from idp.config import config
print("ready", flush=True); sys.stdin.readline()
print(hashlib.sha256(config().kek_bytes).hexdigest())
"""
_SIGN = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "idp.settings"
import django; django.setup()
from derived import clock
from idp.keys import keyring
print("ready", flush=True); sys.stdin.readline()
print(keyring().sign({"sub": "x"}, typ="JWT", alg="ES256", now=clock.now()))
"""


@pytest.fixture
def ramet(tmp_path: Path) -> Iterator[Ramet]:
    """A Ramet that nobody has started yet."""
    database = Database.made()
    extra = {"RAMET_LOG_LEVEL": "WARNING", **({"RAMET_DATABASE_URL": database.url} if database.url else {})}
    yield Ramet(tmp_path, "http://127.0.0.1:1", 1, extra)
    database.drop()


def _at_once(ramet: Ramet, program: str) -> list[str]:
    """Start a program many times, let all go at one moment, and collect what each says."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=PROJECT,
            env=ramet.environment(),
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(MANY)
    ]
    for one in started:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n", one.stderr.read() if one.stderr else ""
    for one in started:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    said = [one.communicate(timeout=60) for one in started]
    assert [one.returncode for one in started] == [0] * MANY, said
    return [out.strip() for out, _ in said]


def test_concurrent_starts_make_one_key_encryption_key(ramet: Ramet) -> None:
    """One var/kek, readable by its owner alone, and nothing half-written beside it."""
    assert len(set(_at_once(ramet, _KEK))) == 1
    assert [path.name for path in ramet.var.iterdir()] == ["kek"]
    assert (ramet.var / "kek").stat().st_mode & 0o777 == 0o600


def test_concurrent_starts_make_one_signing_key(ramet: Ramet) -> None:
    """Every one of them signs with the same key, and it is the only one that is published."""
    migrated(ramet)
    tokens = _at_once(ramet, _SIGN)
    kids = {json.loads(_padded(token.split(".")[0]))["kid"] for token in tokens}
    listed = ramet.ask("key", "list")
    assert kids == {one["kid"] for one in listed if one["purpose"] == "tokens"}
    assert len(kids) == 1


def _padded(segment: str) -> bytes:
    from base64 import urlsafe_b64decode

    return urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
