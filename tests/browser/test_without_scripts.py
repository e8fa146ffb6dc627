"""Whatever needs no key works in a browser that runs no scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

from demo.authenticator import Authenticator

if TYPE_CHECKING:
    from tests.browser.conftest import Arrive
    from tests.fixtures.served_for_browsers import ServedForBrowsers


def test_invitation_login_consent_and_logout_work_without_scripts(served: ServedForBrowsers, arrive: Arrive) -> None:
    """From the mail to the app and out again with JavaScript switched off."""
    person, link = served.newcomer("Ulla", "Frisk")
    plain = arrive(scripts=False)
    page = plain.page
    page.goto(link)
    plain.choose_password(person.password)
    person.authenticator = Authenticator(page.locator("#totp-secret").inner_text())
    page.get_by_label("Code from the app").fill(person.authenticator.code())
    plain.press("Continue")
    plain.reads("Your recovery codes")
    plain.look("noscript-recovery-codes")
    for button in ("Print", "Copy"):
        expect(page.get_by_role("button", name=button)).to_be_hidden()
    codes = page.locator(".recovery-code").all_inner_texts()
    with page.expect_download() as saved:
        plain.press("Save as a file")
    assert saved.value.suggested_filename == "recovery-codes.txt"
    assert set(codes) <= set(saved.value.path().read_text().splitlines())
    plain.press("I have kept them: continue")
    plain.reads("My devices")

    page.get_by_role("navigation").get_by_role("button", name="Sign out").click()
    plain.reads("You are signed out")

    plain.sign_in(person, f"{served.asking.url}/login")
    plain.reads(f"Allow {served.asking.name}?")
    plain.look("noscript-consent")
    plain.press("Allow")
    plain.is_at(f"{served.asking.url}/")
    plain.reads("Hello, Ulla Frisk")


def test_adding_a_device_without_scripts_explains_the_need(served: ServedForBrowsers, arrive: Arrive) -> None:
    """Only a script can make a key: the pages state that, and lead to pages that need none."""
    plain = arrive(scripts=False)
    plain.page.goto(f"{served.url}/enrol")
    # By CSS: Playwright's own selectors by text and role pass over what stands in <noscript>.
    expect(plain.page.locator("noscript strong")).to_have_text("This needs JavaScript.")
    expect(plain.page.locator("noscript .note")).to_be_visible()
    plain.look("noscript-enrol")
    plain.page.goto(f"{served.url}/login/device")
    expect(plain.page.locator("noscript strong")).to_have_text("This way to sign in needs JavaScript.")
    plain.look("noscript-login-device")
    plain.page.locator("noscript a").click()
    plain.reads("Sign in")


def test_desktop_part_of_adding_a_device_works_without_scripts(served: ServedForBrowsers, arrive: Arrive) -> None:
    """The page cannot poll without scripts, so it has a link that asks again."""
    person = served.employee("Vera", "Holm")
    plain, tablet = arrive(scripts=False), arrive()
    plain.sign_in(person, f"{served.url}/devices")
    plain.press("Add a device")
    long = plain.page.locator("#binding-code").inner_text()
    plain.look("noscript-device-add")
    tablet.page.goto(f"{served.url}/enrol#code={long}")
    number = tablet.answer_code("Kiosk", "hedgerow plum lantern")
    plain.page.locator("noscript a").click()
    plain.reads("Does your device show exactly this?")
    expect(plain.page.locator(".number")).to_have_text(number)
    plain.press("Yes, it is the same: add this device")
    plain.reads("“Kiosk” is added")
    tablet.reads("This device is added")
