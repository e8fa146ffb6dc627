"""`manage.py` and `ramet`: they find their Python, tell their version, and name a bad or unknown variable."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import call_command

from demo.server import PROJECT
from idp.config import Config

if TYPE_CHECKING:
    from pathlib import Path

PREFIX = "RAMET_"


def run(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAMET_")}
    return subprocess.run(
        command, env={**environment, **variables}, capture_output=True, text=True, timeout=60, check=False, cwd="/"
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the scripts, with an environment whose Python tells how it was called."""
    bin_folder = tmp_path / ".venv" / "bin"
    bin_folder.mkdir(parents=True)
    shutil.copy(PROJECT / "manage.py", tmp_path)
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    shutil.copy(PROJECT / "deploy" / "ramet", bin_folder)
    python = bin_folder / "python"
    python.write_text('#!/bin/sh\necho "own python: $*"\n')
    python.chmod(0o755)
    return tmp_path


def test_manage_py_finds_the_python_of_its_environment(checkout: Path) -> None:
    """The system's Python has none of the libraries, and need not be told of the one that has."""
    system_python = str(getattr(sys, "_base_executable", sys.executable))
    done = run(system_python, str(checkout / "manage.py"), "person", "list")
    assert done.stdout.split() == ["own", "python:", str(checkout / "manage.py"), "person", "list"], done.stderr
    assert os.access(PROJECT / "manage.py", os.X_OK)
    shutil.rmtree(checkout / ".venv")
    done = run(system_python, "-I", str(checkout / "manage.py"), "person", "list")
    assert (done.returncode, "Run: make setup" in done.stderr, "Traceback" in done.stderr) == (1, True, False)


def test_ramet_is_manage_py_from_any_folder(checkout: Path) -> None:
    """Also through a link in a folder of the PATH."""
    link = checkout / "ramet"
    link.symlink_to(checkout / ".venv" / "bin" / "ramet")
    for command in (checkout / ".venv" / "bin" / "ramet", link):
        done = run(str(command), "mail", "test", "a@b.example")
        assert done.stdout.split()[1:] == [
            "python:",
            str(checkout / ".venv" / "bin" / ".." / ".." / "manage.py"),
            *("mail", "test", "a@b.example"),
        ]


@pytest.mark.parametrize("asked", ["--version", "version"])
def test_version_is_ours(asked: str) -> None:
    """Not Django's, and without any setting."""
    assert run(str(PROJECT / "manage.py"), asked, RAMET_KEK="x").stdout == "ramet 0.1.0\n"


def test_bad_variables_are_named_in_a_line_each(tmp_path: Path) -> None:
    """By the name that the operator wrote, without its value and without a traceback."""
    variables = {"RAMET_KEK": "c2hvcnQ=", "RAMET_LOG_LEVEL": "LOUD", "RAMET_SECURITY_CONTACT": "me"}
    done = run(sys.executable, str(PROJECT / "manage.py"), "check", RAMET_VAR=str(tmp_path), **variables)
    lines = done.stderr.splitlines()
    assert done.returncode == 1
    assert [line.split(": ")[0] for line in lines] == ["ramet"] * 3, done.stderr
    assert {line.split(": ")[1] for line in lines} == set(variables)
    assert "c2hvcnQ=" not in done.stderr


def test_unknown_variable_is_named_by_check(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistyped name would leave the default in force; those of commands and tests are known."""
    near, far = (f"{PREFIX}{name}" for name in ("TRUSTED_PROXY", "ZZZ"))
    for name in (near, far, "RAMET_DEVICE_PASSPHRASE", "RAMET_TEST_RACES", "RAMETTE"):
        monkeypatch.setenv(name, "1")
    told = io.StringIO()
    call_command("check", stdout=told, stderr=told)
    said = told.getvalue()
    assert f"nothing reads {near}\n" in said
    assert "Is it RAMET_TRUSTED_PROXIES?" in said
    assert f"nothing reads {far}" in said
    assert said.count("nothing reads") == 2


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("127.0.0.1", ("127.0.0.1",)),
        ("10.0.0.5,10.0.0.6", ("10.0.0.5", "10.0.0.6")),
        ("10.0.0.5, ::1 ", ("10.0.0.5", "::1")),
        ('["10.0.0.5"]', ("10.0.0.5",)),
        ("unix", ("unix",)),
        ("", ()),
    ],
)
def test_a_list_is_read_as_people_write_it(monkeypatch: pytest.MonkeyPatch, written: str, read: Any) -> None:
    """One address needs no JSON."""
    for name in ("RAMET_TRUSTED_PROXIES", "RAMET_CERTIFICATE_PEERS"):
        monkeypatch.setenv(name, written)
    assert (Config().trusted_proxies, Config().certificate_peers) == (read, read)
