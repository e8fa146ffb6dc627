"""The scripts of the login pages: a form is sent once, and a tab goes on when another one has signed in."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from playwright.sync_api import expect

from tests.browser.visitor import Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Request, Route

    from tests.fixtures.served_for_browsers import ServedForBrowsers

_LOOKED_AT = "() => document.dispatchEvent(new Event('visibilitychange'))"  # as when the person comes back to a tab


def test_double_click_sends_a_form_once(served: ServedForBrowsers, desktop: Visitor) -> None:
    """The second press is not sent while the first has no answer; the Back button makes the form new."""
    person, page = served.employee("Runa", "Falk"), desktop.page
    sent: list[str] = []
    held: list[Route] = []

    def is_form(request: Request) -> bool:
        return request.method == "POST" and urlsplit(request.url).path == "/login"

    def hear(request: Request) -> None:
        if is_form(request):
            sent.append(request.url)

    def hold(route: Route) -> None:
        if is_form(route.request) and not held:
            held.append(route)
        else:
            route.continue_()

    page.on("request", hear)
    page.route("**/login*", hold)
    page.goto(f"{served.url}/login")
    page.get_by_label("User name").fill(person.username)
    page.get_by_label("Password", exact=True).fill(person.password)
    with page.expect_request(is_form):
        page.get_by_role("button", name="Continue").dblclick(no_wait_after=True)
    page.keyboard.press("Enter")
    held[0].continue_()
    desktop.reads("Your six-digit code")
    assert len(sent) == 1
    page.go_back()
    desktop.reads("Sign in")
    page.get_by_label("Password", exact=True).fill(person.password)
    desktop.press("Continue")
    desktop.reads("Your six-digit code")
    assert len(sent) == 2


def test_tab_goes_on_when_another_one_has_signed_in(served: ServedForBrowsers, desktop: Visitor) -> None:
    """Each waiting tab ends at its own application, or page, as soon as it is looked at again."""
    person = served.employee("Siri", "Holm")
    app, own = (Visitor(desktop.page.context.new_page()) for _ in range(2))
    app.page.goto(f"{served.app.url}/login")
    own.page.goto(f"{served.url}/apps")
    for tab in (app, own):
        tab.reads("Sign in")
        tab.page.evaluate(_LOOKED_AT)  # nobody has signed in: it stays
    desktop.sign_in(person, f"{served.url}/devices")
    desktop.reads("My devices")
    for tab in (app, own):
        expect(tab.page.locator("h1")).to_have_text("Sign in")
        tab.page.evaluate(_LOOKED_AT)
    app.is_at(f"{served.app.url}/")
    app.reads("Hello, Siri Holm")
    own.reads("My apps")
    assert app.troubles + own.troubles == []
