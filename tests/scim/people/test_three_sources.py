"""Three sources push the same thousand people, numbered, in any order, with duplicates, replays and conflicts (ID-1,
C27, C29).
"""

from __future__ import annotations

import contextlib
import random
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from derived import clock
from scim.errors import ScimError
from scim.models import Person, Record, Source
from scim.people import matching, provision, returns, settle
from scim.protocol import aggregate, trust
from tests.environment import KIND
from tests.fixtures.live_server import LONG
from tests.fixtures.scim_client import ASSURANCE, ENTERPRISE, GROUP, PATCH, Scim, user

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.database

Event = tuple[str, str, dict[str, Any]]
PEOPLE = 20 if not LONG else 1000 if KIND == "sqlite" else 200
BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
_TITLES = ("Clerk", "Boss", "Guard", "Aide")


def _events(people: int) -> list[Event]:
    """What each source says of everybody, in three numbered versions; every tenth leaves in HR's last one."""
    found: list[Event] = []
    for n in range(people):
        for version in (1, 2, 3):
            common = {"meta": {"version": str(version)}, ENTERPRISE: {"employeeNumber": f"E{n}"}}
            title = _TITLES[(n + version) % 4]
            leaves = version == 3 and n % 10 == 0
            found.append(
                (
                    "hr",
                    f"hr{n}",
                    user(
                        f"hr{n}",
                        externalId=f"h{n}",
                        active=not leaves,
                        title=title,
                        displayName=f"HR {n}.{version}",
                        **common,
                    ),
                )
            )
            found.append(
                (
                    "directory",
                    f"d{n}",
                    user(
                        f"d{n}",
                        externalId=f"d{n}",
                        active=True,
                        nickName=f"N{version}",
                        title="stolen",
                        displayName=f"Dir {n}",
                        **common,
                    ),
                )
            )
            found.append(
                (
                    "security",
                    f"s{n}",
                    user(
                        f"s{n}",
                        externalId=f"s{n}",
                        active=True,
                        displayName="stolen",
                        **common,
                        **{ASSURANCE: {"ial": version, "proofedBy": f"office {version}"}},
                    ),
                )
            )
    return found


def _push(events: list[Event]) -> None:
    Source.objects.update(brake_count=10_000)  # a thousand people leave within an hour
    sources = {one.name: one for one in Source.objects.all()}
    for source, external, body in events:
        found = Record.objects.filter(source=sources[source], external_id=body["externalId"], deleted_at=None).first()
        with contextlib.suppress(ScimError):
            if found is None:
                provision.create_user(sources[source], body, now=clock.now())
            else:
                provision.replace_user(sources[source], str(found.id), body, now=clock.now())
        assert external


def _finals() -> dict[str, Any]:
    """Every person by their number: the profile, where each value comes from and why, and what is guarded."""
    found: dict[str, Any] = {}
    for person in Person.objects.select_related("account").filter(records__isnull=False).distinct():
        number = person.profile[ENTERPRISE]["employeeNumber"]
        assert number not in found, f"two people of number {number}"
        origins = {name: (one["source"], one["why"]) for name, one in person.provenance.items()}
        found[number] = (
            person.profile,
            origins,
            person.active,
            person.account.status,
            person.account.ial,
            person.login_name,
            person.addresses(),
        )
    return found


@pytest.fixture
def three(connect: Callable[..., Scim]) -> dict[str, Scim]:
    matching.add_rule("employeeNumber", now=clock.now())
    return {
        "hr": connect("hr", trusted_for=trust.PRESETS["hr"], precedence=10),
        "security": connect("security", trusted_for=trust.PRESETS["security"], precedence=20, vouched_ial=2),
        "directory": connect(
            "directory", trusted_for=trust.PRESETS["directory"] | {trust.EMPLOYEE_NUMBER}, precedence=30
        ),
    }


def _adopt_all() -> None:
    for record in Record.objects.select_related("source", "person").filter(adopted=False).order_by("id"):
        returns.adopt(record, now=clock.now(), actor="operator")


def _run(events: list[Event]) -> dict[str, Any]:
    _push(events)
    _adopt_all()
    return _finals()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_few_people_in_many_orders(three: dict[str, Scim], seed: int) -> None:
    """A dozen people, shuffled with duplicates and replays: the same profiles, provenance, levels and names as in
    order.
    """
    from django.db import transaction

    events = _events(12)
    block = transaction.atomic()
    block._from_testcase = True  # type: ignore[attr-defined]
    with block:
        in_order = _run(events)
        transaction.set_rollback(True)
    shuffled = events + random.Random(seed).choices(events, k=40)
    random.Random(seed).shuffle(shuffled)
    assert _run(shuffled) == in_order
    assert three


@pytest.mark.slow
def test_a_thousand_people(three: dict[str, Scim]) -> None:
    """The thousand (200 on PostgreSQL, twenty in `make test`), in one random order with replays: one person each, all
    explained.
    """
    events = _events(PEOPLE)
    shuffled = events + random.Random(7).choices(events, k=PEOPLE)
    random.Random(7).shuffle(shuffled)
    finals = _run(shuffled)
    assert len(finals) == PEOPLE
    for n in (0, 1, 10, PEOPLE - 1):
        profile, origins, active, status, ial, login_name, addresses = finals[f"E{n}"]
        assert (profile["title"], profile["displayName"], profile["nickName"]) == (
            _TITLES[(n + 3) % 4],
            f"HR {n}.3",
            "N3",
        )
        assert (origins["title"], origins["displayName"]) == (("hr", "only"), ("hr", "precedence"))
        assert profile[ASSURANCE] == {"ial": 3, "proofedBy": "office 3"}
        assert (active, status) == ((False, "terminated") if n % 10 == 0 else (True, "active"))
        assert (ial, login_name, addresses) == (2, f"hr{n}", [f"hr{n}@example.org"])
    assert "stolen" not in str(finals)
    person = Person.objects.get(login_name="hr1")
    told = aggregate.explain(settle.statements_about(person))
    assert [(one.source, one.stands, one.why) for one in told["displayName"]] == [
        ("hr", True, "precedence"),
        ("security", False, "not trusted"),
        ("directory", False, "precedence"),
    ]
    assert three


def test_source_changes_nothing_of_another_source(three: dict[str, Scim]) -> None:
    """Each source tries everything on the person that all share: other ids, other names, other attributes (C27, P36,
    P38).
    """
    _push(_events(1))
    before = _finals()["E0"]
    ids = {one.source.name: str(one.id) for one in Record.objects.select_related("source")}
    for name, scim in three.items():
        for other, record_id in ids.items():
            if other != name:
                assert scim("GET", f"/Users/{record_id}")[0] == 404
                assert scim.patch(record_id, {"op": "replace", "path": "active", "value": False})[0] == 404
                assert scim("DELETE", f"/Users/{record_id}")[0] == 404
        mine = f"/Users/{ids[name]}"
        assert scim("PUT", mine, user("x", id=ids["hr" if name != "hr" else "security"]))[0] == 400
    three["security"].patch(
        ids["security"],
        {
            "op": "add",
            "value": {
                "title": "Owner",
                "emails": [{"value": "eve@example.org"}],
                "roles": [{"value": "admin"}],
                "active": False,
            },
        },
    )
    three["directory"].patch(
        ids["directory"],
        {"op": "add", "value": {"title": "Owner", ASSURANCE: {"ial": 3, "eligible": False, "status": "suspended"}}},
    )
    assert _finals()["E0"][:7] == before


def test_source_reads_nothing_of_another_source(three: dict[str, Scim]) -> None:
    """The other ways in: bulk, members, groups of others, look-ups, entity tags; all answer as if there were nothing
    (C27, P36, P37).
    """
    _push(_events(1))
    before = _finals()["E0"]
    ids = {one.source.name: str(one.id) for one in Record.objects.select_related("source")}
    thief, theirs = three["directory"], ids["hr"]
    tag = three["hr"].tag(theirs)
    leave = {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "active", "value": False}]}
    body = {
        "schemas": [PATCH],
        "Operations": [{"op": "replace", "path": 'emails[type eq "work"].value', "value": "eve@example.org"}],
    }
    asked = [
        {"method": "PATCH", "path": f"/Users/{theirs}", "data": leave},
        {"method": "PATCH", "path": f"/Users/{theirs}", "data": body, "version": tag},
        {"method": "PUT", "path": f"/Users/{theirs}", "data": user("eve")},
        {"method": "DELETE", "path": f"/Users/{theirs}", "version": tag},
    ]
    answers = thief("POST", "/Bulk", {"schemas": [BULK], "Operations": asked})[1]["Operations"]
    assert [one["status"] for one in answers] == ["404"] * 4
    assert thief("PATCH", f"/Users/{theirs}", body, If_Match=tag)[0] == 404
    status, _ = thief("POST", "/Groups", {"schemas": [GROUP], "displayName": "mine", "members": [{"value": theirs}]})
    assert status == 400
    group = three["hr"](
        "POST", "/Groups", {"schemas": [GROUP], "displayName": "staff", "members": [{"value": theirs}]}
    )[1]["id"]
    more = {
        "schemas": [PATCH],
        "Operations": [{"op": "add", "path": "members", "value": [{"value": ids["directory"]}]}],
    }
    for method, value in (
        ("GET", None),
        ("PATCH", more),
        ("PUT", {"schemas": [GROUP], "displayName": "x"}),
        ("DELETE", None),
    ):
        assert thief(method, f"/Groups/{group}", value)[0] == 404
    for text in (
        f'id eq "{theirs}"',
        'externalId eq "h0"',
        'userName eq "hr0"',
        'emails.value eq "hr0@example.org"',
        f'groups.value eq "{group}"',
        'externalId sw "h"',
    ):
        assert thief("GET", f"/Users?filter={quote(text)}")[1]["totalResults"] == 0, text
    assert _finals()["E0"] == before


def test_other_sources_names_take_nothing(three: dict[str, Scim]) -> None:
    """Another's externalId, userName and e-mail make a second record of one's own; the login name and the addresses
    stay whose they are (P36, ID-8).
    """
    _push(_events(1))
    before = _person("hr0")
    made = three["directory"].create("hr0-too", externalId="h0", emails=[{"value": "hr0@example.org"}])
    assert made not in {str(one.id) for one in Record.objects.filter(source__name="hr")}
    assert _person("hr0") == before
    other = Record.objects.select_related("person").get(id=made).person
    assert other.id != before[0]
    status, answer = three["directory"]("POST", "/Users", user("hr0", externalId="h1"))
    assert status in {201, 409}, answer  # told, or its record reaches nobody: the name stays where it is
    assert _person("hr0") == before


def _person(login_name: str) -> tuple[Any, ...]:
    person = Person.objects.select_related("account").get(login_name=login_name)
    return (
        person.id,
        person.profile,
        person.provenance,
        person.account.status,
        person.account.ial,
        person.addresses(),
        person.records.count(),
    )
