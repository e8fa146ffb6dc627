"""Filters: the shared cases, the limits, and an oracle that none of us wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scim2_models import EnterpriseUser, ScimFilter, User

from scim.errors import ScimError
from scim.protocol.filter import MOST_COMPARISONS, parse_filter, parse_path
from scim.protocol.tokens import DEEPEST, LONGEST
from scim.protocol.tree import matches
from scim.protocol.user import USER
from scim.protocol.values import resource
from tests.fixtures.scim_client import ENTERPRISE, Scim

pytestmark = pytest.mark.database

_SHARED = json.loads((Path(__file__).parents[2] / "data" / "scim_filter_cases.json").read_text())
_FIXTURE = [resource(one, USER) for one in _SHARED["fixture"]]


def _names(text: str) -> list[str] | str | None:
    try:
        tree = parse_filter(text, USER)
    except ScimError as error:
        return error.scim_type
    return sorted(str(one["userName"]) for one in _FIXTURE if matches(tree, one))


@pytest.mark.parametrize("case", _SHARED["cases"], ids=lambda case: case["filter"] or "empty")
def test_shared_filter_case(case: dict[str, Any]) -> None:
    """Every shared filter selects who it must, or is refused as invalidFilter where it must be."""
    found, expected = _names(case["filter"]), case["expect"]
    if expected == "invalidFilter or lenient":
        assert found in ("invalidFilter", _names(case["filter"].replace("True", "true")))
    elif isinstance(expected, str):
        assert found == "invalidFilter"
    else:
        assert found == sorted(expected)


def test_shared_cases_over_http(hr: Scim) -> None:
    """The list endpoint selects the same people as the evaluator does, and refuses the same filters."""
    for one in _SHARED["fixture"]:
        assert hr("POST", "/Users", one)[0] == 201
    for case in _SHARED["cases"]:
        status, body = hr("GET", f"/Users?filter={quote(case['filter'])}")
        found = sorted(one["userName"] for one in body["Resources"]) if status == 200 else body["scimType"]
        assert found == _names(case["filter"]), case


@pytest.mark.parametrize(
    "text",
    [
        "password pr",
        'a[b[c eq "k"].d eq "e"].f eq "g"',
        "active gt true",
        "userName co null",
        "userName eq 5",
        'emails[type eq "work"]',
        'name eq "x"',
        'displayName[type eq "x"]',
        'emails[emails[type eq "x"]]',
        'emails[type eq "work"] pr',
        'emails.value[type eq "x"] eq "y"',
        "emails .value pr",
        '_connector eq "x"',
        "__class__ pr",
        'pk__in eq "1"',
        'userName\neq "x"',
        'userName eq "\\u0000"',
        'userName eq "\\ud800"',
        "(",
        ")",
        "not",
        "not title pr",
        "employeeNumber pr",
        f"{ENTERPRISE} pr",
        f"{ENTERPRISE}:userName pr",
        "\x00",
        'meta.created co "2020-01-01T00:00:00Z"',
        'x509Certificates.value gt "AAAA"',
        "userName eq 1e999999",
    ],
)
def test_invalid_filter_is_refused(text: str) -> None:
    """Grammar, names and types that do not fit are 400 invalidFilter before any row is read."""
    if text == 'emails[type eq "work"]':
        assert _names(text) == ["Bob", "alice", "carol"]
    else:
        assert _names(text) == "invalidFilter"


def test_filter_limits() -> None:
    """A filter at each limit is read, and one past it is refused (ruling 12)."""
    deep = "(" * DEEPEST + "title pr" + ")" * DEEPEST
    assert _names(deep) == _names("title pr")
    assert _names(f"({deep})") == "invalidFilter"
    assert _names(" or ".join(["title pr"] * MOST_COMPARISONS)) == _names("title pr")
    assert _names(" or ".join(["title pr"] * (MOST_COMPARISONS + 1))) == "invalidFilter"
    assert _names("title pr".ljust(LONGEST)) == _names("title pr")
    assert _names("title pr".ljust(LONGEST + 1)) == "invalidFilter"


def test_time_is_compared_as_an_instant() -> None:
    """Two spellings of one instant are equal (row 16 of the engine's faults)."""
    one = {"meta": {"created": "2026-11-01T12:00:00.000Z"}}
    assert matches(parse_filter('meta.created eq "2026-11-01T14:00:00+02:00"', USER), one)
    assert not matches(parse_filter('meta.created gt "2026-11-01T12:00:00Z"', USER), one)


def test_entra_value_path_with_sub_attribute() -> None:
    """`emails[type eq "work"].value eq "x"` asks one element for both."""
    assert _names('emails[type eq "work"].value eq "bob@work.example"') == ["Bob"]
    assert _names('emails[type eq "home"].value eq "bob@work.example"') == []


def test_case_and_dotless_i() -> None:
    """Case folds, but a dotless i is another letter, on every database (S4)."""
    people = [{"userName": "admin"}, {"userName": "STRASSE"}]
    assert matches(parse_filter('userName eq "ADMIN"', USER), people[0])
    assert not matches(parse_filter('userName eq "adm\\u0131n"', USER), people[0])
    assert matches(parse_filter('userName eq "straße"', USER), people[1])


_LEAVES = st.sampled_from(
    [
        'userName eq "alice"',
        'userName ne "BOB"',
        'userName sw "c"',
        "title pr",
        'title co "o"',
        "active eq true",
        "active ne false",
        'emails.type eq "home"',
        'emails[type eq "work" and value co "y"]',
        "nickName pr",
        'emails.value ew "example"',
        'externalId eq "X-1"',
        f'{ENTERPRISE}:employeeNumber eq "7"',
        'name.familyName gt "M"',
        'emails[not (type eq "work")]',
    ]
)
_FILTERS = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or", "AND", "Or"]), inner).map(" ".join),
        inner.map(lambda text: f"({text})"),
        inner.map(lambda text: f"not ({text})"),
    ),
    max_leaves=12,
)


@given(_FILTERS)
def test_agrees_with_scim2_models(text: str) -> None:
    """Random trees of and, or, not and value paths select the same people as scim2-models does."""
    oracle = ScimFilter[User[EnterpriseUser]](text)
    theirs = sorted(
        str(one["userName"]) for one in _SHARED["fixture"] if oracle.match(User[EnterpriseUser].model_validate(one))
    )
    assert _names(text) == theirs


@given(
    st.text(max_size=80)
    | st.lists(
        st.sampled_from([*'()[]."\\', " ", "emails", ".value", " eq ", '"x"', " and ", "not "]), max_size=25
    ).map("".join)
)
def test_any_text_yields_a_tree_or_a_scim_error(text: str) -> None:
    """No text makes the filter door or the path door raise anything but ScimError 400."""
    for door in (parse_filter, parse_path):
        try:
            door(text, USER)
        except ScimError as error:
            assert error.status == 400
