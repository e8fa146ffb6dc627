"""Several tabs of one browser, and forms that are sent twice: each page ends where it says."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.conf import settings

from demo.browser import Browser
from derived import clock
from derived.models import Credential
from idp.login.purpose import FIELD, Purpose, safe_path
from idp.models import LoginSession
from tests.fixtures.world import ISSUER, answer, http, userinfo

if TYPE_CHECKING:
    from demo.browser import Page
    from demo.person import Person
    from tests.fixtures.world import App, World

pytestmark = pytest.mark.django_db
ONE, TWO = "https://one.example/callback", "https://two.example/callback"
OUTSIDE = "https://"


@pytest.fixture
def apps(world: World) -> tuple[App, App]:
    """Two applications."""
    return world.app(name="One", redirect_uris=[ONE]), world.app(name="Two", redirect_uris=[TWO])


class HalfLogin:
    """A browser between its two factors."""

    def __init__(self, browser: Browser, page: Page, *, code: str) -> None:
        self.browser, self.page, self.code = browser, page, code
        self.before_again = self.as_before()

    def as_before(self) -> Browser:
        """The same browser as it is now, without what it will be told later."""
        agent = http()
        agent.cookies.update(self.browser._http.cookies)
        return Browser(agent)

    def form(self, code: str) -> dict[str, str]:
        """The form of the second factor."""
        form = self.page.form_with("totp")
        assert form is not None
        return {**form.fields, "totp": code}


def signed_in(person: Person, browser: Browser, page: Page) -> Page:
    """From a login page to the application that it is for."""
    return person.sign_in(browser, page, stop_at=OUTSIDE)


def sent(browser: Browser, page: Page, **values: str) -> Page:
    """The page's own form."""
    form = next(form for form in page.forms() if {*values} <= {*form.fields, *form.buttons})
    return browser.submit(page, form, values=values, stop_at=OUTSIDE)


def test_each_tab_ends_at_its_application(world: World, apps: tuple[App, App]) -> None:
    """The first tab is begun, then the second; signing in in the first leads to the first application."""
    person, _ = world.enrolled()
    browser = Browser(http())
    first, second = (browser.get(app.url(state=app.party.name), stop_at=OUTSIDE) for app in apps)
    assert "to continue to One" in first.words()
    assert "to continue to Two" in second.words()
    page = signed_in(person, browser, first)
    assert page.stopped_at.startswith(f"{ONE}?code=")
    assert answer(page)["state"] == "One"
    assert apps[0].redeem(answer(page)["code"]).status_code == 200
    # The second tab goes on by itself, when it is loaded again or its form is sent.
    page = browser.get(second.url, stop_at=OUTSIDE)
    assert page.stopped_at.startswith(f"{TWO}?code=")
    assert apps[1].redeem(answer(page)["code"]).status_code == 200


def test_form_of_another_tab_leads_on(world: World, apps: tuple[App, App]) -> None:
    """The second tab's password form, sent after the first tab has signed in: nothing is asked again."""
    person, _ = world.enrolled()
    browser = Browser(http())
    first, second = (browser.get(app.url(), stop_at=OUTSIDE) for app in apps)
    signed_in(person, browser, first)
    page = sent(browser, second, username=person.username, password="not looked at")
    assert page.stopped_at.startswith(f"{TWO}?code=")


def test_tab_for_a_page_and_tab_for_an_application(world: World, apps: tuple[App, App]) -> None:
    """A login that is for a page of this site ends there, whatever application waits in another tab."""
    person, _ = world.enrolled()
    browser = Browser(http())
    local = browser.get(f"{ISSUER}/devices/add")
    browser.get(apps[0].url(), stop_at=OUTSIDE)
    assert local.path == "/login"
    assert signed_in(person, browser, local).path.startswith("/devices")


def test_second_factor_sent_twice(world: World, apps: tuple[App, App]) -> None:
    """A double click on the code: the second leads where the first led, to a code that can be redeemed."""
    person, _ = world.enrolled()
    browser = Browser(http())
    page = browser.get(apps[0].url(), stop_at=OUTSIDE)
    half = sent(browser, page, username=person.username, password=person.password)
    assert half.path == "/login/totp"
    code = person.authenticator.code() if person.authenticator else ""
    first, second = (sent(browser, half, totp=code) for _ in range(2))
    assert first.stopped_at == second.stopped_at
    assert first.stopped_at.startswith(f"{ONE}?code=")
    assert apps[0].redeem(answer(second)["code"]).status_code == 200


@pytest.fixture
def half(world: World, apps: tuple[App, App]) -> HalfLogin:
    """A browser that has shown the password for an application, and the code that is next."""
    person, _ = world.enrolled()
    browser = Browser(http())
    page = browser.get(apps[0].url(), stop_at=OUTSIDE)
    page = sent(browser, page, username=person.username, password=person.password)
    assert person.authenticator is not None
    return HalfLogin(browser, page, code=person.authenticator.code())


@pytest.mark.database
def test_second_factor_sent_twice_at_once(half: HalfLogin, apps: tuple[App, App]) -> None:
    """The second press ended the first request, so its answer and cookie never came: the second signs in as well."""
    late = half.as_before()
    assert sent(half.browser, half.page, totp=half.code).stopped_at.startswith(f"{ONE}?code=")
    page = late.get(half.page.url, stop_at=OUTSIDE)  # nothing but the form itself leads on
    assert page.path == "/login"
    late = half.before_again
    response = late._http.post(half.page.url, data=half.form(half.code), follow_redirects=False)
    assert response.headers["Location"].startswith("/oidc/authorize/")
    assert late.get(f"{ISSUER}/devices").path == "/devices"
    assert LoginSession.objects.filter(ended_at=None).count() == 2  # one is of the enrolment
    assert not Credential.objects.filter(failures__gt=0).exists()


@pytest.mark.parametrize("what", ["another code", "another browser", "too late", "signed out"])
def test_only_the_same_form_of_the_same_browser_leads_on(half: HalfLogin, what: str) -> None:
    """C56, C11: neither the cookie of before nor a code that was seen signs anybody in by itself."""
    late = half.as_before()
    assert sent(half.browser, half.page, totp=half.code).stopped_at
    if what == "another browser":
        (cookie,) = [one for one in late._http.cookies.jar if one.name == settings.SESSION_COOKIE_NAME]
        cookie.value = "y" * 32
    if what == "signed out":
        LoginSession.objects.update(ended_at=clock.now())
    with time_machine.travel(clock.now() + timedelta(seconds=61 if what == "too late" else 0)):
        code = half.code if what != "another code" else f"{(int(half.code) + 1) % 10**6:06d}"
        response = late._http.post(half.page.url, data=half.form(code), follow_redirects=False)
        assert response.headers.get("Location", "").startswith("/login")
        assert late.get(f"{ISSUER}/devices").path == "/login"


def test_password_sent_twice(world: World, apps: tuple[App, App]) -> None:
    """The second leads to the second factor, which works."""
    person, _ = world.enrolled()
    browser = Browser(http())
    page = browser.get(apps[0].url(), stop_at=OUTSIDE)
    pages = [sent(browser, page, username=person.username, password=person.password) for _ in range(2)]
    assert {one.path for one in pages} == {"/login/totp"}
    code = person.authenticator.code() if person.authenticator else ""
    assert sent(browser, pages[1], totp=code).stopped_at.startswith(f"{ONE}?code=")


@pytest.mark.parametrize(("decision", "told"), [("allow", "code"), ("deny", "error")])
def test_consent_sent_twice(world: World, decision: str, told: str) -> None:
    """The same answer again, also by the way back of the browser, for as long as a code lives; in no other browser."""
    person, browser = world.enrolled()
    app = world.app(consent=True)
    page = browser.get(app.url(), stop_at=OUTSIDE)
    first, second = (sent(browser, page, decision=decision) for _ in range(2))
    assert first.stopped_at == second.stopped_at
    assert told in answer(second)
    other = world.signed_in(person)
    refused = other.get(f"{ISSUER}{urlsplit(page.forms()[0].action).path.removesuffix('/consent')}", stop_at=OUTSIDE)
    assert (refused.status, refused.stopped_at) == (400, "")


@pytest.mark.database
def test_no_redeemed_code_is_sent_again(world: World) -> None:
    """RFC 6749 §4.1.2: a second use of a code ends the tokens of the first, so the page says that it is done."""
    _, browser = world.enrolled()
    app = world.app(consent=True)
    page = browser.get(app.url(), stop_at=OUTSIDE)
    tokens = app.redeem(answer(sent(browser, page, decision="allow"))["code"]).json()
    again = sent(browser, page, decision="allow")
    assert (again.status, again.stopped_at) == (400, "")
    assert "the application has received its answer" in again.words()
    assert userinfo(tokens["access_token"]).status_code == 200


def test_form_post_sent_twice(world: World) -> None:
    """The answer as a form, again with the same code."""
    _, browser = world.enrolled()
    app = world.app(consent=True)
    page = browser.get(app.url(response_mode="form_post"), stop_at=OUTSIDE)
    answers = [sent(browser, page, decision="allow").forms()[0].fields for _ in range(2)]
    assert answers[0] == answers[1]
    assert app.redeem(answers[0]["code"]).status_code == 200


def test_no_code_is_stored_in_clear(world: World) -> None:
    """I10: also where an answer is kept to be repeated."""
    from django.contrib.sessions.models import Session

    from idp.login.browser_store import SessionStore

    _, browser = world.enrolled()
    page = browser.get(world.app(consent=True).url(), stop_at=OUTSIDE)
    code = answer(sent(browser, page, decision="allow"))["code"]
    kept = [SessionStore().decode(row.session_data) for row in Session.objects.all()]
    assert any("answers" in one for one in kept)
    assert code not in str(kept)


def test_purpose_is_sealed(world: World) -> None:
    """Nobody can make a link that shows words, or leads somewhere, in Ramet's name."""
    person, _ = world.enrolled()
    browser = Browser(http())
    good = Purpose(next_path="/access", why="Because.").sealed()
    assert "Because." in browser.get(f"{ISSUER}/login?{FIELD}={good}").words()
    for bad in (good[:-1] + ("A" if good[-1] != "A" else "B"), good + "x", "x", "", "é", "." * 5000, ":::"):
        page = browser.get(f"{ISSUER}/login?{FIELD}={bad}")
        assert (page.status, "Because." in page.words()) == (200, False), bad
    assert signed_in(person, browser, browser.get(f"{ISSUER}/login?next=//evil.example/")).path == "/devices"


def test_two_tabs_for_a_device(world: World) -> None:
    """Each page of a device key has its own challenge, and its form says which."""
    browser = Browser(http())
    first, second = (browser.get(f"{ISSUER}/login/device") for _ in range(2))
    challenges = [page.forms()[0].fields["challenge"] for page in (first, second)]
    assert len(set(challenges)) == 2
    assert all(f'data-challenge="{one}"' in page.html for one, page in zip(challenges, (first, second), strict=True))
    assert parse_qs(urlsplit(first.url).query) == {}


@pytest.mark.parametrize(("path", "status"), [("/login", 200), ("/invitation/x", 410), ("/nowhere", 404)])
def test_more_fields_than_are_read_are_no_purpose(path: str, status: int) -> None:
    """The page is what it is without them: it was a 500, since its error page read them again."""
    with http() as agent:
        assert agent.get(f"{path}?{'a=1&' * 2_000}").status_code == status


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["//[", "//[a]b", "/\\x", "//evil.example/", "/" + "a" * 600, "javascript:x"])
def test_no_path_is_a_fault(path: str) -> None:
    """Any text after `next=` on any page: no error, and nothing of it leads anywhere."""
    page = http().get(f"{ISSUER}/login", params={"next": path})
    assert page.status_code == 200
    assert safe_path(path) == ""
