"""The authorization endpoint: every gate on every way in (P1, C1, C31–C34, C42, C43; E1, A3, A5)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
import time_machine

from demo.browser import Browser
from derived import clock
from derived.models import Account
from idp import clients
from idp.models import Code
from tests.fixtures.signing_in import strong
from tests.fixtures.world import AAL, CALLBACK, ISSUER, answer, claims, http

if TYPE_CHECKING:
    from tests.fixtures.world import World

pytestmark = pytest.mark.django_db
UNMET = "unmet_authentication_requirements"


@pytest.mark.parametrize(
    "changed",
    [
        {"redirect_uri": "https://evil.example/"}, {"redirect_uri": None}, {"redirect_uri": CALLBACK + "/"},
        {"redirect_uri": CALLBACK + "?x"},
        {"client_id": "nobody"}, {"client_id": None}, {"redirect_uri": 'https://app.example/"'},
        {"redirect_uri": "https://app.example/\\"},
    ],
)  # fmt: skip
def test_unregistered_redirect_uri_gets_a_page(world: World, changed: dict[str, str | None]) -> None:
    """P41, C31: a page for the person, no Location."""
    app = world.app()
    response = http().get(app.url(**changed))
    assert response.status_code == 400
    assert "Location" not in response.headers


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge": "x" * 42}, "invalid_request"),
        ({"code_challenge": "x" * 44}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_type": "id_token"}, "unsupported_response_type"),
        ({"response_type": None}, "invalid_request"),
        ({"nonce": None}, "invalid_request"),
        ({"claims": "["}, "invalid_request"), ({"claims": "[]"}, "invalid_request"),
        ({"claims": '{"id_token": 7}'}, "invalid_request"),
        ({"claims": '{"id_token": {"acr": true}}'}, "invalid_request"), ({"claims": "[" * 2000}, "invalid_request"),
        ({"claims": '{"id_token": {"sub": {"values": ["a", "b"]}}}'}, "invalid_request"),
        ({"registration": "{}"}, "registration_not_supported"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"prompt": "whatever"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"max_age": "soon"}, "invalid_request"),
        ({"request": "eyJhbGciOiJub25lIn0.e30."}, "request_not_supported"),
        ({"request_uri": "https://app.example/r"}, "request_uri_not_supported"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"prompt": "none"}, "login_required"),
    ],
)  # fmt: skip
def test_wrong_request_gets_the_protocols_error(world: World, changed: dict[str, str | None], error: str) -> None:
    """With state, encoded, and with iss (C33, C34, E13)."""
    app = world.app()
    found = answer(Browser(http()).get(app.url(**changed), stop_at=CALLBACK))
    assert (found["error"], found["state"], found["iss"]) == (error, "st&te=1", ISSUER)


def test_repeated_parameter_is_refused(world: World) -> None:
    """C43: told to the client where it and its redirect URI are sound, else on a page."""
    app = world.app()
    found = answer(Browser(http()).get(app.url() + "&scope=openid", stop_at=CALLBACK))
    assert (found["error"], found["state"]) == ("invalid_request", "st&te=1")
    assert "scope comes more than once" in found["error_description"]
    assert "state" not in answer(Browser(http()).get(app.url() + "&state=2", stop_at=CALLBACK))
    assert "state" not in answer(Browser(http()).get(app.url(state="a\x00b"), stop_at=CALLBACK))
    for repeated in ("client_id", "redirect_uri"):
        response = http().get(app.url() + f"&{repeated}={app.parameters()[repeated]}")
        assert response.status_code == 400
        assert "more than once" in response.text


UNKNOWN = "&app_name=Caf%C3%A9&foo%5Bbar%5D=1&RelayState=" + "r" * 5000 + "&utm=1&utm=2&x=%FF&%00=%00&a%20b=c&="


def test_unknown_parameters_are_ignored(world: World) -> None:
    """RFC 6749 §3.1, §3.2, ruling 34: at the authorization, PAR, token, logout and revocation endpoints."""
    _, browser = world.enrolled()
    app = world.app(post_logout_uris=["https://app.example/bye"])
    found = answer(browser.get(app.url() + UNKNOWN, stop_at=CALLBACK))
    assert found["state"] == "st&te=1"
    auth = (app.client_id, app.secret or "")
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    form = {
        "grant_type": "authorization_code",
        "code": found["code"],
        "redirect_uri": CALLBACK,
        "code_verifier": app.verifier,
    }
    with http() as agent:
        assert (
            agent.post("/oidc/par", content=urlencode(app.parameters()) + UNKNOWN, auth=auth, headers=kind).status_code
            == 201
        )
        response = agent.post("/oidc/token", content=urlencode(form) + UNKNOWN, auth=auth, headers=kind)
        assert response.status_code == 200, response.text
        token = urlencode({"token": response.json()["refresh_token"]})
        assert agent.post("/oidc/revoke", content=token + UNKNOWN, auth=auth, headers=kind).status_code == 200
    asked = urlencode(
        {"id_token_hint": response.json()["id_token"], "post_logout_redirect_uri": "https://app.example/bye"}
    )
    assert (
        browser.get(f"{ISSUER}/oidc/logout?{asked}{UNKNOWN}", stop_at="https://").stopped_at
        == "https://app.example/bye"
    )


@pytest.mark.parametrize(
    ("changed", "state"),
    [
        ({"state": "s" * 3000}, "s" * 3000),
        ({"nonce": "n" * 300}, "st&te=1"),
        ({"scope": "openid " + "x" * 600}, "st&te=1"),
        ({"max_age": "1" * 11}, "st&te=1"),
        ({"login_hint": "l" * 400}, "st&te=1"),
        ({"nonce": "n\u00e9"}, "st&te=1"),
    ],
)
def test_fault_of_a_parameter_is_told_to_the_client(world: World, changed: dict[str, str], state: str) -> None:
    """RFC 6749 §4.1.2.1: by redirect where client and redirect URI are sound, in JSON where it was pushed."""
    app, name = world.app(), next(iter(changed))
    found = answer(Browser(http()).get(app.url(**changed), stop_at=CALLBACK))
    assert (found["error"], found["state"], found["iss"]) == ("invalid_request", state, ISSUER)
    assert name in found["error_description"]
    pushed = app.post("/oidc/par", {**app.parameters(**changed)})
    assert (pushed.status_code, pushed.json()["error"]) == (400, "invalid_request")
    assert name in pushed.json()["error_description"]
    page = Browser(http()).get(app.url(**changed, redirect_uri="https://evil.example/"), stop_at="https://")
    assert (page.status, page.stopped_at) == (400, "")


def test_parameters_of_a_post_come_from_the_body_only(world: World) -> None:
    """A9; and a POST works like a GET (OpenID Connect Core §3.1.2.1)."""
    person, _ = world.enrolled()
    app = world.app()
    browser = world.signed_in(person)
    assert browser._http.post("/oidc/authorize?scope=openid", data=app.parameters()).status_code == 400
    response = browser._http.post("/oidc/authorize", data=app.parameters())
    assert response.status_code == 303
    assert response.headers["Location"].startswith(CALLBACK + "?code=")


def test_scope_is_reduced_to_the_clients(world: World) -> None:
    """C52, E7."""
    person, _ = world.enrolled()
    app = world.app(scopes=["openid"])
    found = world.tokens(app, world.signed_in(person), scope="openid profile email admin:all")
    assert found["scope"] == "openid"


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        (f"{AAL}2", f"{AAL}2"), (f"{AAL}3 {AAL}2", f"{AAL}2"), ("urn:other", f"{AAL}2"), (f"{AAL}1", f"{AAL}1"),
        (f"phr {AAL}2?phishing_resistant=true {AAL}1", f"{AAL}1"),
    ],
)  # fmt: skip
def test_acr_is_the_first_requested_value_that_is_true(world: World, asked: str, answered: str) -> None:
    """Ruling 16; `aal` always says the real level."""
    person, _ = world.enrolled()
    about = claims(world.tokens(world.app(), world.signed_in(person), acr_values=asked)["id_token"])
    assert (about["acr"], about["aal"]) == (answered, 2)


@pytest.mark.parametrize("asked", [f"{AAL}3", "phr", "phrh", f"{AAL}2?phishing_resistant=true", f"{AAL}3 phr"])
def test_unreachable_level_is_refused(world: World, asked: str) -> None:
    """AS-5, C42."""
    person, _ = world.enrolled()
    assert world.ask(world.app(), world.signed_in(person), acr_values=asked)["error"] == UNMET


def test_unreachable_level_is_refused_after_a_login_in_the_flow(world: World) -> None:
    """The matrix: the same gate when nobody was signed in before."""
    person, _ = world.enrolled()
    assert world.ask(world.app(), Browser(http()), person, acr_values=f"{AAL}3")["error"] == UNMET


def test_clients_minimum_level_is_enforced(world: World) -> None:
    """C16, at authorize and when the policy changes before the code is redeemed."""
    from idp.models import ClientPolicy

    person, _ = world.enrolled()
    browser = world.signed_in(person)
    assert world.ask(world.app(min_aal=3, public=True), browser)["error"] == UNMET
    app = world.app(min_aal=2)
    code = world.ask(app, browser)["code"]
    ClientPolicy.objects.filter(client__client_id=app.client_id).update(min_aal=3)
    assert app.redeem(code).json()["error"] == UNMET
    assert world.ask(app, browser)["error"] == "invalid_request", (
        "a confidential client of AAL3 pushes its requests (C35)"
    )


def test_prompt_none_is_silent_for_a_signed_in_person(world: World) -> None:
    """And an error, not a page, where an interaction would be needed."""
    person, _ = world.enrolled()
    browser = world.signed_in(person)
    assert "code" in world.ask(world.app(), browser, prompt="none")
    assert world.ask(world.app(), browser, prompt="none", max_age="0")["error"] == "login_required"
    assert world.ask(world.app(consent=True), browser, prompt="none")["error"] == "consent_required"


@pytest.mark.parametrize("changed", [{"prompt": "login"}, {"max_age": "60"}, {"prompt": "select_account login"}])
def test_fresh_login_is_required_within_the_flow(world: World, changed: dict[str, str]) -> None:
    """SS-6, E12: no session is ended; auth_time is the new one."""
    with time_machine.travel("2026-11-23T12:00:00Z", tick=False) as clock:
        person, _ = world.enrolled()
        clock.shift(60)
        browser = world.signed_in(person)
        app = world.app()
        before = claims(world.tokens(app, browser)["id_token"])
        clock.shift(120)
        page = browser.get(app.url(**changed), stop_at=CALLBACK)
        if form := page.form_with("account"):
            page = browser.submit(page, form, values={"account": "this"})
        assert page.path == "/login"
        person.asked.clear()
        after = claims(app.redeem(answer(person.sign_in(browser, page, stop_at=CALLBACK))["code"]).json()["id_token"])
        assert person.asked == ["password", "totp"]
        assert after["auth_time"] == before["auth_time"] + 120
        assert after["sid"] == before["sid"]


def test_aal3_with_max_age_is_refused_at_once_for_somebody_without_a_key(world: World) -> None:
    """docs/step-up.md: the client gets the error, and the person is not sent through a sign-in that ends there too."""
    with time_machine.travel("2026-11-23T12:00:00Z", tick=False) as clock:
        _, desktop = world.enrolled()
        app = world.app()
        clock.shift(600)
        asked = {"acr_values": f"{AAL}3", "max_age": "60"}
        assert world.ask(app, desktop, **asked)["error"] == "unmet_authentication_requirements"
        strong(Account.objects.get().id)
        assert desktop.get(app.url(**asked), stop_at=CALLBACK).path == "/login"


def test_login_of_another_session_does_not_count(world: World) -> None:
    """I5, E16: auth_time is of this browser's own login."""
    with time_machine.travel("2026-11-23T12:00:00Z", tick=False) as clock:
        person, _ = world.enrolled()
        clock.shift(60)
        old = world.signed_in(person)
        clock.shift(600)
        world.signed_in(person)
        app = world.app()
        assert old.get(app.url(max_age="60"), stop_at=CALLBACK).path == "/login"
        about = claims(world.tokens(app, old)["id_token"])
        assert about["iat"] - about["auth_time"] == 600


def test_flow_is_tied_to_its_browser(world: World) -> None:
    """P23, P35: another browser, even of the same person, cannot go on with it."""
    person, _ = world.enrolled()
    app = world.app(consent=True)
    victim = world.signed_in(person)
    page = victim.get(app.url(), stop_at=CALLBACK)
    flow = page.form_with("decision").action.split("/")[-2]  # type: ignore[union-attr]
    other = world.signed_in(person)
    assert other.get(f"{ISSUER}/oidc/authorize/{flow}").status == 400
    fresh = Browser(http())
    assert fresh.get(f"{ISSUER}/oidc/authorize/{flow}").status == 400


def test_decision_is_made_once(world: World) -> None:
    """Ruling 20 in its first form: going back repeats the answer while its code lives, and makes no second code."""
    person, _ = world.enrolled()
    app = world.app(consent=True)
    browser = world.signed_in(person)
    page = browser.get(app.url(), stop_at=CALLBACK)
    form = page.form_with("decision")
    assert form is not None
    codes = {
        answer(browser.submit(page, form, values={"decision": "allow"}, stop_at=CALLBACK))["code"] for _ in range(2)
    }
    assert (len(codes), Code.objects.count()) == (1, 1)
    with time_machine.travel(clock.now() + timedelta(seconds=61)):
        assert browser.submit(page, form, values={"decision": "allow"}, stop_at=CALLBACK).status == 400


def test_denial_is_access_denied(world: World) -> None:
    """access_denied, and the request has ended."""
    person, _ = world.enrolled()
    app = world.app(consent=True)
    browser = world.signed_in(person)
    page = browser.get(app.url(), stop_at=CALLBACK)
    assert (
        answer(browser.submit(page, page.form_with("decision"), values={"decision": "deny"}, stop_at=CALLBACK))["error"]
        == "access_denied"
    )  # type: ignore[arg-type]
    again = browser.get(f"{ISSUER}/oidc/authorize/{page.form_with('decision').action.split('/')[-2]}", stop_at=CALLBACK)  # type: ignore[union-attr]
    assert answer(again)["error"] == "access_denied"


def test_consent_is_remembered_until_a_new_scope(world: World) -> None:
    """C54."""
    person, _ = world.enrolled()
    app = world.app(consent=True)
    browser = world.signed_in(person)
    world.tokens(app, browser, person, scope="openid")
    assert "code" in world.ask(app, browser, scope="openid")
    assert browser.get(app.url(scope="openid email"), stop_at=CALLBACK).form_with("decision")
    assert browser.get(app.url(scope="openid", prompt="consent"), stop_at=CALLBACK).form_with("decision")


def test_consent_post_checks_every_gate_again(world: World) -> None:
    """E1: the page was shown, then the person ended, the session ended, or the flow grew old."""
    app = world.app(consent=True)
    with time_machine.travel("2026-11-23T12:00:00Z", tick=False) as clock:
        for spoil in ("deactivated", "signed out", "late", "without csrf"):
            username = f"{spoil.replace(' ', '-')}@example.org"
            person, _ = world.enrolled(username)
            clock.shift(60)
            browser = world.signed_in(person)
            page = browser.get(app.url(), stop_at=CALLBACK)
            form = page.form_with("decision")
            assert form is not None, page.words()
            values = {"decision": "allow"}
            if spoil == "deactivated":
                world.deactivate(username)
            elif spoil == "signed out":
                out = browser.get(f"{ISSUER}/oidc/logout")
                browser.submit(out, out.form_to("confirmed"))
            elif spoil == "late":
                clock.shift(601)
            else:
                values["csrfmiddlewaretoken"] = "x" * 64
            after = browser.submit(page, form, values=values, stop_at=CALLBACK)
            assert not after.stopped_at, spoil
            assert after.path == "/login" or after.status in {400, 403}, spoil


def test_form_action_names_the_redirect_uri_only(world: World) -> None:
    """Ruling 22: CSP form-action names the redirect URI's origin on the pages of the flow."""
    person, _ = world.enrolled()
    app = world.app(consent=True)
    consent = world.signed_in(person)._http.get(app.url())
    login = http().get(app.url(), follow_redirects=True)
    for page in (consent, login):
        assert "form-action 'self' https://app.example" in page.headers["Content-Security-Policy"]
    assert "https://app.example" not in http().get("/login").headers["Content-Security-Policy"]


def test_login_hint_fills_the_user_name_only(world: World) -> None:
    """Escaped, and no oracle."""
    page = Browser(http()).get(world.app().url(login_hint='"><script>x'))
    assert page.forms()[0].fields["username"] == '"><script>x'
    assert "<script>x" not in page.html


def test_every_response_has_the_security_headers(world: World) -> None:
    """C63, C79: no-store, nosniff, frame-ancestors; the Host header decides nothing."""
    for path in ("/login", "/oidc/authorize?" + urlencode(world.app().parameters()), "/nothing"):
        response = http().get(path)
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
    assert http().get("/.well-known/openid-configuration", headers={"Host": "evil.example"}).status_code == 400


@pytest.mark.database
def test_id_token_hint_selects_the_person(world: World) -> None:
    """C42, OpenID Connect Core 3.1.2.1: with `id_token_hint` no other person's login answers the request."""
    _, alexs = world.enrolled()
    _, kims = world.enrolled("kim@example.org")
    app = world.app()
    hint = world.tokens(app, alexs)["id_token"]
    assert "code" in world.ask(app, alexs, prompt="none", id_token_hint=hint)
    assert world.ask(app, kims, prompt="none", id_token_hint=hint)["error"] == "login_required"
    assert not kims.get(app.url(id_token_hint=hint), stop_at=CALLBACK).stopped_at
    assert world.ask(app, alexs, prompt="none", id_token_hint="x.y.z")["error"] == "login_required"
    assert "code" in world.ask(app, alexs, id_token_hint="x.y.z")


def test_removed_redirect_uri_is_refused_after_the_login(world: World) -> None:
    """C31: the redirect URI is checked again when the person comes back from the login page."""
    person, _ = world.enrolled()
    app, browser = world.app(), Browser(http())
    page = browser.get(app.url(), stop_at=CALLBACK)
    assert page.path == "/login"
    clients.change(app.party, now=clock.now(), redirect_uris=["https://new.example/cb"])
    assert not person.sign_in(browser, page, stop_at=CALLBACK).stopped_at
