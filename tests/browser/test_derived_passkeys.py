"""Passkeys that grow from a root, in Chromium with a virtual authenticator on each of two devices (PK-4, C12, C14)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

from demo.relying_party import AAL
from tests.fixtures.virtual_authenticator import authenticator

if TYPE_CHECKING:
    from tests.browser.conftest import Arrive
    from tests.browser.visitor import Visitor
    from tests.fixtures.served_for_browsers import ServedForBrowsers

NAME = "Ines' phone"


def _code(served: ServedForBrowsers, desktop: Visitor) -> str:
    """The desktop shows a code: the long one, as the QR code carries it."""
    desktop.page.goto(f"{served.url}/devices/passkey/add")
    desktop.reads("Add a passkey on another device")
    desktop.press("Show a code for my phone")
    desktop.reads("Add a passkey on your phone")
    return desktop.page.locator("#binding-code").inner_text()


def test_phone_scans_the_qr_code_and_creates_a_passkey(
    served: ServedForBrowsers, desktop: Visitor, tablet: Visitor, arrive: Arrive
) -> None:
    """The desktop shows a QR code, the phone opens it, both show one number; the phone signs in at AAL2. A third
    browser with the code is refused.
    """
    person = served.employee("Ines", "Reed")
    desktop.sign_in(person, f"{served.url}/devices")
    desktop.reads("My devices")
    desktop.press("Add: Passkey on another device")
    desktop.look("derived-passkey-add")
    code = _code(served, desktop)
    desktop.look("derived-passkey-code")
    with authenticator(tablet, defaultBackupEligibility=True, defaultBackupState=True) as key:
        tablet.page.goto(f"{served.url}/enrol/passkey#code={code}")
        tablet.reads("Add a passkey on this device")
        assert "#" not in tablet.page.url
        tablet.page.get_by_label("Name of this device").fill(NAME)
        tablet.look("enrol-passkey")
        tablet.press("Make the passkey")
        tablet.reads("Now look at your computer")
        number = tablet.page.locator("#number").inner_text()
        desktop.reads("Does your device show exactly this?")
        expect(desktop.page.locator(".number")).to_have_text(number)
        expect(desktop.page.locator(".named")).to_have_text(NAME)
        tablet.look("enrol-passkey-wait")
        desktop.press("Yes, it is the same: add this device")
        desktop.reads(f"“{NAME}” is added")
        tablet.reads("The passkey is added")
        tablet.look("enrol-passkey-done")
        assert len(key.keys) == 1

        desktop.press("My devices")
        expect(desktop.page.get_by_text("Waits for its first sign-in", exact=True)).to_be_visible()
        desktop.look("devices-passkey-pending")
        tablet.press("Sign in with the passkey")
        tablet.reads("Use a passkey or security key")
        tablet.press("Use my key")
        tablet.is_at(f"{served.url}/devices")
        tablet.page.goto(served.app.url)
        tablet.press("Log in, at AAL2 or nothing")
        tablet.is_at(f"{served.app.url}/")
        tablet.reads("Hello, Ines Reed")
    found = served.app.party.logins()[-1].claims
    assert (found["acr"], set(found["amr"]), found["credential_label"]) == (
        AAL + "2",
        {"pop", "user", "mfa"},
        "generic",
    )
    tablet.page.goto(f"{served.url}/devices/passkey/add")
    tablet.reads("Sign in")  # nothing grows from it


def test_second_browser_with_the_code_burns_it_for_both(
    served: ServedForBrowsers, desktop: Visitor, tablet: Visitor, arrive: Arrive
) -> None:
    """C12, C14: the second browser that shows the code burns it; the desktop reports that, and no key of either
    browser signs in.
    """
    person = served.employee("Ole", "Marsh")
    desktop.sign_in(person, f"{served.url}/devices")
    code = _code(served, desktop)
    attacker = arrive()
    with authenticator(tablet) as key, authenticator(attacker) as stolen:
        key.is_touched(at_once=False)  # the person has not looked at the phone yet
        tablet.page.goto(f"{served.url}/enrol/passkey#code={code}")
        tablet.page.get_by_label("Name of this device").fill(NAME)
        with tablet.page.expect_response("**/enrol/passkey/options"):
            tablet.press("Make the passkey")
        attacker.page.goto(f"{served.url}/enrol/passkey#code={code}")
        attacker.page.get_by_label("Name of this device").fill("Just a printer")
        attacker.press("Make the passkey")
        expect(attacker.page.locator("#form-error-text")).to_contain_text("This code is wrong, used or too old")
        assert stolen.keys == []
        desktop.reads("This code is locked")
        desktop.look("derived-passkey-locked")
        assert key.keys == []
        tablet.page.goto(f"{served.url}/enrol/passkey#code={code}")
        tablet.page.reload()
        tablet.press("Make the passkey")
        expect(tablet.page.locator("#form-error-text")).to_contain_text("This code is wrong, used or too old")
        tablet.look("enrol-passkey-error")
    desktop.page.goto(f"{served.url}/devices")
    expect(desktop.page.get_by_text("Derived passkey")).to_have_count(0)


def test_desktop_browser_creates_a_passkey(served: ServedForBrowsers, desktop: Visitor) -> None:
    """In this computer (or by the browser's hybrid route, which is the browser's own), then tried out at once."""
    person = served.employee("Una", "Heath")
    desktop.sign_in(person, f"{served.url}/devices/passkey/add")
    desktop.reads("Add a passkey on another device")
    with authenticator(desktop) as key:
        desktop.page.get_by_label("Name of this passkey").fill("Work laptop")
        desktop.press("Make it through this browser")
        desktop.reads("Use a passkey or security key")
        expect(desktop.page.get_by_text("Your passkey is added.")).to_be_visible()
        desktop.press("Use my key")
        desktop.is_at(f"{served.url}/devices")
        assert len(key.keys) == 1
    expect(desktop.page.locator(".badge.active")).to_have_text("Active")
    desktop.press("why")
    desktop.reads("“Work laptop” is worth AAL2")
    desktop.look("derived-passkey-worth")
