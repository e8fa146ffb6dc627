"""Records that may be one person's are one case, however many pairs they make."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import call_command

from derived import clock
from scim.models import Match, MatchState, Record, RoleName, Source
from scim.people import cases, matching
from scim.protocol import trust
from tests.fixtures.roles import appoint, manager
from tests.fixtures.scim_client import ENTERPRISE, Scim, user
from tests.fixtures.scim_records import _number, _record
from tests.fixtures.world import ISSUER

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fixtures.world import World

pytestmark = pytest.mark.database


def _several(scims: list[Scim]) -> list[str]:
    """The records of one number that no rule joins: it is told before there is a rule, and pushed again after."""
    made = [one.create(f"ada{at}", **_number("7")) for at, one in enumerate(scims)]
    matching.add_rule("employeeNumber", now=clock.now())
    for at, (scim, record_id) in enumerate(zip(scims, made, strict=True)):
        scim("PUT", f"/Users/{record_id}", user(f"ada{at}", title="Analyst", **_number("7")))
    return made


@pytest.fixture
def made(connect: Callable[..., Scim]) -> list[str]:
    """Three records of one source, so that nothing is joined by rule."""
    hr = connect("hr")
    return _several([hr, hr, hr])


def test_three_records_are_one_case(made: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Up to six pairs, one line in the list."""
    assert matching.waiting().count() > 2
    [case] = cases.waiting()
    assert {one.id for one in case.people()} == {_record(one).person_id for one in made}
    call_command("match", "list", "--json")
    [row] = json.loads(capsys.readouterr().out)
    assert (row["people"], row["records"].count("(hr)")) == (3, 3)
    call_command("match", "list", "--pairs", "--json")
    assert len(json.loads(capsys.readouterr().out)) == matching.waiting().count()


def test_one_decision_joins_all(made: list[str]) -> None:
    """`match accept`: one person with three records, and nothing left to decide."""
    call_command("match", "accept", str(cases.waiting()[0].number), stdout=io.StringIO())
    assert len({_record(one).person_id for one in made}) == 1
    assert cases.waiting() == []
    assert not Match.objects.filter(state=MatchState.WAITING).exists()


def test_a_record_without_the_identifier_waits_for_its_adoption(connect: Callable[..., Scim]) -> None:
    """A source that adopts by number says nothing about a person by a record that has none, whatever the pair says."""
    hr, side = connect("hr"), connect("side")
    made = _several([hr, hr, hr])
    Source.objects.update(adopts=[trust.EMPLOYEE_NUMBER])
    extra = side.create("extra")
    for record_id in made[1:]:
        person = _record(record_id).person
        if person.id != cases.waiting()[0].keeps().id:
            matching.join(_record(extra), person, now=clock.now(), actor="operator")
    assert _record(extra).adopted is False
    call_command("match", "accept", str(cases.waiting()[0].number), stdout=io.StringIO())
    assert len({_record(one).person_id for one in [*made, extra]}) == 1
    assert _record(extra).adopted is False


def test_one_decision_keeps_all_apart(made: list[str]) -> None:
    """`match apart`: three people, and it is not asked again at the next push."""
    call_command("match", "apart", str(cases.waiting()[0].number), stdout=io.StringIO())
    assert cases.waiting() == []
    for one in made:
        matching.match_after_write(_record(one), now=clock.now())
    assert (cases.waiting(), len({_record(one).person_id for one in made})) == ([], 3)


def test_a_decision_about_two_of_three(made: list[str]) -> None:
    """With --pair: the third stays a case with the two that are one now."""
    pair = cases.waiting()[0].pairs[0]
    call_command("match", "accept", str(pair.id), "--pair", stdout=io.StringIO())
    assert len({_record(one).person_id for one in made}) == 2
    [case] = cases.waiting()
    assert len(case.people()) == 2


def test_other_numbers_are_other_cases(connect: Callable[..., Scim]) -> None:
    """Only what hangs together is one case."""
    hr = connect("hr")
    _several([hr, hr, hr])
    for at in range(2):
        hr.create(f"bob{at}", **_number("8"))
    assert sorted(len(one.people()) for one in cases.waiting()) == [2, 3]


def test_the_console_shows_one_case(world: World) -> None:
    """One entry, all records side by side, one decision; or one about two of them."""
    mona = world.enrolled("mona@example.org")[1]
    appoint("mona@example.org", RoleName.MANAGER)
    hr = Scim(world.token)
    made = _several([hr, hr, hr])
    page = mona.get(f"{ISSUER}/console")
    assert page.html.count("/console/matches/") == 1
    assert "3 people by employeeNumber" in page.html
    page = mona.get(f"{ISSUER}/console/matches/{cases.waiting()[0].number}")
    assert "3 different people: keep apart" in page.html
    assert page.html.count("join-pair") == matching.waiting().count()
    form: Any = next(one for one in page.forms() if "/console/matches/" in one.action)
    assert not cases.join(cases.waiting()[0], now=clock.now(), actor=manager("omar"))
    page = mona.submit(page, form, values={"decision": "join"})
    assert "They are one person now" in page.words()
    assert len({_record(one).person_id for one in made}) == 1
    assert Record.objects.filter(resource__has_key=ENTERPRISE).count() == 3
