"""`make run`: it says what it does, and sets up an authority once."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest
from django.core.management import call_command
from rich.console import Console

from demo import company, stage
from demo.mailbox import Mailbox
from demo.server import CommandFailed, Ramet
from derived.models import Request
from idp.config import config
from idp.policies import issuance
from scim.models import Role
from tests.fixtures.world import ISSUER, http

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fixtures.world import World

pytestmark = pytest.mark.django_db


class InThisProcess:
    """A Ramet whose commands run here, or fail."""

    issuer = ISSUER

    def __init__(self, *, fails: bool = False, var: Path | None = None) -> None:
        self.var = var
        self.commands: list[tuple[str, ...]] = []
        self._fails = fails

    def ask(self, *arguments: str) -> Any:
        """As `Ramet.ask`."""
        return json.loads(self.manage(*arguments, "--json"))

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


@pytest.mark.database
def test_run_offers_people_with_roles_and_work_for_them(world: World) -> None:
    """Two managers, an officer and an auditor; requests of a supervised person and of another; made once."""
    for name, *_ in company.STAFF:
        world.push(name)
    ramet = InThisProcess(var=config().var)
    made = company.Company(
        cast("Ramet", ramet), httpx.Client(), mailbox=Mailbox(config().var), known={}, say=lambda _words: None
    )
    try:
        for _ in range(2):
            made._organise()
        held = Role.objects.filter(ended_at=None).values_list("person__login_name", "role")
        assert set(held) == set(company.ROLES)
        assert Request.objects.filter(state="waiting").count() == len(company.WAITING)
    finally:
        issuance.path().unlink(missing_ok=True)
