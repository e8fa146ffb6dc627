"""A SET is no token, and a token is no SET (RFC 8417 §4, J5, P14); and a client of ours may read a feed with its own
token.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from derived import clock
from idp.clients import CLIENT_CREDENTIALS, ID_TOKEN_ALGS
from idp.models import ClientPolicy
from idp.oidc.proofs import own_jwts as issued
from scim.models import Receiver
from tests.fixtures.feed_follower import Follower
from tests.fixtures.world import World, claims, http, userinfo

if TYPE_CHECKING:
    import httpx

pytestmark = pytest.mark.django_db


def a_set(follower: Follower) -> str:
    """One SET, as it came."""
    sets = follower("POST", "/Events", {})[1]["sets"]
    return str(next(iter(sets.values())))


def test_set_is_no_token(world: World) -> None:
    """Not userinfo, not introspection, no hint of who is meant, no source's and no receiver's door; revoking it ends
    nothing.
    """
    follower = Follower().begin()
    person, desktop = world.enrolled()
    app = world.app()
    tokens = world.tokens(app, desktop, person)
    token = a_set(follower)
    assert claims(token)["sub_id"]["format"] == "scim"
    assert {"sub", "exp", "nonce", "scope", "client_id"}.isdisjoint(claims(token))
    assert userinfo(token).status_code == 401
    assert app.introspect(token) == {"active": False}
    assert issued.hint(token) is None
    for typ in ("at+jwt", "JWT", "logout+jwt"):
        assert issued.claims(token, typ=typ, algs=ID_TOKEN_ALGS) is None
    follower.token = world.token = token
    assert follower("POST", "/Events", {})[0] == 401
    assert world.scim("GET", "/Users").status_code == 401
    assert app.redeem(token).status_code == app.refresh(token).status_code == 400
    app.post("/oidc/revoke", {"token": token})
    assert userinfo(tokens["access_token"]).status_code == 200


def test_tokens_do_not_read_a_feed(world: World) -> None:
    """A person's access token and ID token do not open it, and what we sign for others has another `typ` (a receiver
    compares it).
    """
    follower = Follower().begin()
    person, desktop = world.enrolled()
    tokens = world.tokens(world.app(), desktop, person)
    for token in (tokens["access_token"], tokens["id_token"]):
        assert issued.claims(token, typ="secevent+jwt", algs=ID_TOKEN_ALGS) is None
        follower.token = token
        assert follower("POST", "/Events", {})[0] == 401


def asked(token: str) -> httpx.Response:
    with http() as agent:
        return agent.post("/scim/v2/Feed/Events", json={}, headers={"Authorization": f"Bearer {token}"})


@pytest.mark.database
def test_admitted_client_reads_its_feed(world: World) -> None:
    """`feed admit`: by client credentials, for the one receiver; taking the grant away shuts it (C16)."""
    call_command("feed", "add", "payroll")
    Receiver.objects.update(since=clock.now() - timedelta(minutes=1), to_read=[])
    app = world.app(name="Payroll")
    ClientPolicy.objects.filter(pk=app.party.policy.pk).update(grants=[CLIENT_CREDENTIALS], scopes="scim")
    token = app.post("/oidc/token", {"grant_type": CLIENT_CREDENTIALS, "scope": "scim"}).json()["access_token"]
    assert asked(token).status_code == 401
    call_command("feed", "admit", "payroll", "--client-id", app.client_id)
    assert asked(token).status_code == 200
    with http() as agent:
        assert agent.get("/scim/v2/Users", headers={"Authorization": f"Bearer {token}"}).status_code == 401
    call_command("feed", "add", "other")
    with pytest.raises(CommandError, match="another feed"):
        call_command("feed", "admit", "other", "--client-id", app.client_id)
    call_command("feed", "disable", "payroll")
    assert asked(token).status_code == 401
    call_command("feed", "enable", "payroll")
    assert asked(token).status_code == 409
    ClientPolicy.objects.filter(pk=app.party.policy.pk).update(grants=[])
    assert asked(token).status_code == 401
