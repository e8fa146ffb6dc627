"""Records of one person: joined by rule, by a manager, and split; and what a join can never do (ruling 9, C27, C28,
ID-1).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import call_command

from derived import clock
from derived.errors import Refused
from derived.ledger import audit
from derived.models import AccountStatus, Credential, OutboxRow
from scim.models import Match, MatchState, Person, Record, Source
from scim.people import candidates, matching, returns
from scim.protocol import trust
from tests.fixtures import ledger_rows
from tests.fixtures.roles import manager
from tests.fixtures.scim_client import ASSURANCE, ENTERPRISE, Scim, user

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.database

_KEYED = [*trust.EVERY, trust.EMPLOYEE_NUMBER]


def _record(record_id: str) -> Record:
    return Record.objects.select_related("person__account", "source").get(id=record_id)


def _person(record_id: str) -> Person:
    return _record(record_id).person


def _number(number: str) -> dict[str, Any]:
    return {ENTERPRISE: {"employeeNumber": number}}


_DIRECTORY = trust.PRESETS["directory"] | {trust.EMPLOYEE_NUMBER, trust.ACTIVE}


@pytest.fixture
def sources(connect: Callable[..., Scim]) -> tuple[Scim, Scim, Scim]:
    """HR, security and a directory, as their presets have them; joined by the employee number."""
    matching.add_rule("employeeNumber", now=clock.now())
    hr = connect("hr", trusted_for=trust.PRESETS["hr"], precedence=10)
    security = connect("security", trusted_for=trust.PRESETS["security"], precedence=5, vouched_ial=2)
    directory = connect("directory", trusted_for=_DIRECTORY, precedence=20)
    return hr, security, directory


@pytest.fixture
def adopting(sources: tuple[Scim, Scim, Scim]) -> tuple[Scim, Scim, Scim]:
    """The same; the operator said that records joined by the employee number are adopted at once (ruling 27)."""
    Source.objects.update(adopts=[trust.EMPLOYEE_NUMBER])
    return sources


def _enrol(person: Person) -> Credential:
    return ledger_rows.recorded(person.account)


def test_records_of_three_sources_are_one_person(adopting: tuple[Scim, Scim, Scim]) -> None:
    """Three records of one employee number are one person, one account, one login name; each source sees only its
    own (ID-1).
    """
    hr, security, directory = adopting
    ids = [
        hr.create("ada", title="Boss", **_number("7")),
        security.create("X-7", **_number("7"), **{ASSURANCE: {"ial": 2, "proofedBy": "office"}}),
        directory.create("alovelace", nickName="Al", **_number("7")),
    ]
    assert len({_record(one).person_id for one in ids}) == 1
    person = _person(ids[0])
    assert (person.profile["title"], person.profile["nickName"], person.profile[ASSURANCE]["proofedBy"]) == (
        "Boss",
        "Al",
        "office",
    )
    assert person.login_name == "ada"
    assert [len(one.names()) for one in adopting] == [1, 1, 1]
    assert Match.objects.filter(state=MatchState.JOINED, decided_by="rule").count() == 2
    assert OutboxRow.objects.filter(kind="invite").count() == 1
    assert audit.verify(person.account) is None


@pytest.mark.parametrize("same", ["userName", "emails", "name", "externalId"])
def test_names_and_addresses_join_no_records(adopting: tuple[Scim, Scim, Scim], same: str) -> None:
    """Neither a user name, nor an address, nor a name, nor another source's id makes two records one (P33, P36,
    ruling 9).
    """
    hr, _, directory = adopting
    value = {
        "userName": "ada",
        "emails": [{"value": "a@example.org"}],
        "name": {"familyName": "L", "givenName": "A"},
        "externalId": "1",
    }[same]
    first = hr.create("ada", **{same: value} if same != "userName" else {})
    if same == "userName":  # the login name is taken; a source that may activate people is told so
        status, found = directory("POST", "/Users", user("ada"))
        assert (status, found["scimType"]) == (409, "uniqueness")
        assert not Match.objects.exists()
        return
    second = directory.create("other", **{same: value})
    assert _person(first).id != _person(second).id
    assert not Match.objects.exists()


def test_without_a_rule_no_records_are_joined(connect: Callable[..., Scim]) -> None:
    """No rule, no join; and there is none for anything but an identifier."""
    assert _person(connect("a").create("x", **_number("7"))).id != _person(connect("b").create("y", **_number("7"))).id
    for bad in ("emails", "name", "userName", "displayName"):
        with pytest.raises(ValueError, match="joined by"):
            matching.add_rule(bad, now=clock.now())


def test_joining_needs_trust_for_the_key(connect: Callable[..., Scim], sources: tuple[Scim, Scim, Scim]) -> None:
    """A source that is not trusted for the employee number cannot ride on it into somebody's profile (C27)."""
    hr, _, _ = sources
    victim = hr.create("ada", **_number("7"))
    thief = connect("contractors", trusted_for=["userName", "emails", "title", "active"], precedence=1)
    stolen = thief.create("eve", title="Owned", **_number("7"))
    assert _person(stolen).id != _person(victim).id
    assert "title" not in _person(victim).profile


def test_join_moves_no_login_name_mail_or_ial(sources: tuple[Scim, Scim, Scim]) -> None:
    """Whatever the joined record says and its precedence, these stay until a manager adopts it (rulings 9 and 27)."""
    hr, security, directory = sources
    victim = hr.create("ada", **_number("7"))
    directory_id = directory.create("eve", **_number("7"))
    security_id = security.create("s", **_number("7"), **{ASSURANCE: {"ial": 2}})
    Record.objects.get(id=directory_id).source.__class__.objects.filter(name="directory").update(precedence=1)
    directory.patch(directory_id, {"op": "replace", "path": "displayName", "value": "Eve"})
    person = _person(victim)
    assert "displayName" not in person.profile
    assert (person.login_name, person.addresses(), person.account.ial) == ("ada", ["ada@example.org"], 0)
    assert not OutboxRow.objects.filter(
        kind="invite", account=person.account, created_at__gt=person.records.order_by("created_at")[1].created_at
    ).exists()
    returns.adopt(_record(security_id), now=clock.now(), actor="operator")
    assert _person(victim).account.ial == 2
    returns.adopt(_record(directory_id), now=clock.now(), actor="operator")
    person = _person(victim)
    assert (person.login_name, person.addresses()) == ("eve", ["eve@example.org"])
    assert person.profile["displayName"] == "Eve"
    assert "ada@example.org" in person.former_addresses
    with pytest.raises(Refused):
        returns.adopt(_record(directory_id), now=clock.now(), actor="operator")


def test_untrusted_first_record_waits(sources: tuple[Scim, Scim, Scim]) -> None:
    """Security may push first: nobody is active, invited or named by it, until HR's record joins and brings the
    person.
    """
    hr, security, _ = sources
    first = security.create("s", **_number("7"))
    person = _person(first)
    assert (person.account.status, person.login_name, OutboxRow.objects.filter(kind="invite").count()) == (
        AccountStatus.TERMINATED,
        None,
        0,
    )
    second = hr.create("ada", **_number("7"))
    assert _person(second).id == person.id
    person = _person(second)
    assert (person.account.status, person.login_name, OutboxRow.objects.filter(kind="invite").count()) == (
        AccountStatus.ACTIVE,
        "ada",
        1,
    )


def test_later_identifier_joins(sources: tuple[Scim, Scim, Scim]) -> None:
    """Two people become one when the identifier arrives; the account of the source that activates nobody ends."""
    hr, _, directory = sources
    source = Source.objects.get(name="directory")
    source.trusted_for = sorted(set(source.trusted_for) - {"active"})
    source.save()
    first, second = hr.create("ada", **_number("7")), directory.create("al")
    light = _person(second)
    directory.patch(second, {"op": "add", "value": _number("7")})
    assert _person(second).id == _person(first).id
    light.refresh_from_db()
    assert (light.active, light.login_name, light.account.status) == (False, None, AccountStatus.TERMINATED)


def test_two_joins_at_once_do_not_swap_two_records(sources: tuple[Scim, Scim, Scim]) -> None:
    """Two requests that each found the other's person: the second join finds its target without records, and stops."""
    matching.remove_rule("employeeNumber")
    hr, security, _ = sources
    one = _record(hr.create("alex@example.org", **_number("4711")))
    other = _record(security.create("a.winter", **_number("4711")))
    matching.join(one, other.person, attribute=trust.EMPLOYEE_NUMBER, now=clock.now(), actor=matching.BY_RULE)
    with pytest.raises(Refused):
        matching.join(other, one.person, attribute=trust.EMPLOYEE_NUMBER, now=clock.now(), actor=matching.BY_RULE)
    assert _person(str(one.id)) == _person(str(other.id))


def test_enrolled_account_is_kept_in_a_join(sources: tuple[Scim, Scim, Scim]) -> None:
    """No rule ends an enrolled account, or moves a joiner of another source into one; both wait for a manager."""
    hr, _, directory = sources
    first, second = hr.create("ada"), directory.create("al", **_number("7"))
    kept = _enrol(_person(second))
    hr.patch(first, {"op": "add", "value": _number("7")})
    case = matching.waiting().get()
    assert (case.why, _person(first).account.status) == (candidates.LOSES_JOINER, AccountStatus.ACTIVE)
    matching.join(case.record, case.person, now=clock.now(), actor="operator")
    assert _person(first).id == _person(second).id
    kept.refresh_from_db()
    assert kept.state == "active"
    third, fourth = hr.create("bob"), directory.create("bo", **_number("8"))
    _enrol(_person(third))
    _enrol(_person(fourth))
    hr.patch(third, {"op": "add", "value": _number("8")})
    case = matching.waiting().get()
    assert (case.why, _person(third).id != _person(fourth).id) == (candidates.IN_USE, True)


def test_reused_number_of_a_leaver_makes_a_new_subject(sources: tuple[Scim, Scim, Scim]) -> None:
    """HR gives a leaver's number to a new hire: a new person and a case for a manager, never the old account (C28)."""
    hr, _, directory = sources
    for gone in ("patch", "delete"):
        number = f"9-{gone}"
        old = hr.create(f"old-{gone}", **_number(number))
        directory.create(f"dir-{gone}", **_number(number))
        if gone == "patch":
            hr.patch(old, {"op": "replace", "path": "active", "value": False})
        else:
            hr("DELETE", f"/Users/{old}")
        new = hr.create(f"new-{gone}", **_number(number))
        assert _person(new).account_id != _person(old).account_id
        assert (_person(old).account.status, _person(new).account.status) == (
            AccountStatus.TERMINATED,
            AccountStatus.ACTIVE,
        )
        assert matching.waiting().filter(record_id=new).get().why == candidates.SAME_SOURCE


def test_ambiguous_match_waits_for_a_manager(sources: tuple[Scim, Scim, Scim]) -> None:
    """A contradiction waits for a manager; kept apart, they stay apart whatever is pushed; accepted, they are one."""
    hr, security, directory = sources
    matching.add_rule("pivIdentifier", now=clock.now())
    directory_id = directory.create("al", **_number("7"))
    hr_id = hr.create("ada", **_number("7"))
    other = security.create("s", **_number("8"), **{ASSURANCE: {"pivIdentifier": "P"}})
    hr2 = hr.create("bob", **_number("8"))
    security.patch(other, {"op": "replace", "path": f"{ENTERPRISE}:employeeNumber", "value": "7"})
    case = matching.waiting().get()
    assert (str(case.record_id), case.person_id) == (other, _person(hr_id).id)
    matching.keep_apart(case, now=clock.now(), actor="operator")
    security.patch(other, {"op": "replace", "path": f"{ENTERPRISE}:costCenter", "value": "x"})
    hr.patch(hr_id, {"op": "replace", "path": "title", "value": "x"})
    assert not matching.waiting().exists()
    assert _person(other).id == _person(hr2).id != _person(hr_id).id == _person(directory_id).id
    with pytest.raises(Refused):
        matching.keep_apart(case, now=clock.now(), actor="operator")


def test_split_records_are_not_rejoined(adopting: tuple[Scim, Scim, Scim]) -> None:
    """A join is undone: each has their own again, in a new epoch, and no rule joins them anew; both chains say so."""
    hr, _, directory = adopting
    hr_id, directory_id = hr.create("ada", **_number("7")), directory.create("al", nickName="Al", **_number("7"))
    assert _person(hr_id).profile["nickName"] == "Al"
    match = Match.objects.get(state=MatchState.JOINED)
    back = matching.split(match, now=clock.now(), actor="operator")
    assert _person(directory_id).id == back.id != _person(hr_id).id
    assert "nickName" not in _person(hr_id).profile
    assert (back.login_name, back.account.status) == ("al", AccountStatus.ACTIVE)
    directory.patch(directory_id, {"op": "replace", "path": "nickName", "value": "A"})
    hr.patch(hr_id, {"op": "replace", "path": "nickName", "value": "B"})
    assert _person(directory_id).id == back.id
    for account in (_person(hr_id).account, _person(directory_id).account):
        assert audit.verify(account) is None
    with pytest.raises(Refused):
        matching.split(match, now=clock.now(), actor="operator")
    matching.join(_record(directory_id), _person(hr_id), now=clock.now(), actor="operator")
    assert _person(directory_id).id == _person(hr_id).id
    again = matching.split(Match.objects.get(state=MatchState.JOINED), now=clock.now(), actor="operator")
    assert (again.id, _person(directory_id).account.status) == (back.id, AccountStatus.ACTIVE)


def test_deletion_by_one_source_ends_the_joined_person(adopting: tuple[Scim, Scim, Scim]) -> None:
    """HR deletes: the person ends though the directory still has them, and stays so until a manager lifts it (ID-6)."""
    hr, _, directory = adopting
    hr_id, directory_id = hr.create("ada", **_number("7")), directory.create("al", **_number("7"))
    hr("DELETE", f"/Users/{hr_id}")
    assert _person(directory_id).account.status == AccountStatus.TERMINATED
    directory.patch(directory_id, {"op": "replace", "path": "title", "value": "x"})
    assert _person(directory_id).account.status == AccountStatus.TERMINATED
    returns.readmit(_person(directory_id), now=clock.now(), actor="operator")
    assert _person(directory_id).account.status == AccountStatus.ACTIVE


def test_retracted_value_falls_back_to_the_next_source(adopting: tuple[Scim, Scim, Scim]) -> None:
    """What the better source no longer says, the next one says (§3.2 of scim.md)."""
    hr, _, directory = adopting
    hr_id = hr.create("ada", displayName="Ada L", **_number("7"))
    directory.create("al", displayName="Al", **_number("7"))
    assert _person(hr_id).provenance["displayName"] | {"since": ""} == {
        "source": "hr",
        "why": "precedence",
        "since": "",
    }
    hr.patch(hr_id, {"op": "remove", "path": "displayName"})
    assert (_person(hr_id).profile["displayName"], _person(hr_id).provenance["displayName"]["source"]) == (
        "Al",
        "directory",
    )


def test_person_show_explains_provenance(adopting: tuple[Scim, Scim, Scim], capsys: pytest.CaptureFixture[str]) -> None:
    """`person show` says which source said what, what won and why, what lost and why; as a table and as JSON."""
    hr, security, directory = adopting
    hr.create("ada", displayName="Ada L", **_number("7"))
    directory.create("al", displayName="Al [b]", title="Guard", **_number("7"))
    security.create("s", **_number("7"))
    call_command("person", "show", "ada", "--json")
    attributes = {one["attribute"]: one for one in json.loads(capsys.readouterr().out)["attributes"]}
    said = [(one["source"], one["stands"], one["why"]) for one in attributes["displayName"]["said"]]
    assert said == [("hr", True, "precedence"), ("directory", False, "precedence")]
    assert [(one["source"], one["stands"], one["why"]) for one in attributes["title"]["said"]] == [
        ("directory", False, "not trusted")
    ]
    assert attributes["title"]["value"] is None
    call_command("person", "show", "ada")
    shown = "".join(capsys.readouterr().out.split())
    assert "[b]" in shown
    assert "precedence" in shown


@pytest.mark.django_db
def test_match_commands(sources: tuple[Scim, Scim, Scim], capsys: pytest.CaptureFixture[str]) -> None:
    """rules, list, apart, accept, joined, split, join, adopt --all: the operator can do all of it at a terminal."""
    hr, _, directory = sources

    def run(*words: str) -> Any:
        call_command(*words, "--json")
        return json.loads(capsys.readouterr().out)

    assert [one["by"] for one in run("match", "rules")] == [trust.EMPLOYEE_NUMBER]
    first = hr.create("ada", **_number("7"))
    second = directory.create("al", **_number("7"))
    joined = run("match", "joined")
    assert (joined[0]["person"], joined[0]["decided_by"]) == ("ada", "rule")
    assert "1 people" in run("person", "adopt", "--source", "directory", "--all")
    assert run("match", "split", str(joined[0]["number"]))["login_name"] == "al"
    run("match", "join", second, "ada")
    assert _person(first).id == _person(second).id
    third = hr.create("bob", **_number("7"))
    number = str(run("match", "list")[0]["number"])
    run("match", "apart", number)
    assert run("match", "list") == []
    assert _person(third).id != _person(first).id
    run("match", "not-by", "employeenumber")
    assert run("match", "rules") == []


def test_changed_key_joins_no_second_record_of_a_source(connect: Callable[..., Scim]) -> None:
    """C27, ruling 9: a joined record that says another number now does not pull the person of that number in: HR has
    two of them.
    """
    matching.add_rule("employeeNumber", now=clock.now())
    hr, badges = connect("hr", trusted_for=_KEYED), connect("badges", trusted_for=_KEYED)
    ada, bob = hr.create("ada", **_number("1")), hr.create("bob", **_number("2"))
    badge = badges.create("badge", **_number("1"))
    assert _record(badge).person == _record(ada).person
    _enrol(_record(ada).person)
    assert badges.patch(badge, {"op": "replace", "path": f"{ENTERPRISE}:employeeNumber", "value": "2"})[0] == 200
    assert _record(bob).person != _record(ada).person
    assert _record(bob).person.account.is_active
    assert Match.objects.filter(state=MatchState.WAITING).exists()


def test_recreated_record_does_not_undo_a_managers_decision(connect: Callable[..., Scim]) -> None:
    """What a manager split or kept apart is not joined by rule again because its source deletes the record and
    pushes it anew.
    """
    matching.add_rule("employeeNumber", now=clock.now())
    hr, badges = connect("hr", trusted_for=_KEYED), connect("badges", trusted_for=_KEYED)
    ada = hr.create("ada", **_number("1"))
    badge = badges.create("badge", **_number("1"))
    matching.split(Match.objects.get(state=MatchState.JOINED), now=clock.now(), actor="operator")
    assert badges("DELETE", f"/Users/{badge}")[0] == 204
    again = badges.create("badge", **_number("1"))
    assert _record(again).person != _record(ada).person


def test_adopted_login_name_revokes_certificates_with_the_old_one(connect: Callable[..., Scim]) -> None:
    """MT-4: the login name of a joined record becomes the person's when a manager says so; that is a change of name
    too.
    """
    matching.add_rule("employeeNumber", now=clock.now())
    hr, directory = (
        connect("hr", trusted_for=_KEYED, precedence=20),
        connect("directory", trusted_for=_KEYED, precedence=5),
    )
    ada, joined = (
        hr.create("ada", displayName="Ada", **_number("1")),
        directory.create("alovelace", displayName="Ada", **_number("1")),
    )
    person = _record(ada).person
    assert person.login_name == "ada"
    root = ledger_rows.recorded(person.account)
    shown = ledger_rows.recorded(
        person.account, kind="certificate", root=root, parent=root, evidence={"names": ["Ada", "ada"]}
    )
    assert not returns.adopt(_record(joined), now=clock.now(), actor=manager("mona"))
    assert returns.adopt(_record(joined), now=clock.now(), actor=manager("omar"))
    assert _record(ada).person.login_name == "alovelace"
    shown.refresh_from_db()
    assert shown.state != "active"
    assert shown.end_reason == "name_changed"
