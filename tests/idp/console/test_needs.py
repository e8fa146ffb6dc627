"""Who still needs what: due once a year, kept or ended by somebody else, on record; orphans are named (MT-10)."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.management import call_command

from derived import clock
from derived.changes import access_review, revoke
from derived.errors import Reason
from derived.ledger import audit
from derived.ledger.locking import under_lock
from derived.models import Credential
from scim.models import Person, RoleName, Source
from tests.fixtures.roles import appoint, with_a_key
from tests.fixtures.world import ISSUER, World

ALEX, MONA = "alex@example.org", "mona@example.org"


@pytest.fixture
def world(db: None) -> World:
    found = World()
    _, desktop = found.enrolled(ALEX)
    field = found.phone_app()
    found.device(desktop).login(field.client_id, passphrase="seven mossy stones")
    return found


def _alex() -> Person:
    return Person.objects.select_related("account").get(login_name=ALEX)


def _run(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    capsys.readouterr()
    call_command("review", *words, "--json")
    return json.loads(capsys.readouterr().out)


@pytest.mark.database
def test_access_review_is_due_yearly(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Not in the first year; due after it, with the decision of the rules; kept for a year; a manager ends the
    credential on the page, which has no way of signing in with it.
    """
    assert _run(capsys, "due") == []
    with time_machine.travel(clock.now() + timedelta(days=200)):
        assert [one["person"] for one in _run(capsys, "due", "--days", "90")] == [ALEX]
        _run(capsys, "keep", ALEX)
        assert _run(capsys, "due", "--days", "90") == []
    person, mona = world.enrolled(MONA)
    with time_machine.travel(clock.now() + timedelta(days=570)):
        appoint(MONA, RoleName.MANAGER)  # here, since nobody is a manager for longer than a year
        Credential.objects.update(expires_at=None)
        assert access_review.due(now=clock.now()).count() == 1
        mona = world.signed_in(person)
        with_a_key(MONA)
        page = mona.get(f"{ISSUER}/console/needs")
        assert "Today’s rules would issue it" in page.html or "does not sign in at present" in page.html
        page = mona.submit(page, page.form_to(f"/console/needs/{_alex().id}"), values={"decision": "end"})
        assert (page.path, "Nobody is due" in page.html) == ("/console/needs", True)
    assert not access_review.derived_credentials(_alex().account).exists()
    assert Credential.objects.filter(account=_alex().account, state="active", root=None).exists()
    kinds = list(_alex().account.events.filter(kind="account.reviewed").order_by("seq").values_list("actor", flat=True))
    assert [one.partition(":")[0] for one in kinds] == ["operator", "manager"]
    assert audit.verify(_alex().account) is None


def test_review_shows_the_decision_of_current_rules(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """A person who is not eligible any more by the record alone is shown as such."""
    alex = _alex()
    type(alex.account).objects.filter(id=alex.account_id).update(eligible=False)
    with time_machine.travel(clock.now() + timedelta(days=366)):
        assert "may not hold" in _run(capsys, "due")[0]["objections"][0]
    assert world


@pytest.mark.database
def test_orphans_are_listed(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """A child whose root has ended, and a person whose only source is silent."""
    assert _run(capsys, "orphans") == []
    root = Credential.objects.get(account=_alex().account, root=None, kind="password_totp")
    under_lock(
        _alex().account_id,
        lambda account: revoke.credential(
            root, account=account, because=Reason.REPLACED, now=clock.now(), actor="operator"
        ),
    )
    assert [one["why"] for one in _run(capsys, "orphans")] == ["its root has ended"]
    Source.objects.update(disabled_at=clock.now())
    assert len(_run(capsys, "orphans")) == 2
    assert world
