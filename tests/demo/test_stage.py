"""`make run`: it says what it does, and sets up an authority once."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, cast

import pytest
from django.core.management import call_command
from rich.console import Console

from demo import stage
from demo.server import CommandFailed, Ramet
from tests.fixtures.world import ISSUER, http

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.django_db


class InThisProcess:
    """A Ramet whose commands run here, or fail."""

    issuer = ISSUER

    def __init__(self, *, fails: bool = False) -> None:
        self.commands: list[tuple[str, ...]] = []
        self._fails = fails

    def manage(self, *arguments: str) -> str:
        if self._fails:
            raise CommandFailed(arguments[0])
        self.commands.append(arguments[:2])
        out = io.StringIO()
        call_command(*arguments, stdout=out)
        return out.getvalue()


def staged(folder: Path) -> tuple[stage.Stage, io.StringIO]:
    told = io.StringIO()
    return stage.Stage(folder, 8000, console=Console(file=told, highlight=False, soft_wrap=True)), told


def test_run_sets_up_a_development_authority_once(tmp_path: Path) -> None:
    """/.well-known/est/cacerts answers afterwards, so that a certificate can be tried."""
    (demo, told), ramet = staged(tmp_path), InThisProcess()
    with http() as agent:
        assert agent.get("/.well-known/est/cacerts").status_code == 503
        for _ in range(2):
            stage._set_up_authority(demo, cast("Ramet", ramet), agent)
        assert agent.get("/.well-known/est/cacerts").status_code == 200
    assert ramet.commands == [("ca", "init")]
    assert "a development authority for certificates" in told.getvalue()
    assert (tmp_path / "demo-authority" / "root-passphrase").stat().st_mode & 0o777 == 0o600


def test_run_tells_a_step_before_it_begins(tmp_path: Path) -> None:
    """The first step that takes seconds is not silent, and each failure is seen beside what was being done."""
    demo, told = staged(tmp_path)
    with pytest.raises(CommandFailed):
        stage._start_everything(demo, cast("Ramet", InThisProcess(fails=True)))
    assert told.getvalue().splitlines()[-1] == "The database is brought up to date …"
