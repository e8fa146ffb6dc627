"""The whole life of a key with Chromium's virtual authenticators (CTAP2): with and without UV, resident or not,
syncable or not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect

from demo.relying_party import AAL
from tests.fixtures.virtual_authenticator import authenticator

if TYPE_CHECKING:
    from tests.browser.conftest import Arrive
    from tests.browser.visitor import Visitor
    from tests.fixtures.served_for_browsers import ServedForBrowsers

OFFER = "Use a passkey or security key"


def _add(desktop: Visitor, served: ServedForBrowsers, name: str) -> None:
    desktop.page.goto(f"{served.url}/devices/roots/passkey/add")
    desktop.page.get_by_label("Name of this key").fill(name)
    desktop.press("Add this key")


def test_passkey_is_added_used_and_excluded_the_second_time(
    served: ServedForBrowsers, desktop: Visitor, arrive: Arrive
) -> None:
    """Registered, explained, used by the button of the login page, used at a relying party; excluded the second
    time.
    """
    person, page = served.employee("Ida", "Fern"), desktop.page
    desktop.sign_in(person, f"{served.url}/devices/roots/passkey/add")
    desktop.reads("Add a passkey or security key")
    with authenticator(desktop) as key:
        desktop.look("passkey-add")
        _add(desktop, served, "My laptop")
        desktop.reads("“My laptop” is worth AAL2")
        desktop.look("passkey-worth")
        assert [one["isResidentCredential"] for one in key.keys] == [True]

        _add(desktop, served, "Again")
        expect(page.locator("#trouble")).to_contain_text("in your account already")
        desktop.look("passkey-add-twice")
        carried = key.keys

    other = arrive(viewport={"width": 1280, "height": 900})
    with authenticator(other) as key:
        key.holds(carried)
        key.is_touched(at_once=False)  # so that the browser's own offer does not answer before the button is pressed
        other.page.goto(served.app.url)
        other.press("Log in, at AAL2 or nothing")
        other.reads("Sign in")
        other.look("login-with-passkey")
        key.is_touched(at_once=True)
        other.press(OFFER)
        other.is_at(f"{served.app.url}/")
        other.reads("Hello, Ida Fern")
    found = served.app.party.logins()[-1].claims
    assert (found["acr"], set(found["amr"])) == (AAL + "2", {"pop", "user", "mfa"})


def test_conditional_ui_offers_a_passkey_in_the_user_name_field(
    served: ServedForBrowsers, desktop: Visitor, arrive: Arrive
) -> None:
    """Conditional UI: the login page starts a ceremony by itself, and the passkey signs in without a press of a
    button.
    """
    person = served.employee("Nora", "Sedge")
    desktop.sign_in(person, f"{served.url}/devices/roots/passkey/add")
    with authenticator(desktop, defaultBackupEligibility=True, defaultBackupState=True) as key:
        _add(desktop, served, "Synced")
        desktop.reads("“Synced” is worth AAL2")
        expect(desktop.page.locator("main")).to_contain_text("synced between your devices")
        carried = key.keys
    other = arrive()
    with authenticator(other) as key:
        key.holds(carried)
        other.page.goto(f"{served.url}/login")
        other.is_at(f"{served.url}/devices")


def test_failed_user_verification_signs_nobody_in(served: ServedForBrowsers, desktop: Visitor, arrive: Arrive) -> None:
    """A wrong finger yields a message and a second try that succeeds; a cancelled registration adds nothing."""
    person = served.employee("Uwe", "Reed")
    desktop.sign_in(person, f"{served.url}/devices/roots/passkey/add")
    with authenticator(desktop) as key:
        key.verifies(user=False)
        _add(desktop, served, "Finger")
        expect(desktop.page.locator("#trouble")).to_contain_text("did not recognise you", timeout=30_000)
        key.verifies(user=True)
        desktop.press("Add this key")
        desktop.reads("“Finger” is worth AAL2")
        carried = key.keys
    other = arrive()
    with authenticator(other) as key:
        key.holds(carried)
        key.verifies(user=False)
        other.page.goto(f"{served.url}/login/passkey")
        other.look("passkey-login")
        other.press("Use my key")
        expect(other.page.locator("#trouble")).to_contain_text("did not recognise you", timeout=30_000)
        other.look("passkey-login-trouble")
        key.verifies(user=True)
        other.press("Use my key")
        other.is_at(f"{served.url}/devices")


def test_security_key_without_user_verification_is_a_second_factor(
    served: ServedForBrowsers, desktop: Visitor, arrive: Arrive
) -> None:
    """A USB key without PIN: AAL2 after the password, and it identifies nobody by itself."""
    person = served.employee("Kai", "Rush")
    desktop.sign_in(person, f"{served.url}/devices/roots/passkey/add")
    plain: dict[str, Any] = {
        "transport": "usb",
        "hasResidentKey": False,
        "hasUserVerification": False,
        "isUserVerified": False,
    }
    with authenticator(desktop, **plain) as key:
        _add(desktop, served, "Old key")
        desktop.reads("“Old key” is worth AAL2")
        expect(desktop.page.locator("main")).to_contain_text("Alone it is one factor")
        carried = key.keys
    other = arrive(viewport={"width": 1280, "height": 900})
    with authenticator(other, **plain) as key:
        key.holds(carried)
        other.page.goto(f"{served.app.url}/login?aal=2")
        other.give_password(person)
        other.reads("Your six-digit code")
        other.look("login-totp-with-key")
        other.press("Use my security key instead")
        other.reads("Use my security key")
        other.look("passkey-second")
        other.press("Use my key")
        other.reads("Hello, Kai Rush")
        found = served.app.party.logins()[-1].claims
        assert (found["acr"], set(found["amr"])) == (AAL + "2", {"pop", "user", "pwd", "mfa"})


def test_account_without_passkeys_gets_a_way_back_to_the_code(served: ServedForBrowsers, desktop: Visitor) -> None:
    """After the password, where there is no key, the page leads back to the one-time code."""
    person = served.employee("Jan", "Moss")
    desktop.page.goto(f"{served.url}/login")
    desktop.give_password(person)
    desktop.press("Use my security key instead")
    expect(desktop.page.locator("main")).to_contain_text("no passkey and no security key yet")
    desktop.look("passkey-second-none")
    desktop.press("Use a code")
    desktop.give_code(person)
    desktop.is_at(f"{served.url}/devices")


def test_invitation_accepts_a_passkey_instead_of_a_password(served: ServedForBrowsers, desktop: Visitor) -> None:
    """From the invitation to a first sign-in with the key, and on to My devices."""
    _, link = served.newcomer("Mia", "Bracken")
    desktop.page.goto(link)
    desktop.press("Use a passkey or security key instead")
    desktop.reads("Welcome, Mia Bracken")
    with authenticator(desktop):
        desktop.look("passkey-invited")
        desktop.page.get_by_label("Name of this key").fill("My phone")
        desktop.press("Set up this key")
        desktop.reads(OFFER)
        expect(desktop.page.locator(".note").first).to_contain_text("Sign in with it now")
        desktop.look("passkey-first-login")
        desktop.press("Use my key")
        desktop.is_at(f"{served.url}/devices")
        expect(desktop.page.locator("main")).to_contain_text("My phone")


def test_passkey_pages_without_scripts_explain_and_offer_another_way(served: ServedForBrowsers, arrive: Arrive) -> None:
    """The ceremony needs JavaScript, and the pages state that and name another way."""
    visitor = arrive(scripts=False)
    visitor.page.goto(f"{served.url}/login")
    visitor.press(OFFER)
    visitor.reads(OFFER)
    # By CSS: Playwright's own selectors by text and role pass over what stands in <noscript>.
    expect(visitor.page.locator("noscript strong")).to_have_text("This needs JavaScript.")
    expect(visitor.page.locator("noscript .note")).to_be_visible()
    expect(visitor.page.get_by_role("button", name="Use my key")).to_be_hidden()
    visitor.look("passkey-login-without-scripts")
    visitor.page.locator("noscript a").click()
    visitor.reads("Sign in")
