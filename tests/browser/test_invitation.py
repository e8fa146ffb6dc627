"""From the mail to the first session: password, authenticator app, recovery codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

from demo.authenticator import Authenticator

if TYPE_CHECKING:
    from tests.browser.conftest import Arrive
    from tests.browser.visitor import Visitor
    from tests.fixtures.served_for_browsers import ServedForBrowsers


def test_invitation_creates_a_root_credential_and_a_session(
    served: ServedForBrowsers, desktop: Visitor, arrive: Arrive
) -> None:
    """A mistyped and a weak password are explained; then TOTP and recovery codes follow, and the person is signed
    in; the link serves once.
    """
    person, link = served.newcomer("Ines", "Alvarez")
    page = desktop.page
    page.goto(link)
    desktop.reads("Welcome, Ines Alvarez")
    desktop.look("invitation")
    desktop.choose_password(person.password, again="something else")
    expect(page.get_by_role("alert")).to_contain_text("The two passwords are not the same.")
    desktop.look("invitation-error")
    desktop.choose_password("password1")
    expect(page.get_by_role("alert")).to_contain_text("guessed first")

    desktop.choose_password(person.password)
    desktop.reads("Connect an authenticator app")
    desktop.look("invitation-totp")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    authenticator = Authenticator(page.locator("#totp-secret").inner_text())
    desktop.press("Copy the secret")
    expect(page.get_by_role("status")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == page.locator("#totp-secret").inner_text()
    page.get_by_label("Code from the app").fill("000000")
    desktop.press("Continue")
    expect(page.get_by_role("alert")).to_contain_text("That code is not right.")
    page.get_by_label("Code from the app").fill(authenticator.code())
    desktop.press("Continue")

    desktop.reads("Your recovery codes")
    assert page.locator(".recovery-code").count() >= 8
    expect(page.get_by_role("button", name="Print")).to_be_visible()
    desktop.look("recovery-codes")
    codes = page.locator(".recovery-code").all_inner_texts()
    desktop.press("Copy")
    expect(page.get_by_role("status")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()").splitlines() == codes
    desktop.press("I have kept them: continue")
    desktop.is_at(f"{served.url}/devices")
    desktop.reads("My devices")
    expect(page.get_by_text("You have not added a device.")).to_be_visible()
    desktop.look("devices-empty")

    stranger = arrive()
    stranger.page.goto(link)
    stranger.reads("This invitation does not work")
    stranger.look("invitation-invalid")


def test_recovery_codes_and_the_app_are_replaced_or_kept(served: ServedForBrowsers, desktop: Visitor) -> None:
    """Each page says what stops, and has a way out."""
    person, page = served.employee("Ivo", "Brandt"), desktop.page
    desktop.sign_in(person, f"{served.url}/login")
    desktop.press("Recovery codes")
    desktop.look("root-codes")
    desktop.press("Make new codes")
    desktop.reads("Your recovery codes")
    assert not {*page.locator(".recovery-code").all_inner_texts()} & {*person.recovery_codes}
    desktop.press("I have kept them: continue")
    desktop.press("Replace the app")
    desktop.look("root-app")
    desktop.press("Keep the app that I have")
    desktop.reads("My devices")


def test_password_can_be_shown_while_typing(served: ServedForBrowsers, desktop: Visitor) -> None:
    """SP 800-63B-4 §3.1.1.2: "Show" turns dots into letters, and back before the form is sent."""
    _, link = served.newcomer("Juno", "Park")
    desktop.page.goto(link)
    field = desktop.page.get_by_label("New password", exact=True)
    expect(field).to_be_focused()
    desktop.press("Show New password")
    expect(field).to_have_attribute("type", "text")
    desktop.press("Hide New password")
    expect(field).to_have_attribute("type", "password")
