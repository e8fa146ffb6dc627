"""What time does to requests, by the worker: reminders and escalation once, expired credentials, approving groups."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import time_machine

from derived import clock
from derived.changes import requests
from derived.models import Credential, OutboxRow, Request
from derived.rules.rulebook import Rulebook
from idp.requests import ticks
from scim.access import approving
from scim.models import Group, Membership, Record, RoleName
from tests.fixtures.requesting import ALEX, MONA, SAM, approval, ask, collect, decide, kinds, person, state, with_root
from tests.fixtures.roles import appoint
from tests.fixtures.scim_client import ENTERPRISE

if TYPE_CHECKING:
    from tests.fixtures.world import World

pytestmark = pytest.mark.database


@pytest.fixture
def people(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Alex, whose supervisor is Sam; Mona, a manager; supervisors decide first."""
    world.push(SAM)
    world.push(ALEX, **{ENTERPRISE: {"manager": {"value": world.ids[SAM]}}})
    world.push(MONA)
    appoint(MONA, RoleName.MANAGER)
    with_root()
    monkeypatch.setattr("idp.policies.issuance.rules", lambda: approval("one", approvers=("supervisor",)))
    return world


def test_reminders_and_one_escalation(people: World) -> None:
    """WF-25: a reminder on day one; on day three the managers are asked too, once, by whichever of two workers."""
    row = ask()
    with time_machine.travel(row.created_at + timedelta(days=1, minutes=1), tick=False):
        ticks.tick(now=clock.now())
        ticks.tick(now=clock.now())
        assert (Request.objects.get().reminded, approving.groups_asked(row, now=clock.now())) == (1, ["supervisor"])
        assert len(people.mails(SAM, "Decide on a request")) == 2 * 2  # to two addresses
    with time_machine.travel(row.created_at + timedelta(days=3, minutes=1), tick=False):
        now = clock.now()
        workers = [list(requests.due(now=now)) for _ in range(2)]  # both have found it before either begins
        for found in workers:
            for one in found:
                requests.under_locks_of(one.id, lambda fresh: ticks.look_after(fresh, now=now))
        row.refresh_from_db()
        assert (row.stage, kinds(row).count("request.escalated")) == (1, 1)
        assert approving.groups_asked(row, now=now) == ["supervisor", "manager"]
        assert len(people.mails(MONA, "Decide on a request")) == 2
        assert decide(row, MONA).state == "approved"


def test_worker_ends_what_is_over(people: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """PK-4: a waiting request expires, and a credential that nobody used for a week ends."""
    monkeypatch.setattr("idp.policies.issuance.rules", Rulebook)
    made = collect()
    monkeypatch.setattr("idp.policies.issuance.rules", approval)
    row = ask()
    with time_machine.travel(row.created_at + timedelta(days=8), tick=False):
        ticks.tick(now=clock.now())
        assert state(row) == "expired"
        made.refresh_from_db()
        assert (made.state, made.end_reason) == ("revoked", "expired")
        assert people.mails(ALEX, "The request has ended")
    assert not Credential.objects.filter(state="pending").exists()


def test_group_approves_what_waits(people: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source puts the person into the named group: the worker approves, and the record names the rule."""
    monkeypatch.setattr("idp.policies.issuance.rules", lambda: approval("system", approving_group="hr/Phones"))
    row = ask()
    ticks.tick(now=clock.now())
    assert state(row) == "waiting"
    record, now = Record.objects.get(person=person()), clock.now()
    group = Group.objects.create(
        source=record.source, display_name="Phones", display_name_fold="phones", created_at=now, updated_at=now
    )
    Membership.objects.create(group=group, record=record, added_at=now)
    ticks.tick(now=now)
    row.refresh_from_db()
    assert (row.state, row.rule.partition("@")[0]) == ("approved", "group:hr/Phones")
    assert collect()
    assert OutboxRow.objects.filter(kind="request.changed", payload__state="approved").exists()
