"""`--drop-unknown`: unknown attributes are dropped, counted and shown; the known ones beside them are applied."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import call_command
from hypothesis import given
from hypothesis import strategies as st

from scim.errors import ScimError
from scim.models import DroppedAttribute
from scim.people import bodies, refusals
from scim.protocol import values
from scim.protocol.dropping import without_unknown
from scim.protocol.normalise import Form
from scim.protocol.user import USER
from tests.fixtures.scim_client import CORE, ENTERPRISE, GROUP, PATCH, Scim, user
from tests.fixtures.scim_records import _record

pytestmark = pytest.mark.database

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CUSTOM = "urn:example:params:scim:schemas:extension:hr:2.0:User"
BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"


@pytest.fixture
def dropping(connect: Callable[..., Scim]) -> Scim:
    """A source that drops what no schema knows."""
    scim = connect("hr")
    call_command("source", "set", "hr", "--drop-unknown", "--json")
    return scim


def _dropped() -> dict[str, int]:
    return dict(DroppedAttribute.objects.values_list("name", "count"))


def _pushed(**more: Any) -> dict[str, Any]:
    """A User with something unknown at every level, beside known things."""
    body = user(title="Analyst", salary=1, **more)
    body["schemas"] = [CORE, CUSTOM]
    body["emails"][0]["verified"] = True
    return {**body, CUSTOM: {"badge": "7"}, ENTERPRISE: {"department": "Engines", "grade": "E7"}}


def test_unknown_attributes_of_a_resource(dropping: Scim) -> None:
    """At every level; a PUT with `active: false` beside them ends."""
    status, made = dropping("POST", "/Users", _pushed())
    assert status == 201, made
    assert (made["title"], made[ENTERPRISE], made["schemas"]) == (
        "Analyst",
        {"department": "Engines"},
        [CORE, ENTERPRISE],
    )
    assert dropping("PUT", f"/Users/{made['id']}", _pushed(active=False))[1]["active"] is False
    assert not _record(made["id"]).person.account.is_active
    assert _dropped() == {"salary": 2, CUSTOM: 2, "emails.verified": 2, f"{ENTERPRISE}:grade": 2}


def test_unknown_attributes_of_a_patch(dropping: Scim) -> None:
    """Operations with unknown paths, unknown keys in values, and a message of which nothing is left."""
    record_id = dropping.create()
    tag = dropping.tag(record_id)
    unknown = [
        {"op": "add", "path": "salary", "value": 1},
        {"op": "replace", "path": f"{CUSTOM}:badge", "value": "7"},
        {"op": "replace", "path": 'emails[type eq "work"].verified', "value": True},
        {"op": "add", "value": {"shoeSize": 9}},
        {"op": "remove", "path": f"{ENTERPRISE}:grade"},
    ]
    status, found = dropping.patch(record_id, *unknown)
    assert (status, found["meta"]["version"]) == (200, tag)
    assert set(_dropped()) == {"salary", f"{CUSTOM}:badge", "emails.verified", "shoeSize", f"{ENTERPRISE}:grade"}
    ends = {"op": "replace", "value": {"active": False, "shoeSize": 9}}
    assert dropping.patch(record_id, *unknown, ends)[1]["active"] is False
    assert not _record(record_id).person.account.is_active


@pytest.mark.parametrize("name", ["active ", "urn:scim:schemas:core:1.0:active"])
def test_an_ending_in_an_odd_spelling_is_refused_or_understood(dropping: Scim, name: str) -> None:
    """Dropped, it would be answered 200 while the person stays; refused, it alarms the managers."""
    record_id = dropping.create()
    assert dropping("PUT", f"/Users/{record_id}", {**user(), name: False})[0] == 400
    assert refusals.alarms().count() == 1
    status, _ = dropping.patch(record_id, {"op": "replace", "path": name, "value": False})
    assert (status, _record(record_id).person.account.is_active) in {(400, True), (200, False)}


def test_groups_and_bulk(dropping: Scim) -> None:
    """Every body of the source."""
    made = dropping("POST", "/Groups", {"schemas": [GROUP], "displayName": "G", "colour": "red"})[1]
    message = {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "colour", "value": "blue"}]}
    assert dropping("PATCH", f"/Groups/{made['id']}", message)[0] == 200
    record_id = dropping.create()
    put = {"method": "PUT", "path": f"/Users/{record_id}", "data": _pushed(active=False)}
    answer = dropping("POST", "/Bulk", {"schemas": [BULK], "Operations": [put]})[1]["Operations"][0]
    assert answer["status"] == "200", answer
    assert _dropped()["colour"] == 2


def test_known_attributes_are_checked_as_ever(dropping: Scim) -> None:
    """What is known and wrong is refused, and no malformed path is taken for an unknown one."""
    assert dropping("POST", "/Users", {**_pushed(), "active": "perhaps"})[1]["scimType"] == "invalidValue"
    record_id = dropping.create()
    assert dropping.patch(record_id, {"op": "replace", "path": "emails[", "value": 1})[1]["scimType"] == "invalidPath"
    assert dropping.patch(record_id, {"op": "move", "path": "salary", "value": 1}, {"op": "x"})[0] == 400


def test_it_is_shown_and_taken_back(dropping: Scim, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """`source show` counts; a rehearsal of a file does not; afterwards such a push is refused again."""
    dropping.create("ada", salary=1)
    path = tmp_path / "people.jsonl"
    path.write_text(json.dumps(user("bob", salary=1)) + "\n", encoding="utf-8")
    capsys.readouterr()
    for options, count in ((["--dry-run"], 1), ([], 2)):
        call_command("source", "import", str(path), "--source", "hr", *options, "--json")
        capsys.readouterr()
        call_command("source", "show", "hr", "--json")
        found = json.loads(capsys.readouterr().out)
        assert (found["drops_unknown"], found["dropped"]) == (True, {"salary": count})
    call_command("source", "set", "hr", "--refuse-unknown", "--json")
    assert dropping("POST", "/Users", user("cyd", salary=1))[0] == 400


def test_the_number_of_names_is_bounded(dropping: Scim, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that invents names fills no table."""
    monkeypatch.setattr(bodies, "_MOST_NAMES", 3)
    for number in range(6):
        dropping.create(f"p{number}", **{f"x{number}": 1})
    assert _dropped() == {"x0": 1, "x1": 1, "x2": 1, "(others)": 3}


_JSON = st.recursive(
    st.none() | st.booleans() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["value", "x", "type"]), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(
    st.dictionaries(st.sampled_from(["active", "ACTIVE", "emails", "name", "title", "salary", ENTERPRISE, "id"]), _JSON)
)
def test_what_is_known_is_never_dropped(body: dict[str, Any]) -> None:
    """A body that the engine takes is the same without anything dropped; `active` stays in any."""
    whole: dict[str, Any] = {"schemas": [CORE], "userName": "ada", **body}
    kept, dropped = without_unknown(whole, Form.RESOURCE, USER)
    assert isinstance(kept, dict)
    assert {key: value for key, value in kept.items() if key.lower() == "active"} == {
        key: value for key, value in whole.items() if key.lower() == "active"
    }
    try:
        expected = values.resource(whole, USER)
    except ScimError:
        return
    assert values.resource(kept, USER) == expected
    assert not dropped
