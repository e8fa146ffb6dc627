"""A manager's acts on a person: each with a reason, ending by two, at most twenty people an hour alone (RL-1, RL-6)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from derived import clock
from derived.models import Account, AccountStatus, Credential
from derived.rules.lifecycle import State
from scim.models import ManagerStop, Person, RoleName
from scim.people import acting
from tests.fixtures.roles import appoint, dismiss
from tests.fixtures.world import ISSUER

if TYPE_CHECKING:
    from demo.browser import Browser
    from tests.fixtures.world import World

pytestmark = pytest.mark.database

ALEX, MONA, OMAR = "alex@example.org", "mona@example.org", "omar@example.org"


@pytest.fixture
def managers(world: World) -> tuple[Browser, Browser]:
    """Two identity managers, signed in; the first person of the world is Alex."""
    world.push(ALEX)
    desktops = [world.enrolled(name)[1] for name in (MONA, OMAR)]
    for name in (MONA, OMAR):
        appoint(name, RoleName.MANAGER)
    return desktops[0], desktops[1]


def _person(name: str = ALEX) -> Person:
    return Person.objects.select_related("account").get(login_name=name)


def _do(manager: Browser, act: str, because: str = "Asked for by the security desk", name: str = ALEX) -> str:
    """The act's own form on the person's page; the notice."""
    page = manager.get(f"{ISSUER}/console/people/{_person(name).id}")
    form = next(one for one in page.forms() if act in one.buttons.get("act", []))
    return manager.submit(page, form, values={"act": act, "because": because}).words()


def _offered(manager: Browser) -> set[str]:
    page = manager.get(f"{ISSUER}/console/people/{_person().id}")
    return {name for one in page.forms() for name in one.buttons.get("act", [])}


def test_suspend_and_resume(world: World, managers: tuple[Browser, Browser]) -> None:
    """The page offers what is possible in each state; the reason is in the record."""
    _, desktop = world.enrolled(ALEX)
    assert _offered(managers[0]) == {"suspend", "sign-out", "revoke", "end"}
    assert "Suspended" in _do(managers[0], "suspend")
    assert desktop.get(f"{ISSUER}/devices").path == "/login"
    event = _person().account.events.get(kind="manager.acted")
    assert event.actor == f"manager:{_person(MONA).id}"
    assert event.details.get(name="because").value == "Asked for by the security desk"
    assert _offered(managers[0]) == {"resume", "revoke", "end"}
    assert "Resumed" in _do(managers[1], "resume")
    assert _person().account.status == AccountStatus.ACTIVE


def test_sign_out_and_revoke(world: World, managers: tuple[Browser, Browser]) -> None:
    """Signing out ends sessions only; revoking ends the credential for good."""
    person, desktop = world.enrolled(ALEX)
    assert "Signed out" in _do(managers[0], "sign-out")
    assert desktop.get(f"{ISSUER}/devices").path == "/login"
    row = Credential.objects.get(account=_person().account)
    assert row.state == State.ACTIVE
    assert "no longer works" in _do(managers[0], "revoke")
    row.refresh_from_db()
    assert (row.state, row.end_reason) == (State.REVOKED, "ended_by_manager")
    assert person


def test_invite_again(world: World, managers: tuple[Browser, Browser]) -> None:
    """Only a person without a root; the earlier link no longer works."""
    first = world.invitation(ALEX)
    assert "An invitation goes out" in _do(managers[0], "invite")
    second = world.invitation(ALEX)
    assert first != second
    world.enrolled(ALEX)
    assert "invite" not in _offered(managers[0])


def test_ending_takes_two(world: World, managers: tuple[Browser, Browser]) -> None:
    """The first manager changes nothing, also not twice; the page of the second says that somebody waits."""
    world.enrolled(ALEX)
    for _ in range(2):
        assert "A second person" in _do(managers[0], "end")
    assert _person().account.status == AccountStatus.ACTIVE
    page = managers[1].get(f"{ISSUER}/console/people/{_person().id}")
    assert "waits for a second one: “Asked for by the security desk”" in page.html
    event = _person().account.events.filter(kind="person.approval").latest("seq")
    assert event.details.get(name="because").value == "Asked for by the security desk"
    assert "Ended" in _do(managers[1], "end", "He left on Friday")
    assert _person().account.status == AccountStatus.TERMINATED
    assert _offered(managers[0]) == set()


def test_an_approval_ends_with_its_manager(world: World, managers: tuple[Browser, Browser]) -> None:
    """A dismissed manager's approval completes nothing."""
    world.enrolled(ALEX)
    _do(managers[0], "end")
    dismiss(MONA)
    assert "A second person" in _do(managers[1], "end")


def test_a_newcomer_is_ended_by_two_as_well(managers: tuple[Browser, Browser]) -> None:
    """Also who never had a way to sign in."""
    assert "A second person" in _do(managers[0], "end")
    assert "Ended" in _do(managers[1], "end")


def test_an_approval_is_about_its_person(world: World, managers: tuple[Browser, Browser]) -> None:
    """A form with another's id beside it ends nobody else with a single manager."""
    world.enrolled(ALEX)
    page = managers[0].get(f"{ISSUER}/console/people/{_person(OMAR).id}")
    form = next(one for one in page.forms() if "end" in one.buttons.get("act", []))
    values = {"act": "end", "because": "a reason", "credential": str(_person().id)}
    managers[0].submit(page, form, values=values)
    assert "A second person" in _do(managers[1], "end")


@pytest.mark.parametrize("act", ["suspend", "sign-out", "revoke"])
def test_one_manager_stops_so_many_people_an_hour(world: World, managers: tuple[Browser, Browser], act: str) -> None:
    """RL-6: the twenty-first waits for a second manager, who may do it; another act on the same person is no other."""
    world.enrolled(ALEX)
    actor, now = f"manager:{_person(MONA).id}", clock.now()
    others = [Person(**_like(number)) for number in range(acting.MOST_STOPPED)]
    for one in others:
        one.account.save(force_insert=True)
        one.save(force_insert=True)
        ManagerStop.objects.create(actor=actor, person=one, at=now)
    assert "A second person" in _do(managers[0], act)
    assert Credential.objects.get(account=_person().account).state == State.ACTIVE
    assert "A second person" not in _do(managers[1], act)
    ManagerStop.objects.filter(actor=actor).update(at=now - acting.WINDOW)
    assert "A second person" not in _do(managers[0], "suspend", name=OMAR)


def _like(number: int) -> dict[str, object]:
    return {
        "account": Account(created_at=clock.now()),
        "user_name": f"p{number}",
        "created_at": clock.now(),
        "updated_at": clock.now(),
    }


@pytest.mark.parametrize("what", ["no reason", "oneself", "an unknown act", "another's credential", "no id"])
def test_what_is_refused(world: World, managers: tuple[Browser, Browser], what: str) -> None:
    """Nothing changes, and the answer says why."""
    world.enrolled(ALEX)
    page = managers[0].get(f"{ISSUER}/console/people/{_person().id}")
    form = next(one for one in page.forms() if "revoke" in one.buttons.get("act", []))
    other = Credential.objects.get(account=_person(OMAR).account)
    values = {"act": "suspend", "because": "a reason"}
    match what:
        case "no reason":
            values["because"] = " . "
        case "oneself":
            form.action = f"{ISSUER}/console/people/{_person(MONA).id}/act"
        case "an unknown act":
            values["act"] = "promote"
        case "another's credential":
            values |= {"act": "revoke", "credential": str(other.id)}
        case _:
            values |= {"act": "revoke", "credential": str(uuid4())[:8]}
    answered = managers[0].submit(page, form, values=values)
    assert answered.status in {200, 400, 409}
    assert "Suspended:" not in answered.html
    states = set(Credential.objects.exclude(kind="token_family").values_list("state", flat=True))
    assert states == {State.ACTIVE}
    assert set(Person.objects.values_list("account__status", flat=True)) == {AccountStatus.ACTIVE}
