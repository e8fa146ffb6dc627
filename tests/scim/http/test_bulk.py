"""Bulk: each operation for itself, references that wait for what they name, circles, and limits (RFC 7644 §3.7)."""

from __future__ import annotations

import copy
import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from derived import clock
from scim.http import bulk as bulk_http
from tests.fixtures.scim_client import GROUP, PATCH, Scim, user
from tests.fixtures.scim_mutations import _mutated

pytestmark = pytest.mark.database

BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"


def bulk(scim: Scim, *operations: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    status, found = scim("POST", "/Bulk", {"schemas": [BULK], "Operations": list(operations), **more})
    assert status == 200, found
    assert found["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:BulkResponse"]
    answers: list[dict[str, Any]] = found["Operations"]
    return answers


def new(bulk_id: str, name: str | None = None, **more: Any) -> dict[str, Any]:
    return {"method": "POST", "path": "/Users", "bulkId": bulk_id, "data": user(name or bulk_id, **more)}


def group(bulk_id: str, *members: str) -> dict[str, Any]:
    data = {"schemas": [GROUP], "displayName": bulk_id, "members": [{"value": one} for one in members]}
    return {"method": "POST", "path": "/Groups", "bulkId": bulk_id, "data": data}


def members(scim: Scim, answer: dict[str, Any]) -> set[str]:
    path = answer["location"].split("/scim/v2")[1]
    return {one["value"] for one in scim("GET", path)[1].get("members", [])}


def an_id(answer: dict[str, Any]) -> str:
    return str(answer["location"].rpartition("/")[2])


def test_every_method_in_one_request(hr: Scim) -> None:
    """POST, PUT, PATCH and DELETE of people and groups, each answered with its place, its tag and a status that is a
    string.
    """
    ada, bob = hr.create("ada"), hr.create("bob")
    message = {"schemas": [PATCH], "Operations": [{"op": "replace", "value": {"title": "T"}}]}
    answers = bulk(
        hr,
        new("cyd"),
        group("g", ada),
        {"method": "put", "path": f"/Users/{ada}", "data": user("ada2")},
        {"method": "PATCH", "path": f"/Users/{bob}", "data": message, "version": 'W/"1"'},
        {"method": "DELETE", "path": f"/Users/{ada}"},
    )
    assert [one["status"] for one in answers] == ["201", "201", "200", "200", "204"]
    assert [one["method"] for one in answers] == ["POST", "POST", "PUT", "PATCH", "DELETE"]
    assert (answers[0]["bulkId"], answers[0]["version"]) == ("cyd", 'W/"1"')
    assert hr("GET", f"/Users/{an_id(answers[0])}")[1]["userName"] == "cyd"
    assert hr("GET", f"/Users/{bob}")[1]["title"] == "T"
    assert hr("GET", f"/Users/{ada}")[0] == 404


def test_references_are_resolved_in_any_order(hr: Scim) -> None:
    """A group before its members, a manager after the managed, a path with a bulkId: the order in the request does
    not matter.
    """
    enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
    managed = new("cyd", **{enterprise: {"manager": {"value": "bulkId:boss"}}})
    message = {
        "schemas": [PATCH],
        "Operations": [{"op": "add", "path": "members", "value": [{"value": "bulkId:boss"}]}],
    }
    answers = bulk(
        hr,
        group("g", "bulkId:ada", "bulkId:cyd"),
        managed,
        {"method": "PATCH", "path": "/Groups/bulkId:g", "data": message},
        new("ada"),
        new("boss"),
    )
    assert [one["status"] for one in answers] == ["201", "201", "200", "201", "201"]
    assert members(hr, answers[0]) == {an_id(answers[1]), an_id(answers[3]), an_id(answers[4])}
    assert hr("GET", f"/Users/{an_id(answers[1])}")[1][enterprise]["manager"]["value"] == an_id(answers[4])


def test_circular_groups_are_created(hr: Scim) -> None:
    """Groups that are members of each other, in a ring of three and in a pair, are all made with all their members
    (§3.7.1).
    """
    answers = bulk(
        hr,
        group("a", "bulkId:b", "bulkId:ada"),
        group("b", "bulkId:c"),
        new("ada"),
        group("c", "bulkId:a"),
        group("d", "bulkId:d2"),
        group("d2", "bulkId:d"),
    )
    assert {one["status"] for one in answers} == {"201"}
    a, b, ada, c, d, d2 = (an_id(one) for one in answers)
    assert [members(hr, one) for one in answers if "Groups" in one["location"]] == [{b, ada}, {c}, {a}, {d2}, {d}]
    for one in answers:
        if "Groups" in one["location"]:
            assert one["version"] == hr("GET", one["location"].split("/scim/v2")[1])[1]["meta"]["version"]


def test_failed_operation_changes_nothing(hr: Scim) -> None:
    """Each operation is atomic by itself; what refers to one that failed fails too, with words of its own."""
    ada = hr.create("ada")
    bad = {
        "schemas": [PATCH],
        "Operations": [{"op": "replace", "value": {"title": "T"}}, {"op": "add", "path": "salary", "value": 1}],
    }
    answers = bulk(
        hr,
        new("x", "ada"),
        {"method": "PATCH", "path": f"/Users/{ada}", "data": bad},
        new("bob"),
        group("g", "bulkId:x"),
        group("h", "bulkId:nobody"),
        {"method": "PATCH", "path": f"/Users/{ada}", "data": bad, "version": 'W/"7"'},
        {"method": "DELETE", "path": "/Users/x"},
    )
    assert [one["status"] for one in answers] == ["409", "400", "201", "400", "400", "412", "404"]
    assert [one.get("response", {}).get("scimType") for one in answers[:5]] == [
        "uniqueness",
        "invalidPath",
        None,
        "invalidValue",
        "invalidValue",
    ]
    assert answers[1]["location"].endswith(ada)
    assert "title" not in hr("GET", f"/Users/{ada}")[1]
    assert (hr.names(), hr("GET", "/Groups")[1]["totalResults"]) == (["ada", "bob"], 0)


def test_fail_on_errors(hr: Scim) -> None:
    """After so many failures the rest is neither run nor answered; what was done stays done."""
    bad = {"method": "DELETE", "path": "/Users/x"}
    assert len(bulk(hr, new("a"), bad, new("b"), bad, new("c"), failOnErrors=2)) == 4
    assert sorted(hr.names()) == ["a", "b"]
    assert len(bulk(hr, bad, bad, new("c"))) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"schemas": []}, {"Operations": []}, {"Operations": {}}, {"Operations": [1]}, {"failOnErrors": 0},
        {"failOnErrors": True}, {"failOnErrors": "1"},
        *({"Operations": [{"method": "POST", "path": "/Users", "bulkId": "a", "data": {}, **wrong}]} for wrong in (
            {"method": "GET"}, {"method": 1}, {"path": "/Nope"}, {"path": "/Users/../Groups"}, {"path": "/Users?x"},
            {"path": "https://x/Users"}, {"bulkId": None},
            {"bulkId": ""}, {"bulkId": 5}, {"bulkId": "x" * 300}, {"path": "/Users/x"}, {"method": "PUT"},
            {"version": 1},
        )),
        {"Operations": [new("a"), new("a")]},
    ],
)  # fmt: skip
def test_malformed_bulk_request_is_refused(hr: Scim, change: dict[str, Any]) -> None:
    """A message with one operation that cannot be read is refused whole, before anything is done."""
    good = {"schemas": [BULK], "Operations": [new("good")]}
    assert hr("POST", "/Bulk", good | copy.deepcopy(change))[1]["scimType"] == "invalidSyntax"
    assert hr.names() == []


def test_limits_methods_and_authentication(hr: Scim) -> None:
    """A thousand operations, not one more (413); only by POST, only with a token."""
    one = {"method": "DELETE", "path": "/Users/x"}
    assert len(bulk(hr, *[one] * 1000)) == 1000
    assert hr("POST", "/Bulk", {"schemas": [BULK], "Operations": [one] * 1001})[0] == 413
    assert hr("POST", "/Bulk", {}, Authorization="")[0] == 401
    assert hr("GET", "/Bulk")[0] == 405


@settings(max_examples=60)
@given(chance=st.randoms(use_true_random=True))
def test_mutated_bulk_requests_yield_no_5xx(hr: Scim, chance: Any) -> None:
    """Mutated messages are answered below 500, and so is every operation in them."""
    name = f"n{chance.randrange(10**9)}"
    good = {
        "schemas": [BULK],
        "failOnErrors": 3,
        "Operations": [
            new("u", name),
            group("g", "bulkId:u", "bulkId:h"),
            group("h", "bulkId:g"),
            {
                "method": "PATCH",
                "path": "/Users/bulkId:u",
                "version": "*",
                "data": {"schemas": [PATCH], "Operations": [{"op": "remove", "path": "title"}]},
            },
            {
                "method": "PUT",
                "path": "/Groups/bulkId:g",
                "data": {"schemas": [GROUP], "displayName": "x", "members": [{"value": "bulkId:h"}]},
            },
            {"method": "DELETE", "path": "/Groups/bulkId:h"},
        ],
    }
    status, answer = hr("POST", "/Bulk", json.dumps(_mutated(good, chance)).encode())
    assert status < 500
    assert all(int(one["status"]) < 500 for one in answer.get("Operations", []))


def test_references_in_reverse_cost_little(hr: Scim) -> None:
    """C75: a bulk request in which each operation waits for the next is answered in the time of any other."""
    last = 1000
    padding = [{"value": f"{number}"} for number in range(60)]
    asked = [
        {
            "method": "POST",
            "path": "/Groups",
            "bulkId": str(place),
            "data": {"schemas": ["x"], "displayName": f"bulkId:{place + 1}", "x": padding},
        }
        for place in range(last)
    ]
    body = {"schemas": [bulk_http.URN], "Operations": asked}
    assert len(json.dumps(body)) < 2 * 1024 * 1024
    request, begun = bulk_http.parse(body), time.process_time()
    bulk_http.run(_source(), request, base="https://x", now=clock.now())
    assert time.process_time() - begun < 6


def _source() -> Any:
    from scim.models import Source

    return Source.objects.get()
