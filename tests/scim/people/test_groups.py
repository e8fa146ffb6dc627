"""Groups: members as rows, both ways; sources apart; and what a change of one member costs."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given, settings
from hypothesis import strategies as st

from derived import clock
from idp.policies.issuance import groups_of
from scim.models import Group, Membership, Person, Record, Source
from scim.people import groups, provision
from scim.protocol.membership import MemberChange, split
from scim.protocol.operations import Operation, OperationType
from tests.fixtures.scim_client import GROUP, PATCH, Scim
from tests.fixtures.scim_mutations import _mutated

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fixtures.world import World

pytestmark = pytest.mark.database


def group(scim: Scim, *members: str, name: str = "Guides", **more: Any) -> str:
    """Push a group; its id."""
    body = {"schemas": [GROUP], "displayName": name, "members": [{"value": one} for one in members], **more}
    status, found = scim("POST", "/Groups", body)
    assert status == 201, found
    return str(found["id"])


def patch(scim: Scim, group_id: str, *operations: dict[str, Any], query: str = "", **headers: str) -> tuple[int, Any]:
    body = {"schemas": [PATCH], "Operations": list(operations)}
    return scim("PATCH", f"/Groups/{group_id}{query}", body, **headers)


def inside(scim: Scim, group_id: str) -> set[str]:
    return {one["value"] for one in scim("GET", f"/Groups/{group_id}")[1].get("members", [])}


def test_group_and_members_reference_each_other(hr: Scim) -> None:
    """`members` has value, type and $ref; `groups` on User says the same from the other side, and cannot be written."""
    ada, bob = hr.create("ada"), hr.create("bob")
    made = group(hr, ada, bob, externalId="g-1")
    found = hr("GET", f"/Groups/{made}")[1]
    assert hr.last is not None
    assert hr.last["ETag"] == found["meta"]["version"]
    assert (found["displayName"], found["externalId"], found["meta"]["resourceType"]) == ("Guides", "g-1", "Group")
    place = f"http://testserver/scim/v2/Users/{ada}"
    assert {"value": ada, "$ref": place, "type": "User"} in found["members"]
    mine = hr("GET", f"/Users/{ada}")[1]["groups"]
    assert mine == [
        {"value": made, "$ref": f"http://testserver/scim/v2/Groups/{made}", "display": "Guides", "type": "direct"}
    ]
    assert hr.patch(ada, {"op": "remove", "path": "groups"})[1]["scimType"] == "mutability"
    assert hr("GET", f"/Users/{ada}")[1]["groups"] == mine
    assert "groups" not in hr("GET", f"/Users/{ada}?excludedAttributes=groups")[1]
    assert "members" not in hr("GET", f"/Groups/{made}?attributes=displayName")[1]


def test_nested_groups_and_cycles(hr: Scim) -> None:
    """A group in a group makes its people indirect members of the outer one; a circle of groups ends nowhere but
    here.
    """
    ada = hr.create("ada")
    inner = group(hr, ada, name="Inner")
    outer = group(hr, inner, name="Outer")
    assert patch(hr, inner, {"op": "add", "path": "members", "value": [{"value": outer}]})[0] == 200
    how = {one["display"]: one["type"] for one in hr("GET", f"/Users/{ada}")[1]["groups"]}
    assert how == {"Inner": "direct", "Outer": "indirect"}
    assert {one["type"] for one in hr("GET", f"/Groups/{outer}")[1]["members"]} == {"Group"}
    for one in (inner, outer):
        assert hr.names(f'?filter=groups.value+eq+"{one}"') == ["ada"]


def test_put_replaces_members_idempotently(hr: Scim) -> None:
    """PUT takes out who is not named; the same PUT again changes neither version nor time."""
    ada, bob, cyd = hr.create("ada"), hr.create("bob"), hr.create("cyd")
    made = group(hr, ada, bob)
    body = {"schemas": [GROUP], "displayName": "Guides", "members": [{"value": bob}, {"value": cyd, "type": "user"}]}
    first = hr("PUT", f"/Groups/{made}", body)
    assert (first[0], inside(hr, made)) == (200, {bob, cyd})
    assert hr("PUT", f"/Groups/{made}", body)[1]["meta"] == first[1]["meta"]
    assert hr("PUT", f"/Groups/{made}", {**body, "id": ada})[1]["scimType"] == "invalidValue"
    assert hr("PUT", f"/Groups/{made}", {"schemas": [GROUP], "displayName": "Guides"})[0] == 200
    assert inside(hr, made) == set()


def test_group_versions(hr: Scim) -> None:
    """If-Match guards every change, If-None-Match saves a body, and a change of members is another version."""
    ada = hr.create("ada")
    made = group(hr)
    tag = hr("GET", f"/Groups/{made}")[1]["meta"]["version"]
    assert hr("GET", f"/Groups/{made}", If_None_Match=tag)[0] == 304
    add = {"op": "add", "path": "members", "value": [{"value": ada}]}
    assert patch(hr, made, add, If_Match=tag)[0] == 200
    assert hr("GET", f"/Groups/{made}", If_None_Match=tag)[0] == 200
    body = {"schemas": [GROUP], "displayName": "X"}
    for refused in (
        patch(hr, made, add, If_Match=tag),
        hr("PUT", f"/Groups/{made}", body, If_Match=tag),
        hr("DELETE", f"/Groups/{made}", If_Match=tag),
    ):
        assert refused[0] == 412
    assert inside(hr, made) == {ada}


def test_group_and_member_deletion(hr: Scim) -> None:
    """A deleted group is gone from its members, and a deleted member from its groups, whose version says so (ID-5)."""
    ada, bob = hr.create("ada"), hr.create("bob")
    made = group(hr, ada, bob)
    outer = group(hr, made, name="Outer")
    before = hr("GET", f"/Groups/{made}")[1]["meta"]["version"]
    assert hr("DELETE", f"/Users/{bob}")[0] == 204
    found = hr("GET", f"/Groups/{made}")[1]
    assert ([one["value"] for one in found["members"]], found["meta"]["version"] == before) == ([ada], False)
    assert hr("DELETE", f"/Groups/{made}")[0] == 204
    assert hr("GET", f"/Groups/{made}")[0] == hr("DELETE", f"/Groups/{made}")[0] == 404
    assert "groups" not in hr("GET", f"/Users/{ada}")[1]
    assert inside(hr, outer) == set()
    assert (
        patch(hr, outer, {"op": "add", "path": "members", "value": [{"value": made}, {"value": bob}]})[1]["scimType"]
        == "invalidValue"
    )


def test_groups_of_sources_are_isolated(connect: Callable[..., Scim]) -> None:
    """No source sees, changes or enrols what is another's; externalId is unique per source only (ID-3, C27, P37)."""
    hr, security = connect("hr"), connect("security")
    ada, made = hr.create("ada"), None
    made = group(hr, ada, externalId="7")
    other = group(security, externalId="7")
    assert security("GET", f"/Groups/{made}")[0] == 404
    assert patch(security, made, {"op": "replace", "path": "displayName", "value": "x"})[0] == 404
    assert security("DELETE", f"/Groups/{made}")[0] == 404
    add = {"op": "add", "path": "members", "value": [{"value": ada}]}
    assert patch(security, other, add)[1]["scimType"] == "invalidValue"
    assert security("GET", "/Groups")[1]["totalResults"] == 1
    assert security("GET", f'/Groups?filter=members.value+eq+"{ada}"')[1]["totalResults"] == 0
    assert (
        hr("POST", "/Groups", {"schemas": [GROUP], "displayName": "x", "externalId": "7"})[1]["scimType"]
        == "uniqueness"
    )
    second = group(hr, externalId="8")
    assert patch(hr, second, {"op": "add", "value": {"externalId": "7"}})[1]["scimType"] == "uniqueness"
    assert hr("GET", "/Groups", Authorization="")[0] == 401


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ({"op": "add", "path": "members", "value": [{"value": "nobody"}]}, "invalidValue"),
        ({"op": "add", "path": "members", "value": [{"type": "User"}]}, "invalidValue"),
        ({"op": "add", "path": "members", "value": [{"value": "{ada}", "type": "Group"}]}, "invalidValue"),
        ({"op": "add", "path": "members", "value": [{"value": "{ada}", "type": "Robot"}]}, "invalidValue"),
        ({"op": "add", "path": "members"}, "invalidValue"),
        ({"op": "replace", "path": 'members[value eq "{ada}"].value', "value": "x"}, "mutability"),
        ({"op": "replace", "path": 'members[value eq "{ada}"]', "value": {"value": "{bob}"}}, "mutability"),
        ({"op": "replace", "path": 'members[value eq "{bob}"]', "value": {"value": "{bob}"}}, "noTarget"),
        ({"op": "remove", "path": "members.value"}, "mutability"),
        ({"op": "remove", "path": "members[salary pr]"}, "invalidFilter"),
        ({"op": "remove", "path": "displayName"}, "mutability"),
        ({"op": "replace", "value": {"salary": 1}}, "invalidSyntax"),
        ({"op": "replace", "path": "meta.version", "value": "9"}, "mutability"),
    ],
)
def test_one_bad_operation_undoes_all(hr: Scim, operation: dict[str, Any], kind: str) -> None:
    """What cannot be is refused with its error of Table 9, and nothing of the request has happened (ID-4)."""
    ada, bob, cyd = hr.create("ada"), hr.create("bob"), hr.create("cyd")
    made = group(hr, ada)
    before = hr("GET", f"/Groups/{made}")[1]
    filled = _filled(operation, ada=ada, bob=bob)
    good = [
        {"op": "add", "path": "members", "value": [{"value": cyd}]},
        {"op": "replace", "path": "displayName", "value": "New"},
    ]
    status, found = patch(hr, made, *good, filled)
    assert (status, found["scimType"]) == (400, kind)
    assert hr("GET", f"/Groups/{made}")[1] == before


def _filled(value: Any, **names: str) -> Any:
    if isinstance(value, str):
        return value.replace("{ada}", names["ada"]).replace("{bob}", names["bob"])
    if isinstance(value, dict):
        return {key: _filled(inner, **names) for key, inner in value.items()}
    return [_filled(inner, **names) for inner in value] if isinstance(value, list) else value


def test_members_by_reference_and_by_filter(hr: Scim) -> None:
    """A member may be named by `$ref`; a filter may say more than which ids, as long as it is not many such filters."""
    ada, bob = hr.create("ada"), hr.create("bob")
    inner = group(hr, name="Inner")
    made = group(hr, ada, inner)
    add = {"op": "add", "path": "members", "value": {"$ref": f"https://elsewhere.example/Users/{bob}"}}
    assert patch(hr, made, add)[0] == 200
    assert inside(hr, made) == {ada, bob, inner}
    assert patch(hr, made, {"op": "remove", "path": 'members[type eq "group"]'})[0] == 200
    assert patch(hr, made, {"op": "remove", "path": f'members[type eq "User" and value ne "{bob}"]'})[0] == 200
    assert inside(hr, made) == {bob}
    scans = [{"op": "remove", "path": 'members[type eq "group"]'}] * 51
    assert patch(hr, made, *scans)[1]["scimType"] == "invalidFilter"


def _crowd(count: int) -> list[Record]:
    """Many records of one source, made below HTTP."""
    source, now = Source.objects.get(name="hr"), clock.now()
    one = Record.objects.get(source=source, user_name_fold="ada")
    rows = [
        Record(
            source=source,
            person=one.person,
            pushed={},
            resource={"schemas": [], "userName": f"u{i}"},
            user_name_fold=f"u{i}",
            active=True,
            created_at=now,
            updated_at=now,
        )
        for i in range(count)
    ]
    return Record.objects.bulk_create(rows)


def test_adding_a_member_costs_the_same_in_a_large_group(hr: Scim) -> None:
    """Into a group of 2,000 as into an empty one: the same statements, none of which names or returns the others."""
    ada = hr.create("ada")
    costs = []
    for crowd in (0, 2000):
        made = group(hr)
        rows = [
            Membership(group_id=uuid.UUID(made), record=one, added_at=clock.now())
            for one in (_crowd(crowd) if crowd else [])
        ]
        Membership.objects.bulk_create(rows)
        with CaptureQueriesContext(connection) as captured:
            status, body = patch(
                hr, made, {"op": "add", "path": "members", "value": [{"value": ada}]}, query="?attributes=id"
            )
        assert (status, set(body)) == (200, {"schemas", "id"})
        costs.append(len(captured))
        assert max(len(one["sql"]) for one in captured) < 2000
    assert costs[0] == costs[1] <= 16


def test_large_group_patch_is_204(hr: Scim) -> None:
    """PATCH of a large group is 204 with its tag, and 200 where the attributes are chosen."""
    ada = hr.create("ada")
    made = group(hr, *[str(one.id) for one in _crowd(301)])
    status, body = patch(hr, made, {"op": "add", "path": "members", "value": [{"value": ada}]})
    assert hr.last is not None
    assert (status, body, hr.last["ETag"]) == (204, None, 'W/"2"')
    assert (
        patch(hr, made, {"op": "replace", "path": "displayName", "value": "x"}, query="?attributes=displayName")[1][
            "displayName"
        ]
        == "x"
    )
    assert (
        patch(hr, made, {"op": "replace", "path": "displayName", "value": "y"}, query="?excludedAttributes=members")[0]
        == 200
    )
    assert (
        len(
            patch(hr, made, {"op": "replace", "path": "displayName", "value": "z"}, query="?attributes=members")[1][
                "members"
            ]
        )
        == 302
    )


def test_ten_thousand_operations_are_one_difference(hr: Scim) -> None:
    """A PATCH that adds and removes members one by one, thousands of times, costs statements by the hundred, not
    each.
    """
    hr.create("ada")
    crowd = [str(one.id) for one in _crowd(1000)]
    made = group(hr, *crowd[:500])
    operations = [{"op": "add", "path": "members", "value": [{"value": one}]} for one in crowd]
    operations += [{"op": "remove", "path": f'members[value eq "{one}"]'} for one in crowd[:500]]
    with CaptureQueriesContext(connection) as captured:
        assert patch(hr, made, *operations)[0] == 204
    assert inside(hr, made) == set(crowd[500:])
    assert len(captured) < 40


_IDS = ["a", "b", "c", "d"]
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just(OperationType.ADD), st.just("members"), st.lists(st.sampled_from(_IDS), max_size=3)),
        st.tuples(st.just(OperationType.REPLACE), st.just("members"), st.lists(st.sampled_from(_IDS), max_size=3)),
        st.tuples(
            st.just(OperationType.REMOVE),
            st.just("members"),
            st.none() | st.lists(st.sampled_from(_IDS), min_size=1, max_size=2),
        ),
        st.tuples(
            st.just(OperationType.REMOVE),
            st.sampled_from(_IDS).map(lambda one: f'members[value eq "{one}"]'),
            st.none(),
        ),
        st.tuples(
            st.just(OperationType.REMOVE),
            st.sampled_from(_IDS).map(lambda one: f'members[value ne "{one}" and type eq "User"]'),
            st.none(),
        ),
    ),
    max_size=8,
)


@given(_STEPS, st.sets(st.sampled_from(_IDS)))
def test_difference_equals_sequential_operations(
    steps: list[tuple[OperationType, str, list[str] | None]], before: set[str]
) -> None:
    """One after the other on a plain set, and as one difference: the same members."""
    now = set(before)
    asked = []
    for op, path, ids in steps:
        value: Any = None if ids is None else [{"value": one} for one in ids]
        asked.append(Operation(op, path, value, has_value=ids is not None))
        if "[" in path:
            one = path.split('"')[1]
            now = {one} & now if " ne " in path else now - {one}
        elif op == OperationType.REMOVE:
            now = set() if ids is None else now - set(ids)
        else:
            now = (set() if op == OperationType.REPLACE else now) | set(ids or [])
    change, others = split(asked, lambda: [(one, "User") for one in before])
    start: set[str] = set() if change.reset else before - change.removed
    assert (start | set(change.added), others) == (now, [])
    assert not change.removed & set(change.added)


@settings(max_examples=60)
@given(chance=st.randoms(use_true_random=True))
def test_mutated_group_requests_yield_no_5xx(hr: Scim, chance: Any) -> None:
    """Mutated groups, patches and ids are answered with a SCIM answer below 500."""
    made = chance.choice([group(hr), "x", "%ff", "0" * 36])
    body = {
        "schemas": [GROUP],
        "displayName": "g",
        "externalId": uuid.uuid4().hex,
        "members": [{"value": "x", "type": "User"}, {"$ref": "y"}],
    }
    message = {
        "schemas": [PATCH],
        "Operations": [
            {"op": "add", "path": "members", "value": [{"value": "x"}]},
            {"op": "remove", "path": 'members[value eq "x" or type pr]'},
            {"op": "replace", "value": {"displayName": "n", "members": [{"value": "x"}]}},
        ],
    }
    method, path, sent = chance.choice(
        [("POST", "/Groups", body), ("PUT", f"/Groups/{made}", body), ("PATCH", f"/Groups/{made}", message)]
    )
    status, answer = hr(method, path, _mutated(sent, chance))
    assert status < 500
    assert status not in range(400, 500) or answer["status"] == str(status)


def test_empty_difference_changes_nothing() -> None:
    """An empty difference neither resets nor names anybody."""
    assert (MemberChange().reset, MemberChange().added, MemberChange().removed) == (False, {}, set())
    assert groups.attributes(Group(display_name="x")) == {"schemas": [GROUP], "displayName": "x"}


@pytest.mark.django_db
@pytest.mark.database
def test_rule_names_the_group_of_one_source(world: World) -> None:
    """C27: a rule of issuance names a group of one source; another source that calls a group of its own the same
    changes nothing.
    """
    ada = world.push("ada@example.org")
    record = Record.objects.get(id=ada)
    first = groups.create_group(
        record.source, {"schemas": [GROUP], "displayName": "VPN users", "members": [{"value": ada}]}, now=clock.now()
    )
    assert {"VPN users", "hr/VPN users", str(first.id)} <= groups_of(Person.objects.get(id=record.person_id))
    other, _ = provision.register_source("facilities", now=clock.now())
    bob = provision.create_user(
        other, {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "bob"}, now=clock.now()
    )
    groups.create_group(
        other, {"schemas": [GROUP], "displayName": "VPN users", "members": [{"value": str(bob.id)}]}, now=clock.now()
    )
    found = groups_of(bob.person)
    assert "VPN users" not in found
    assert "hr/VPN users" not in found
    assert "facilities/VPN users" in found
    for name in ("hr/VPN users", str(first.id)):
        groups.create_group(
            other, {"schemas": [GROUP], "displayName": name, "members": [{"value": str(bob.id)}]}, now=clock.now()
        )
    assert not {"hr/VPN users", str(first.id)} & groups_of(bob.person)
