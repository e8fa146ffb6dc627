"""Lists: what SQL says is what the evaluator says, in every order, and every page is as cheap as the first."""

from __future__ import annotations

import itertools
import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given, settings
from hypothesis import strategies as st

from derived import clock
from scim.errors import ScimError
from scim.http import cursors
from scim.http.select import GROUPS, PEOPLE, select
from scim.models import Group, Record
from scim.people import directory
from scim.protocol.filter import parse_filter
from scim.protocol.tree import matches
from tests.fixtures.scim_client import ENTERPRISE, GROUP, Scim, user

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from scim.http.select import ResourceTable

pytestmark = pytest.mark.database

_SHARED = json.loads((Path(__file__).parents[2] / "data" / "scim_filter_cases.json").read_text())
_BEGINNING = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture
def town(hr: Scim) -> Scim:
    """People who differ in everything that a filter may ask, some by one character, and groups of them."""
    people = [
        user("Zoë", title="x", externalId="X-1", displayName="Zoë Ünal"),
        user("adm\u0131n", displayName="%_"),
        user("ADMIN2", externalId="x-1"),
        user("straße", displayName=""),
        user("zebra", active=False, **{ENTERPRISE: {"employeeNumber": "A7"}}),
        user("Ωmega", emails=[{"type": "work"}]),
        user("\U0001f600", emails=[], nickName="n"),
        user("a_b", displayName="\ue000"),
        user(
            "a%b",
            emails=[{"value": "One@Example.org", "type": "home"}, {"value": "two@example.org", "type": "work"}],
            name={"givenName": "x"},
        ),
    ]
    with time_machine.travel(_BEGINNING, tick=False) as traveller:
        ids = []
        for one in people:
            traveller.shift(timedelta(microseconds=1_700_501))
            status, found = hr("POST", "/Users", one)
            assert status == 201, found
            ids.append(found["id"])
        for number, name in enumerate(["Zebras", "zebras", "%"]):
            traveller.shift(timedelta(seconds=1))
            members = [{"value": one} for one in ids[number::3]]
            assert hr("POST", "/Groups", {"schemas": [GROUP], "displayName": name, "members": members})[0] == 201
        hr.patch(ids[0], {"op": "replace", "path": "title", "value": "y"})
        hr.patch(ids[1], {"op": "remove", "path": "active"})
    return hr


_NAMES = [
    "userName",
    "displayName",
    "externalId",
    "name.familyName",
    f"{ENTERPRISE}:employeeNumber",
    "emails.value",
    "emails",
    "title",
    "nickName",
    "emails.type",
]
_TEXTS = [
    "",
    "a",
    "A",
    "zebra",
    "z",
    "X-1",
    "x-1",
    "example.org",
    "One@example.ORG",
    "two@example.org",
    "%",
    "_",
    "\ue000",
    "\U0001f600",
    "ADMIN",
    "strasse",
    "b",
    "work",
    "Example",
    "\U0010ffff",
    "\ud7ff",
    "Zoë Ünal",
    "7",
]
_MOMENTS = [
    "2026-11-01T12:00:01.700Z",
    "2026-11-01T12:00:03.401Z",
    "2026-11-01T12:00:03.4011Z",
    "2026-11-01T13:00:05.101+01:00",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999Z",
]
_LEAVES = st.one_of(
    st.tuples(
        st.sampled_from(_NAMES),
        st.sampled_from(["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"]),
        st.sampled_from(_TEXTS),
    ).map(lambda part: f"{part[0]} {part[1]} {json.dumps(part[2], ensure_ascii=False)}"),
    st.sampled_from(_NAMES).map(lambda name: f"{name} pr"),
    st.tuples(st.sampled_from(_NAMES), st.sampled_from(["eq", "ne"])).map(lambda part: f"{part[0]} {part[1]} null"),
    st.tuples(
        st.sampled_from(["eq", "ne", "gt", "ge", "lt", "le"]),
        st.sampled_from(["created", "lastModified"]),
        st.sampled_from(_MOMENTS),
    ).map(lambda part: f'meta.{part[1]} {part[0]} "{part[2]}"'),
    st.tuples(st.sampled_from(["eq", "ne", "sw", "co"]), st.sampled_from(_TEXTS)).map(
        lambda part: f"emails[value {part[0]} {json.dumps(part[1], ensure_ascii=False)}]"
    ),
    st.sampled_from(
        [
            "active eq true",
            "active ne true",
            "active eq false",
            'emails[not (value eq "two@example.org")]',
            'emails[type eq "work" and value sw "t"]',
            'meta.resourceType eq "User"',
            'meta.resourceType ne "User"',
            'id eq "x"',
            'id ne "x"',
            "id pr",
            "emails[value pr]",
            "emails[value eq null]",
            'groups.value eq "x"',
        ]
    ),
)
_FILTERS = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(" ".join),
        inner.map(lambda text: f"({text})"),
        inner.map(lambda text: f"not ({text})"),
    ),
    max_leaves=6,
)


def _by_sql(text: str, shelf: ResourceTable) -> tuple[set[UUID], bool]:
    chosen = select(parse_filter(text, shelf.kind), shelf)
    return {row.id for row in shelf.model._default_manager.filter(chosen.where)}, chosen.exact


def _by_evaluator(text: str, shelf: ResourceTable) -> set[UUID]:
    tree, rows = parse_filter(text, shelf.kind), list(shelf.model._default_manager.all())
    views = directory.people(rows, base="") if shelf is PEOPLE else directory.groups(rows, base="")
    return {row.id for row, view in zip(rows, views, strict=True) if matches(tree, view)}


@settings(max_examples=200)
@given(text=_FILTERS)
def test_sql_agrees_with_the_evaluator(town: Scim, text: str) -> None:
    """Every row that matches is selected, and where SQL claims to be exact, no other is (S1 to S9)."""
    del town
    selected, exact = _by_sql(text, PEOPLE)
    matching = _by_evaluator(text, PEOPLE)
    assert matching <= selected, text
    assert not exact or matching == selected, text


def test_common_filters_are_exact(town: Scim) -> None:
    """The filters that clients send before every write never read more rows than they return."""
    ada = town.names('?filter=userName+eq+"zebra"')
    assert ada == ["zebra"]
    member = str(Record.objects.get(user_name_fold="zebra").id)
    made = str(Group.objects.get(display_name="zebras").id)
    for text in (
        'userName eq "zebra"',
        'USERNAME sw "Z"',
        f'id eq "{member}"',
        'externalId eq "X-1"',
        "active eq false",
        'emails.value eq "two@example.org"',
        'emails[value co "example"]',
        'meta.lastModified gt "2026-11-01T12:00:03.4Z"',
        f'groups.value eq "{made}"',
        "not (displayName pr)",
        f'{ENTERPRISE}:employeeNumber eq "a7"',
        'userName eq "a" or (active eq true and name.familyName co "E")',
        'meta.resourceType eq "User"',
    ):
        selected, exact = _by_sql(text, PEOPLE)
        assert (exact, selected) == (True, _by_evaluator(text, PEOPLE)), text
    for text in (
        'displayName eq "ZEBRAS"',
        f'members.value eq "{member}"',
        f'members[value eq "{member}"]',
        'externalId ne "x"',
        'id eq "x"',
    ):
        selected, exact = _by_sql(text, GROUPS)
        assert (exact, selected) == (True, _by_evaluator(text, GROUPS)), text
    assert not select(parse_filter('title eq "x"', PEOPLE.kind), PEOPLE).exact
    assert _by_sql('members[type eq "User"]', GROUPS)[1] is False
    assert town("GET", "/Groups?filter=" + quote('members[type eq "user"]'))[1]["totalResults"] == 3


_ORDERS = [
    "userName",
    "displayName",
    "name.familyName",
    "externalId",
    "meta.created",
    "meta.lastModified",
    f"{ENTERPRISE}:employeeNumber",
    "id",
    "title",
    "active",
    "emails",
    "emails.type",
    "groups.display",
    None,
]


@pytest.mark.parametrize("direction", ["ascending", "descending"])
def test_every_paging_gives_the_same_list(town: Scim, direction: str) -> None:
    """By index and by cursor, in one page or in pages of two: the same resources, each once, in the same order."""
    for order, text in itertools.product(_ORDERS, [None, 'userName co "a"', 'emails.type eq "work"']):
        asked = {"sortOrder": direction, **({"sortBy": order} if order else {}), **({"filter": text} if text else {})}
        whole = town("GET", f"/Users?{urlencode(asked)}")[1]
        ids = [one["id"] for one in whole["Resources"]]
        assert len(set(ids)) == len(ids) == whole["totalResults"]
        assert _paged(town, asked, len(ids)) == ids, asked
        assert _walked(town, asked) == ids, asked


def _paged(town: Scim, asked: dict[str, str], count: int) -> list[str]:
    found: list[str] = []
    while len(found) < count:
        page = town("GET", f"/Users?{urlencode({**asked, 'startIndex': len(found) + 1, 'count': 2})}")[1]
        assert (page["totalResults"], page["startIndex"]) == (count, len(found) + 1)
        found += [one["id"] for one in page["Resources"]]
    return found


def _walked(town: Scim, asked: dict[str, str]) -> list[str]:
    found, cursor = [], ""
    for _ in range(20):
        page = town("GET", f"/Users?{urlencode({**asked, 'cursor': cursor, 'count': 2})}")[1]
        found += [one["id"] for one in page["Resources"]]
        cursor = page.get("nextCursor", "")
        if not cursor:
            break
    return found


def test_order_is_by_code_points_with_unassigned_last(town: Scim) -> None:
    """Both databases sort folded text alike; what has no value is last, or first in descending order (RFC 7644
    §3.4.2.3).
    """
    names = town.names("?sortBy=userName")
    assert names == ["a%b", "a_b", "ADMIN2", "adm\u0131n", "straße", "zebra", "Zoë", "Ωmega", "\U0001f600"]
    assert town.names("?sortBy=userName&sortOrder=descending") == names[::-1]
    assert [name for name in town.names("?sortBy=displayName") if name in {"a_b", "Zoë", "adm\u0131n"}] == [
        "adm\u0131n",
        "Zoë",
        "a_b",
    ]
    assert set(town.names("?sortBy=displayName")[:3]) == {"adm\u0131n", "Zoë", "a_b"}
    assert set(town.names("?sortBy=displayName&sortOrder=descending")[-3:]) == {"adm\u0131n", "Zoë", "a_b"}
    for wrong in ("sortBy=salary", "sortBy=name", "sortBy=password", "sortBy=emails[type+eq+%22x%22]", "sortOrder=up"):
        assert town("GET", f"/Users?{wrong}")[0] == 400, wrong


def test_distant_page_is_counted_from_the_nearer_end(hr: Scim, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page beyond the first thousand is found over the index alone, from whichever end is nearer, and is the same
    page.
    """
    for number in range(11):
        hr.create(f"p{number:02}")
    for far in (10_000, 0):
        monkeypatch.setattr("scim.http.listing._FAR", far)
        pages = [hr.names(f"?startIndex={start}&count=3") for start in (1, 2, 5, 6, 8, 10, 11, 12)]
        assert pages == [
            [f"p{i:02}" for i in range(start - 1, min(11, start + 2))] for start in (1, 2, 5, 6, 8, 10, 11, 12)
        ]


def test_foreign_cursors_are_refused(connect: Callable[..., Scim]) -> None:
    """A forged, borrowed, reused-elsewhere or old cursor is refused before any row is read (P61, RFC 9865)."""
    hr, other = connect("hr"), connect("security")
    for name in ("a", "b", "c"):
        hr.create(name)
        other.create(f"other-{name}")
    page = hr("GET", "/Users?cursor=&count=1")[1]
    cursor = page["nextCursor"]
    assert (page["totalResults"], "startIndex" in page) == (3, False)
    assert hr.names(f"?cursor={cursor}&count=2") == ["b", "c"]
    assert (
        hr(
            "POST",
            "/Users/.search",
            {"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "cursor": cursor},
        )[0]
        == 200
    )
    forged = [cursor[:-1] + ("A" if cursor[-1] != "A" else "B"), cursor[:20], "x", "é", "1 OR 1=1", "A" * 600, "%00"]
    elsewhere = [
        f"/Users?filter=title+pr&cursor={cursor}",
        f"/Users?sortBy=userName&cursor={cursor}",
        f"/Groups?cursor={cursor}",
        f"/?cursor={cursor}",
    ]
    for path in [*(f"/Users?cursor={quote(one)}" for one in forged), *elsewhere]:
        assert hr("GET", path)[1].get("scimType") == "invalidCursor", path
    assert other("GET", f"/Users?cursor={cursor}")[1]["scimType"] == "invalidCursor"
    assert hr("GET", f"/Users?cursor={cursor}&startIndex=1")[0] == 400
    with time_machine.travel(clock.now() + timedelta(hours=1, minutes=1)):
        assert hr("GET", f"/Users?cursor={cursor}")[1]["scimType"] == "expiredCursor"
    assert hr("GET", "/Users?cursor=&count=0")[1]["Resources"] == []


def test_cursor_survives_the_deletion_of_its_row(hr: Scim) -> None:
    """The last row that was shown is deleted: the next page still begins where it stood, and nobody is shown twice."""
    ids = [hr.create(name) for name in ("a", "b", "c", "d")]
    cursor = hr("GET", "/Users?cursor=&count=2")[1]["nextCursor"]
    assert hr("DELETE", f"/Users/{ids[1]}")[0] == 204
    assert hr.names(f"?cursor={cursor}") == ["c", "d"]


def test_inexact_cursor_page_is_bounded(hr: Scim, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where rows must be asked one by one, a page reads no more than so many and may be short; walking on finds all."""
    monkeypatch.setattr("scim.http.listing._MOST_READ", 3)
    monkeypatch.setattr("scim.http.listing._PIECE", 2)
    for number in range(9):
        hr.create(f"p{number}", **({"title": "x"} if number in {1, 8} else {}))
    found, cursor, pages = [], "", 0
    while pages < 10:
        page = hr("GET", f'/Users?filter=title+eq+"x"&cursor={cursor}&count=2')[1]
        assert "totalResults" not in page
        found += [one["userName"] for one in page["Resources"]]
        cursor, pages = page.get("nextCursor", ""), pages + 1
        if not cursor:
            break
    assert (found, pages) == (["p1", "p8"], 3)
    monkeypatch.setattr("scim.http.listing._LONGEST", -1.0)
    assert hr("GET", '/Users?filter=title+eq+"x"')[1]["scimType"] == "tooMany"
    monkeypatch.setattr("scim.http.listing._MOST_SORTED", 5)
    assert hr("GET", "/Users?sortBy=title")[1]["scimType"] == "tooMany"


def test_statements_per_page_are_constant(hr: Scim) -> None:
    """As many statements for 40 people in groups as for one, with and without groups."""
    costs = []
    for count in (1, 40):
        ids = [hr.create(f"n{count}-{number}") for number in range(count)]
        hr("POST", "/Groups", {"schemas": [GROUP], "displayName": "g", "members": [{"value": one} for one in ids]})
        with CaptureQueriesContext(connection) as captured:
            assert len(hr.names("?count=200")) >= count
        with CaptureQueriesContext(connection) as fewer:
            hr.names("?count=200&attributes=userName")
        costs.append((len(captured), len(fewer)))
    assert costs[0] == costs[1]
    assert costs[1][1] < costs[1][0] <= 6


def test_root_searches_users_and_groups(town: Scim) -> None:
    """`/` and `/.search` answer with people and groups; a filter that only one kind can answer is asked of that one."""
    message = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]}
    body = town("POST", "/.search", {**message, "count": 200})[1]
    assert body["totalResults"] == 12
    assert [one["meta"]["resourceType"] for one in body["Resources"]] == ["User"] * 9 + ["Group"] * 3
    assert town("GET", "/?filter=userName+eq+%22zebra%22")[1]["totalResults"] == 1
    kinds = {
        one["meta"]["resourceType"] for one in town("GET", "/?filter=meta.resourceType+eq+%22Group%22")[1]["Resources"]
    }
    assert kinds == {"Group"}
    assert town("GET", "/?startIndex=9&count=2")[1]["Resources"][1]["displayName"] == "Zebras"
    walked, cursor = 0, ""
    while True:
        page = town("GET", f"/?cursor={cursor}&count=5")[1]
        walked += page["itemsPerPage"]
        cursor = page.get("nextCursor", "")
        if not cursor:
            break
    assert walked == 12
    assert town("GET", "/?filter=salary+pr")[1]["scimType"] == "invalidFilter"
    assert town("GET", "/?sortBy=userName")[0] == 400
    assert town("GET", "/", Authorization="")[0] == 401
    assert town("POST", "/Groups/.search", {**message, "filter": 'displayName eq "%"'})[1]["totalResults"] == 1


def test_random_bytes_are_no_cursor() -> None:
    """No bytes but those that were sealed for this list are unsealed, whatever their length."""
    listed, key, now = cursors.digest("a"), b"k", clock.now()
    chance = random.Random(7)
    for length in [*range(90), 1000]:
        text = "".join(chance.choice("ABCxyz019-_") for _ in range(length))
        with pytest.raises(ScimError) as refused:
            cursors.unseal(text, listed, key=key, now=now)
        assert refused.value.scim_type == "invalidCursor"


def test_groups_with_very_many_members_are_not_listed_in_full(hr: Scim, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of groups whose members would not fit says so, and what to ask instead."""
    monkeypatch.setattr("scim.http.listing._MOST_MEMBERS", 2)
    members = [{"value": hr.create(name)} for name in "abc"]
    hr("POST", "/Groups?attributes=id", {"schemas": [GROUP], "displayName": "g", "members": members})
    assert hr("GET", "/Groups")[1]["scimType"] == "tooMany"
    assert hr("GET", "/Groups?excludedAttributes=members")[1]["totalResults"] == 1


def test_filter_time_is_bounded_for_matching_rows_too(hr: Scim, monkeypatch: pytest.MonkeyPatch) -> None:
    """C75: the time that asking rows one by one may take does not depend on the answer."""
    for name in ("ada", "bob"):
        hr.create(name)
    monkeypatch.setattr("scim.http.listing._LONGEST", -1.0)
    assert hr("GET", '/Users?filter=not (title eq "x")')[1]["scimType"] == "tooMany"
