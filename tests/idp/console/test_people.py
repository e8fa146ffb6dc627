"""Search for people in the console: what finds them, pages that meet, filters, and a file without formulas."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from derived import clock
from derived.models import Account, AccountStatus
from scim.models import Person, Record, RoleName, Source
from scim.people import searching
from scim.people.searching import Sought
from tests.fixtures.roles import appoint
from tests.fixtures.world import ISSUER

if TYPE_CHECKING:
    from demo.browser import Browser
    from tests.fixtures.world import World

ALEX, MONA = "alex@example.org", "mona@example.org"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


def _many(count: int) -> None:
    """People of one source, without the work of a push; their names are in order."""
    now, source = clock.now(), Source.objects.get(name="hr")
    accounts = Account.objects.bulk_create(Account(created_at=now) for _ in range(count))
    people = Person.objects.bulk_create(
        Person(account=one, user_name=f"p{at:06}", created_at=now, updated_at=now) for at, one in enumerate(accounts)
    )
    Record.objects.bulk_create(
        Record(
            source=source, person=one, pushed={}, resource={}, user_name_fold=one.user_name, active=True,
            display_name_fold="same name", created_at=now, updated_at=now,
        )
        for one in people
    )  # fmt: skip


@pytest.fixture
def desk(world: World) -> Browser:
    """A manager, signed in."""
    desktop = world.enrolled(MONA)[1]
    appoint(MONA, RoleName.MANAGER)
    return desktop


def _found(desk: Browser, query: str) -> set[str]:
    html = desk.get(f"{ISSUER}/console/people?{query}").html
    return {name for name in (ALEX, MONA, "owen@example.org") if f"{name}, " in html}


@pytest.mark.database
def test_what_finds_a_person(world: World, desk: Browser) -> None:
    """The beginning of a login name, a name, a family name, an address or a number, in any case; an id; a state."""
    more = {ENTERPRISE: {"employeeNumber": "A-77"}, "displayName": "Ängström, Alex"}
    world.push(ALEX, name={"givenName": "Alex", "familyName": "Quist"}, **more)
    for text in ("alex@", "ALEX", "ängstr", "ÄNG", "quist", "a-77", str(Person.objects.get(login_name=ALEX).id)):
        assert ALEX in _found(desk, f"q={text}"), text
    for text in ("lex", "zz", "%", "_", "77", str(uuid4())):
        assert ALEX not in _found(desk, f"q={text}"), text
    assert _found(desk, "") == {ALEX, MONA}
    world.deactivate(ALEX)
    assert (_found(desk, "state=terminated"), _found(desk, "state=active")) == ({ALEX}, {MONA})
    assert (_found(desk, "source=hr"), _found(desk, "source=other")) == ({ALEX, MONA}, set())
    assert "Alex" in desk.get(f"{ISSUER}/console/people?q=alex").html


@pytest.mark.database
def test_pages_meet(world: World, desk: Browser) -> None:
    """PG-1: each person once over all pages, also where all have the same name, with as many queries on each page."""
    _many(120)
    few = list(Person.objects.filter(user_name__startswith="p").values_list("account", flat=True)[:70])
    Account.objects.filter(id__in=few).update(status=AccountStatus.SUSPENDED)
    assert searching._FEW > 120
    for text, state in (("", ""), ("same", ""), ("p0", "suspended")):
        after, seen, sizes, queries = None, [], [], set()
        while True:
            with CaptureQueriesContext(connection) as asked:
                hits, after = searching.page(Sought(text=text, state=state), after=after)
            queries.add(len(asked) - (not seen))
            seen += [one.person.id for one in hits]
            sizes.append(len(hits))
            if after is None:
                break
        assert len(seen) == len(set(seen)), text
        assert sizes[0] == 50
        assert len(seen) == {"": 121, "same": 120, "p0": 70}[text]
        assert max(queries) < 12
    page = desk.get(f"{ISSUER}/console/people?q=p0")
    following = next(one for one in page.html.split('"') if one.startswith("/console/people?q=p0&amp;value="))
    assert "p000050" in desk.get(ISSUER + following.replace("&amp;", "&")).html


def test_results_are_a_file(world: World, desk: Browser) -> None:
    """PG-4: cells that a spreadsheet would run are quoted; a help desk gets no file."""
    for at, name in enumerate(("=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "plain")):
        world.push(f"p{at}@example.org", displayName=name)
    answer = desk._http.get(f"{ISSUER}/console/people", params={"format": "csv", "q": "p"})
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.reader(io.StringIO(answer.text)))
    names = {row[1] for row in rows[1:]}
    assert names == {"'=cmd|' /C calc'!A0", "'+1", "'-1", "'@SUM(A1)", "plain"}
    kim = world.enrolled("kim@example.org")[1]
    appoint("kim@example.org", RoleName.HELP_DESK)
    assert kim.get(f"{ISSUER}/console/people?q=p").status == 200
    assert kim.get(f"{ISSUER}/console/people?format=csv").status == 404


@pytest.mark.database
def test_people_who_have_left_are_found(world: World, desk: Browser) -> None:
    """Of whom no source has a record: by a second look, which reads all people."""
    world.push("owen@example.org")
    person = Person.objects.get(login_name="owen@example.org")
    Record.objects.filter(person=person).update(deleted_at=clock.now())
    page = desk.get(f"{ISSUER}/console/people?q=owen")
    assert "Look among people who have left" in page.html
    assert "owen@example.org" in desk.get(f"{ISSUER}/console/people?q=owen&gone=yes").html.split("former user name")[0]
