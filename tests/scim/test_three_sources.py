"""Three sources push the same thousand people, numbered, in any order, with duplicates, replays and conflicts (ID-1, C27, C29)."""

from __future__ import annotations

import contextlib
import random
from typing import TYPE_CHECKING, Any

import pytest

from derived import clock
from scim import aggregate, matching, provision, returns, settle, trust
from scim.errors import ScimError
from scim.models import Person, Record, Source
from tests.live import LONG
from tests.scim.conftest import ASSURANCE, ENTERPRISE, Scim, user

if TYPE_CHECKING:
    from collections.abc import Callable

Event = tuple[str, str, dict[str, Any]]
PEOPLE = 1000 if LONG else 100
_TITLES = ("Clerk", "Boss", "Guard", "Aide")


def _events(people: int) -> list[Event]:
    """What each source says of everybody, in three numbered versions; every tenth leaves in HR's last one."""
    found: list[Event] = []
    for n in range(people):
        for version in (1, 2, 3):
            common = {"meta": {"version": str(version)}, ENTERPRISE: {"employeeNumber": f"E{n}"}}
            title = _TITLES[(n + version) % 4]
            leaves = version == 3 and n % 10 == 0
            found.append(("hr", f"hr{n}", user(f"hr{n}", externalId=f"h{n}", active=not leaves, title=title, displayName=f"HR {n}.{version}", **common)))
            found.append(("directory", f"d{n}", user(f"d{n}", externalId=f"d{n}", active=True, nickName=f"N{version}", title="stolen", displayName=f"Dir {n}", **common)))
            found.append(("security", f"s{n}", user(f"s{n}", externalId=f"s{n}", active=True, displayName="stolen", **common, **{ASSURANCE: {"ial": version, "proofedBy": f"office {version}"}})))
    return found


def _push(events: list[Event]) -> None:
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
        found[number] = (person.profile, origins, person.active, person.account.status, person.account.ial, person.login_name, person.addresses())
    return found


@pytest.fixture
def three(connect: Callable[..., Scim]) -> dict[str, Scim]:
    matching.rule("employeeNumber", now=clock.now())
    return {
        "hr": connect("hr", trusted_for=trust.PRESETS["hr"], precedence=10),
        "security": connect("security", trusted_for=trust.PRESETS["security"], precedence=20, vouched_ial=2),
        "directory": connect("directory", trusted_for=trust.PRESETS["directory"] | {trust.EMPLOYEE_NUMBER}, precedence=30),
    }


def _adopt_all() -> None:
    for record in Record.objects.select_related("source", "person").filter(adopted=False).order_by("id"):
        returns.adopt(record, now=clock.now(), actor="operator")


def _run(events: list[Event]) -> dict[str, Any]:
    _push(events)
    _adopt_all()
    return _finals()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_small_numbers_in_many_orders(three: dict[str, Scim], seed: int) -> None:
    """A dozen people, shuffled with duplicates and replays: the same profiles, provenance, levels and names as in order."""
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
    """The thousand (a hundred without `--nightly`), in one random order with replays: one person each, everything explained."""
    events = _events(PEOPLE)
    shuffled = events + random.Random(7).choices(events, k=PEOPLE)
    random.Random(7).shuffle(shuffled)
    finals = _run(shuffled)
    assert len(finals) == PEOPLE
    for n in (0, 1, 10, PEOPLE - 1):
        profile, origins, active, status, ial, login_name, addresses = finals[f"E{n}"]
        assert (profile["title"], profile["displayName"], profile["nickName"]) == (_TITLES[(n + 3) % 4], f"HR {n}.3", "N3")
        assert (origins["title"], origins["displayName"]) == (("hr", "only"), ("hr", "precedence"))
        assert profile[ASSURANCE] == {"ial": 3, "proofedBy": "office 3"}
        assert (active, status) == ((False, "terminated") if n % 10 == 0 else (True, "active"))
        assert (ial, login_name, addresses) == (2, f"hr{n}", [f"hr{n}@example.org"])
    assert "stolen" not in str(finals)
    person = Person.objects.get(login_name="hr1")
    told = aggregate.explain(settle.said(person))
    assert [(one.source, one.stands, one.why) for one in told["displayName"]] == [
        ("hr", True, "precedence"), ("security", False, "not trusted"), ("directory", False, "precedence"),
    ]
    assert three


def test_no_source_moves_what_is_not_its_own(three: dict[str, Scim]) -> None:
    """Each source tries everything on the person that all share: other ids, other names, other attributes (C27, P36, P38)."""
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
        ids["security"], {"op": "add", "value": {"title": "Owner", "emails": [{"value": "eve@example.org"}], "roles": [{"value": "admin"}], "active": False}}
    )
    three["directory"].patch(ids["directory"], {"op": "add", "value": {"title": "Owner", ASSURANCE: {"ial": 3, "eligible": False, "status": "suspended"}}})
    assert _finals()["E0"][:7] == before
