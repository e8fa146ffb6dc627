"""Client credentials: a service's own token, about nobody (RFC 6749 §4.4, RFC 9068; E9, P15, C16)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import time_machine

from derived import clock
from derived.models import Account, Event
from device.key import DeviceKey
from idp.clients import CLIENT_CREDENTIALS
from idp.models import ClientPolicy, ServiceToken
from tests.fixtures.dpop import dpop
from tests.fixtures.service_clients import API, asked, service
from tests.fixtures.world import ISSUER, App, altered, claims, http, userinfo

if TYPE_CHECKING:
    import httpx

    from tests.fixtures.world import World

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("form", ["jwt", "opaque"])
def test_service_gets_its_own_token(world: World, form: str) -> None:
    """Its sub is the client, no person, no level, no ID token, no refresh token, 300 s at most; nobody's record is
    touched.
    """
    app = service(world, access_token_format=form)
    tokens = asked(app).json()
    assert set(tokens) == {"access_token", "token_type", "expires_in", "scope"}
    assert (tokens["scope"], tokens["expires_in"]) == ("introspect", 300)
    about = app.introspect(tokens["access_token"])
    assert (about["active"], about["sub"], about["client_id"], about["aud"]) == (
        True,
        app.client_id,
        app.client_id,
        ISSUER,
    )
    assert not {"acr", "aal", "auth_time", "amr", "ial", "sid"} & about.keys()
    assert not Account.objects.exists()
    assert not Event.objects.exists()
    assert not ServiceToken.objects.filter(id_hash=tokens["access_token"]).exists()


def test_userinfo_refuses_a_service_token(world: World) -> None:
    """E9: not a 500, not a 200."""
    token = asked(service(world)).json()["access_token"]
    assert userinfo(token).status_code == 403
    assert 'error="insufficient_scope"' in userinfo(token).headers["WWW-Authenticate"]


def test_grant_needs_a_registered_confidential_client(world: World) -> None:
    """E9, P15: not a public one, not one without the grant, not with a wrong secret."""
    public = world.app(name="Public", public=True)
    ClientPolicy.objects.filter(pk=public.party.policy.pk).update(grants=[CLIENT_CREDENTIALS], scopes="introspect")
    assert asked(public).json()["error"] == "unauthorized_client"
    assert asked(world.app()).json()["error"] == "unauthorized_client"
    assert asked(App(service(world).party, "wrong")).json()["error"] == "invalid_client"


@pytest.mark.parametrize("scope", ["openid", "introspect profile", "admin:all", "scim"])
def test_personal_scopes_are_refused(world: World, scope: str) -> None:
    """C52, E7."""
    assert asked(service(world), scope=scope).json()["error"] == "invalid_scope"


def test_token_is_for_one_resource(world: World) -> None:
    """C38, RFC 8707."""
    app = service(world)
    assert claims(asked(app, resource=API).json()["access_token"])["aud"] == API
    assert asked(app, resource="https://other.example/").json()["error"] == "invalid_target"
    both = asked(app, resource=f"{API} {ISSUER}")
    assert both.json()["error"] in {"invalid_target", "invalid_request"}


def dies(world: World, app: App, token: str, change: dict[str, Any]) -> bool:
    ClientPolicy.objects.filter(pk=app.party.policy.pk).update(**change)
    other = service(world, serves=[ISSUER])
    return other.introspect(token) == {"active": False}


@pytest.mark.parametrize("change", [{"disabled_at": clock.now()}, {"grants": []}, {"auth_method": "none"}])
@pytest.mark.parametrize("form", ["jwt", "opaque"])
def test_token_ends_with_its_client(world: World, change: dict[str, Any], form: str) -> None:
    """P29, C16: a client that is disabled, or may not do this any more, has no live token."""
    app = service(world, access_token_format=form)
    token = asked(app).json()["access_token"]
    assert service(world, serves=[ISSUER]).introspect(token)["active"]
    assert dies(world, app, token, change)


@pytest.mark.database
@pytest.mark.parametrize("form", ["jwt", "opaque"])
def test_token_ends_by_revocation_and_expiry(world: World, form: str) -> None:
    """C41: by its owner alone."""
    app, other = service(world, access_token_format=form), world.app(name="Other")
    first, second = asked(app).json()["access_token"], asked(app).json()["access_token"]
    other.post("/oidc/revoke", {"token": first})
    assert app.introspect(first)["active"]
    assert app.post("/oidc/revoke", {"token": first}).status_code == 200
    assert (app.introspect(first), app.introspect(second)["active"]) == ({"active": False}, True)
    with time_machine.travel(clock.now() + timedelta(seconds=301)):
        assert app.introspect(second) == {"active": False}


def test_service_token_authorises_introspection(world: World) -> None:
    """RFC 7662 §2.1: instead of a secret; only with the scope, only a service's own, bound ones with their proof."""
    _, browser = world.enrolled()
    app, key = service(world), DeviceKey.generate()
    theirs = world.tokens(app, browser, scope="openid")["access_token"]
    mine, narrow = asked(app).json()["access_token"], asked(service(world, scopes="openid")).json()["access_token"]

    def ask(token: str, scheme: str = "Bearer", **headers: str) -> httpx.Response:
        return http().post(
            "/oidc/introspect", data={"token": theirs}, headers={"Authorization": f"{scheme} {token}", **headers}
        )

    assert ask(mine).json()["active"]
    assert ask(narrow).status_code == ask(theirs).status_code == 403
    assert ask(altered(mine)).status_code == 401
    bound = asked(app, dpop=dpop(key)).json()
    assert (bound["token_type"], ask(bound["access_token"]).status_code) == ("DPoP", 401)
    proof = dpop(key, "/oidc/introspect", "POST", bound["access_token"])
    assert ask(bound["access_token"], "DPoP", DPoP=proof).json()["active"]
    assert ask(asked(app, resource=API).json()["access_token"]).status_code == 401


def test_jti_is_no_token(world: World) -> None:
    """A service's `jti`, which introspection and logs may show, opens nothing."""
    app = service(world)
    token = asked(app).json()["access_token"]
    jti = claims(token)["jti"]
    assert app.introspect(token)["active"] is True
    assert app.introspect(jti) == {"active": False}
    with http() as agent:
        assert (
            agent.post(
                "/oidc/introspect", data={"token": token}, headers={"Authorization": f"Bearer {jti}"}
            ).status_code
            == 401
        )
