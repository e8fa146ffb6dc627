"""The edge of SCIM: types, sizes, pages, projections, discovery, and nothing that yields a 5xx."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scim.http.body import LARGEST
from tests.fixtures.scim_client import ASSURANCE, CORE, ENTERPRISE, GROUP, PATCH, Scim, user
from tests.fixtures.scim_mutations import _mutated

pytestmark = pytest.mark.database


def test_create_answers_with_location_and_tag(hr: Scim) -> None:
    """201, the record, its Location and its ETag (RFC 7644 §3.3)."""
    status, body = hr("POST", "/Users", user())
    assert hr.last is not None
    assert (status, hr.last["Location"], hr.last["ETag"]) == (201, body["meta"]["location"], body["meta"]["version"])
    assert hr.last["Content-Type"] == "application/scim+json"
    assert body["meta"]["location"] == f"http://testserver/scim/v2/Users/{body['id']}"


@pytest.mark.parametrize(
    ("raw", "kind", "status"),
    [
        (b" ", "application/scim+json", 400),
        (b"{", "application/json", 400),
        (b'{"schemas":[],"schemas":[]}', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"[" * 40 + b"]" * 40, "application/json", 400),
        (b'{"a":NaN}', "application/json", 400),
        (b'{"a":1e999}', "application/json", 400),
        (b'{"a":' + b"9" * 6000 + b"}", "application/json", 400),
        (b'{"a":"\\u0000"}', "application/json", 400),
        (b'{"\\ud800":1}', "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b'"text"', "application/json", 400),
        (b"{}", "text/plain", 415),
        (b"{}", "application/json; charset=utf-16", 415),
        (b'{"a":"' + b"x" * 1_100_000 + b'"}', "application/json", 413),
    ],
)
def test_gate_refuses_malformed_bodies(hr: Scim, raw: bytes, kind: str, status: int) -> None:
    """What is no JSON we take is refused in SCIM's words before any engine sees it, on POST, PUT and PATCH."""
    record_id = hr.create()
    for method, path in (("POST", "/Users"), ("PUT", f"/Users/{record_id}"), ("PATCH", f"/Users/{record_id}")):
        found, body = hr(method, path, raw, Content_Type=kind)
        assert (found, body["status"], body["schemas"]) == (
            status,
            str(status),
            ["urn:ietf:params:scim:api:messages:2.0:Error"],
        )


@pytest.mark.parametrize(
    "meta", ['{"a":1,"a":2}', '"\\u0000"', '"\\udfff"', '{"\\u0000":1}', "1e999", "-Infinity", "[" * 40 + "]" * 40]
)
def test_gate_checks_read_only_attributes(hr: Scim, meta: str) -> None:
    """What no database may be given is refused inside read-only attributes too, which are otherwise ignored."""
    raw = json.dumps(user()).encode()[:-1]
    assert hr("POST", "/Users", raw + b', "meta": ' + meta.encode() + b"}")[1]["scimType"] == "invalidSyntax"
    assert hr("POST", "/Users", raw + b', "meta": {"a": [1]}}')[0] == 201


@pytest.mark.parametrize(
    ("attributes", "scim_type"),
    [
        ({"userName": ""}, "invalidValue"),
        ({"userName": 5}, "invalidValue"),
        ({"userName": " ada"}, "invalidValue"),
        ({"userName": "a\u202eda"}, "invalidValue"),
        ({"userName": "x" * 300}, "invalidValue"),
        ({"userName": "\ufdfa" * 200}, "invalidValue"),
        ({"schemas": []}, "invalidSyntax"),
        ({"schemas": None}, "invalidSyntax"),
        ({"schemas": [CORE, "urn:nope"]}, "invalidSyntax"),
        ({"USERNAME": "b"}, "invalidSyntax"),
        ({"active": "yes"}, "invalidValue"),
        ({"active": 1}, "invalidValue"),
        ({"name": "Ada"}, "invalidValue"),
        ({"emails": [{"value": "a@x", "primary": True}, {"value": "b@x", "primary": True}]}, "invalidValue"),
        ({"emails": [{"address": "a@x"}]}, "invalidSyntax"),
        ({ENTERPRISE: "x"}, "invalidSyntax"),
        ({ENTERPRISE: {"salary": 1}}, "invalidSyntax"),
        ({"x509Certificates": [{"value": "!"}]}, "invalidValue"),
        ({"title": "a\x07b"}, "invalidValue"),
        ({"externalId": "a\u200b"}, "invalidValue"),
    ],
)
def test_bad_resource_gets_its_error_type(hr: Scim, attributes: dict[str, Any], scim_type: str) -> None:
    """What does not fit the schema gets the error of Table 9."""
    status, body = hr("POST", "/Users", {**user(), **attributes})
    assert (status, body["scimType"]) == (400, scim_type)


def test_lenient_boolean(hr: Scim) -> None:
    """The words true and false are booleans in any case, for boolean attributes only."""
    record_id = hr.create(active="False", title="False")
    body = hr("GET", f"/Users/{record_id}")[1]
    assert (body["active"], body["title"]) == (False, "False")


def test_pages(hr: Scim) -> None:
    """Pages are stable, 1-based, forgiving of odd numbers and capped (RFC 7644 §3.4.2.4)."""
    everyone = [f"p{i}" for i in range(7)]
    for name in everyone:
        hr.create(name)
    assert hr.names() == everyone
    assert hr.names("?startIndex=3&count=2") == ["p2", "p3"]
    assert hr.names("?startIndex=-5&count=2") == hr.names("?startIndex=0&count=2") == ["p0", "p1"]
    assert hr.names('?startIndex=2&count=2&filter=userName+sw+"P"') == ["p1", "p2"]
    assert hr.names("?startIndex=99999999999999") == []
    for query in ("?count=0", "?count=-1", '?count=0&filter=userName+sw+"p"'):
        body = hr("GET", f"/Users{query}")[1]
        assert (body["totalResults"], body["itemsPerPage"], body["Resources"]) == (7, 0, [])
    assert hr("GET", "/Users?count=100000")[0] == 200
    for query in ("?count=x", "?startIndex=", "?count=1&count=2", "?startIndex=" + "9" * 5000, "?count=\u0663"):
        assert hr("GET", f"/Users{query}")[1]["scimType"] == "invalidValue"


def test_narrowed_search_agrees_with_the_rest_of_the_filter(hr: Scim) -> None:
    """An indexed equality finds in any case, and what stands beside it still counts."""
    record_id = hr.create("Ada", title="Boss")
    assert hr.names('?filter=userName+eq+"ADA"') == ["Ada"]
    assert hr.names('?filter=userName+eq+"ADA"+and+title+eq+"x"') == []
    assert hr.names(f'?filter=id+eq+"{record_id}"') == ["Ada"]
    assert hr.names('?filter=id+eq+"junk"') == hr.names(f'?filter=id+eq+"{record_id.upper()}"') == []
    assert hr.names('?filter=meta.resourceType+eq+"User"') == ["Ada"]


@pytest.mark.parametrize("path", ["/.search", "/Users/.search"])
def test_search_by_post(hr: Scim, path: str) -> None:
    """A query in a body answers as the same query in an address does, and is checked as strictly."""
    for name in ("ada", "bob", "cyd"):
        hr.create(name)
    message = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "filter": 'userName ne "bob"'}
    asked = {**message, "attributes": ["userName"], "startIndex": 2, "count": 5}
    body = hr("POST", path, asked)[1]
    assert (body["totalResults"], [one["userName"] for one in body["Resources"]]) == (2, ["cyd"])
    assert set(body["Resources"][0]) == {"schemas", "id", "userName"}
    for wrong in (
        {"filter": "salary pr"},
        {"filter": 5},
        {"count": "5"},
        {"count": True},
        {"schemas": []},
        {"startIndex": {}},
    ):
        assert hr("POST", path, {**asked, **wrong})[0] == 400, wrong
    assert hr("POST", path, asked, Authorization="")[0] == 401


def test_projection(hr: Scim) -> None:
    """`attributes` and `excludedAttributes` choose, down to sub-attributes; id and schemas are always there."""
    record_id = hr.create(**{ENTERPRISE: {"department": "X", "division": "Y"}})
    path = f"/Users/{record_id}"
    assert set(hr("GET", f"{path}?attributes=USERNAME")[1]) == {"schemas", "id", "userName"}
    found = hr("GET", f"{path}?attributes=emails.value,emails.type,name.givenName,{ENTERPRISE}:division,nope")[1]
    assert found["emails"] == [{"value": "ada@example.org", "type": "work"}]
    assert (found["name"], found[ENTERPRISE]) == ({"givenName": "Ada"}, {"division": "Y"})
    less = hr("GET", f"{path}?excludedAttributes=emails,id,meta.created,name.givenName,{ENTERPRISE}:division")[1]
    assert "emails" not in less
    assert "created" not in less["meta"]
    assert (less["id"], less["name"], less[ENTERPRISE]) == (record_id, {"familyName": "Example"}, {"department": "X"})
    assert hr("GET", f"{path}?attributes=a&excludedAttributes=b")[0] == 400
    assert hr("GET", f"{path}?attributes=" + "a," * 2001)[0] == 400
    whole = hr("GET", f"{path}?attributes={ENTERPRISE},title,{ENTERPRISE}:costCenter,name.middleName")[1]
    assert whole[ENTERPRISE] == {"department": "X", "division": "Y"}
    assert not {"title", "userName"} & set(whole)
    bare = hr("GET", f"{path}?excludedAttributes={ENTERPRISE},emails.type,{ENTERPRISE}:manager")[1]
    assert ENTERPRISE not in bare
    assert bare["emails"] == [{"value": "ada@example.org", "primary": True}]
    assert set(hr("GET", "/Users?attributes=userName")[1]["Resources"][0]) == {"schemas", "id", "userName"}
    assert "password" not in hr("GET", f"{path}?attributes=password")[1]


@pytest.mark.parametrize(
    "path",
    [
        "/ServiceProviderConfig",
        "/ResourceTypes",
        "/ResourceTypes/User",
        "/Schemas",
        f"/Schemas/{CORE}",
        f"/Schemas/{ENTERPRISE}",
    ],
)
def test_discovery(hr: Scim, path: str) -> None:
    """Discovery is readable by anyone, cannot be filtered or written, and says where it is."""
    status, body = hr("GET", path, Authorization="")
    assert status == 200
    if "Resources" not in body:
        assert body["meta"]["location"] == f"http://testserver/scim/v2{path}"
    assert hr("GET", f'{path}?filter=id+eq+"x"')[0] == 403
    status, body = hr("POST", path, {})
    assert (status, body["status"]) == (405, "405")
    assert hr.last is not None
    assert hr.last["Allow"] == "GET, HEAD"


def test_capabilities_are_true(hr: Scim) -> None:
    """What is announced is what is there, and no more."""
    config = hr("GET", "/ServiceProviderConfig")[1]
    supported = {name for name, value in config.items() if isinstance(value, dict) and value.get("supported")}
    assert supported == {"patch", "filter", "etag", "sort", "bulk"}
    assert config["bulk"] == {"supported": True, "maxOperations": 1000, "maxPayloadSize": LARGEST}
    assert config["pagination"] == {
        "cursor": True,
        "index": True,
        "defaultPaginationMethod": "index",
        "defaultPageSize": 100,
        "maxPageSize": 200,
        "cursorTimeout": 3600,
    }
    assert hr("GET", "/ResourceTypes")[1]["totalResults"] == 2
    assert {one["id"] for one in hr("GET", "/Schemas")[1]["Resources"]} == {CORE, ENTERPRISE, ASSURANCE, GROUP}


@pytest.mark.parametrize("path", ["/Users/", "/Users/x/y", "/Users/%00", "/Schemas/nope", "/x"])
def test_unknown_addresses_are_404(hr: Scim, path: str) -> None:
    """Unknown addresses are 404 in SCIM's words."""
    status, body = hr("GET", path)
    assert (status, body["status"]) == (404, "404")


def test_me_is_not_offered(hr: Scim, caplog: pytest.LogCaptureFixture) -> None:
    """`/Me` answers as RFC 7644 §3.11 requires: 501; without a token it is 401."""
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        assert hr(method, "/Me", {})[0] == 501
        assert [one for one in caplog.records if one.levelname == "ERROR"] == []
        assert hr(method, "/Me", {}, Authorization="")[0] == 401


def test_wrong_method_is_405(hr: Scim) -> None:
    """A method that a resource does not have is 405, with the ones that it has."""
    assert hr("DELETE", "/Users")[0] == 405
    assert hr("GET", "/Users/.search")[0] == 405
    assert hr("TRACE", "/Users")[0] == 405


_USER = user(
    externalId="1",
    title="x",
    roles=[{"value": "r", "primary": True}],
    meta={"version": "3"},
    id="x",
    groups=[{"value": "g"}],
    **{ENTERPRISE: {"department": "d", "manager": {"value": "m", "displayName": "n"}}},
)
_MESSAGE = {
    "schemas": [PATCH],
    "Operations": [
        {"op": "add", "path": 'emails[type eq "work" and value co "a"].value', "value": "n@x"},
        {"op": "replace", "value": {"name": {"givenName": "x"}, "emails": [{"value": "e@x", "primary": True}]}},
        {"op": "remove", "path": f"{ENTERPRISE}:manager"},
    ],
}


@settings(max_examples=150)
@given(chance=st.randoms(use_true_random=True))
def test_mutated_requests_yield_no_5xx(hr: Scim, chance: Any) -> None:
    """Mutated bodies, ids, queries and headers are answered with a SCIM answer below 500."""
    record_id = chance.choice([hr.create(uuid.uuid4().hex), "x", "0" * 36, "%ff", "..", "a" * 3000])
    query = chance.choice(
        [
            "",
            "?filter=" + chance.choice(['a"', "emails[", 'userName+eq+"%00"', "%ff", 'id+eq+"%ed%a0%80"']),
            "?attributes=" + chance.choice(["[", "%00", "emails[x", "a," * 900]),
            "?startIndex=1e3",
            "?%00=1",
        ]
    )
    headers = {"If_Match": chance.choice(["", "*", 'W/"1"', ",,,", "\u00ff"])} if chance.random() < 0.4 else {}
    method, path, body = chance.choice(
        [
            ("POST", "/Users", _USER),
            ("PUT", f"/Users/{record_id}", _USER),
            ("PATCH", f"/Users/{record_id}", _MESSAGE),
            ("GET", "/Users", None),
            ("GET", f"/Users/{record_id}", None),
        ]
    )
    status, answer = hr(method, path + query, json.dumps(_mutated(body, chance)).encode() if body else None, **headers)
    assert status < 500
    assert status not in range(400, 500) or answer["status"] == str(status)


@pytest.mark.parametrize(
    "at",
    [
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "0001-01-01T00:00:00Z",
        "2026-11-26T09:00:00+00:00:00.000001",
    ],
)
def test_time_at_the_edge_of_the_calendar(hr: Scim, at: str) -> None:
    """A filter on `meta.lastModified` takes any text: no 5xx now, and none at the next read."""
    ada = hr.create("ada")
    pushed = user("ada", active=True, title="x", meta={"version": "7", "lastModified": at})
    assert hr("PUT", f"/Users/{ada}", pushed)[0] == 200
    assert hr.patch(ada, {"op": "replace", "path": "title", "value": "y"})[0] == 200
    assert hr("GET", f"/Users/{ada}")[0] == 200
