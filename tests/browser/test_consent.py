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
