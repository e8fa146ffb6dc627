"""The login pages and the sessions they make (C11, C56, C57, C62, C63, C67; SS-1, SS-4, TH-1, AU-5; ruling 13)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import time_machine
from django.contrib.sessions.models import Session

from demo.browser import Browser
from derived.models import Credential
from idp.models import AuthenticationEvent, LoginSession
from tests.world import CALLBACK, ISSUER, http

if TYPE_CHECKING:
    from demo.browser import Page
    from tests.world import World

pytestmark = pytest.mark.django_db
NOON = "2026-11-23T12:00:00Z"


def try_password(browser: Browser, username: str, password: str) -> Page:
    page = browser.get(f"{ISSUER}/login")
    return browser.submit(page, page.forms()[0], values={"username": username, "password": password})


def test_a_login_records_the_evidence_and_changes_the_cookie(world: World) -> None:
    """Issue 2.2, C11, SS-4: an event with factors, AAL and time; the session key is new at each step up."""
    person, _ = world.enrolled()
    agent = http()
    browser = Browser(agent)
    agent.cookies.set("ramet_session", "a" * 32, domain="localhost.local")
    browser.get(f"{ISSUER}/login")
    seen = [agent.cookies.get("ramet_session", domain="localhost.local")]
    page = try_password(browser, person.username, person.password)
    seen.append(agent.cookies.get("ramet_session", domain="localhost.local"))
    assert page.path == "/login/totp"
    person.sign_in(browser, page)
    seen.append(agent.cookies.get("ramet_session", domain="localhost.local"))
    assert len({value for value in seen if value}) == len([value for value in seen if value])
    assert "a" * 32 not in seen[1:]
    event = AuthenticationEvent.objects.latest("id")
    assert (event.factors, event.aal, event.root) == (["password", "totp"], 2, True)
    assert Credential.objects.get(id=event.credential_id).kind == "password_totp"


def test_the_browsers_key_is_stored_hashed(world: World) -> None:
    """I10: the sessions table logs nobody in."""
    agent = http()
    Browser(agent).get(f"{ISSUER}/login")
    cookie = agent.cookies["ramet_session"] if "ramet_session" in agent.cookies else ""
    person, desktop = world.enrolled()
    cookie = desktop._http.cookies["ramet_session"]
    assert cookie
    assert not Session.objects.filter(session_key=cookie).exists()
    assert Session.objects.exists()
    assert person.password not in "".join(Session.objects.values_list("session_data", flat=True))


def test_the_cookies_are_narrow(world: World) -> None:
    """C63, ruling 22: HttpOnly and SameSite always; __Host- and Secure wherever it is not http on loopback."""
    person, _ = world.enrolled()
    browser = world.signed_in(person)
    page = http().get("/login")
    cookies = page.headers.get_list("Set-Cookie")
    assert cookies
    assert all("HttpOnly" in cookie and "SameSite=Lax" in cookie for cookie in cookies)
    assert "Domain" not in "".join(cookies)
    assert browser.get(f"{ISSUER}/devices").path == "/devices"


def test_a_totp_code_serves_once(world: World) -> None:
    """AU-5, P5: not in another session either, and not an older step after a newer one."""
    with time_machine.travel(NOON, tick=False) as now:
        person, _ = world.enrolled()
        now.shift(60)
        code = person.authenticator.code()  # type: ignore[union-attr]
        for expected in ("/devices", "/login/totp"):
            browser = Browser(http())
            page = try_password(browser, person.username, person.password)
            page = browser.submit(page, page.forms()[0], values={"totp": code})
            assert page.path == expected


def test_a_half_done_login_is_worth_nothing(world: World) -> None:
    """Ruling 6: a password is no session, and it is forgotten after ten minutes."""
    with time_machine.travel(NOON, tick=False) as now:
        person, _ = world.enrolled()
        now.shift(60)
        browser = Browser(http())
        page = try_password(browser, person.username, person.password)
        assert browser.get(f"{ISSUER}/devices").path == "/login"
        app = world.app()
        assert not browser.get(app.url(), stop_at=CALLBACK).stopped_at
        now.shift(601)
        code = person.authenticator.code()  # type: ignore[union-attr]
        assert browser.submit(page, page.forms()[0], values={"totp": code}).path == "/login"


@pytest.mark.parametrize(
    "wrong",
    [
        ("nobody@example.org", "x" * 12),
        ("alex@example.org", "wrong password"),
        ("", ""),
        ("alex@example.org\x00", "x"),
        ("a" * 400, "b" * 4000),
    ],
)
def test_nobody_learns_whether_a_name_exists(world: World, wrong: tuple[str, str]) -> None:
    """C67, P54: one sentence, one status."""
    world.enrolled()
    page = try_password(Browser(http()), *wrong)
    assert (page.path, page.status) == ("/login", 400)
    assert "do not go together" in page.html


def test_names_fold_and_passwords_do_not(world: World) -> None:
    """P53: ALEX is alex, for counting too."""
    person, _ = world.enrolled()
    assert try_password(Browser(http()), person.username.upper(), person.password).path == "/login/totp"
    assert try_password(Browser(http()), person.username, person.password.upper()).path == "/login"


def test_guessing_from_one_network_is_slowed(world: World) -> None:
    """TH-3, C57: after a few wrong tries the right password waits too."""
    with time_machine.travel(NOON, tick=False) as now:
        person, _ = world.enrolled()
        statuses = [try_password(Browser(http()), person.username, f"guess number {n}").status for n in range(9)]
        assert 429 in statuses
        page = try_password(Browser(http()), person.username, person.password)
        assert page.status == 429
        now.shift(timedelta(minutes=16))
        assert try_password(Browser(http()), person.username, person.password).path == "/login/totp"


def test_a_stranger_does_not_slow_the_person_in_their_own_browser(world: World) -> None:
    """Ruling 13, C58."""
    with time_machine.travel(NOON, tick=False) as now:
        person, _ = world.enrolled()
        now.shift(60)
        known = world.signed_in(person)
        page = known.get(f"{ISSUER}/oidc/logout")
        known.submit(page, page.form_to("confirmed"))
        for n in range(12):
            try_password(Browser(http()), person.username, f"guess number {n}")
        assert try_password(known, person.username, person.password).path == "/login/totp"


def test_a_hundred_wrong_guesses_disable_the_authenticator(world: World) -> None:
    """TH-1: only being bound anew helps; the right password does not."""
    with time_machine.travel(NOON, tick=False) as now:
        person, _ = world.enrolled()
        credential = Credential.objects.get(kind="password_totp")
        Credential.objects.filter(id=credential.id).update(failures=99)
        now.shift(60)
        assert try_password(Browser(http()), person.username, "wrong password").path == "/login"
        now.shift(timedelta(days=2))
        assert try_password(Browser(http()), person.username, person.password).path == "/login"
        assert Credential.objects.get(id=credential.id).failures == 100


def test_success_resets_the_count(world: World) -> None:
    """TH-5: of the whole login, not of its first half."""
    with time_machine.travel(NOON, tick=False) as now:
        person, _ = world.enrolled()
        now.shift(60)
        for n in range(3):
            try_password(Browser(http()), person.username, f"wrong {n} password")
        assert Credential.objects.get(kind="password_totp").failures == 3
        world.signed_in(person)
        assert Credential.objects.get(kind="password_totp").failures == 0


def test_a_session_ends_when_it_is_idle_and_in_any_case(world: World) -> None:
    """SS-1, C62: an hour idle, 24 hours in all; use does not move the end."""
    with time_machine.travel(NOON, tick=False) as now:
        _, browser = world.enrolled()
        now.shift(timedelta(minutes=59))
        assert browser.get(f"{ISSUER}/devices").path == "/devices"
        now.shift(timedelta(minutes=61))
        assert browser.get(f"{ISSUER}/devices").path == "/login"
    with time_machine.travel("2026-11-24T12:00:00Z", tick=False) as now:
        _, browser = world.enrolled("kim@example.org")
        for _ in range(47):
            now.shift(timedelta(minutes=30))
            assert browser.get(f"{ISSUER}/devices").path == "/devices"
        now.shift(timedelta(minutes=30))
        assert browser.get(f"{ISSUER}/devices").path == "/login"


def test_another_person_in_the_same_browser_gets_a_session_of_their_own(world: World) -> None:
    """P22: a new sid, and nothing of the one before."""
    with time_machine.travel(NOON, tick=False) as now:
        _, browser = world.enrolled()
        kim, _ = world.enrolled("kim@example.org")
        now.shift(60)
        page = kim.sign_in(browser, try_password(browser, kim.username, kim.password))
        assert page.path == "/devices"
        sessions = list(LoginSession.objects.order_by("created_at"))
        assert len({session.sid for session in sessions}) == len(sessions) == 3
        assert sessions[-1].account.person.login_name == "kim@example.org"


@pytest.mark.database
def test_my_sessions_are_listed_and_ended(world: World) -> None:
    """C66: one, or all but this; nobody else's."""
    person, first = world.enrolled()
    second = world.signed_in(person)
    stranger = world.enrolled("kim@example.org")[1]
    page = first.get(f"{ISSUER}/devices")
    assert page.html.count('/end"') == 2
    theirs = stranger.get(f"{ISSUER}/devices")
    foreign = next(form for form in page.forms() if form.action.endswith("/end"))
    assert (
        stranger.submit(theirs, type(foreign)(**{**vars(foreign), "fields": theirs.forms()[-1].fields})).status == 404
    )
    first.submit(page, page.form_to("/end-others"))
    assert second.get(f"{ISSUER}/devices").path == "/login"
    assert first.get(f"{ISSUER}/devices").path == "/devices"


@pytest.mark.parametrize(
    "path", ["//evil.example/", "https://evil.example/", "/\\evil.example", "javascript:alert(1)", "/%09x"]
)
def test_a_login_ends_on_this_site(world: World, path: str) -> None:
    """No open redirect through `next`."""
    person, _ = world.enrolled()
    browser = Browser(http())
    page = person.sign_in(browser, browser.get(f"{ISSUER}/login?next={path}"))
    assert page.url == f"{ISSUER}/devices"


def test_the_hint_of_a_forged_id_token_logs_nobody_out(world: World) -> None:
    """E11, C48: alg none, another's, garbage: the person is asked; a true one of this session logs out at once."""
    person, _ = world.enrolled()
    app = world.app(post_logout_uris=["https://app.example/bye"])
    browser = world.signed_in(person)
    real = world.tokens(app, browser)["id_token"]
    none = "eyJhbGciOiJub25lIn0." + real.split(".")[1] + "."
    other = world.tokens(app, world.signed_in(person))["id_token"]
    for hint in (none, other, "x.y.z", ""):
        page = browser.get(f"{ISSUER}/oidc/logout?id_token_hint={hint}")
        assert page.form_to("confirmed")
        assert browser.get(f"{ISSUER}/devices").path == "/devices"
    assert (
        browser.get(
            f"{ISSUER}/oidc/logout?post_logout_redirect_uri=https://evil.example/&client_id={app.client_id}"
        ).status
        == 400
    )
    page = browser.get(
        f"{ISSUER}/oidc/logout?id_token_hint={real}&post_logout_redirect_uri=https://app.example/bye&state=s",
        stop_at="https://app.example",
    )
    assert page.stopped_at == "https://app.example/bye?state=s"
    assert browser.get(f"{ISSUER}/devices").path == "/login"


@pytest.mark.parametrize(
    "path", ["/login", "/login/totp", "/login/device", "/devices/add", "/sessions/end-others", "/oidc/logout/confirmed"]
)
def test_no_form_works_without_its_token(world: World, path: str) -> None:
    """C64: CSRF on each state-changing page."""
    _, browser = world.enrolled()
    assert browser._http.post(path, data={"x": "y"}).status_code == 403
