"""A leaver's push in each vendor's shape ends a live phone, its tokens and its session in the same request (promise
4, ID-6).
"""

from __future__ import annotations

from typing import Any

import pytest

from demo.browser import Browser
from derived import clock
from derived.ledger.locking import under_lock
from derived.models import Account, AccountStatus, Credential, OutboxRow
from device.errors import ProtocolError
from scim.access import entitlements
from tests.fixtures.world import CORE, ISSUER, PATCH, World, userinfo

_ALEX = "alex@example.org"


def _patch(*operations: dict[str, Any]) -> tuple[str, Any]:
    return "PATCH", {"schemas": [PATCH], "Operations": list(operations)}


def _put(active: Any) -> tuple[str, Any]:
    return "PUT", {"schemas": [CORE], "userName": _ALEX, "active": active}


def _bulk(method: str, data: Any) -> tuple[str, Any]:
    operation = {"method": method, "path": "/Users/{id}", **({"data": data} if data else {})}
    return "BULK", {"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": [operation]}


SHAPES: dict[str, tuple[str, Any]] = {
    "RFC 7644": _patch({"op": "replace", "path": "active", "value": False}),
    "Entra, pathless": _patch({"op": "Replace", "value": {"active": "False"}}),
    "Entra, with a path": _patch({"op": "Replace", "path": "active", "value": "False"}),
    "Entra, add": _patch({"op": "Add", "path": "active", "value": "False"}),
    "Okta": _patch({"op": "replace", "value": {"active": False}}),
    "OneLogin": _patch({"op": "replace", "path": "active", "value": "false"}),
    "JumpCloud": _put(active=False),
    "Ping": _patch({"op": "replace", "path": "urn:ietf:params:scim:schemas:core:2.0:User:active", "value": False}),
    "SailPoint": _patch({"op": "REPLACE", "path": "ACTIVE", "value": False}),
    "authentik": _put(active="False"),
    "Keycloak": _patch({"op": "replace", "path": "active", "value": "FALSE"}),
    "HR connector, several": _patch(
        {"op": "replace", "path": "title", "value": "Leaver"}, {"op": "replace", "path": "active", "value": False}
    ),
    "numbered PUT": ("PUT", {"schemas": [CORE], "userName": _ALEX, "active": False, "meta": {"version": "9"}}),
    "DELETE": ("DELETE", None),
    "Bulk, a PATCH": _bulk(
        "PATCH", {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "active", "value": False}]}
    ),
    "Bulk, Okta's PUT": _bulk("PUT", {"schemas": [CORE], "userName": _ALEX, "active": False}),
    "Bulk, a DELETE": _bulk("DELETE", None),
}


@pytest.mark.parametrize("shape", list(SHAPES))
@pytest.mark.django_db
def test_every_vendors_deactivation_ends_tokens_at_once(shape: str) -> None:
    """Before: phone, session, tokens live. One request. After it, with no worker run: nothing does."""
    world = World()
    person, desktop = world.enrolled()
    field, app = world.phone_app(), world.app()
    phone = world.device(desktop)
    phone.login(field.client_id, passphrase="seven mossy stones")
    tokens = world.tokens(app, desktop, person)
    assert app.introspect(tokens["access_token"])["active"]
    method, body = SHAPES[shape]
    if method == "BULK":
        operation = {**body["Operations"][0], "path": f"/Users/{world.ids[_ALEX]}"}
        answer = world.scim("POST", "/Bulk", {**body, "Operations": [operation]})
        assert answer.json()["Operations"][0]["status"] in {"200", "204"}, answer.text
    else:
        answer = world.scim(method, f"/Users/{world.ids[_ALEX]}", body)
    assert answer.status_code in {200, 204}, answer.text
    assert Account.objects.get().status == AccountStatus.TERMINATED
    assert not Credential.objects.filter(state__in=["active", "pending", "suspended"]).exists()
    with pytest.raises(ProtocolError):
        phone.login(field.client_id, passphrase="seven mossy stones")
    assert not app.introspect(tokens["access_token"])["active"]
    assert userinfo(tokens["access_token"]).status_code == 401
    assert app.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert desktop.get(f"{ISSUER}/devices").path == "/login"
    assert isinstance(desktop, Browser)


@pytest.mark.django_db
def test_put_without_active_changes_no_status() -> None:
    """A PUT without `active` neither ends nor reactivates (C29)."""
    world = World()
    world.push()
    path, body = f"/Users/{world.ids[_ALEX]}", {"schemas": [CORE], "userName": _ALEX}
    assert world.scim("PUT", path, body).status_code == 200
    assert Account.objects.get().status == AccountStatus.ACTIVE
    world.deactivate()
    assert world.scim("PUT", path, body).status_code == 200
    assert Account.objects.get().status == AccountStatus.TERMINATED


@pytest.mark.parametrize(
    "shape", ["remove with a filter", "remove with a value", "replace of all", "DELETE of the group"]
)
@pytest.mark.django_db
def test_leaving_a_group_ends_its_access_at_once(shape: str) -> None:
    """Where the group is the leaver's signal: the client's tokens are dead in the same request, the person stays."""
    world = World()
    person, desktop = world.enrolled()
    app, alex = world.app(), world.ids[_ALEX]
    group = {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
        "displayName": "Travel",
        "members": [{"value": alex}],
    }
    path = f"/Groups/{world.scim('POST', '/Groups', group).json()['id']}"
    entitlements.add_rule(app.client_id, "group", path.rpartition("/")[2], now=clock.now())
    tokens = world.tokens(app, desktop, person)
    operations: dict[str, dict[str, Any]] = {
        "remove with a filter": {"op": "remove", "path": f'members[value eq "{alex}"]'},
        "remove with a value": {"op": "Remove", "path": "members", "value": [{"value": alex}]},
        "replace of all": {"op": "replace", "path": "members", "value": []},
    }
    if shape in operations:
        answer = world.scim("PATCH", path, {"schemas": [PATCH], "Operations": [operations[shape]]})
    else:
        answer = world.scim("DELETE", path)
    assert answer.status_code in {200, 204}, answer.text
    assert not app.introspect(tokens["access_token"])["active"]
    assert app.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert Account.objects.get().status == AccountStatus.ACTIVE


@pytest.mark.django_db
def test_managers_end_after_a_sources_end_is_final(world: World) -> None:
    """Ruling 11, C30: a manager's end is the last word, also on an account that a source had closed."""
    from derived.changes import revoke
    from derived.errors import Reason

    world.enrolled()
    world.deactivate()
    account = Account.objects.get()
    under_lock(
        account.id,
        lambda row: revoke.everything(row, because=Reason.ENDED_BY_MANAGER, now=clock.now(), actor="operator"),
    )
    world.reactivate()
    account.refresh_from_db()
    assert account.status == "terminated"


@pytest.mark.django_db
def test_source_does_not_lift_a_managers_suspension(world: World) -> None:
    """Ruling 11: only our own status suspends and resumes; `active` false and true again is no resume."""
    from derived.changes import suspend

    world.enrolled()
    account = Account.objects.get()
    under_lock(account.id, lambda row: suspend.suspend(row, now=clock.now(), actor="operator"))
    world.deactivate()
    world.reactivate()
    account.refresh_from_db()
    assert account.status == "suspended"
    assert not OutboxRow.objects.filter(kind="invite", account=account, delivered_at__isnull=True).exists()
