"""A relying party that was registered to ask first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from tests.browser.place import Place
    from tests.browser.visitor import Visitor


def test_saying_no_then_yes_and_being_asked_once(place: Place, desktop: Visitor) -> None:
    """Chromium's `form-action` lets both answers end at the app; a yes is remembered, a no is not (ruling 22)."""
    person, page = place.employee("Tove", "Adler"), desktop.page
    desktop.sign_in(person, f"{place.asking.url}/login")
    desktop.reads(f"Allow {place.asking.name}?")
    desktop.look("consent")
    desktop.press("Do not allow")
    desktop.is_at(f"{place.asking.url}/callback")
    expect(page.locator("#error")).to_have_text("access_denied")

    page.goto(f"{place.asking.url}/login")
    desktop.reads(f"Allow {place.asking.name}?")
    desktop.press("Allow")
    desktop.is_at(f"{place.asking.url}/")
    desktop.reads("Hello, Tove Adler")
    page.goto(f"{place.asking.url}/login")
    desktop.is_at(f"{place.asking.url}/")
