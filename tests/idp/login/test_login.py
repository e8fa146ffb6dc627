"""The login pages and the sessions they make (C11, C56, C57, C62, C63, C67; SS-1, SS-4, TH-1, AU-5; ruling 13)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import time_machine
from django.contrib.sessions.models import Session

from demo import authenticator
from demo.browser import Browser
from demo.person import Person
from derived.models import Credential
from idp.models import AuthenticationEvent, LoginSession
from tests.fixtures.signing_in import after_password, with_code
from tests.fixtures.world import CALLBACK, ISSUER, http

if TYPE_CHECKING:
    from demo.browser import Page
    from tests.fixtures.world import World

pytestmark = pytest.mark.django_db
NOON = "2026-11-23T12:00:00Z"


def try_password(browser: Browser, username: str, password: str) -> Page:
    page = browser.get(f"{ISSUER}/login")
    return browser.submit(page, page.forms()[0], values={"username": username, "password": password})


def test_login_records_its_evidence_and_changes_the_cookie(world: World) -> None:
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


def test_session_key_is_stored_hashed(world: World) -> None:
    """I10: a copy of the sessions table yields no usable cookie."""
    agent = http()
    Browser(agent).get(f"{ISSUER}/login")
    cookie = agent.cookies["ramet_session"] if "ramet_session" in agent.cookies else ""
    person, desktop = world.enrolled()
    cookie = desktop._http.cookies["ramet_session"]
    assert cookie
    assert not Session.objects.filter(session_key=cookie).exists()
    assert Session.objects.exists()
    assert person.password not in "".join(Session.objects.values_list("session_data", flat=True))


def test_cookie_attributes(world: World) -> None:
    """C63, ruling 22: HttpOnly and SameSite always; __Host- and Secure wherever it is not http on loopback."""
    person, _ = world.enrolled()
    browser = world.signed_in(person)
    page = http().get("/login")
    cookies = page.headers.get_list("Set-Cookie")
    assert cookies
    assert all("HttpOnly" in cookie and "SameSite=Lax" in cookie for cookie in cookies)
    assert "Domain" not in "".join(cookies)
    assert browser.get(f"{ISSUER}/devices").path == "/devices"


def test_totp_code_is_single_use(world: World) -> None:
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


def test_incomplete_login_is_no_session(world: World) -> None:
    """Ruling 6: a password alone is no session, and it expires after ten minutes."""
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
def test_login_errors_do_not_reveal_names(world: World, wrong: tuple[str, str]) -> None:
    """C67, P54: one sentence, one status."""
    world.enrolled()
    page = try_password(Browser(http()), *wrong)
    assert (page.path, page.status) == ("/login", 400)
    assert "do not go together" in page.html


def test_names_are_case_folded_and_passwords_are_not(world: World) -> None:
    """P53: ALEX is alex, for counting too."""
    person, _ = world.enrolled()
    assert try_password(Browser(http()), person.username.upper(), person.password).path == "/login/totp"
    assert try_password(Browser(http()), person.username, person.password.upper()).path == "/login"


def test_guessing_from_one_network_is_throttled(world: World) -> None:
    """TH-3, C57: after a few wrong tries the right password waits too."""
    with time_machine.travel(NOON, tick=False) as now:
        person, _ = world.enrolled()
        statuses = [try_password(Browser(http()), person.username, f"guess number {n}").status for n in range(9)]
        assert 429 in statuses
        page = try_password(Browser(http()), person.username, person.password)
        assert page.status == 429
        now.shift(timedelta(minutes=16))
        assert try_password(Browser(http()), person.username, person.password).path == "/login/totp"


def test_known_browser_is_not_throttled(world: World) -> None:
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


def test_hundred_wrong_guesses_disable_the_authenticator(world: World) -> None:
    """TH-1: only a new binding enables it; the right password does not."""
    with time_machine.travel(NOON, tick=False) as now:
        person, _ = world.enrolled()
        credential = Credential.objects.get(kind="password_totp")
        Credential.objects.filter(id=credential.id).update(failures=99)
        now.shift(60)
        assert try_password(Browser(http()), person.username, "wrong password").path == "/login"
        now.shift(timedelta(days=2))
        assert try_password(Browser(http()), person.username, person.password).path == "/login"
        assert Credential.objects.get(id=credential.id).failures == 100


def test_success_resets_the_counter(world: World) -> None:
    """TH-5: of the whole login, not of its first half."""
    with time_machine.travel(NOON, tick=False) as now:
        person, _ = world.enrolled()
        now.shift(60)
        for n in range(3):
            try_password(Browser(http()), person.username, f"wrong {n} password")
        assert Credential.objects.get(kind="password_totp").failures == 3
        world.signed_in(person)
        assert Credential.objects.get(kind="password_totp").failures == 0


def test_session_ends_after_idle_and_absolute_time(world: World) -> None:
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


def test_another_person_in_the_same_browser_gets_a_new_session(world: World) -> None:
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
def test_own_sessions_are_listed_and_ended(world: World) -> None:
    """C66: one, or all but this; never another person's."""
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
def test_next_parameter_is_no_open_redirect(world: World, path: str) -> None:
    """No open redirect through `next`."""
    person, _ = world.enrolled()
    browser = Browser(http())
    page = person.sign_in(browser, browser.get(f"{ISSUER}/login?next={path}"))
    assert page.url == f"{ISSUER}/devices"


def test_forged_id_token_hint_logs_nobody_out(world: World) -> None:
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
def test_forms_need_their_csrf_token(world: World, path: str) -> None:
    """C64: CSRF on each state-changing page."""
    _, browser = world.enrolled()
    assert browser._http.post(path, data={"x": "y"}).status_code == 403


def test_cross_site_post_keeps_the_session(world: World) -> None:
    """C64: without the cookie (SameSite=Lax) the request goes round by GET, and no new cookie is set over the old
    one.
    """
    app = world.app()
    with http() as stranger:
        response = stranger.post("/oidc/authorize", data=app.parameters())
    assert response.status_code == 303
    assert "set-cookie" not in response.headers
    _, desktop = world.enrolled()
    assert desktop.get(f"{ISSUER}{response.headers['Location']}", stop_at=CALLBACK).stopped_at


def test_login_of_another_person_ends_the_previous_session(world: World) -> None:
    """P22, C66: otherwise that session could not be signed out any more, and its tokens would stay valid."""
    _, browser = world.enrolled()
    kim, _ = world.enrolled("kim@example.org")
    app = world.app()
    before = LoginSession.objects.get(account__person__login_name="alex@example.org")
    tokens = world.tokens(app, browser)
    with time_machine.travel(datetime.now(tz=UTC) + timedelta(minutes=2)):
        kim.sign_in(browser, try_password(browser, kim.username, kim.password))
        before.refresh_from_db()
        assert before.ended_at is not None
        assert app.refresh(tokens["refresh_token"]).status_code == 400


def test_code_in_groups_is_no_wrong_guess(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an invitation, at the sign-in and as a recovery code: with spaces, hyphens and other digits."""
    plain = authenticator.totp

    def grouped(secret: str, *, step: int) -> str:
        code = plain(secret, step=step)
        return f"{code[:3]}\u00a0{''.join(chr(0x660 + int(one)) for one in code[3:])}"

    monkeypatch.setattr(authenticator, "totp", grouped)
    world.push()
    person = Person(username="alex@example.org", name="Alex Moss", email="alex@example.org")
    person.accept_invitation(Browser(http()), world.invitation("alex@example.org"))
    assert world.signed_in(person)
    assert not Credential.objects.filter(failures__gt=0).exists()
    browser = Browser(http())
    after_password(browser, person)
    page = with_code(browser, person.recovery_codes[0].replace("-", "\u00a0").lower())
    assert page.path == "/login/recover/totp", page.words()


@pytest.mark.parametrize("wrong", [0, 1, 2])
def test_wrong_tries_are_counted_without_the_right_one(world: World, wrong: int) -> None:
    """A browser that nobody knows: what it says on My devices is the number of tries that were wrong."""
    person, _ = world.enrolled()
    browser = Browser(http())
    page = after_password(browser, person)
    for _ in range(wrong):
        page = browser.submit(page, page.form_with("totp"), values={"totp": "000000"})  # type: ignore[arg-type]
        assert page.status == 400
    page = person.sign_in(browser, page)
    assert page.path == "/devices"
    told = re.findall(r"([0-9]+) wrong (?:try was|tries were)", page.html)
    assert told == ([str(wrong)] if wrong else [])


def test_people_are_told_their_user_name(world: World) -> None:
    """In the invitation, on its first page, and on their own page; a second sign-in knows it already."""
    world.push("amoss", emails=[{"value": "alex.moss@example.org", "primary": True}])
    (letter,) = world.mails("alex.moss@example.org", "invitation")
    assert "Your user name is: amoss" in letter.body
    person = Person(username="amoss", name="Alex Moss", email="alex.moss@example.org")
    browser = Browser(http())
    link = world.invitation("alex.moss@example.org")
    assert "Your user name is amoss" in browser.get(link).words()
    person.accept_invitation(browser, link)
    assert "Your user name is <strong>amoss</strong>" in browser.get(f"{ISSUER}/devices").html
    assert browser.get(f"{ISSUER}/login").form_with("username").fields["username"] == "amoss"  # type: ignore[union-attr]
    assert Browser(http()).get(f"{ISSUER}/login").form_with("username").fields["username"] == ""  # type: ignore[union-attr]


@pytest.mark.database
def test_unique_mail_address_is_a_name_too(world: World) -> None:
    """In any case; not if two people have it, nor if it is a user name of another; the answer is always the same."""
    world.push("amoss", emails=[{"value": "Alex.Moss@example.org", "primary": True}, {"value": "team@example.org"}])
    world.push("bfern", emails=[{"value": "bo@example.org", "primary": True}, {"value": "team@example.org"}])
    world.push("bo@example.org", emails=[{"value": "third@example.org", "primary": True}])
    person = Person(username="amoss", name="Alex Moss", email="alex.moss@example.org")
    person.accept_invitation(Browser(http()), world.invitation("Alex.Moss@example.org"))
    other = Person(username="bfern", name="Bo Fern", email="bo@example.org")
    other.accept_invitation(Browser(http()), world.invitation("bo@example.org"))

    def tried(someone: Person, name: str) -> Page:
        browser = Browser(http())
        page = browser.get(f"{ISSUER}/login")
        return browser.submit(page, page.forms()[0], values={"username": name, "password": someone.password})

    assert tried(person, " alex.moss@EXAMPLE.org").path == "/login/totp"
    refused = [tried(person, "team@example.org"), tried(other, "bo@example.org"), tried(person, "nobody@example.org")]
    assert {one.status for one in refused} == {400}
    assert len({" ".join(one.by_class("error")) for one in refused}) == 1
    assert tried(other, "bfern").path == "/login/totp"
