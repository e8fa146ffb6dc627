"""The console: appointed managers only, two factors, freshly signed in; records side by side; every act in the
record (ruling 9, 24).
"""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.core.management import call_command

from demo.browser import Browser
from derived import clock
from derived.models import Credential, Event
from idp.models import AuthenticationEvent
from scim.access import entitlements, requests
from scim.models import Match, MatchState, Person, Record, RoleName
from scim.people import cases, matching, provision, returns
from tests.fixtures.roles import appoint, manager
from tests.fixtures.scim_client import user
from tests.fixtures.world import ISSUER, World, http

ALEX, MONA = "alex@example.org", "mona@example.org"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


def _manager(world: World) -> Browser:
    _, desktop = world.enrolled(MONA)
    appoint(MONA, RoleName.MANAGER)
    return desktop


def _case(world: World) -> Match:
    """Alex at HR, and a second record of HR's directory with the same number, but two people already."""
    matching.add_rule("employeeNumber", now=clock.now())
    world.push(ALEX, **{ENTERPRISE: {"employeeNumber": "7"}, "title": "Clerk"})
    other, _ = provision.register_source("directory", now=clock.now())
    provision.create_user(other, user("am", **{ENTERPRISE: {"employeeNumber": "7"}}), now=clock.now())
    record = provision.create_user(
        other, user("al", title="Boss", **{ENTERPRISE: {"employeeNumber": "7"}}), now=clock.now()
    )
    assert record.person.login_name == "al"
    return matching.waiting().get()


@pytest.mark.database
def test_console_admits_appointed_managers_only(world: World) -> None:
    """Refused: anonymous, a person who is no manager, a dismissed manager, and a manager who was ended and came back
    (C30).
    """
    assert Browser(http()).get(f"{ISSUER}/console").path == "/login"
    _, alex = world.enrolled(ALEX)
    assert alex.get(f"{ISSUER}/console").status == 404
    desktop = _manager(world)
    assert desktop.get(f"{ISSUER}/console").status == 200
    call_command("person", "dismiss", MONA)
    assert desktop.get(f"{ISSUER}/console").status == 404
    appoint(MONA, RoleName.MANAGER)
    world.deactivate(MONA)
    world.reactivate(MONA)
    again = world.enrolled(MONA)[1]
    assert again.get(f"{ISSUER}/console").status == 404


def test_a_sign_in_that_can_be_phished_decides_nothing(world: World) -> None:
    """A manager with a password and a code is asked for a passkey, for reading and for deciding; so is an owner."""
    case, desktop = _case(world), _manager(world)
    page = desktop.get(f"{ISSUER}/console/matches/{case.id}")
    AuthenticationEvent.objects.update(phishing_resistant=False)
    assert desktop.get(f"{ISSUER}/console").path == "/login"
    asked = desktop.submit(page, page.forms()[-1], values={"decision": "apart"})
    assert asked.path == "/login"
    assert "a passkey, a security key or a card" in asked.words()
    case.refresh_from_db()
    assert case.state == MatchState.WAITING
    assert desktop.get(f"{ISSUER}/access/review").path == "/login"


def test_records_are_compared_joined_and_split(world: World) -> None:
    """Both records with what differs; the manager joins them, the record says who did, and it can be split again."""
    case, desktop = _case(world), _manager(world)
    page = desktop.get(f"{ISSUER}/console")
    assert f"/console/matches/{case.id}" in page.html
    page = desktop.get(f"{ISSUER}/console/matches/{case.id}")
    assert {"Clerk", "Boss", "differs"} <= set(page.html.replace("<", " ").replace(">", " ").split())
    second = manager("omar")
    assert cases.join(cases.of(case), now=clock.now(), actor=second) is False
    page = desktop.submit(page, page.forms()[-1], values={"decision": "join"})
    assert page.path == "/console"
    record = Record.objects.select_related("person__account").get(id=case.record_id)
    assert (record.person_id, record.person.login_name, record.person.addresses()[0]) == (case.person_id, ALEX, ALEX)
    event = record.person.account.events.get(kind="person.joined", actor__startswith="manager:")
    assert event.actor == f"manager:{Person.objects.get(login_name=MONA).id}"
    page = desktop.get(f"{ISSUER}/console/matches/{case.id}")
    desktop.submit(page, page.forms()[-1], values={"decision": "split"})
    assert Record.objects.get(id=case.record_id).person_id == case.person_id
    assert matching.split(Match.objects.get(id=case.id), now=clock.now(), actor=second) is not None
    assert Record.objects.get(id=case.record_id).person_id != case.person_id


@pytest.mark.database
def test_decision_needs_a_fresh_login(world: World) -> None:
    """After 20 minutes pages can be read, and no decision is accepted; no decision without the form's token."""
    case, desktop = _case(world), _manager(world)
    page = desktop.get(f"{ISSUER}/console/matches/{case.id}")
    with time_machine.travel(clock.now() + timedelta(minutes=25)):
        assert desktop.get(f"{ISSUER}/console").status == 200
        assert desktop.submit(page, page.forms()[-1], values={"decision": "join"}).path == "/login"
    case.refresh_from_db()
    assert case.state == MatchState.WAITING


def test_decision_to_keep_apart_is_made_once(world: World) -> None:
    """Two people, by two managers: kept apart, and the same form sent again decides nothing."""
    case, desktop = _case(world), _manager(world)
    page = desktop.get(f"{ISSUER}/console/matches/{case.id}")
    assert "second manager" in desktop.submit(page, page.forms()[-1], values={"decision": "apart"}).words()
    case.refresh_from_db()
    assert case.state == MatchState.WAITING
    assert cases.keep_apart(cases.of(case), now=clock.now(), actor=manager("omar"))
    case.refresh_from_db()
    assert (case.state, case.decided_by[:8]) == (MatchState.APART, "manager:")
    assert desktop.submit(page, page.forms()[-1], values={"decision": "join"}).status == 409


def test_managers_do_not_decide_about_themselves(world: World) -> None:
    """A manager neither joins, readmits nor adopts their own records, nor grants their own request."""
    desktop = _manager(world)
    mona = Person.objects.get(login_name=MONA)
    rule = entitlements.add_rule("any", "everyone", by_request=True, now=clock.now())
    wish = requests.request_access(mona, rule, purpose="for me", now=clock.now(), actor=requests.actor_of(mona))
    page = desktop.get(f"{ISSUER}/access/review")
    assert "somebody else decides" in page.html
    world.push(ALEX)
    other = requests.request_access(
        Person.objects.get(login_name=ALEX), rule, purpose="for work", now=clock.now(), actor="operator"
    )
    page = desktop.get(f"{ISSUER}/access/review")
    form = page.form_to(f"/access/review/{other.id}")
    assert desktop.submit(page, form, values={"decision": "approve", "days": "30"}).path == "/access/review"
    assert entitlements.may_enter(Person.objects.get(login_name=ALEX), "any", now=clock.now())
    form.action = f"/access/review/{wish.id}"
    assert desktop.submit(page, form, values={"decision": "approve", "days": "30"}).status == 409
    assert not entitlements.may_enter(mona, "any", now=clock.now())


@pytest.mark.database
def test_person_page_readmits_a_returning_person(world: World) -> None:
    """The profile with its provenance; a person who waits to return is readmitted there."""
    world.push(ALEX, title="Clerk")
    world.deactivate(ALEX)
    assert world.patch(ALEX, {"active": True}).status_code == 200
    desktop = _manager(world)
    assert returns.waiting().count() == 1
    alex = Person.objects.get(login_name=ALEX)
    page = desktop.get(f"{ISSUER}/console/people/{alex.id}")
    assert {"Clerk", "title", "hr"} <= set(page.html.replace("<", " ").replace(">", " ").split())
    assert not returns.readmit(alex, now=clock.now(), actor=manager("omar"))
    page = desktop.submit(page, page.form_to("/readmit"))
    assert page.path == f"/console/people/{alex.id}"
    alex.refresh_from_db()
    assert alex.active


@pytest.mark.database
def test_manager_enables_what_wrong_tries_disabled(world: World) -> None:
    """TH-1, ruling 33: recorded with the manager's name; not for oneself, not for another person's authenticator, and
    once.
    """
    desk = _manager(world)
    person, _ = world.enrolled("alex@example.org")
    row = Credential.objects.get(kind="password_totp", account__person__login_name=person.username)
    url = f"{ISSUER}/console/people/{row.account.person.id}"
    assert "/enable" not in desk.get(url).html
    Credential.objects.filter(kind="password_totp").update(failures=100)
    page = desk.get(url)
    form = page.form_to(f"{row.id}/enable")
    fields = form.fields
    mona = Person.objects.exclude(id=row.account.person.id).get()
    own = Credential.objects.get(account=mona.account)
    assert "/enable" not in desk.get(f"{ISSUER}/console/people/{mona.id}").html
    for path, status in (
        (f"{mona.id}/credentials/{own.id}", 409),
        (f"{mona.id}/credentials/{row.id}", 404),
        (f"{row.account.person.id}/credentials/{own.id}", 404),
    ):
        assert desk._http.post(f"{ISSUER}/console/people/{path}/enable", data=fields).status_code == status
    page = desk.submit(page, form)
    assert "signs in again" in page.words()
    row.refresh_from_db()
    own.refresh_from_db()
    assert (row.failures, own.failures) == (0, 100)
    event = Event.objects.get(kind="credential.enabled")
    assert (event.credential_id, event.actor) == (row.id, f"manager:{mona.id}")
    assert desk._http.post(f"{url}/credentials/{row.id}/enable", data=fields).status_code == 409
