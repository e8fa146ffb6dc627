"""Every way to a token, with every gate closing between its beginning and its end (P1, C1, C16; E1).

The ways are checked against the URLconf: an address of the provider that nobody has put into one of the two lists fails here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from django.urls import get_resolver
from oidc_provider.models import UserConsent

from demo.browser import Browser
from derived import clock, suspend
from derived.locking import under_lock
from idp.models import ClientPolicy, LoginSession
from scim.models import Person as Directory
from tests.http.test_par import pushed, start
from tests.world import CALLBACK, http, userinfo

if TYPE_CHECKING:
    from collections.abc import Callable

    from demo.person import Person
    from tests.world import App, World

pytestmark = pytest.mark.django_db

# Addresses that give a code or a token, and where each is tried: here, or in a file of its own.
WAYS = {
    "authorize": "here", "authorize-go-on": "here", "authorize-account": "here", "authorize-consent": "here", "par": "here", "token": "here",
    "userinfo": "here", "device-authorization": "tests/http/test_device_grant.py",
}
# Addresses that give neither.
OTHERS = {"jwks", "introspect", "revoke", "logout", "logout-confirmed"}


def test_every_address_of_the_provider_is_in_a_list() -> None:
    """P1: who adds one says whether it ends in a token; if it does, it is tried below."""
    named = {one.name for one in get_resolver().url_patterns if str(one.pattern).startswith("oidc/")}
    assert named == WAYS.keys() | OTHERS


def _account(world: World, person: Person) -> Any:
    return Directory.objects.get(login_name=person.username).account


def terminated(world: World, person: Person, _app: App) -> None:
    world.deactivate(person.username)


def suspended(world: World, person: Person, _app: App) -> None:
    under_lock(_account(world, person).id, lambda account: suspend.suspend(account, now=clock.now(), actor="operator"))


def signed_out(world: World, person: Person, _app: App) -> None:
    LoginSession.objects.filter(account=_account(world, person)).update(ended_at=clock.now())


def disabled(_world: World, _person: Person, app: App) -> None:
    ClientPolicy.objects.filter(client__client_id=app.client_id).update(disabled_at=clock.now())


def raised(_world: World, _person: Person, app: App) -> None:
    ClientPolicy.objects.filter(client__client_id=app.client_id).update(min_aal=3)


def hardened(_world: World, _person: Person, app: App) -> None:
    ClientPolicy.objects.filter(client__client_id=app.client_id).update(phishing_resistant=True)


def withdrawn(_world: World, person: Person, app: App) -> None:
    UserConsent.objects.filter(client__client_id=app.client_id, user__login_name=person.username).delete()


def renamed(_world: World, _person: Person, app: App) -> None:
    ClientPolicy.objects.filter(client__client_id=app.client_id).update(version=99)


GATES = [terminated, suspended, signed_out, disabled, raised, hardened, withdrawn, renamed]


def by_code(world: World, _person: Person, desktop: Browser, app: App) -> Callable[[], bool]:
    """authorize, then token."""
    code = world.ask(app, desktop)["code"]
    return lambda: app.redeem(code).status_code == 200


def by_refresh(world: World, _person: Person, desktop: Browser, app: App) -> Callable[[], bool]:
    """token, again."""
    refresh_token = world.tokens(app, desktop)["refresh_token"]
    return lambda: app.refresh(refresh_token).status_code == 200


def by_userinfo(world: World, _person: Person, desktop: Browser, app: App) -> Callable[[], bool]:
    """userinfo, with a token that was good."""
    token = world.tokens(app, desktop)["access_token"]
    return lambda: userinfo(token).status_code == 200


def by_push(_world: World, _person: Person, desktop: Browser, app: App) -> Callable[[], bool]:
    """par, then authorize."""
    uri = pushed(app)
    return lambda: "code=" in desktop.get(start(app, uri), stop_at=CALLBACK).stopped_at


def by_consent(_world: World, _person: Person, desktop: Browser, app: App) -> Callable[[], bool]:
    """The consent page, then its answer."""
    page = desktop.get(app.url(prompt="consent"), stop_at=CALLBACK)
    form = page.form_with("decision")
    assert form is not None
    return lambda: "code=" in desktop.submit(page, form, values={"decision": "allow"}, stop_at=CALLBACK).stopped_at


def by_account(_world: World, _person: Person, desktop: Browser, app: App) -> Callable[[], bool]:
    """The choice of an account, then its answer."""
    page = desktop.get(app.url(prompt="select_account"), stop_at=CALLBACK)
    form = page.form_with("account")
    assert form is not None
    return lambda: "code=" in desktop.submit(page, form, values={"account": "this"}, stop_at=CALLBACK).stopped_at


def by_going_on(_world: World, _person: Person, desktop: Browser, app: App) -> Callable[[], bool]:
    """A waiting request, picked up again."""
    page = desktop.get(app.url(prompt="select_account"), stop_at=CALLBACK)
    form = page.form_with("account")
    assert form is not None
    desktop.submit(page, form, values={"account": "other"}, stop_at=CALLBACK)
    target = page.url.split("/oidc/")[0] + form.action.removesuffix("/account")

    def on() -> bool:
        again = desktop.get(target, stop_at=CALLBACK)
        if chosen := again.form_with("account"):
            again = desktop.submit(again, chosen, values={"account": "this"}, stop_at=CALLBACK)
        return "code=" in again.stopped_at

    return on


ROADS = [by_code, by_refresh, by_userinfo, by_push, by_consent, by_account, by_going_on]
# What a person allowed is asked about where a code is made and where it is redeemed; a family lives until it is ended.
OPEN = {
    ("by_refresh", "withdrawn"), ("by_refresh", "renamed"), ("by_userinfo", "withdrawn"), ("by_userinfo", "renamed"),
    ("by_consent", "withdrawn"),  # the page asks for just that
}


@pytest.mark.parametrize("road", ROADS)
def test_no_road_leads_past_a_gate_that_closed(world: World, road: Callable[..., Callable[[], bool]]) -> None:
    """P1: for each gate a person, a client and a road that is open; the gate closes; nothing comes out. And open roads do end in something."""
    shared = world.enrolled("shared@example.org")
    for number, gate in enumerate([None, *GATES]):
        ends_a_person = gate in {terminated, suspended, signed_out}
        person, desktop = world.enrolled(f"p{number}@example.org") if ends_a_person else shared
        app = world.app(consent=True)
        page = desktop.get(app.url(), stop_at=CALLBACK)
        desktop.submit(page, page.form_with("decision"), values={"decision": "allow"}, stop_at=CALLBACK)  # type: ignore[arg-type]


        with time_machine.travel(clock.now().replace(microsecond=0), tick=False) as moved:
            moved.shift(5)
            end = road(world, person, desktop, app)
            if gate is not None:
                gate(world, person, app)
            came = end()
        name = (road.__name__, gate.__name__ if gate else "")
        assert came is (gate is None or name in OPEN), name


def test_nobody_is_let_in_without_any_of_it(world: World) -> None:
    """A browser that nobody signed in with gets a page, on each of the addresses."""
    app = world.app()
    with http() as agent:
        for path in ("/oidc/authorize/x", "/oidc/authorize/x/account", "/oidc/authorize/x/consent"):
            assert agent.get(path).status_code in {400, 405}
    assert Browser(http()).get(app.url(), stop_at=CALLBACK).path == "/login"
