"""What an https issuer must bring, and the modes of what Ramet writes (R31)."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr, ValidationError

from demo.server import Ramet, free_port
from idp.checks.production import production_is_set_up
from idp.config import Config, config

if TYPE_CHECKING:
    from pathlib import Path

KEK = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
GOOD = {
    "issuer": "https://login.example.org",
    "email_url": SecretStr("smtps://user:password@mail.example.org"),
    "database_url": SecretStr("postgresql://ramet@db.example.org/ramet"),
    "contact": "the identity team, 555-0100",
}


def warned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, **changed: object) -> list[str]:
    for name, value in {**GOOD, "var": tmp_path, **changed}.items():
        monkeypatch.setitem(config().__dict__, name, value)
    return [str(one.id) for one in production_is_set_up()]


def test_a_production_that_is_set_up_gets_no_warning(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert warned(monkeypatch, tmp_path) == []


@pytest.mark.parametrize(
    ("changed", "identifier"),
    [
        ({"email_url": SecretStr("file:")}, "ramet.W070"),
        ({"email_url": SecretStr("console:")}, "ramet.W070"),
        ({"database_url": SecretStr("")}, "ramet.W071"),
        ({"contact": "your identity team"}, "ramet.W072"),
    ],
)
def test_each_default_of_a_trial_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, changed: dict[str, object], identifier: str
) -> None:
    assert warned(monkeypatch, tmp_path, **changed) == [identifier]


def test_a_key_beside_the_database_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "kek").write_text("x")
    assert warned(monkeypatch, tmp_path) == ["ramet.W073"]


@pytest.mark.parametrize("issuer", ["http://localhost:8000", "https://localhost:8443"])
def test_on_loopback_nothing_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, issuer: str) -> None:
    assert warned(monkeypatch, tmp_path, issuer=issuer, email_url=SecretStr("file:")) == []


@pytest.mark.parametrize("host", ["192.168.0.7", "10.1.2.3", "ramet.local", "[fd00::7]"])
def test_a_private_address_is_not_local(host: str) -> None:
    """A server of a local network holds people's keys too: no development key, and no other host names."""
    with pytest.raises(ValidationError, match="RAMET_KEK"):
        Config(issuer=f"https://{host}")
    assert not Config(issuer=f"https://{host}", kek=SecretStr(KEK)).is_local


@pytest.mark.slow
def test_what_is_written_is_the_servers_own(tmp_path: Path) -> None:
    """Umask 077: the database, its log and the development key are readable by nobody else."""
    var = tmp_path / "var"
    port = free_port()
    ramet = Ramet(var, f"http://127.0.0.1:{port}", port)
    var.mkdir(mode=0o755)
    ramet.manage("migrate", "--verbosity", "0")
    ramet.manage("source", "add", "hr", "--precedence", "1")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) & 0o077 for path in var.rglob("*")}
    assert {"kek", "ramet.sqlite3"} <= set(modes)
    assert {name: oct(mode) for name, mode in modes.items() if mode} == {}
