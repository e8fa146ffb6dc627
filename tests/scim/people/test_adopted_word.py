"""Before adoption a source changes nobody, and many endings are held (rulings 27 and 28)."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from django.core import mail
from django.core.management import CommandError, call_command

from derived import clock
from derived.changes import suspend
from derived.errors import Refused
from derived.ledger import audit
from derived.models import AccountStatus, Credential
from scim.access import belonging, entitlements
from scim.models import Person, Record, RoleName, Source
from scim.people import brake, candidates, held, matching, provision, returns
from scim.protocol import trust
from tests.fixtures import ledger_rows
from tests.fixtures.roles import appoint, manager
from tests.fixtures.scim_client import ASSURANCE, ENTERPRISE, GROUP, Scim, user
from tests.fixtures.world import ISSUER

if TYPE_CHECKING:
    from pathlib import Path

    from demo.browser import Browser
    from tests.fixtures.world import World

ALEX = "alex@example.org"
pytestmark = pytest.mark.database

_OFF = {"op": "replace", "path": "active", "value": False}
_ON = {"op": "replace", "path": "active", "value": True}


def _person(name: str = ALEX) -> Person:
    return Person.objects.select_related("account").get(login_name=name)


def _numbered(number: str, **more: Any) -> dict[str, Any]:
    return {ENTERPRISE: {"employeeNumber": number, **more}}


@pytest.fixture
def alex(world: World) -> Browser:
    """Alex of HR with the employee number 7, signed in; records are joined by that number."""
    matching.add_rule("employeeNumber", now=clock.now())
    world.push(ALEX, title="Clerk", **_numbered("7", department="Roads"))
    return world.enrolled(ALEX)[1]


@pytest.fixture
def second(db: None) -> Scim:
    """A second source, trusted for everything that can be trusted."""
    return Scim(provision.register_source("second", now=clock.now(), precedence=1, vouched_ial=3)[1])


def _works(desktop: Browser) -> bool:
    return desktop.get(f"{ISSUER}/devices").path == "/devices"


# --- the adopted word -------------------------------------------------------------------------------------------------


def test_a_guessed_number_reaches_nobody(world: World, alex: Browser, second: Scim) -> None:
    """A record joined to an account in use moves no name, title, address or level, and its `active: false` ends
    nobody.
    """
    before = _person()
    record = second.create("owned", title="Boss", **_numbered("7"))
    assert Record.objects.get(id=record).person_id == before.id
    second.patch(record, {"op": "replace", "path": "title", "value": "Owner"}, _OFF)
    after = _person()
    assert (after.profile, after.addresses(), after.account.ial) == (before.profile, before.addresses(), 2)
    assert after.account.status == AccountStatus.ACTIVE
    assert _works(alex)
    second("DELETE", f"/Users/{record}")
    assert _works(alex)


def test_no_rule_and_no_group_counts_a_record_that_is_not_adopted(world: World, alex: Browser, second: Scim) -> None:
    """A department and a group of the second source open nothing until two managers have adopted its record."""
    app = world.app()
    entitlements.add_rule(app.client_id, "attribute", "department=Treasury", now=clock.now())
    record = second.create("owned", **_numbered("7", department="Treasury"))
    group = second("POST", "/Groups", {"schemas": [GROUP], "displayName": "Pay", "members": [{"value": record}]})[1]
    assert not entitlements.may_enter(_person(), app.client_id, now=clock.now())
    assert belonging.groups_of(_person()) == frozenset()
    row = Record.objects.select_related("person", "source").get(id=record)
    mona, omar = manager("mona"), manager("omar")
    assert [returns.adopt(row, now=clock.now(), actor=one) for one in (mona, mona, omar)] == [False, False, True]
    assert entitlements.may_enter(_person("owned"), app.client_id, now=clock.now())
    assert belonging.groups_of(_person("owned")) == {group["id"]}
    assert audit.verify(_person("owned").account) is None


def test_the_operator_can_say_that_a_source_adopts(world: World, alex: Browser, second: Scim) -> None:
    """With `--adopts employeeNumber` a record that is joined by it counts at once, and by no other identifier."""
    call_command("source", "set", "second", "--adopts", "employeeNumber", stdout=io.StringIO())
    second.create("chosen", title="Boss", **_numbered("7"))
    assert _person("chosen").profile["title"] == "Boss"
    call_command("source", "set", "second", "--adopts", "userName", stdout=io.StringIO())
    world.push("bo@example.org", title="Clerk", **_numbered("8"))
    world.enrolled("bo@example.org")
    second.create("guessed", title="Boss", **_numbered("8"))
    assert Person.objects.get(user_name="bo@example.org").profile["title"] == "Clerk"
    call_command("source", "set", "second", "--adopts", "none", stdout=io.StringIO())
    assert Source.objects.get(name="second").adopts == []


def test_the_default_source_may_neither_end_nor_activate(db: None) -> None:
    """`source add` gives a directory without `active`, and precedence must be said."""
    out = io.StringIO()
    with pytest.raises(CommandError, match="precedence"):
        call_command("source", "add", "club")
    call_command("source", "add", "club", "--precedence", "50", "--json", stdout=out)
    token = json.loads(out.getvalue())["token"]
    assert trust.ACTIVE not in Source.objects.get(name="club").trusted_for
    person = Record.objects.get(id=Scim(token).create("squatter")).person
    assert (person.login_name, person.account.status) == (None, AccountStatus.TERMINATED)


def test_whoever_takes_a_name_first_is_told_to_the_second(world: World, second: Scim) -> None:
    """A squatter of a login name: the real joiner's source gets 409 and a reason, nothing half-written stays."""
    second.create("new.director")
    people = Person.objects.count()
    answer = world.scim("POST", "/Users", user("new.director"))
    assert (answer.status_code, answer.json()["scimType"]) == (409, "uniqueness")
    assert "namespace" in answer.json()["detail"]
    assert Person.objects.count() == people
    call_command("source", "set", "hr", "--namespace", "staff", stdout=io.StringIO())
    assert world.scim("POST", "/Users", user("new.director")).status_code == 201
    assert Person.objects.filter(login_name="staff/new.director").exists()


def test_no_source_takes_a_name_in_the_namespace_of_another(world: World, second: Scim) -> None:
    """`staff/…` belongs to the source with that namespace; a record that has such a name already can still end."""
    early = second.create("staff/early")
    call_command("source", "set", "hr", "--namespace", "staff", stdout=io.StringIO())
    status, answer = second("POST", "/Users", user("Staff/joe"))
    assert (status, answer["scimType"]) == (409, "uniqueness")
    assert second("PUT", f"/Users/{early}", user("staff/early", active=False))[0] == 200
    assert world.scim("POST", "/Users", user("joe")).status_code == 201
    assert Person.objects.filter(login_name="staff/joe").exists()


def test_disabling_a_source_takes_its_word_back(world: World, alex: Browser, second: Scim) -> None:
    """The rehearsal shows who would end and what would change, and writes nothing; with --yes it is done."""
    Source.objects.filter(name="second").update(adopts=[trust.EMPLOYEE_NUMBER])
    second.create("chosen", title="Boss", **_numbered("7"))
    second.create("alone")
    out = io.StringIO()
    call_command("source", "disable", "second", "--json", stdout=out)
    shown = json.loads(out.getvalue())
    assert (shown["done"], shown["would_end"], shown["would_change"]) == (False, 1, 1)
    assert shown["would_end_names"] == ["alone"]
    assert _person("chosen").profile["title"] == "Boss"
    call_command("source", "disable", "second", "--yes", stdout=io.StringIO())
    back = _person()
    assert (back.profile["title"], back.account.status) == ("Clerk", AccountStatus.ACTIVE)
    assert Person.objects.get(user_name="alone").account.status == AccountStatus.TERMINATED
    call_command("source", "enable", "second", stdout=io.StringIO())
    assert _person("chosen").profile["title"] == "Boss"
    assert Person.objects.get(user_name="alone").account.status == AccountStatus.TERMINATED, "it waits for a manager"


# --- a return ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["with the end", "between", "with the return", "before the end"])
def test_a_stolen_token_brings_nobody_back_at_another_address(world: World, alex: Browser, when: str) -> None:
    """`active: false`, another address, `active: true` with If-Match: nobody is invited, and a manager is asked."""
    hr, record = Scim(world.token), world.ids[ALEX]
    thief = {"op": "replace", "path": "emails", "value": [{"value": "thief@evil.example", "primary": True}]}
    if when == "before the end":
        hr.patch(record, thief)
    hr.patch(record, *([thief] if when == "with the end" else []), _OFF)
    if when == "between":
        hr.patch(record, thief)
    back = [thief] if when == "with the return" else []
    status, _ = hr.patch(record, *back, _ON, If_Match=hr.tag(record))
    assert status == 200
    world.mails()
    assert _person().account.status == AccountStatus.TERMINATED
    assert not [one for one in mail.outbox if "thief@evil.example" in one.to and "nvit" in one.subject]
    assert [one.person.login_name for one in returns.waiting()] == [ALEX]
    closing = [one for one in mail.outbox if "closed" in one.subject]
    assert ALEX in {to for one in closing for to in one.to}, "the former address is told"


_AUTHENTICATOR: dict[str, Any] = {"kind": "password_totp", "state": "active", "aal": 2, "ial": 0}


def _to(address: str) -> dict[str, Any]:
    return {"op": "replace", "path": "emails", "value": [{"value": address, "type": "work", "primary": True}]}


def _invited(address: str) -> bool:
    return any(address in one.to and "nvit" in one.subject for one in mail.outbox)


def test_an_address_that_moves_after_the_return_makes_it_wait(world: World, alex: Browser) -> None:
    """The stolen token ends Alex, brings them back at their own address, and moves it before they enrol again."""
    hr, record = Scim(world.token), world.ids[ALEX]
    hr.patch(record, _OFF)
    hr.patch(record, _ON, If_Match=hr.tag(record))
    assert hr.patch(record, _to("thief@evil.example"))[0] == 200
    world.mails()
    assert _person().account.status == AccountStatus.TERMINATED
    assert not _invited("thief@evil.example")
    hr.patch(record, _OFF)
    hr.patch(record, _ON, If_Match=hr.tag(record))
    hr.patch(record, _ON, If_Match=hr.tag(record))
    world.mails()
    assert _person().account.status == AccountStatus.TERMINATED
    assert not _invited("thief@evil.example"), "saying it twice proves nothing"
    assert returns.readmit(_person(), now=clock.now(), actor="operator")
    assert _person().account.status == AccountStatus.ACTIVE


def test_an_address_of_another_source_makes_the_return_wait(world: World, alex: Browser, second: Scim) -> None:
    """The merged addresses count: a directory moves them after HR's end, and HR's return is honest."""
    hr, record = Scim(world.token), world.ids[ALEX]
    other = second.create(ALEX, **_numbered("7"))
    assert returns.adopt(Record.objects.get(id=other), now=clock.now(), actor="operator")
    with time_machine.travel(clock.now() + timedelta(days=60)):
        hr.patch(record, _OFF)
        second.patch(other, _to("thief@evil.example"))
        hr.patch(record, _ON, If_Match=hr.tag(record))
        world.mails()
        assert _person().account.status == AccountStatus.TERMINATED
        assert not _invited("thief@evil.example")


def test_a_rule_takes_no_joiner_into_another_sources_account(world: World, alex: Browser, second: Scim) -> None:
    """HR's joiner keeps the account when another source's enrolled person is given the joiner's number, or HR's is."""
    joe = world.push("joe@example.org", **_numbered("77"))
    stolen = second.create("partner", **_numbered("9"))
    thief = Record.objects.get(id=stolen).person.account
    ledger_rows.recorded(thief, **_AUTHENTICATOR)
    before = Record.objects.get(id=joe).person_id
    second.patch(stolen, {"op": "replace", "value": _numbered("77")})
    found = Record.objects.get(id=joe)
    assert (found.person_id, found.adopted, found.person.login_name) == (before, True, "joe@example.org")
    assert found.person.account.status == AccountStatus.ACTIVE
    assert [one.why for one in matching.waiting()] == [candidates.LOSES_JOINER]
    hr = Scim(world.token)
    late = world.push("late@example.org")
    second.create("squatter", **_numbered("88"))
    hr.patch(late, {"op": "add", "value": _numbered("88")})
    assert Record.objects.get(id=late).person.login_name == "late@example.org"
    assert Record.objects.get(id=late).person.account.status == AccountStatus.ACTIVE


def test_managers_hear_of_a_joiner_whose_record_waits(world: World, alex: Browser, second: Scim) -> None:
    """Another source has pushed the number first: HR's record waits for its adoption, and every manager gets a mail."""
    appoint(ALEX, RoleName.MANAGER)
    second.create("squatter", **_numbered("88"))
    world.push("kim@example.org", **_numbered("88"))
    assert ALEX in {one.to[0] for one in world.mails(subject="waits for a decision")}


def test_an_honest_versioned_return_waits_for_nobody(world: World, alex: Browser) -> None:
    """The same addresses as long before the end, and a version: the person is back and invited, as before."""
    hr, record = Scim(world.token), world.ids[ALEX]
    hr.patch(record, _OFF)
    hr.patch(record, _ON, If_Match=hr.tag(record))
    assert _person().account.status == AccountStatus.ACTIVE


def test_addresses_that_settled_before_the_end_may_return(world: World, alex: Browser) -> None:
    """A change of address 31 days before the end is no longer suspicious."""
    hr, record = Scim(world.token), world.ids[ALEX]
    hr.patch(record, {"op": "replace", "path": "emails", "value": [{"value": "new@example.org", "primary": True}]})
    with time_machine.travel(clock.now() + timedelta(days=31)):
        hr.patch(record, _OFF)
        hr.patch(record, _ON, If_Match=hr.tag(record))
        assert _person().account.status == AccountStatus.ACTIVE


# --- two managers -----------------------------------------------------------------------------------------------------


def test_readmission_and_joins_take_two_managers(world: World, alex: Browser, second: Scim) -> None:
    """RL-10: the same manager twice is one; approvals older than a week are none; unused accounts need two as well."""
    hr, record = Scim(world.token), world.ids[ALEX]
    hr.patch(record, _OFF)
    hr.patch(record, _ON)
    person, now = _person(), clock.now()
    mona, omar = manager("mona"), manager("omar")
    assert not returns.readmit(person, now=now, actor=mona)
    assert not returns.readmit(person, now=now, actor=mona)
    late = now + timedelta(days=8)
    with time_machine.travel(late):
        assert not returns.readmit(person, now=late, actor=omar)
        assert returns.readmit(person, now=late, actor=mona)
    assert _person().account.status == AccountStatus.ACTIVE
    other = Record.objects.select_related("person").get(id=second.create("other"))
    assert matching.join(other, person, now=clock.now(), actor=mona) is None
    assert Record.objects.get(id=other.id).person_id != person.id
    assert matching.join(other, person, now=clock.now(), actor=omar) is not None
    assert not Record.objects.get(id=other.id).adopted
    fresh = Record.objects.select_related("person").get(id=second.create("fresh"))
    world.push("unused@example.org")
    unused = Person.objects.get(login_name="unused@example.org")
    assert matching.join(fresh, unused, now=clock.now(), actor=mona) is None
    assert matching.join(fresh, unused, now=clock.now(), actor=omar) is not None


# --- the brake --------------------------------------------------------------------------------------------------------


def _many(world: World, count: int) -> list[str]:
    return [world.push(f"p{number}@example.org") for number in range(count)]


def _statuses() -> list[str]:
    return list(Person.objects.order_by("created_at", "id").values_list("account__status", flat=True))


@pytest.mark.parametrize("road", ["patch", "put", "delete", "bulk", "file"])
def test_beyond_ten_an_hour_people_are_held(world: World, tmp_path: Path, road: str) -> None:
    """The eleventh and later leavers of an hour are suspended at once, and end only when a manager says so."""
    ids, hr = _many(world, 14), Scim(world.token)
    match road:
        case "patch":
            for one in ids:
                assert hr.patch(one, _OFF)[0] == 200
        case "put":
            for number, one in enumerate(ids):
                assert hr("PUT", f"/Users/{one}", user(f"p{number}@example.org", active=False))[0] == 200
        case "delete":
            for one in ids:
                assert hr("DELETE", f"/Users/{one}")[0] == 204
        case "bulk":
            operations = [
                {"method": "PATCH", "path": f"/Users/{one}", "data": {"schemas": [_PATCH], "Operations": [_OFF]}}
                for one in ids
            ]
            assert hr("POST", "/Bulk", {"schemas": [_BULK], "Operations": operations})[0] == 200
        case _:
            (tmp_path / "people.csv").write_text("userName\nnew@example.org\n")
            call_command("source", "import", str(tmp_path / "people.csv"), "--source", "hr", "--complete", "--json")
    states = [one for one in _statuses() if one != "active"]
    assert (states.count("terminated"), states.count("suspended")) == (10, 4)
    assert held.waiting("hr").count() == 4


_PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
_BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"


def test_five_percent_of_a_large_source_may_leave(world: World) -> None:
    """The limit is the larger of ten people and five percent; after an hour it begins anew.

    People of the last week do not count: the bearer of a stolen token could push them first.
    """
    with time_machine.travel(clock.now() - timedelta(days=8)):
        ids, hr = _many(world, 12), Scim(world.token)
    for number in range(40):
        world.push(f"new{number}@example.org")
    Source.objects.update(brake_count=2, brake_percent=25)
    for one in ids[:5]:
        hr.patch(one, _OFF)
    assert _statuses().count("terminated") == 3
    assert _statuses().count("suspended") == 2
    with time_machine.travel(clock.now() + timedelta(hours=1, seconds=1)):
        hr.patch(ids[6], _OFF)
        assert _statuses().count("terminated") == 4
        brake.delete_counted(now=clock.now())


def test_a_held_person_can_do_nothing_and_is_given_back_whole(world: World, alex: Browser) -> None:
    """Suspended at once: the session stops. Given back: everything works again, and the same push ends for good."""
    hr, record = Scim(world.token), world.ids[ALEX]
    Source.objects.update(brake_count=0, brake_percent=0)
    assert hr.patch(record, _OFF)[0] == 200
    assert not _works(alex)
    assert hr("GET", f"/Users/{record}")[1]["active"] is False, "the source reads its own word"
    hr.patch(record, {"op": "replace", "path": "title", "value": "x"})
    hr.patch(record, _ON)
    assert not _works(alex), "only a manager gives a held person back"
    hr.patch(record, _OFF)
    call_command("held", "give-back", "--name", ALEX, stdout=io.StringIO())
    assert _works(alex)
    hr.patch(record, {"op": "replace", "path": "title", "value": "y"})
    assert _works(alex), "another attribute does not end them"
    whole = world.scim("GET", f"/Users/{record}").json()
    assert hr("PUT", f"/Users/{record}", {**whole, "title": "z"})[0] == 200
    assert not _works(alex), "stated again beside another change, it counts"
    call_command("held", "give-back", "--name", ALEX, stdout=io.StringIO())
    assert _works(alex)
    Source.objects.update(brake_count=10, brake_percent=5)
    hr.patch(record, _OFF)
    assert not _works(alex)
    assert _person().account.status == AccountStatus.TERMINATED
    assert audit.verify(_person().account) is None


def test_a_held_person_stays_held_until_a_manager_decides(world: World, alex: Browser) -> None:
    """Neither the operator's resume, nor the source that clears its own suspension, undoes the hold."""
    hr, record = Scim(world.token), world.ids[ALEX]
    Source.objects.update(brake_count=0, brake_percent=0, trusted_for=sorted(trust.KNOWN))
    status = f"{ASSURANCE}:status"
    hr.patch(record, {"op": "replace", "path": status, "value": "suspended"})
    hr.patch(record, _OFF)
    assert held.waiting().count() == 1
    with pytest.raises(CommandError, match="held"):
        call_command("person", "resume", ALEX)
    hr.patch(record, _ON, {"op": "replace", "path": status, "value": "active"}, If_Match=hr.tag(record))
    assert not _works(alex)
    assert _person().account.status == AccountStatus.SUSPENDED
    suspend.resume(_person().account, now=clock.now(), actor="somebody")
    hr.patch(record, _OFF)
    assert _person().account.status == AccountStatus.SUSPENDED, "each later ending suspends again"
    hr("DELETE", f"/Users/{record}")
    assert not _works(alex)


@pytest.mark.parametrize("decision", ["end", "give-back"])
def test_making_many_ineligible_is_braked(world: World, alex: Browser, decision: str) -> None:
    """`eligible: false` ends derived credentials for good, so it counts, and beyond the limit the person is held."""
    hr, record = Scim(world.token), world.ids[ALEX]
    Source.objects.update(brake_count=0, brake_percent=0, trusted_for=sorted(trust.KNOWN))
    world.device(alex)
    phones = Credential.objects.filter(account=_person().account, kind="device_key")
    eligible = f"{ASSURANCE}:eligible"
    hr.patch(record, {"op": "replace", "path": eligible, "value": False})
    assert (_person().account.status, phones.get().state) == (AccountStatus.SUSPENDED, "pending")
    assert not _works(alex)
    call_command("held", decision, "--name", ALEX, stdout=io.StringIO())
    assert _works(alex)
    assert phones.get().state == ("revoked" if decision == "end" else "pending")
    hr.patch(record, {"op": "replace", "path": "title", "value": "x"})
    assert _works(alex), "another attribute states nothing anew"
    hr.patch(record, {"op": "replace", "path": eligible, "value": True})
    assert _works(alex)
    hr.patch(record, {"op": "replace", "path": eligible, "value": False})
    assert _works(alex) is (decision == "end"), "stated anew, it counts again where something would end"


def test_an_ending_that_a_rule_carries_is_braked(world: World, alex: Browser, second: Scim) -> None:
    """A source that adopts ends a person by the write that joins its record: it counts against that source."""
    Source.objects.filter(name="second").update(brake_count=0, brake_percent=0, adopts=[trust.EMPLOYEE_NUMBER])
    own = second.create("x")
    second.patch(own, _OFF, {"op": "add", "value": _numbered("7")})
    victim = Record.objects.get(id=world.ids[ALEX]).person
    assert victim.account.status == AccountStatus.SUSPENDED
    assert victim.id in {one.id for one in held.waiting("second")}


def test_a_manager_lets_held_people_end_in_the_console(world: World, alex: Browser) -> None:
    """The console names the source and the people; one decision for all; managers were mailed once."""
    mona = world.enrolled("mona@example.org")[1]
    appoint("mona@example.org", RoleName.MANAGER)
    ids, hr = _many(world, 3), Scim(world.token)
    Source.objects.update(brake_count=0, brake_percent=0)
    for one in ids:
        hr.patch(one, _OFF)
    told = [one.to[0] for one in world.mails("mona@example.org") if "are held" in one.subject]
    assert told == ["mona@example.org", "home.mona@example.org"], "once, at each address"
    page = mona.get(f"{ISSUER}/console/held")
    assert "3 from hr" in page.words()
    form = page.form_with("source")
    assert form is not None
    mona.submit(page, form, values={"decision": "end"})
    assert _statuses().count("terminated") == 3
    assert held.waiting().count() == 0
    with pytest.raises(Refused):
        held.end(_person("p0@example.org"), now=clock.now(), actor=manager("mona"))


def test_a_single_leaver_is_never_delayed(world: World, alex: Browser) -> None:
    """One `active: false` ends in its own transaction."""
    world.deactivate(ALEX)
    assert not _works(alex)
    assert _person().account.status == AccountStatus.TERMINATED
    assert held.waiting().count() == 0


# --- files ------------------------------------------------------------------------------------------------------------


def test_an_empty_complete_file_ends_nobody(world: World, tmp_path: Path) -> None:
    """A header and nothing else is refused; the rehearsal names those who would leave."""
    world.push(ALEX)
    (tmp_path / "empty.csv").write_text("userName,email\n")
    with pytest.raises(CommandError, match="names nobody"):
        call_command("source", "import", str(tmp_path / "empty.csv"), "--source", "hr", "--complete")
    assert _statuses() == ["active"]
    (tmp_path / "one.csv").write_text("userName,email\nbob@example.org,bob@example.org\n")
    out = io.StringIO()
    file = str(tmp_path / "one.csv")
    call_command("source", "import", file, "--source", "hr", "--complete", "--dry-run", "--json", stdout=out)
    assert json.loads(out.getvalue())["would_end"] == [ALEX]
    assert _statuses() == ["active"]


@pytest.mark.parametrize("number", ["1.23457E+11", "1,23457E+11", "1E5", "12e3"])
def test_a_rounded_identifier_is_refused_by_its_line(world: World, tmp_path: Path, number: str) -> None:
    """Two numbers that a spreadsheet rounded to one never join two people."""
    (tmp_path / "people.csv").write_text(f'userName,employeeNumber\nada,"{number}"\nbob,123\n')
    out = io.StringIO()
    call_command("source", "import", str(tmp_path / "people.csv"), "--source", "hr", "--json", stdout=out)
    found = json.loads(out.getvalue())
    assert (found["created"], found["refused"]) == (1, 1)
    assert found["refused_lines"][0]["line"] == 2
    assert "spreadsheet" in found["refused_lines"][0]["why"]
