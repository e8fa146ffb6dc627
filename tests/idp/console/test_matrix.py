"""RL-1: each role does exactly the acts of the matrix, on every page of the console and by every command.

The expectations are the matrix itself, which tests/scim/access/test_roles.py compares with the contract.
"""

from __future__ import annotations

import io
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import CommandError, call_command
from django.urls import get_resolver

from derived import clock
from derived.errors import Refused
from derived.models import Event
from idp.management import commands
from idp.management.verbs import Noun
from scim.access import roles
from scim.access.roles import Extent, Verb
from scim.models import GIVEN_ROLES, Approval, Person, Role, RoleName
from scim.people import acting, appointing
from scim.people.acting import Act
from scim.people.appointing import Wish
from tests.fixtures.roles import appoint, manager, with_a_key
from tests.fixtures.world import ISSUER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from demo.browser import Browser
    from tests.fixtures.world import World

ALEX, MONA, OMAR = "alex@example.org", "mona@example.org", "omar@example.org"
NOBODY = "00000000-0000-4000-8000-000000000000"
ROLES = [None, *(one for one in GIVEN_ROLES if one != RoleName.OWNER)]


def _person(name: str = ALEX) -> Person:
    return Person.objects.select_related("account").get(login_name=name)


def _become(name: str, role: RoleName | None) -> None:
    Role.objects.filter(person=_person(name)).delete()
    if role is not None:
        appoint(name, role)


def _pages() -> Iterator[tuple[str, dict[str, Verb]]]:
    """Every page of the console that asks the matrix, with a path, and the verb of each method."""
    for pattern in get_resolver().url_patterns:
        if verbs := getattr(pattern.callback, "verbs", None):
            path = str(pattern.pattern)
            for kind, value in (("int", "1"), ("uuid", NOBODY), ("str", "x")):
                while f"<{kind}:" in path:
                    start, _, rest = path.partition(f"<{kind}:")
                    name, _, after = rest.partition(">")
                    path = f"{start}{_person().id if name == 'person_id' else value}{after}"
            yield path, verbs


def _allows(role: RoleName | None, verb: Verb) -> bool:
    return role in roles.MATRIX[verb] and roles.MATRIX[verb][role] != Extent.OWN


@pytest.mark.database
@pytest.mark.parametrize("role", ROLES)
def test_pages_ask_the_matrix(world: World, role: RoleName | None) -> None:
    """RL-1, RL-9: a page that the role does not allow is a 404, for reading and for acting; others answer."""
    world.push(ALEX)
    desktop = world.enrolled(MONA)[1]
    _become(MONA, role)
    token = _token(desktop)
    found = dict(_pages())
    assert len(found) > 12
    for path, verbs in found.items():
        for method, verb in verbs.items():
            status = desktop._http.request(
                method, f"{ISSUER}/{path}", data=token if method == "POST" else None
            ).status_code
            if status == 405:
                continue
            if _allows(role, verb):
                hidden = status == 404 and NOBODY not in path and "/1" not in path
                assert not hidden, (role, method, path, status)
            else:
                assert status == 404, (role, method, path, status)


def _token(desktop: Browser) -> dict[str, str]:
    page = desktop.get(f"{ISSUER}/devices")
    return {"csrfmiddlewaretoken": page.forms()[0].fields["csrfmiddlewaretoken"]}


@pytest.mark.parametrize("act", list(Act))
def test_acts_ask_the_matrix(world: World, act: Act) -> None:
    """RL-1: each act on a person, by page and below it, under the lock; a help desk ends what is lost only."""
    world.enrolled(ALEX)
    desktop = world.enrolled(MONA)[1]
    token, verb, mona = _token(desktop), acting.VERBS[act], _person(MONA)
    for role in ROLES:
        _become(MONA, role)
        extent = roles.MATRIX[verb].get(role) if role else None
        may = extent not in {None, Extent.OWN} and (extent != Extent.LOST or act == Act.LOST)
        answer = acting.allowed(f"manager:{mona.id}", act, _person(), now=clock.now())
        assert (bool(answer), answer.needs_second) == (may, extent == Extent.SECOND), (role, act)
        form = {**token, "act": act.value, "because": "no"}  # too short: nothing is done
        status = desktop._http.post(f"{ISSUER}/console/people/{_person().id}/act", data=form).status_code
        assert (status == 404) == (not may), (role, act, status)
    assert not Event.objects.filter(kind="manager.acted").exists()


def _commands() -> Iterator[Noun]:
    for found in iter_modules(commands.__path__):
        command = import_module(f"{commands.__name__}.{found.name}").Command
        if issubclass(command, Noun):
            yield command()


def _ask(command: Noun, word: str, acting: str = MONA, second: str = "") -> str:
    options: dict[str, Any] = {"acting": acting, "second": second}
    return command._acting(word, options)


def _try(command: Noun, word: str, role: RoleName | None) -> None:
    """One verb of a command, in a role of Mona, while the terminal has to name itself."""
    asked, mona = command.asks.get(word, Verb.CONFIGURE), f"operator:{_person(MONA).id}"
    with pytest.raises(CommandError, match="say who you are"):
        _ask(command, word, acting="")
    if not _allows(role, asked):
        with pytest.raises(CommandError, match="no role of this person"):
            _ask(command, word)
        return
    takes_two = role is not None and roles.MATRIX[asked][role] == Extent.SECOND and word not in command.two_steps
    if takes_two:
        for second in ("", MONA):
            with pytest.raises(CommandError, match=r"two people|another person"):
                _ask(command, word, second=second)
    assert _ask(command, word, second=OMAR if takes_two else "") == mona


@pytest.mark.parametrize("role", ROLES)
def test_commands_ask_the_matrix(world: World, role: RoleName | None) -> None:
    """RL-1, RL-4: every verb of every command: refused without the act, by two where the matrix says so."""
    for name in (ALEX, MONA, OMAR):
        world.push(name)
    appoint(ALEX, RoleName.OPERATOR)
    for name in (MONA, OMAR):
        _become(name, role)
    changes = 0
    for command in _commands():
        for word in command.verbs:
            if word in command.reads:
                assert _ask(command, word, acting="") == "operator"
                continue
            _try(command, word, role)
            changes += 1
    assert changes > 40
    if role == RoleName.OPERATOR:
        agreed = Event.objects.filter(kind="operator.agreed").latest("seq")
        assert agreed.actor == f"operator:{_person(OMAR).id}"
        assert agreed.body["first"] == f"operator:{_person(MONA).id}"


def _give(*words: str) -> str:
    out = io.StringIO()
    call_command("role", "give", *words, "--because", "as the plan of the unit says", stdout=out)
    return out.getvalue()


@pytest.mark.database
def test_roles_are_given_by_two(world: World) -> None:
    """RL-5: the terminal appoints two managers; from then on it asks, and a manager who signs in agrees to that."""
    for name in (ALEX, MONA, OMAR):
        world.push(name)
    assert "Appoint a second manager" in _give(MONA, "manager")
    assert "second" not in _give(OMAR, "manager")
    assert "second person" in _give(ALEX, "auditor")
    assert "second person" in _give(ALEX, "auditor"), "one terminal is no two people"
    assert not roles.has(_person(), RoleName.AUDITOR, now=clock.now())
    wish = Wish.of(appointing.waiting(now=clock.now()).get())
    for name in (MONA, OMAR):
        named = f"operator:{_person(name).id}"
        assert appointing.give(wish, actor=named, now=clock.now()) is None, "two names at a terminal are no two people"
    Approval.objects.exclude(by="operator").delete()
    mona, omar = (f"manager:{_person(name).id}" for name in (MONA, OMAR))
    row = appointing.give(wish, actor=mona, now=clock.now())
    assert row is not None
    assert (row.given_by, row.seconded_by) == ("operator", mona)
    assert not appointing.end(row, because="moves on", actor=mona, now=clock.now())
    assert roles.has(_person(), RoleName.AUDITOR, now=clock.now())
    assert appointing.end(row, because="moves on", actor=omar, now=clock.now())
    assert not roles.has(_person(), RoleName.AUDITOR, now=clock.now())
    events = _person().account.events.filter(kind__startswith="role.").order_by("seq")
    assert [one.kind for one in events] == ["role.given", "role.ended"]
    assert events[0].body["given_by"] == "operator"
    assert not Approval.objects.exists()


def test_nobody_gives_roles_to_themselves(world: World) -> None:
    """A manager makes neither themselves nor a record of theirs an officer; other terms are another wish."""
    for name in (ALEX, MONA):
        world.push(name)
    appoint(MONA, RoleName.MANAGER)
    mona, omar = f"manager:{_person(MONA).id}", manager("omar")
    own = Wish(person=_person(MONA), role=RoleName.OFFICER, reason="of my own")
    with pytest.raises(Refused, match="illegal_move"):
        appointing.give(own, actor=mona, now=clock.now())
    short = Wish(person=_person(), role=RoleName.OFFICER, reason="for the desk", days=7)
    assert appointing.give(short, actor=mona, now=clock.now()) is None
    longer = Wish(person=_person(), role=RoleName.OFFICER, reason="for the desk", days=300)
    assert appointing.give(longer, actor=omar, now=clock.now()) is None
    made = appointing.give(longer, actor=mona, now=clock.now())
    assert made is not None
    assert (made.given_by, made.seconded_by) == (omar, mona)


def test_supervisor_reaches_reports_only(world: World) -> None:
    """RL-1: by a source's word, and for as long: the page of a report, to suspend; no other page, and no other act."""
    for name in (ALEX, OMAR):
        world.push(name)
    desktop = world.enrolled(MONA)[1]
    urn = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
    world.patch(ALEX, {f"{urn}:manager": {"value": str(_person(MONA).records.get().id)}})
    with_a_key(MONA)
    page = desktop.get(f"{ISSUER}/console/people/{_person().id}")
    assert {name for one in page.forms() for name in one.buttons.get("act", [])} == {"suspend", "sign-out"}
    assert desktop.get(f"{ISSUER}/console/people/{_person(OMAR).id}").status == 404
    assert desktop.get(f"{ISSUER}/console").status == 404
    form = next(one for one in page.forms() if "end" not in one.buttons.get("act", []) and "/act" in one.action)
    assert desktop.submit(page, form, values={"act": "end", "because": "left for good"}).status == 404
    assert "Suspended" in desktop.submit(page, form, values={"act": "suspend", "because": "lost the phone"}).html
    world.patch(ALEX, {f"{urn}:manager": {"value": str(_person(OMAR).records.get().id)}})
    assert desktop.get(f"{ISSUER}/console/people/{_person().id}").status == 404


def test_header_leads_to_the_console(world: World) -> None:
    """Whoever may enter has the link on every page; nobody else has."""
    desktop = world.enrolled(MONA)[1]
    assert 'href="/console"' not in desktop.get(f"{ISSUER}/devices").html
    appoint(MONA, RoleName.HELP_DESK)
    assert 'href="/console"' in desktop.get(f"{ISSUER}/devices").html


def test_help_desk_sees_states_only(world: World) -> None:
    """RL-9: a person's page without sources, addresses, records, checks and recovery; the console without cases."""
    world.enrolled(ALEX)
    desktop = world.enrolled(MONA)[1]
    appoint(MONA, RoleName.HELP_DESK)
    page = desktop.get(f"{ISSUER}/console/people/{_person().id}")
    assert "Account active" in page.words().replace("Accountactive", "Account active")
    for hidden in ("Who said what", "Records", "Checks in person", "Notices go to", "cannot sign in", ALEX.upper()):
        assert hidden not in page.html
    offered = {name for one in page.forms() for name in one.buttons.get("act", [])}
    assert offered == {"suspend", "sign-out", "lost"}
    assert "Same person?" not in desktop.get(f"{ISSUER}/console").html
    for path in ("needs", "refused", "held", "deliveries"):
        assert desktop.get(f"{ISSUER}/console/{path}").status == 404
