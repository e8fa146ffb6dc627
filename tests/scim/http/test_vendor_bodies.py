"""Vendors' bodies over HTTP: a normaliser rewrites POST, PUT, PATCH and bulk alike, so that no leaver stays active."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from scim.protocol.normalise import VENDORS
from tests.fixtures.scim_client import CORE, ENTERPRISE, GROUP, PATCH, Scim, user
from tests.fixtures.scim_records import _record

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.database

ENTRA_GROUP = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"
BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
NESTED = {
    "name": {"givenName": "Augusta", "familyName": "King"},
    "emails": [{"value": "a@example.org", "type": "work"}],
    ENTERPRISE: {"department": "Engines", "manager": {"value": "m1"}},
}
DEVIATING: dict[str, dict[str, Any]] = {
    "missing_schemas": {"schemas": None},
    "foreign_schemas": {"schemas": [CORE, "http://schemas.example.com/ADSCIM/2.0/User"]},
    "dotted_keys": {
        "name.givenName": "Augusta",
        "NAME.familyName": "King",
        'emails[type eq "work"].value': "a@example.org",
        f"{ENTERPRISE}:manager.value": "m1",
        f"{ENTERPRISE}:department": "Engines",
    },
    "bare_manager": {ENTERPRISE: {"department": "Engines", "manager": "m1"}},
}


def _body(name: str, **more: Any) -> dict[str, Any]:
    """A User whose form needs the normaliser of this name."""
    plain = {"schemas": [CORE, ENTERPRISE], "userName": "ada", **more}
    return {**plain, **({} if name == "dotted_keys" else NESTED), **DEVIATING[name]}


@pytest.mark.parametrize("name", DEVIATING)
@pytest.mark.parametrize("by", ["PUT", "bulk"])
def test_a_leaver_in_a_deviating_put_ends(connect: Callable[..., Scim], name: str, by: str) -> None:
    """Refused without the normaliser; with it POST and PUT are read alike, and `active: false` ends the account."""
    plain, scim = connect("plain"), connect("hr", normalisers=(name,))
    assert plain("POST", "/Users", _body(name))[0] == 400
    status, made = scim("POST", "/Users", _body(name))
    assert status == 201, made
    assert {key: made[key] for key in NESTED} == NESTED

    leaver = _body(name, active="False")
    if by == "bulk":
        put = {"method": "PUT", "path": f"/Users/{made['id']}", "data": leaver}
        answer = scim("POST", "/Bulk", {"schemas": [BULK], "Operations": [put]})[1]["Operations"][0]
        assert answer["status"] == "200", answer
    else:
        status, found = scim("PUT", f"/Users/{made['id']}", leaver)
        assert (status, found["active"]) == (200, False)
    assert not _record(made["id"]).person.account.is_active


def test_a_bulk_without_schemas(connect: Callable[..., Scim]) -> None:
    """The envelope of a bulk is normalised too, and a path may end in a slash."""
    scim = connect("hr", normalisers=("onelogin",))
    record_id = scim.create()
    end = {"method": "DELETE", "path": f"/Users/{record_id}/"}
    assert connect("plain")("POST", "/Bulk", {"Operations": [end]})[0] == 400
    assert scim("POST", "/Bulk", {"Operations": [end]})[1]["Operations"][0]["status"] == "204"


def test_entra_creates_groups(connect: Callable[..., Scim]) -> None:
    """Entra names a schema of its own in a new group; the answer names only the core schema."""
    body = {
        "schemas": [GROUP, ENTRA_GROUP],
        "externalId": "8aa1",
        "displayName": "Engines",
        "meta": {"resourceType": "Group"},
    }
    assert connect("plain")("POST", "/Groups", body)[0] == 400
    scim = connect("entra", normalisers=("entra",))
    status, made = scim("POST", "/Groups", body)
    assert (status, made["schemas"]) == (201, [GROUP])
    status, made = scim("PUT", f"/Groups/{made['id']}", {**body, "displayName": "Engine room"})
    assert (status, made["displayName"]) == (200, "Engine room")


def test_a_foreign_schema_with_attributes_is_refused(connect: Callable[..., Scim]) -> None:
    """What a foreign schema states is not dropped silently: only its bare mention is."""
    urn = "urn:example:extension:1.0:User"
    scim = connect("entra", normalisers=("entra",))
    assert scim("POST", "/Users", {**user(), "schemas": [CORE, urn], urn: {"badge": "7"}})[0] == 400
    assert scim("POST", "/Users", {**user(), "schemas": [CORE, urn]})[0] == 201


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_preset_reads_a_plain_body_as_it_is(connect: Callable[..., Scim], vendor: str) -> None:
    """A preset changes nothing in a body that is RFC 7643's own."""
    scim, body = connect("hr", normalisers=(vendor,)), {**user(), **NESTED, "schemas": [CORE, ENTERPRISE]}
    made = scim("POST", "/Users", body)[1]
    assert {key: made[key] for key in NESTED} == NESTED
    status, found = scim("PUT", f"/Users/{made['id']}", {**body, "active": False})
    assert (status, found["active"]) == (200, False)


def test_members_that_were_never_issued(connect: Callable[..., Scim]) -> None:
    """`foreign_members` holds for POST and PUT as for PATCH."""
    scim = connect("hr", normalisers=("foreign_members",))
    known = scim.create()
    body = {"schemas": [GROUP], "displayName": "G", "members": [{"value": known}, {"value": "fake-member-id"}]}
    status, made = scim("POST", "/Groups", body)
    assert (status, [one["value"] for one in made["members"]]) == (201, [known])
    assert [one["value"] for one in scim("PUT", f"/Groups/{made['id']}", body)[1]["members"]] == [known]


@pytest.mark.parametrize("kind", ["application/scim+json; charset=utf8", 'application/json; charset="UTF-8"'])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte order mark"])
def test_byte_order_mark_and_charset(hr: Scim, kind: str, mark: bytes) -> None:
    """RFC 8259 §8.1 lets a reader skip the mark; utf8 is how many clients spell UTF-8."""
    assert hr("POST", "/Users", mark + json.dumps(user()).encode(), Content_Type=kind)[0] == 201


def test_a_slash_after_an_id_is_that_id(hr: Scim) -> None:
    """GET, PUT, PATCH and DELETE, for people and groups; above all DELETE, which would leave a leaver active."""
    record_id = hr.create()
    group_id = hr("POST", "/Groups", {"schemas": [GROUP], "displayName": "G"})[1]["id"]
    assert hr("GET", f"/Users/{record_id}/")[1]["id"] == record_id
    patch = {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "title", "value": "Countess"}]}
    assert hr("PATCH", f"/Users/{record_id}/", patch)[1]["title"] == "Countess"
    assert hr("PUT", f"/Users/{record_id}/", user())[0] == 200
    assert hr("DELETE", f"/Groups/{group_id}/")[0] == 204
    account = _record(record_id).person.account
    assert hr("DELETE", f"/Users/{record_id}/")[0] == 204
    account.refresh_from_db()
    assert not account.is_active


def test_the_root_without_its_slash(hr: Scim) -> None:
    """`GET /scim/v2` is the list of `GET /scim/v2/`, and its errors are SCIM's."""
    hr.create()
    status, found = hr("GET", "")
    assert (status, found["totalResults"]) == (200, 1)
    assert found == hr("GET", "/")[1]
    assert hr("POST", "", {})[1]["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
    hr.token = "unknown"
    assert hr("GET", "")[0] == 401


def test_spaces_at_the_end_are_trimmed(hr: Scim) -> None:
    """As in a CSV file; of an identifier too, which may otherwise hold no such space, and spaces alone are no value."""
    record_id = hr.create("ada ", externalId="7 ", title="Countess\t", nickName="  ")
    found = hr("GET", f"/Users/{record_id}")[1]
    assert (found["userName"], found["externalId"], found["title"]) == ("ada", "7", "Countess")
    assert "nickName" not in found
    assert hr("POST", "/Users", user("   "))[1]["scimType"] == "invalidValue"
    assert hr.patch(record_id, {"op": "replace", "path": "displayName", "value": "Ada "})[1]["displayName"] == "Ada"
