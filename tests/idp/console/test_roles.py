"""The console's pages of roles and of their review: by two, with what was typed kept, and nobody on their own."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from derived import clock
from scim.access import roles
from scim.models import EmergencyAccess, Person, Role, RoleName
from scim.people import opening, reviewing
from scim.people.opening import Opening
from tests.fixtures.roles import appoint
from tests.fixtures.world import ISSUER

if TYPE_CHECKING:
    from demo.browser import Browser, Page
    from tests.fixtures.world import World

ALEX, KIM, MONA, OMAR = (f"{name}@example.org" for name in ("alex", "kim", "mona", "omar"))
ROLES, REVIEWS = f"{ISSUER}/console/roles", f"{ISSUER}/console/reviews"


@pytest.fixture
def managers(world: World) -> tuple[Browser, Browser]:
    """Two identity managers, signed in; Alex has no role."""
    world.push(ALEX)
    desktops = [world.enrolled(name)[1] for name in (MONA, OMAR)]
    for name in (MONA, OMAR):
        appoint(name, RoleName.MANAGER)
    return desktops[0], desktops[1]


def _person(name: str = ALEX) -> Person:
    return Person.objects.select_related("account").get(login_name=name)


def _ask(manager: Browser, **typed: str) -> Page:
    page = manager.get(ROLES)
    form = next(one for one in page.forms() if "give" in one.buttons.get("act", []))
    values = {"name": ALEX, "role": "help-desk", "days": "30", "because": "new at the desk", "act": "give", **typed}
    return manager.submit(page, form, values=values)


def _press(manager: Browser, url: str, button: str, value: str, **more: str) -> Page:
    page = manager.get(url)
    form = next(one for one in page.forms() if value in one.buttons.get(button, []))
    return manager.submit(page, form, values={button: value, **more})


@pytest.mark.database
def test_role_is_given_and_ended_by_two(managers: tuple[Browser, Browser]) -> None:
    """RL-5: the page of the first has no button to agree; the second's has; the list names both."""
    mona, omar = managers
    assert "A second person must agree" in _ask(mona).html
    assert not any("agree" in one.buttons.get("act", []) for one in mona.get(ROLES).forms())
    assert not roles.has(_person(), RoleName.HELP_DESK, now=clock.now())
    assert "“new at the desk”" in omar.get(ROLES).html
    assert "Done." in _press(omar, ROLES, "act", "agree").html
    row = Role.objects.get(person=_person(), role=RoleName.HELP_DESK)
    assert (row.given_by, row.seconded_by) == (f"manager:{_person(MONA).id}", f"manager:{_person(OMAR).id}")
    assert timedelta(days=29) < row.until - clock.now() <= timedelta(days=30)
    page = omar.get(ROLES)
    form = next(one for one in page.forms() if one.fields.get("number") == str(row.id))
    assert "second person" in omar.submit(page, form, values={"act": "end", "because": "left the desk"}).html
    assert "Done." in _press(mona, ROLES, "act", "agree").html
    row.refresh_from_db()
    assert row.ended_at is not None
    event = _person().account.events.get(kind="role.ended")
    assert event.details.get(name="because").value == "left the desk"


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"name": "nobody"}, "Nobody has this login name."),
        ({"role": "emergency"}, "Choose a role."),
        ({"days": "366"}, "a number of days from 1 to 365"),
        ({"days": "x"}, "a number of days from 1 to 365"),
        ({"role": "owner"}, "An owner takes the client_id"),
        ({"client": "app"}, "An owner takes the client_id"),
        ({"role": "owner", "client": "app"}, "no application with this client_id"),
        ({"because": "x"}, "Say why"),
        ({"name": MONA, "role": "officer"}, "it is about you"),
        ({"name": OMAR, "role": "auditor"}, "another role that excludes this one"),
    ],
)
def test_what_is_refused_is_told_and_kept(managers: tuple[Browser, Browser], typed: dict[str, str], words: str) -> None:
    """RL-2: nothing is recorded; the page says what is wrong, and has what was typed."""
    page = _ask(managers[0], **typed)
    assert (page.status, words in page.html) == (400, True), page.html
    form = next(one for one in page.forms() if "give" in one.buttons.get("act", []))
    assert form.fields["because"] == typed.get("because", "new at the desk")
    assert "Nothing waits." in managers[1].get(ROLES).html


def test_list_of_roles_has_pages(world: World, managers: tuple[Browser, Browser]) -> None:
    """Fifty on a page, and a link to the rest; an auditor reads them and changes nothing."""
    person, now = _person(), clock.now()
    Role.objects.bulk_create(
        Role(
            person=person, role=RoleName.OWNER, scope=f"app{number}", epoch=person.account.epoch, given_by="operator",
            reason="for a test", since=now, until=now + timedelta(days=1),
        )
        for number in range(60)
    )  # fmt: skip
    first = managers[0].get(ROLES)
    assert (first.html.count("owner of an entitlement of app"), "More roles" in first.html) == (48, True)
    rest = managers[0].get(f"{ROLES}?after={Role.objects.order_by('id')[49].id}")
    assert (rest.html.count("owner of an entitlement of app"), "More roles" in rest.html) == (12, False)
    kim = world.enrolled(KIM)[1]
    appoint(KIM, RoleName.AUDITOR)
    page = kim.get(ROLES)
    assert page.status == 200
    assert [one.action for one in page.forms() if "/console/" in one.action] == []


def test_review_of_roles(world: World, managers: tuple[Browser, Browser]) -> None:
    """EV-9: each decides on the other, with a reason; an auditor reads it and decides nothing."""
    mona, omar = managers
    reviewing.begin(now=clock.now())
    assert "Somebody else decides on your role" in mona.get(REVIEWS).html
    assert "Say why" in _press(mona, REVIEWS, "decision", "keep", because="x").html
    assert "on record" in _press(mona, REVIEWS, "decision", "keep", because="still a manager").html
    assert "on record" in _press(omar, REVIEWS, "decision", "end", because="left the team").html
    assert not roles.has(_person(MONA), RoleName.MANAGER, now=clock.now())
    assert mona.get(REVIEWS).status == 404
    assert "Every role has its decision" in omar.get(REVIEWS).html
    kim = world.enrolled(KIM)[1]
    appoint(KIM, RoleName.AUDITOR)
    reviewing.begin(now=clock.now())
    page = kim.get(REVIEWS)
    assert "identity manager" in page.html
    assert not any("keep" in one.buttons.get("decision", []) for one in page.forms())


@pytest.mark.database
def test_emergency_access_is_reviewed(world: World, managers: tuple[Browser, Browser]) -> None:
    """RL-8: the page says what it is about and how late it is; neither of the two has the form."""
    world.push(KIM)
    wanted = Opening(first=_person(OMAR), second=_person(KIM), hours=4, because="nobody else is here")
    opening.open_access(wanted, now=clock.now() - timedelta(days=2))
    assert "nobody else is here" in managers[0].get(REVIEWS).html
    assert "More than a day has passed" in managers[0].get(REVIEWS).html
    assert "Somebody else reviews your emergency access" in managers[1].get(REVIEWS).html
    _press(managers[0], REVIEWS, "decision", "reviewed", because="one suspension, and it was right")
    row = EmergencyAccess.objects.get()
    assert (row.reviewed_by, row.findings) == (f"manager:{_person(MONA).id}", "one suspension, and it was right")
    assert "No emergency access waits" in managers[0].get(REVIEWS).html
