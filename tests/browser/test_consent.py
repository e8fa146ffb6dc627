"""A relying party that was registered to ask first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from tests.browser.visitor import Visitor
    from tests.fixtures.served_for_browsers import ServedForBrowsers


def test_consent_is_asked_again_after_denial_and_remembered_after_approval(
    served: ServedForBrowsers, desktop: Visitor
) -> None:
    """Chromium's `form-action` lets both answers end at the app; an approval is remembered, a denial is not (ruling
    22).
    """
    person, page = served.employee("Tove", "Adler"), desktop.page
    desktop.sign_in(person, f"{served.asking.url}/login")
    desktop.reads(f"Allow {served.asking.name}?")
    desktop.look("consent")
    desktop.press("Do not allow")
    desktop.is_at(f"{served.asking.url}/callback")
    expect(page.locator("#error")).to_have_text("access_denied")

    page.goto(f"{served.asking.url}/login")
    desktop.reads(f"Allow {served.asking.name}?")
    desktop.press("Allow")
    desktop.is_at(f"{served.asking.url}/")
    desktop.reads("Hello, Tove Adler")
    page.goto(f"{served.asking.url}/login")
    desktop.is_at(f"{served.asking.url}/")

    page.goto(f"{served.url}/apps")
    desktop.reads("My apps")
    desktop.look("apps")
    page.get_by_role("button", name=f"Take back what {served.asking.name} may do, and sign it out").click()
    expect(page.get_by_role("status")).to_contain_text(
        f"{served.asking.name} was signed out, and has to ask you again."
    )
    desktop.look("apps-none")
    page.goto(f"{served.asking.url}/login")
    desktop.reads(f"Allow {served.asking.name}?")


def test_the_last_way_in_explains_itself(served: ServedForBrowsers, desktop: Visitor) -> None:
    """It is not offered for removal; an old page that offers it leads to what helps."""
    person, page = served.employee("Elin", "Roth"), desktop.page
    desktop.sign_in(person, f"{served.url}/login")
    desktop.reads("My devices")
    desktop.look("devices-one-root")
    report = page.get_by_role("link", name="Report Password and authenticator app lost or stolen").get_attribute("href")
    assert report
    page.goto(served.url + report.replace("/report", "/remove"))
    desktop.reads("“Password and authenticator app” is your last way of signing in")
    desktop.troubles.clear()  # the browser notes every 409
    desktop.look("root-last")
    desktop.press("Add: Passkey or security key")
    desktop.is_at(f"{served.url}/devices/roots/passkey/add")
