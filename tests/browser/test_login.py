"""Signing in with password and code, at Ramet and for a relying party, and signing out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

from demo.relying_party import AAL

if TYPE_CHECKING:
    from tests.browser.visitor import Visitor
    from tests.fixtures.served_for_browsers import ServedForBrowsers

_FOCUS = (
    "() => document.activeElement.getAttribute('aria-label') || document.activeElement.innerText || "
    "document.activeElement.name"
)
_OUTLINE = "() => getComputedStyle(document.activeElement).outlineStyle"
_MOST_TABS = 25


def _tab_to(visitor: Visitor, name: str) -> None:
    """Press Tab until the element of this name has the focus, and see that it shows."""
    for _ in range(_MOST_TABS):
        visitor.page.keyboard.press("Tab")
        if str(visitor.page.evaluate(_FOCUS)).strip() == name:
            assert visitor.page.evaluate(_OUTLINE) != "none", f"{name} has the focus, and nobody can see it"
            return
    raise AssertionError(f"{_MOST_TABS} times Tab, and {name!r} never had the focus")


def test_relying_party_login_and_logout(served: ServedForBrowsers, desktop: Visitor) -> None:
    """Wrong password and wrong code are explained; the level is computed; logging out at the app ends the session
    here.
    """
    person, page = served.employee("Lena", "Moss"), desktop.page
    page.goto(served.url)
    desktop.reads("One identity, on every device you work with")
    desktop.look("home")
    page.goto(served.app.url)
    desktop.press("Log in, at AAL2 or nothing")
    desktop.reads("Sign in")
    expect(page.get_by_text(f"to continue to {served.app.name}")).to_be_visible()
    desktop.look("login")
    desktop.give_password(person, password="not it at all")
    expect(page.get_by_role("alert")).to_contain_text("do not go together")
    expect(page.get_by_label("User name")).to_have_value(person.username)
    desktop.look("login-error")
    desktop.give_password(person)
    desktop.reads("Your six-digit code")
    desktop.look("login-totp")
    page.get_by_label("Code from your authenticator app").fill("000000")
    desktop.press("Sign in")
    expect(page.get_by_role("alert")).to_contain_text("That code is not right")
    desktop.look("login-totp-error")
    desktop.give_code(person)

    desktop.is_at(f"{served.app.url}/")
    desktop.reads("Hello, Lena Moss")
    claims = served.app.party.logins()[-1].claims
    assert claims["acr"] == AAL + "2"
    assert {"pwd", "otp", "mfa"} <= {*claims["amr"]}
    page.goto(served.url)
    desktop.reads("Welcome, Lena Moss")
    desktop.look("home-signed-in")

    page.goto(served.app.url)
    desktop.press("Log out")
    desktop.is_at(f"{served.app.url}/")
    page.goto(f"{served.url}/devices")
    desktop.reads("Sign in")


def test_unreachable_level_is_refused_at_the_relying_party(served: ServedForBrowsers, desktop: Visitor) -> None:
    """AAL3 is requested, the person signs in, and the app gets an error that AAL3 is out of reach."""
    person = served.employee("Otto", "Brandt")
    desktop.page.goto(f"{served.app.url}/login?aal=3")
    if desktop.page.url.startswith(served.url):
        desktop.give_password(person)
        desktop.give_code(person)
    desktop.is_at(f"{served.app.url}/callback")
    expect(desktop.page.locator("#error")).to_have_text("unmet_authentication_requirements")


def test_every_page_works_by_keyboard(served: ServedForBrowsers, desktop: Visitor) -> None:
    """Fields have the focus when the page opens, Enter sends, Tab reaches every control, and the focus shows."""
    person, page = served.employee("Pia", "Lund"), desktop.page
    assert person.authenticator is not None
    page.goto(f"{served.url}/login")
    expect(page.get_by_label("User name")).to_be_focused()
    page.keyboard.type(person.username)
    page.keyboard.press("Tab")
    expect(page.get_by_label("Password", exact=True)).to_be_focused()
    page.keyboard.type(person.password)
    page.keyboard.press("Enter")
    expect(page.get_by_label("Code from your authenticator app")).to_be_focused()
    page.keyboard.type(person.authenticator.code())
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/login" not in url)

    page.goto(f"{served.url}/devices")
    page.keyboard.press("Tab")
    assert page.evaluate(_FOCUS) == "Skip to the content"
    page.keyboard.press("Enter")
    _tab_to(desktop, "Add a device")
    page.keyboard.press("Enter")
    desktop.reads("Add a device")
    _tab_to(desktop, "Stop")
    page.keyboard.press("Enter")
    desktop.reads("The device was not added")
    desktop.look("device-refused")
    page.goto(f"{served.url}/oidc/logout")  # where an application asks for it
    desktop.reads("Sign out?")
    desktop.look("logout")
    page.goto(f"{served.url}/apps")
    desktop.reads("My apps")
    _tab_to(desktop, "Sign out")
    page.keyboard.press("Enter")
    desktop.reads("You are signed out")
    desktop.look("logged-out")


def test_unknown_address_shows_our_404_page_with_a_link(served: ServedForBrowsers, desktop: Visitor) -> None:
    """404 is a page of ours, with a link to continue."""
    desktop.page.goto(f"{served.url}/nowhere")
    desktop.reads("Nothing here")
    desktop.look("not-found")
    desktop.press("Go to the start page")
    desktop.reads("One identity, on every device you work with")
