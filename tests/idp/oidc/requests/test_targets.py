"""What an access token is for, what it looks like, how long it lives (RFC 8707, ruling 18, C38, C52, A2)."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import time_machine

from derived import clock
from derived.models import Credential
from device.key import DeviceKey
from idp.models import ClientPolicy, OpaqueToken
from tests.fixtures.dpop import dpop
from tests.fixtures.world import CALLBACK, ISSUER, App, altered, answer, claims, http, userinfo

if TYPE_CHECKING:
    from demo.browser import Browser
    from tests.fixtures.world import World

pytestmark = pytest.mark.django_db
NOON = "2026-11-23T12:00:00Z"
ONE, TWO = "https://api.example/travel", "https://api.example/pay"


@pytest.fixture
def browser(world: World) -> Browser:
    return world.enrolled()[1]


def app_with(world: World, **terms: Any) -> App:
    app = world.app()
    ClientPolicy.objects.filter(pk=app.party.policy.pk).update(**terms)
    return app


@pytest.fixture
def app(world: World) -> App:
    return app_with(world, resources=[ONE, TWO])


def error_of(world: World, app: App, browser: Browser, query: str) -> str:
    """What a request with this in its URL is answered."""
    return answer(browser.get(f"{app.url()}&{query}", stop_at=CALLBACK))["error"]


@pytest.mark.parametrize(
    "wanted",
    [
        "https://other.example/",
        "api",
        f"{ONE}%23part",
        f"{ONE}/",
        "https://api.example",
        "//x",
        "%20",
        "http%3A%2F%2F[x",
    ],
)
def test_resource_must_be_registered(world: World, app: App, browser: Browser, wanted: str) -> None:
    """RFC 8707 §2: compared whole, an absolute URI, no fragment; else invalid_target, at the client's own address."""
    assert error_of(world, app, browser, f"resource={wanted}") in {"invalid_target", "invalid_request"}
    assert error_of(world, app, browser, f"resource={ONE}&resource={wanted}") in {"invalid_target", "invalid_request"}


def test_one_resource_is_the_audience(world: World, app: App, browser: Browser) -> None:
    """C38: of this token and its successors; userinfo then has a token of its own."""
    tokens = world.tokens(app, browser, resource=ONE, scope="openid offline_access")
    assert claims(tokens["access_token"])["aud"] == ONE
    assert userinfo(tokens["access_token"]).status_code == 401
    again = app.refresh(tokens["refresh_token"]).json()
    assert claims(again["access_token"])["aud"] == ONE
    for_us = app.refresh(again["refresh_token"], resource=ISSUER).json()
    assert (claims(for_us["access_token"])["aud"], userinfo(for_us["access_token"]).status_code) == (ISSUER, 200)
    other = app.refresh(for_us["refresh_token"], resource=TWO)
    assert (other.status_code, other.json()["error"]) == (400, "invalid_target")
    assert app.refresh(for_us["refresh_token"]).status_code == 200  # what was asked for wrongly spent nothing


def test_token_is_for_one_of_several_resources(world: World, app: App, browser: Browser) -> None:
    """C38: a repeated parameter at authorize; at the token endpoint one of them is named, and the code waits until
    it is.
    """
    page = browser.get(f"{app.url(scope='openid offline_access')}&resource={ONE}&resource={TWO}", stop_at=CALLBACK)
    code = answer(page)["code"]
    assert app.redeem(code).json()["error"] == "invalid_target"
    assert app.redeem(code, resource=f"{ONE} {TWO}").json()["error"] == "invalid_target"
    tokens = app.redeem(code, resource=TWO).json()
    assert claims(tokens["access_token"])["aud"] == TWO
    assert claims(app.refresh(tokens["refresh_token"], resource=ONE).json()["access_token"])["aud"] == ONE


def test_without_a_resource_the_issuer_is_the_audience(world: World, app: App, browser: Browser) -> None:
    """Ruling 18; and what was not granted at first is not to be had later."""
    code = world.ask(app, browser)["code"]
    assert app.redeem(code, resource=ONE).json()["error"] == "invalid_target"
    assert claims(app.redeem(code).json()["access_token"])["aud"] == ISSUER


def test_resource_may_introspect_its_own_tokens(world: World, app: App, browser: Browser) -> None:
    """C40: the server of that resource and the owner get the answer; another server gets the answer of an unknown
    token.
    """
    server, other = app_with(world, serves=[ONE]), app_with(world, serves=[TWO])
    token = world.tokens(app, browser, resource=ONE)["access_token"]
    assert server.introspect(token)["aud"] == app.introspect(token)["aud"] == ONE
    assert (
        other.post("/oidc/introspect", {"token": token}).content
        == other.post("/oidc/introspect", {"token": "x"}).content
    )


# --- opaque tokens ----------------------------------------------------------------------------------------------------


def test_opaque_token_is_read_from_the_ledger(world: World, browser: Browser) -> None:
    """Hashed, bound, introspected and revoked like the others; the family's end is its end."""
    app, key = app_with(world, access_token_format="opaque"), DeviceKey.generate()
    tokens = app.redeem(world.ask(app, browser, scope="openid email")["code"], dpop=dpop(key)).json()
    token = tokens["access_token"]
    assert (len(token), "." in token, tokens["token_type"]) == (43, False, "DPoP")
    assert not OpaqueToken.objects.filter(token_hash=token).exists()
    about = app.introspect(token)
    assert about["active"]
    assert (about["cnf"], about["aud"], about["token_type"], about["aal"]) == ({"jkt": key.jkt}, ISSUER, "DPoP", 2)
    assert userinfo(token, "DPoP", DPoP=dpop(key, "/oidc/userinfo", "GET", token)).json()["email"]
    assert userinfo(token).status_code == 401
    assert userinfo(altered(token), "DPoP", DPoP=dpop(key, "/oidc/userinfo", "GET", token)).status_code == 401
    assert app.post("/oidc/revoke", {"token": token}).status_code == 200
    assert app.introspect(token) == {"active": False}
    assert claims(tokens["id_token"])["at_hash"]


def test_opaque_token_ends_with_the_person_and_by_expiry(world: World, browser: Browser) -> None:
    """P24, P19: at once, and without a clean-up job."""
    app = app_with(world, access_token_format="opaque")
    token = world.tokens(app, browser)["access_token"]
    assert userinfo(token).status_code == 200
    with time_machine.travel(clock.now() + timedelta(seconds=301)):
        assert userinfo(token).status_code == 401
    world.deactivate()
    assert userinfo(token).status_code == 401


# --- lives ------------------------------------------------------------------------------------------------------------


@pytest.mark.database
@pytest.mark.parametrize(("life", "expected"), [(None, 300), (timedelta(seconds=60), 60), (timedelta(hours=1), 300)])
@pytest.mark.parametrize("form", ["jwt", "opaque"])
def test_access_token_lifetime_is_capped(
    world: World, browser: Browser, life: timedelta | None, expected: int, form: str
) -> None:
    """A2, C38."""
    app = app_with(world, access_token_life=life, access_token_format=form)
    with time_machine.travel(clock.now(), tick=False) as moved:
        tokens = world.tokens(app, browser)
        assert tokens["expires_in"] == expected
        moved.shift(expected - 1)
        assert app.introspect(tokens["access_token"])["active"]
        moved.shift(1)
        assert app.introspect(tokens["access_token"]) == {"active": False}


def test_family_lifetime_is_the_clients(world: World, browser: Browser) -> None:
    """E18: absolute, not moved by refreshing, and an access token never outlives it."""
    app = app_with(world, refresh_life=timedelta(minutes=10))
    with time_machine.travel(clock.now(), tick=False) as moved:
        tokens = world.tokens(app, browser, scope="openid offline_access")
        moved.shift(540)
        tokens = app.refresh(tokens["refresh_token"]).json()
        assert tokens["expires_in"] == 60
        assert Credential.objects.get(
            id=claims(tokens["access_token"])["grant_id"]
        ).expires_at == clock.now() + timedelta(seconds=60)
        moved.shift(60)
        assert app.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"


# --- reserved claims --------------------------------------------------------------------------------------------------


@pytest.mark.database
def test_attributes_never_set_reserved_claims(world: World) -> None:
    """C17, E22: a profile whose attributes are named like claims, everywhere that a claim comes out."""
    from scim.models import Person
    from tests.fixtures.registered_claims import REGISTERED

    _, browser = world.enrolled()
    row = Person.objects.get(login_name="alex@example.org")
    row.profile |= {
        name: "forged"
        for name in REGISTERED
        if name not in {"name", "title", "roles", "groups", "entitlements", "locale", "profile", "address"}
    }
    row.save()
    app = world.app()
    tokens = world.tokens(app, browser, scope="openid profile email assurance")
    said = [
        claims(tokens["access_token"]),
        claims(tokens["id_token"]),
        userinfo(tokens["access_token"]).json(),
        app.introspect(tokens["access_token"]),
    ]
    assert "forged" not in json.dumps(said)


def test_only_resource_may_be_repeated(world: World, app: App) -> None:
    """C43: every other parameter once."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    twice = http().post("/oidc/token", content="grant_type=refresh_token&refresh_token=a&refresh_token=a", headers=form)
    assert twice.json()["error"] == "invalid_request"


API = "https://api.example/"


def test_removed_resources_and_scopes_leave_existing_grants(world: World) -> None:
    """C16, C52: a resource and scopes that were taken away are gone at refresh and at userinfo."""
    _, browser = world.enrolled()
    app = world.app()
    ClientPolicy.objects.update(resources=[API])
    aimed = world.tokens(app, browser, resource=API, scope="openid email offline_access")
    plain = world.tokens(app, browser, scope="openid email offline_access")
    assert "email" in userinfo(plain["access_token"]).json()
    ClientPolicy.objects.update(resources=[], scopes="openid")
    refused = app.refresh(aimed["refresh_token"])
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_target")
    assert "email" not in userinfo(plain["access_token"]).json()
    assert app.refresh(plain["refresh_token"]).json()["scope"] == "openid"
