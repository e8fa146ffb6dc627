"""Roles: live only, the matrix as people.md §1 has it, supervisors by a source's word, and the upgrade of old rows."""

from __future__ import annotations

from datetime import timedelta
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
import time_machine

from derived import clock
from derived.errors import Refused
from derived.ledger import audit
from derived.ledger.locking import under_lock
from scim.access import appointments, roles
from scim.access.appointments import Appointment
from scim.access.roles import Extent, Verb, may
from scim.models import GIVEN_ROLES, Person, Record, Role, RoleName
from scim.protocol.user import ENTERPRISE_URN
from tests.fixtures.roles import appoint

if TYPE_CHECKING:
    from tests.fixtures.world import World

ALEX, MONA, OMAR = "alex@example.org", "mona@example.org", "omar@example.org"

# People.md §1, by hand and not from the code; E S M O A H P, in its letters.
TABLE = """
ask        o r y - - - -
approve    - r y - - - -
check      - - - y - - -
collect    o - - - - - -
suspend    o r y y - y y
lift       o - y - - - 2
revoke     o - y - - l y
end        - - 2 - - - 2
readmit    - - 2 - - - 2
join       - - 2 - - - 2
split      - - 2 - - - 2
adopt      - - 2 - - - 2
vouch      - - 2 - - - 2
appoint    - - 2 - - - 2
configure  - - - - - - 2
read       o - y - y - -
"""
COLUMNS = (
    RoleName.EMPLOYEE,
    RoleName.SUPERVISOR,
    RoleName.MANAGER,
    RoleName.OFFICER,
    RoleName.AUDITOR,
    RoleName.HELP_DESK,
    RoleName.OPERATOR,
)
LETTERS = {
    "o": Extent.OWN,
    "r": Extent.REPORTS,
    "y": Extent.ANY,
    "2": Extent.SECOND,
    "l": Extent.LOST,
    "-": None,
}


def _person(name: str = ALEX) -> Person:
    return Person.objects.select_related("account").get(login_name=name)


def test_matrix_is_the_table_of_the_contract() -> None:
    """RL-1: each cell of the table, and no verb without a row but those for seeing and for daily care."""
    rows = [line.split() for line in TABLE.strip().splitlines()]
    for name, *cells in rows:
        verb = Verb("check in person" if name == "check" else name)
        for role, letter in zip(COLUMNS, cells, strict=True):
            assert roles.MATRIX[verb].get(role) == LETTERS[letter], (verb, role)
    assert {Verb(row[0]) if row[0] != "check" else Verb.CHECK for row in rows} == set(Verb) - {
        Verb.SEE,
        Verb.CARE,
        Verb.DISABLE,
    }
    assert set(roles.MATRIX) == set(Verb)
    pairs = {(one, other) for one, others in roles.APART.items() for other in others}
    assert pairs == {(other, one) for one, other in pairs}


@pytest.mark.database
def test_role_counts_only_while_it_is_live(world: World) -> None:
    """RL-3: not after its time, not ended, not for a suspended holder, not after a return."""
    world.push(ALEX)
    world.push(MONA)
    mona, alex = appoint(MONA, RoleName.MANAGER), _person()
    assert may(mona, Verb.SUSPEND, about=alex, now=clock.now()).by is not None
    assert not may(mona, Verb.SUSPEND, about=alex, now=clock.now() + roles.LONGEST)
    world.deactivate(MONA)
    assert not may(mona, Verb.SUSPEND, about=alex, now=clock.now())
    world.reactivate(MONA)
    assert _person(MONA).account.is_active
    assert not may(_person(MONA), Verb.SUSPEND, about=alex, now=clock.now())
    appoint(MONA, RoleName.MANAGER)
    assert may(_person(MONA), Verb.SUSPEND, about=alex, now=clock.now())
    Role.objects.filter(ended_at=None).update(ended_at=clock.now())
    assert not may(_person(MONA), Verb.SUSPEND, about=alex, now=clock.now())


def test_nobody_acts_on_themselves(world: World) -> None:
    """A manager approves, lifts and ends nothing of their own, but may stop their own things, as everybody."""
    world.push(MONA)
    mona = appoint(MONA, RoleName.MANAGER, RoleName.OFFICER)
    answers = {verb: may(mona, verb, about=mona, now=clock.now()).extent for verb in Verb}
    own = {Verb.ASK, Verb.COLLECT, Verb.SUSPEND, Verb.LIFT, Verb.REVOKE}
    assert {verb for verb, extent in answers.items() if extent == Extent.OWN} == own
    assert {verb for verb, extent in answers.items() if extent not in {None, Extent.OWN}} == {Verb.READ, Verb.SEE}


def test_unjoined_record_of_oneself_is_nobody_else(world: World) -> None:
    """WF-4: another record with the same address is asked nothing for, but may be stopped."""
    world.push(ALEX)
    world.push(MONA)
    mona, alex = appoint(MONA, RoleName.MANAGER), _person()
    assert may(mona, Verb.APPROVE, about=alex, now=clock.now())
    alex.contact = mona.contact
    alex.save(update_fields=["contact"])
    assert not may(mona, Verb.APPROVE, about=alex, now=clock.now())
    assert may(mona, Verb.SUSPEND, about=alex, now=clock.now())


def _names_manager(of: str, boss: str) -> None:
    """The source of one names a record of the other as the manager."""
    person, source = _person(of), _person(of).records.select_related("source").get().source.name
    record = _person(boss).records.get()
    person.profile = {**person.profile, ENTERPRISE_URN: {"manager": {"value": str(record.id)}}}
    told = {"source": source, "since": clock.now().isoformat(), "why": "only"}
    person.provenance = {**person.provenance, f"{ENTERPRISE_URN}:manager": told}
    person.save(update_fields=["profile", "provenance"])


@pytest.mark.database
def test_source_says_who_supervises(world: World) -> None:
    """A supervisor acts for direct reports only; by a deleted record, another source's id or in a circle nobody is."""
    for name in (ALEX, MONA, OMAR):
        world.push(name)
    _names_manager(ALEX, MONA)
    _names_manager(MONA, OMAR)
    now = clock.now()
    answer = may(_person(MONA), Verb.APPROVE, about=_person(ALEX), now=now)
    assert answer.by is not None
    assert (answer.by.name, answer.extent) == (RoleName.SUPERVISOR, Extent.REPORTS)
    assert not may(_person(OMAR), Verb.APPROVE, about=_person(ALEX), now=now)
    assert not may(_person(MONA), Verb.REVOKE, about=_person(ALEX), now=now)
    assert [one.login_name for one in roles.reports_of(_person(MONA))] == [ALEX]
    _names_manager(OMAR, ALEX)
    assert roles.supervisor_of(_person(ALEX)) is None
    Person.objects.filter(login_name=OMAR).update(profile={})
    assert roles.supervisor_of(_person(ALEX)) == _person(MONA)
    Record.objects.filter(person=_person(MONA)).update(deleted_at=now)
    assert roles.supervisor_of(_person(ALEX)) is None


def test_owner_decides_in_the_scope_only(world: World) -> None:
    """An owner of a client has all of its entitlements; an owner of one has no other; a similar name is another."""
    world.push(ALEX)
    world.push(MONA)
    mona, alex = appoint(MONA, RoleName.OWNER, scope=roles.scope_of("payroll")), _person()

    def asked(scope: str) -> bool:
        return bool(may(mona, Verb.APPROVE, about=alex, scope=scope, now=clock.now()))

    assert asked(roles.scope_of("payroll"))
    assert asked(roles.scope_of("payroll", "clerk"))
    assert not asked(roles.scope_of("payroll2"))
    assert not asked("")
    Role.objects.update(scope=roles.scope_of("payroll", "clerk"))
    assert asked(roles.scope_of("payroll", "clerk"))
    assert not asked(roles.scope_of("payroll", "clerks"))
    assert not asked(roles.scope_of("payroll"))


@pytest.mark.parametrize("role", [one for one in GIVEN_ROLES if one != RoleName.OWNER])
def test_separation_of_duties(world: World, role: RoleName) -> None:
    """RL-2: an auditor has no other role, and an operator is neither manager nor officer, under another record too."""
    world.push(ALEX)
    world.push(MONA)
    appoint(ALEX, role)
    alex, mona = _person(), _person(MONA)
    mona.contact = alex.contact
    mona.save(update_fields=["contact"])
    for other in set(GIVEN_ROLES) - {role, RoleName.OWNER}:
        excluded = RoleName.AUDITOR in {role, other} or (
            RoleName.OPERATOR in {role, other} and {role, other} & {RoleName.MANAGER, RoleName.OFFICER}
        )
        for name in (ALEX, MONA):
            if excluded:
                with pytest.raises(Refused, match="separation_of_duties"):
                    appoint(name, other)
            elif name == MONA:
                appoint(name, other)
                Role.objects.filter(person=mona).delete()


def test_term_ends_after_a_year_at_most(world: World) -> None:
    """A renewed role is a new row; the earlier one stays, ended."""
    world.push(MONA)
    mona = appoint(MONA, RoleName.MANAGER)
    with time_machine.travel(clock.now() + timedelta(days=300)):
        appoint(MONA, RoleName.MANAGER)
        assert [one.ended_at is None for one in mona.roles.order_by("id")] == [False, True]
        assert [one.name for one in roles.held(mona, now=clock.now())] == [RoleName.EMPLOYEE, RoleName.MANAGER]


def test_record_of_a_role_names_giver_second_and_reason(world: World) -> None:
    """RL-5: in the event and in the row; the reason is a personal detail that can be erased."""
    world.push(MONA)
    person, now = _person(MONA), clock.now()
    wanted = Appointment(
        person=person,
        role=RoleName.AUDITOR,
        until=now + timedelta(days=30),
        reason="Audit of the third quarter",
        given_by="manager:1",
        seconded_by="manager:2",
    )
    row = under_lock(person.account_id, lambda account: appointments.give(account, wanted, now=now))
    event = person.account.events.get(kind="role.given")
    assert (event.body["given_by"], event.body["seconded_by"]) == (row.given_by, row.seconded_by)
    assert (row.given_by, row.seconded_by, event.actor) == ("manager:1", "manager:2", "manager:2")
    assert event.details.get(name="because").value == row.reason == "Audit of the third quarter"
    assert audit.verify(person.account) is None


def test_former_appointments_become_roles() -> None:
    """A manager of an old database is also an officer; an owner keeps the scope; what had ended stays so."""
    migration = import_module("scim.migrations.0018_roles")
    at, made = clock.now() - timedelta(days=900), []

    class Rows(list[SimpleNamespace]):
        def order_by(self, _name: str) -> Rows:
            return self

    class Apps:
        def get_model(self, _app: str, name: str) -> SimpleNamespace:
            row = {"person_id": 1, "epoch": 2, "appointed_at": at, "ended_at": None}
            return {
                "Role": SimpleNamespace(objects=SimpleNamespace(create=lambda **given: made.append(given))),
                "Manager": SimpleNamespace(objects=Rows([SimpleNamespace(**row)])),
                "AccessOwner": SimpleNamespace(
                    objects=Rows([SimpleNamespace(**{**row, "ended_at": at}, client_key="app", entitlement="clerk")])
                ),
            }[name]

    migration.copy_appointments(Apps(), None)
    assert [(one["role"], one.get("scope", ""), one["ended_at"]) for one in made] == [
        ("manager", "", None),
        ("officer", "", None),
        ("owner", roles.scope_of("app", "clerk"), at),
    ]
    assert made[0]["until"] > clock.now() > made[2]["until"]
    assert {one["since"] for one in made} == {at}
