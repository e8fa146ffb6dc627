"""The route × gate matrix (P1, C1, C16): every route that ends in a token, a code, a credential or an answer about
one, and every gate.

The table of routes is compared with the URLconf by tests/idp/test_routes.py: a route that is not classified here
fails. Each door is first seen open,
then a gate falls between what was prepared (initiation) and what is asked (redemption), and the door is shut.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from django.urls import resolve, reverse

from demo.browser import Browser, UnexpectedPage
from derived import clock
from derived.changes import revoke, suspend
from derived.errors import Reason
from derived.ledger.locking import under_lock
from derived.models import Account, Credential
from idp.models import ClientPolicy, LoginSession
from tests.fixtures.routes import ROUTES, SESSION
from tests.fixtures.world import CALLBACK, ISSUER, App, World, claims, http, userinfo

if TYPE_CHECKING:
    from collections.abc import Callable

    from demo.person import Person


@pytest.mark.parametrize("name", ["par", "token", "userinfo", "introspect", "revoke"])
def test_certificate_host_aliases_are_the_same_views(name: str) -> None:
    """P1, P48: an alias is the same view, so that no gate can be missing there."""
    assert resolve(reverse(f"certificate-{name}")).func is resolve(reverse(name)).func


@dataclass
class Prepared:
    """A person, signed in, and everything that was begun while every gate was open."""

    world: World
    person: Person
    browser: Browser
    app: App
    asking: App
    tokens: dict[str, Any] = field(default_factory=dict)
    code: str = ""
    flow: str = ""
    page: Any = None
    pushed: str = ""


@pytest.fixture
def ready(world: World) -> Prepared:
    person, browser = world.enrolled()
    found = Prepared(world, person, browser, world.app(), world.app(name="Asking desk", consent=True))
    found.tokens = world.tokens(found.app, browser, scope="openid offline_access profile")
    found.code = world.ask(found.app, browser)["code"]
    found.flow = browser.get(found.asking.url(), stop_at=CALLBACK).form_to("/consent").action.rstrip("/").split("/")[-2]
    found.page = browser.get(
        found.asking.url(), stop_at=CALLBACK
    )  # the last page that asked is the one that may be answered
    response = found.app.post(
        "/oidc/par", {name: value for name, value in found.app.parameters().items() if name != "client_id"}
    )
    found.pushed = response.json()["request_uri"]
    return found


def granted(page: Any) -> bool:
    return "code=" in (page.stopped_at or "")


def authorize(one: Prepared) -> bool:
    return granted(one.browser.get(one.app.url(), stop_at=CALLBACK))


def of_pushed(one: Prepared) -> bool:
    url = f"{ISSUER}/oidc/authorize?client_id={one.app.client_id}&request_uri={one.pushed}"
    return granted(one.browser.get(url, stop_at=CALLBACK))


def consent(one: Prepared) -> bool:
    return granted(
        one.browser.submit(one.page, one.page.form_to("/consent"), values={"decision": "allow"}, stop_at=CALLBACK)
    )


def goes_on(one: Prepared) -> bool:
    """The page of consent comes again only where every other gate is open."""
    page = one.browser.get(f"{ISSUER}/oidc/authorize/{one.flow}", stop_at=CALLBACK)
    return granted(page) or (page.status == 200 and page.path == f"/oidc/authorize/{one.flow}")


def redeemed(one: Prepared) -> bool:
    return "access_token" in one.app.redeem(one.code).json()


def refreshed(one: Prepared) -> bool:
    return "access_token" in one.app.refresh(one.tokens["refresh_token"]).json()


def told(one: Prepared) -> bool:
    return userinfo(one.tokens["access_token"]).status_code == 200


def introspected(one: Prepared) -> bool:
    response = one.app.post("/oidc/introspect", {"token": one.tokens["access_token"]})
    return response.status_code == 200 and response.json()["active"] is True


def introspected_refresh(one: Prepared) -> bool:
    response = one.app.post("/oidc/introspect", {"token": one.tokens["refresh_token"]})
    return response.status_code == 200 and response.json()["active"] is True


# In an order in which one that is shut cannot shut the next.
DOORS: dict[str, Callable[[Prepared], bool]] = {
    "userinfo": told, "introspect": introspected, "introspect (refresh)": introspected_refresh, "authorize": authorize,
    "par": of_pushed,
    "authorize-consent": consent, "authorize-go-on": goes_on, "token (refresh)": refreshed, "token (code)": redeemed,
}  # fmt: skip
_OF_A_BROWSER = {
    "authorize",
    "par",
    "authorize-consent",
    "authorize-go-on",
    "token (code)",
}  # what hangs on the session; an offline family does not


def account(one: Prepared) -> Account:
    assert one.person
    return Account.objects.get()


def terminated(one: Prepared) -> None:
    one.world.deactivate()


def suspended(one: Prepared) -> None:
    under_lock(account(one).id, lambda locked: suspend.suspend(locked, now=clock.now(), actor="worker"))


def root_ended(one: Prepared) -> None:
    root = Credential.objects.get(kind="password_totp")
    under_lock(
        account(one).id,
        lambda locked: revoke.credential(
            root, account=locked, because=Reason.COMPROMISED, now=clock.now(), actor="worker"
        ),
    )


def epoch_moved(one: Prepared) -> None:
    terminated(one)
    Account.objects.update(status="active")


def level_raised(one: Prepared) -> None:
    assert one.app
    ClientPolicy.objects.update(min_aal=3)


def phishing_resistance(one: Prepared) -> None:
    assert one.app
    ClientPolicy.objects.update(phishing_resistant=True)


def client_disabled(one: Prepared) -> None:
    assert one.app
    ClientPolicy.objects.update(disabled_at=clock.now())


def session_ended(one: Prepared) -> None:
    assert one.browser
    LoginSession.objects.update(ended_at=clock.now())


GATES: dict[str, Callable[[Prepared], None]] = {
    "account terminated": terminated, "account suspended": suspended, "login's credential ended": root_ended,
    "epoch moved": epoch_moved,
    "client's level raised": level_raised, "phishing resistance": phishing_resistance,
    "client disabled": client_disabled, "session ended": session_ended,
}  # fmt: skip


def test_each_route_succeeds_while_every_gate_passes(ready: Prepared) -> None:
    """The control: a route that never succeeds would pass below."""
    assert [door for door in DOORS if not DOORS[door](ready)] == []


@pytest.mark.parametrize("gate", GATES)
def test_failed_gate_closes_every_route(ready: Prepared, gate: str) -> None:
    """P1, C1, C16, P24, P25, P29: evaluated again at every way in, whatever was begun before."""
    GATES[gate](ready)
    tried = [door for door in DOORS if gate != "session ended" or door in _OF_A_BROWSER]
    assert [door for door in tried if DOORS[door](ready)] == []


def test_lockout_closes_the_login_only(ready: Prepared) -> None:
    """P1, ruling 13: a hundred wrong guesses disable the authenticator; sessions that are open stay open."""
    Credential.objects.filter(kind="password_totp").update(failures=100)
    fresh = Browser(http())
    with pytest.raises(UnexpectedPage, match="do not go together"):  # it does not tell a stranger why
        ready.person.sign_in(fresh, fresh.get(f"{ISSUER}/login"))
    assert fresh.get(f"{ISSUER}/devices").path == "/login"
    assert [door for door in DOORS if not DOORS[door](ready)] == []


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"max_age": "0", "prompt": "none"}, "login_required"),
        (
            {"prompt": "none", "acr_values": "http://idmanagement.gov/ns/assurance/aal/3"},
            "unmet_authentication_requirements",
        ),
    ],
    ids=["age", "level"],
)
def test_requirements_hold_at_each_entry(ready: Prepared, changed: dict[str, str], error: str) -> None:
    """C42: by query and pushed; and consent is asked of nobody silently."""
    assert ready.world.ask(ready.app, ready.browser, **changed)["error"] == error
    form = {name: value for name, value in ready.app.parameters(**changed).items() if name != "client_id"}
    ready.pushed = ready.app.post("/oidc/par", form).json()["request_uri"]
    assert not of_pushed(ready)
    assert ready.world.ask(ready.asking, ready.browser, prompt="none")["error"] == "consent_required"


def test_scope_never_exceeds_the_clients(ready: Prepared) -> None:
    """C52, E7: what is not the client's is not granted, at authorize, pushed, and at refresh."""
    ClientPolicy.objects.update(scopes="openid")
    code = ready.world.ask(ready.app, ready.browser, scope="openid profile email admin")["code"]
    assert claims(ready.app.redeem(code).json()["access_token"])["scope"] == "openid"
    assert ready.app.refresh(ready.tokens["refresh_token"], scope="openid admin").json()["error"] == "invalid_scope"


def path_of(name: str) -> str:
    """An address of a route, with values of the kinds that it takes."""
    for arguments in ([], [uuid4()], [1], ["elsewhere"], [secrets.token_urlsafe(16)], [uuid4(), uuid4()]):
        try:
            return reverse(name, args=arguments)
        except Exception:  # noqa: BLE001, S112 - the next kind of argument
            continue
    raise AssertionError(name)


@pytest.mark.parametrize(
    "gate", ["account terminated", "account suspended", "session ended", "login's credential ended"]
)
def test_ended_session_can_do_nothing(ready: Prepared, gate: str) -> None:
    """P2, C1, C7: every route of My devices, by every method: the answer is the login page or a refusal; and nothing
    is written.
    """
    assert ready.browser.get(f"{ISSUER}/devices").status == 200
    form = next(one for one in ready.browser.get(f"{ISSUER}/devices").forms() if one.method == "post").fields
    GATES[gate](ready)
    before = Credential.objects.count()
    cookies = ready.browser._http.cookies
    for name in sorted(one for one, kind in ROUTES.items() if kind == SESSION):
        with http() as agent:
            for method in ("GET", "POST"):
                agent.cookies = cookies
                sent = {"data": {"csrfmiddlewaretoken": form["csrfmiddlewaretoken"]}} if method == "POST" else {}
                response = agent.request(method, path_of(name), follow_redirects=False, **sent)
                leads = response.headers.get("location", "")
                away = response.status_code in {302, 303} and leads.startswith(
                    ("/login", "/devices/roots/password/add")
                )  # the page before it
                assert response.status_code >= 400 or away, (name, method, response.status_code, leads)
                assert response.status_code < 500, (name, method)
    assert Credential.objects.count() == before
