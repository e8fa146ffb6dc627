"""A person who cannot sign in comes back: two managers vouch, an invitation goes out, and no level rises (RC-1)."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
import time_machine
from django.core.management import CommandError, call_command

from demo.browser import Browser
from derived import clock
from derived.changes import recovery
from derived.errors import Reason
from derived.models import Account, Credential, VouchedRecovery
from derived.rules.lifecycle import LIVING, State
from scim.models import Approval, Person, RoleName
from tests.fixtures.roles import appoint
from tests.fixtures.world import ISSUER, http

if TYPE_CHECKING:
    from tests.fixtures.world import World

pytestmark = pytest.mark.database

ALEX, MONA, OMAR = "alex@example.org", "mona@example.org", "omar@example.org"
WORDS = "Staff card with photo, at the help desk in Building 2"


@pytest.fixture
def managers(world: World) -> tuple[Browser, Browser]:
    """Two identity managers, signed in."""
    desktops = [world.enrolled(name)[1] for name in (MONA, OMAR)]
    for name in (MONA, OMAR):
        appoint(name, RoleName.MANAGER)
    return desktops[0], desktops[1]


def _person(name: str = ALEX) -> Person:
    return Person.objects.select_related("account").get(login_name=name)


def _state(manager: Browser, words: str = WORDS, checked: str = "in_person", name: str = ALEX) -> str:
    """A manager's statement on the person's page; returns the notice."""
    page = manager.get(f"{ISSUER}/console/people/{_person(name).id}")
    form = next(one for one in page.forms() if "words" in one.fields)
    return manager.submit(page, form, values={"checked": checked, "words": words}).words()


def _agree(manager: Browser, name: str = ALEX) -> str:
    """A second manager's agreement."""
    page = manager.get(f"{ISSUER}/console/people/{_person(name).id}")
    form = next(one for one in page.forms() if "agree" in one.buttons)
    return manager.submit(page, form, values={"agree": "yes"}).words()


def test_a_locked_out_person_comes_back(world: World, managers: tuple[Browser, Browser]) -> None:
    """One manager states, another agrees: the roots end, the device stays, and the invitation binds a new root."""
    person, desktop = world.enrolled(ALEX)
    phone = world.device(desktop)
    old = Credential.objects.get(account=_person().account, root=None, kind="password_totp")
    assert "A second manager must agree" in _state(managers[0])
    old.refresh_from_db()
    assert old.state == State.ACTIVE
    assert desktop.get(f"{ISSUER}/devices").path == "/devices"
    page = managers[1].get(f"{ISSUER}/console/people/{_person().id}")
    assert WORDS in page.html
    assert "Face to face" in page.html
    assert f"An invitation goes to {ALEX}" in _agree(managers[1])

    old.refresh_from_db()
    assert (old.state, old.end_reason) == (State.REVOKED, Reason.REPLACED_IN_RECOVERY.value)
    assert desktop.get(f"{ISSUER}/devices").path == "/login"
    assert "being replaced" in world.mails(ALEX)[-2].subject + world.mails(ALEX)[-1].subject
    row = VouchedRecovery.objects.get()
    assert (row.by.partition(":")[0], row.seconded_by.partition(":")[0]) == ("manager", "manager")
    assert row.by != row.seconded_by
    event = _person().account.events.get(kind="account.recovery_vouched")
    assert {**event.body, "commitments": ""} == {"checked": "in_person", "roots": 1, "check": "", "commitments": ""}
    assert event.details.get(name="words").value == WORDS

    back, desktop = world.enrolled(ALEX)
    fresh = Credential.objects.get(account=_person().account, kind="password_totp", state=State.ACTIVE)
    assert (fresh.evidence["bound_by"], fresh.aal) == ("vouched", 2)
    assert back.password != person.password
    assert Credential.objects.get(id=phone.enrolment.credential_id).state in LIVING
    # The permission is used up.
    with pytest.raises(CommandError, match="invited only once"):
        call_command("person", "invite", ALEX)


@pytest.mark.parametrize("again", ["the same manager", "other words", "after a week"])
def test_one_manager_alone_brings_nobody_back(world: World, managers: tuple[Browser, Browser], again: str) -> None:
    """Nothing changes before two managers agree to the same statement within a week."""
    world.enrolled(ALEX)
    _state(managers[0])
    match again:
        case "the same manager":
            _state(managers[0])
        case "other words":
            _state(managers[1], words="He sounded like himself on the telephone", checked="call_back")
        case _:
            Approval.objects.update(at=clock.now() - recovery.LIVES)
            _state(managers[1])
    assert not VouchedRecovery.objects.exists()
    assert Credential.objects.get(account=_person().account).state == State.ACTIVE


@pytest.mark.parametrize("when", ["between the managers", "after both"])
def test_a_source_that_moves_the_address_gains_nothing(
    world: World, managers: tuple[Browser, Browser], when: str
) -> None:
    """A stolen source token: the agreement was to the earlier address, and so was the invitation."""
    world.enrolled(ALEX)
    _state(managers[0])
    if when == "after both":
        _agree(managers[1])
    sent = len(world.mails("thief@example.org", "invit"))
    world.patch(ALEX, {"emails": [{"value": "thief@example.org", "primary": True}]})
    if when == "between the managers":
        page = managers[1].get(f"{ISSUER}/console/people/{_person().id}")
        assert not [one for one in page.forms() if "agree" in one.buttons]
        assert "This address is new since" in page.html
    else:
        with pytest.raises(CommandError):
            call_command("person", "invite", ALEX)
    assert len(world.mails("thief@example.org", "invit")) == sent


def test_a_statement_is_made_anew_for_a_new_address(world: World, managers: tuple[Browser, Browser]) -> None:
    """The one about the address of before waits for nobody, and nobody agrees to their own."""
    world.enrolled(ALEX)
    _state(managers[0])
    world.patch(ALEX, {"emails": [{"value": "new@example.org", "primary": True}]})
    _state(managers[1])
    page = managers[1].get(f"{ISSUER}/console/people/{_person().id}")
    assert not [one for one in page.forms() if "agree" in one.buttons]
    assert "An invitation goes to new@example.org" in _agree(managers[0])


def test_who_may_not(world: World, managers: tuple[Browser, Browser]) -> None:
    """Nobody about themselves, and nobody who never had a way in; too few words change nothing."""
    page = managers[0].get(f"{ISSUER}/console/people/{_person(MONA).id}")
    assert "cannot sign in" not in page.html
    own = f"{ISSUER}/console/people/{_person(MONA).id}/recovery"
    other = managers[0].get(f"{ISSUER}/console/people/{_person(OMAR).id}")
    form = next(one for one in other.forms() if "words" in one.fields)
    form.action = own
    assert managers[0].submit(other, form, values={"checked": "video", "words": WORDS}).status == 409
    world.push("new@example.org")
    page = managers[0].get(f"{ISSUER}/console/people/{_person('new@example.org').id}")
    assert "Send the invitation again" in page.html
    assert "Say how you checked" in _state(managers[0], words="ok", name=OMAR)
    assert not Approval.objects.exists()


def test_the_highest_level_takes_a_check_in_person(
    world: World, managers: tuple[Browser, Browser], monkeypatch: pytest.MonkeyPatch
) -> None:
    """RC-2: at AAL3 and IAL3 no telephone call suffices."""
    world.enrolled(ALEX)
    account = _person().account
    Credential.objects.filter(account=account).update(aal=3)
    Account.objects.filter(id=account.id).update(ial=3)
    page = managers[0].get(f"{ISSUER}/console/people/{_person().id}")
    assert "a confirmed check in person first" in page.html
    with pytest.raises(CommandError, match="in person"):
        call_command("person", "recover", ALEX, "--checked", "call_back", "--because", WORDS)
    monkeypatch.setattr("derived.changes.identity_checks.unused", lambda *_args, **_more: Credential.objects.first())
    assert "A second manager must agree" in _state(managers[0])


def test_command(world: World) -> None:
    """From a terminal; the invitation lives a day, the permission a week."""
    world.enrolled(ALEX)
    with pytest.raises(CommandError, match="8 to 300 characters"):
        call_command("person", "recover", ALEX, "--checked", "video", "--because", "yes")
    call_command("person", "recover", ALEX, "--checked", "video", "--because", WORDS, stdout=io.StringIO())
    link = world.invitation(ALEX)
    assert Browser(http()).get(link).status == 200
    with time_machine.travel(clock.now() + recovery.LIVES):
        with pytest.raises(CommandError):
            call_command("person", "invite", ALEX)
        assert Browser(http()).get(link).status == 410
