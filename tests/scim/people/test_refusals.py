"""Refused pushes: a leaver in one is still active, so managers hear of it at once and act by a click."""

from __future__ import annotations

import io
import json
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from django.core.management import CommandError, call_command

from derived import clock
from derived.models import AccountStatus, OutboxRow
from idp.signals import worker
from scim.models import RefusedPush, RoleName, Source
from scim.people import refusals
from scim.protocol import trust
from tests.fixtures.roles import appoint
from tests.fixtures.scim_client import CORE, ENTERPRISE, PATCH, Scim, user
from tests.fixtures.scim_records import _record
from tests.fixtures.world import ISSUER

if TYPE_CHECKING:
    from collections.abc import Callable

    from demo.browser import Browser
    from tests.fixtures.world import World

pytestmark = pytest.mark.database

ALEX = "alex@example.org"
MONA = "mona@example.org"
BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
_BAD = {"op": "replace", "path": "salary", "value": 1}


def _leaver(**more: Any) -> dict[str, Any]:
    """A PUT that ends, and is refused for another attribute."""
    return {**user(ALEX), "active": False, "salary": 1, **more}


def _patch(value: Any = "false", path: str | None = "active") -> dict[str, Any]:
    ends = (
        {"op": "Replace", "value": {"active": value}}
        if path is None
        else {"op": "Replace", "path": path, "value": value}
    )
    return {"schemas": [PATCH], "Operations": [ends, _BAD]}


_PUSHES: dict[str, Callable[[Scim, str], int]] = {
    "PUT": lambda scim, one: scim("PUT", f"/Users/{one}", _leaver())[0],
    "PATCH": lambda scim, one: scim("PATCH", f"/Users/{one}", _patch())[0],
    "PATCH, a word": lambda scim, one: scim("PATCH", f"/Users/{one}", _patch("False", "ACTIVE"))[0],
    "PATCH, with URN": lambda scim, one: scim("PATCH", f"/Users/{one}", _patch("no", f"{CORE}:active"))[0],
    "PATCH, without path": lambda scim, one: scim("PATCH", f"/Users/{one}", _patch(0, None))[0],
    "PATCH, as a list": lambda scim, one: scim("PATCH", f"/Users/{one}", _patch([{"value": "False"}]))[0],
    "POST": lambda scim, _: scim("POST", "/Users", _leaver())[0],
    "a duplicate key": lambda scim, one: scim("PUT", f"/Users/{one}", b'{"a":1,"a":2,"active":false}')[0],
    "active twice": lambda scim, one: scim("PUT", f"/Users/{one}", b'{"active":false,"active":true}')[0],
    "no JSON": lambda scim, one: scim("PUT", f"/Users/{one}", b'{"active": false')[0],
    "UTF-16": lambda scim, one: scim("PUT", f"/Users/{one}", json.dumps(_leaver()).encode("utf-16"))[0],
    "another type": lambda scim, one: scim("PUT", f"/Users/{one}", _leaver(), Content_Type="text/plain")[0],
    "too large": lambda scim, one: scim("PUT", f"/Users/{one}", _leaver(title="x" * 2**21))[0],
    "a stale tag": lambda scim, one: scim("DELETE", f"/Users/{one}", If_Match='W/"99"')[0],
    "bulk": lambda scim, one: int(_in_bulk(scim, {"method": "PUT", "path": f"/Users/{one}", "data": _leaver()})),
    "bulk with DELETE": lambda scim, one: int(
        _in_bulk(scim, {"method": "DELETE", "path": f"/Users/{one}", "version": 'W/"99"'})
    ),
}


def _in_bulk(scim: Scim, operation: dict[str, Any]) -> str:
    found = scim("POST", "/Bulk", {"schemas": [BULK], "Operations": [operation]})[1]
    return str(found["Operations"][0]["status"])


@pytest.fixture
def mona(world: World) -> Browser:
    """A signed-in identity manager."""
    desktop = world.enrolled(MONA)[1]
    appoint(MONA, RoleName.MANAGER)
    return desktop


@pytest.fixture
def hr(world: World) -> Scim:
    """The world's source."""
    return Scim(world.token)


def _told(world: World) -> list[str]:
    """The subjects of mails about leavers, once for each mail to all addresses."""
    mails = [one for one in world.mails(MONA) if "still active" in one.subject and one.to == [MONA]]
    return [one.subject for one in mails]


@pytest.mark.parametrize("name", _PUSHES)
def test_a_refused_leaver_is_an_alarm(
    world: World, mona: Browser, hr: Scim, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It changes nothing; one line in the log, managers are mailed at once, the person's page says so."""
    assert mona
    world.push(ALEX)
    record_id = str(_record_id(hr, ALEX))
    with caplog.at_level(logging.WARNING, "scim"):
        assert 400 <= _PUSHES[name](hr, record_id) < 500
    person = _record(record_id).person
    assert person.account.status == AccountStatus.ACTIVE
    lines = [one.getMessage() for one in caplog.records if one.name == "scim.people.refusals"]
    assert len(lines) == 1
    assert "still is. See: manage.py source refused" in lines[0]
    assert ALEX not in lines[0]
    assert [one.person_id for one in refusals.alarms()] == [person.id]
    assert _told(world) == ["A leaver of hr is still active"]
    page = mona.get(f"{ISSUER}/console/people/{person.id}")
    assert "hr said that this person is no longer active" in page.words()


def _record_id(hr: Scim, name: str) -> str:
    return str(hr("GET", f'/Users?filter=userName eq "{name}"')[1]["Resources"][0]["id"])


def test_a_click_suspends_the_leaver(world: World, mona: Browser, hr: Scim) -> None:
    """From the console: the person is suspended, and the alarm is over."""
    world.push(ALEX)
    record_id = _record_id(hr, ALEX)
    hr("PUT", f"/Users/{record_id}", _leaver())
    assert "1 leaver still active" in mona.get(f"{ISSUER}/console").words()
    page = mona.get(f"{ISSUER}/console/refused")
    form = page.form_with("push")
    assert form is not None
    assert "Suspended" in mona.submit(page, form, values={"decision": "suspend"}).words()
    account = _record(record_id).person.account
    assert (account.status, refusals.alarms().count()) == (AccountStatus.SUSPENDED, 0)
    assert account.events.order_by("-seq").first().actor.startswith("manager:")


def test_a_dismissed_alarm_stays_dismissed(world: World, mona: Browser, hr: Scim) -> None:
    """A manager says that the person stays; the same push again is counted, and no alarm."""
    world.push(ALEX)
    record_id = _record_id(hr, ALEX)
    hr("PUT", f"/Users/{record_id}", _leaver())
    page = mona.get(f"{ISSUER}/console/people/{_record(record_id).person_id}")
    form = page.form_with("push")
    assert form is not None
    mona.submit(page, form, values={"decision": "dismiss"})
    hr("PUT", f"/Users/{record_id}", _leaver())
    row = RefusedPush.objects.get()
    assert (row.count, row.settled_by.partition(":")[0], refusals.alarms().count()) == (2, "manager", 0)
    assert _record(record_id).person.account.events.filter(kind="person.refused_ending_dismissed").count() == 1


def _dismiss(manager: Browser, person_id: object) -> None:
    page = manager.get(f"{ISSUER}/console/people/{person_id}")
    form = page.form_with("push")
    assert form is not None
    manager.submit(page, form, values={"decision": "dismiss"})


def test_a_dismissal_covers_a_day(world: World, mona: Browser, hr: Scim) -> None:
    """The source says so again a day later: the alarm waits again, and managers are mailed."""
    world.push(ALEX)
    record_id = _record_id(hr, ALEX)
    hr("PUT", f"/Users/{record_id}", _leaver())
    _dismiss(mona, _record(record_id).person_id)
    with time_machine.travel(clock.now() + timedelta(hours=25)):
        hr("PUT", f"/Users/{record_id}", _leaver())
        row = refusals.alarms().get()
        assert (row.count, row.settled_by) == (2, "")
        assert len(_told(world)) == 2


def test_a_dismissal_of_nobody_covers_nothing(hr: Scim) -> None:
    """Another leaver whom nobody knows looks the same."""
    hr("PATCH", "/Users/0", _patch())
    refusals.dismiss(refusals.alarms().get(), now=clock.now(), actor="operator")
    hr("PATCH", "/Users/0", _patch())
    assert refusals.alarms().get().count == 2


def test_a_leaver_who_is_suspended_waits_until_they_are_resumed(world: World, mona: Browser, hr: Scim) -> None:
    """Nothing of theirs works, so nobody is mailed; the alarm is kept, and shown as soon as they are active again."""
    assert mona
    world.push(ALEX)
    record_id = _record_id(hr, ALEX)
    call_command("person", "suspend", ALEX, stdout=io.StringIO())
    hr("PUT", f"/Users/{record_id}", _leaver())
    assert (refusals.alarms().count(), _told(world)) == (0, [])
    with time_machine.travel(clock.now() + timedelta(days=31)):
        worker.housekeeping(now=clock.now())
        call_command("person", "resume", ALEX, stdout=io.StringIO())
        assert [one.person for one in refusals.alarms()] == [_record(record_id).person]


def test_the_source_ends_the_person_after_all(world: World, mona: Browser, hr: Scim) -> None:
    """The corrected push ends the person, and the alarm with them."""
    assert mona
    world.push(ALEX)
    record_id = _record_id(hr, ALEX)
    hr("PUT", f"/Users/{record_id}", _leaver())
    assert refusals.alarms().count() == 1
    assert hr.patch(record_id, {"op": "replace", "path": "active", "value": False})[0] == 200
    assert refusals.alarms().count() == 0


def test_nobody_is_mailed_twice_a_day_and_a_source_not_without_bound(world: World, mona: Browser, hr: Scim) -> None:
    """Entra repeats for days, and a broken mapping refuses every leaver."""
    assert mona
    ids = []
    for number in range(12):
        world.push(f"p{number}@example.org")
        ids.append(_record_id(hr, f"p{number}@example.org"))
    for one in ids:
        hr("PATCH", f"/Users/{one}", _patch())
        hr("PATCH", f"/Users/{one}", _patch("False"))
    assert refusals.alarms().count() == 12
    assert OutboxRow.objects.filter(kind="push.refused").count() == 10
    with time_machine.travel(clock.now() + timedelta(days=1, hours=1)):
        hr("PATCH", f"/Users/{ids[0]}", _patch())
        assert OutboxRow.objects.filter(kind="push.refused").count() == 11


@pytest.mark.parametrize("why", ["not trusted", "newer version", "deleted", "active", "an unknown attribute"])
def test_what_would_have_ended_nobody_is_no_alarm(hr: Scim, why: str) -> None:
    """It is logged and counted all the same, but for reads."""
    record_id = hr.create("bob", meta={"version": "7"}, active=True)
    match why:
        case "not trusted":
            Source.objects.update(trusted_for=sorted(trust.EVERY - {trust.ACTIVE}))
            hr("PUT", f"/Users/{record_id}", {**user("bob"), "active": False, "salary": 1})
        case "newer version":
            assert (
                hr("PUT", f"/Users/{record_id}", {**user("bob"), "active": False, "meta": {"version": "6"}})[0] == 412
            )
        case "deleted":
            hr("DELETE", f"/Users/{record_id}")
            assert hr("PATCH", f"/Users/{record_id}", _patch())[0] == 404
            assert hr("DELETE", f"/Users/{record_id}")[0] == 404
        case "active":
            hr("PUT", f"/Users/{record_id}", {**user("bob"), "active": True, "salary": 1})
        case _:
            hr("POST", "/Users", {**user("new"), ENTERPRISE: {"active": True}})
    hr("GET", "/Users?filter=salary eq 1")
    assert refusals.alarms().count() == 0
    assert RefusedPush.objects.count() >= 1


def test_a_leaver_whom_nobody_knows(hr: Scim) -> None:
    """A PATCH to an id that was never issued names nobody; that a source has lost its ids is an alarm too."""
    assert hr("PATCH", "/Users/0", _patch())[0] == 404
    assert [one.person for one in refusals.alarms()] == [None]


def test_commands(hr: Scim, capsys: pytest.CaptureFixture[str]) -> None:
    """`source show`, `source refused`, `person show`, and the dismissal by an operator."""
    record_id = hr.create("bob")
    hr("PATCH", f"/Users/{record_id}", {"schemas": [PATCH], "Operations": [_BAD]})
    hr("PUT", f"/Users/{record_id}", {**user("bob"), "active": False, "salary": 1})

    def said(*words: str) -> Any:
        call_command(*words, "--json")
        return json.loads(capsys.readouterr().out)

    shown = said("source", "show", "hr")
    assert (shown["leavers_still_active"], len(shown["refused"])) == (1, 2)
    assert "salary is in no schema" in shown["refused"][0], "the operator hears which attribute it was"
    rows = said("source", "refused", "hr")
    assert [(one["request"], one["leaver"]) for one in rows] == [("PUT Users", "bob"), ("PATCH Users", "")]
    assert len(said("person", "show", "bob")["leaver_refused"]) == 1
    said("source", "refused", "--dismiss", str(rows[0]["number"]))
    assert said("person", "show", "bob")["leaver_refused"] == []
    with pytest.raises(CommandError):
        said("source", "refused", "--dismiss", str(rows[0]["number"]))


def test_rows_are_bounded_and_old_ones_go(hr: Scim, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that errs without end fills no table; what waits for a manager is never deleted."""
    monkeypatch.setattr(refusals, "_MOST", 3)
    record_id = hr.create("bob")
    hr("PUT", f"/Users/{record_id}", {**user("bob"), "active": False, "salary": 1})
    for number in range(6):
        hr("PATCH", f"/Users/{number}", {"schemas": [PATCH], "Operations": [_BAD]})
    assert RefusedPush.objects.filter(ends=False).count() == 3
    with time_machine.travel(clock.now() + timedelta(days=31)):
        worker.housekeeping(now=clock.now())
        assert [one.ends for one in RefusedPush.objects.all()] == [True]
