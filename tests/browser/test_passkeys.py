"""The whole life of a key with Chromium's virtual authenticators (CTAP2): with and without UV, resident or not, syncable or not."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect

from demo.relying_party import AAL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import CDPSession

    from tests.browser.conftest import Arrive
    from tests.browser.place import Place
    from tests.browser.visitor import Visitor

OFFER = "Use a passkey or security key"


class Authenticator:
    """A virtual authenticator at one page's browser."""

    def __init__(self, visitor: Visitor, **changed: Any) -> None:
        self._cdp: CDPSession = visitor.page.context.new_cdp_session(visitor.page)
        self._cdp.send("WebAuthn.enable", {"enableUI": False})
        options = {
            "protocol": "ctap2",
            "ctap2Version": "ctap2_1",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
            "defaultBackupEligibility": False,
            "defaultBackupState": False,
        }
        self._id = self._cdp.send("WebAuthn.addVirtualAuthenticator", {"options": {**options, **changed}})[
            "authenticatorId"
        ]

    def verifies(self, user: bool) -> None:  # noqa: FBT001 - what happens next
        """Whether the next finger is the right one."""
        self._cdp.send("WebAuthn.setUserVerified", {"authenticatorId": self._id, "isUserVerified": user})

    def is_touched(self, at_once: bool) -> None:  # noqa: FBT001 - what happens next
        """Whether it answers without being asked twice."""
        self._cdp.send("WebAuthn.setAutomaticPresenceSimulation", {"authenticatorId": self._id, "enabled": at_once})

    @property
    def keys(self) -> list[dict[str, Any]]:
        """What it holds."""
        found: list[dict[str, Any]] = self._cdp.send("WebAuthn.getCredentials", {"authenticatorId": self._id})[
            "credentials"
        ]
        return found

    def holds(self, keys: list[dict[str, Any]]) -> None:
        """Put keys of another authenticator into it, as when a security key is carried over."""
        for key in keys:
            self._cdp.send("WebAuthn.addCredential", {"authenticatorId": self._id, "credential": key})

    def remove(self) -> None:
        """Unplug it."""
        self._cdp.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": self._id})


@contextmanager
def authenticator(visitor: Visitor, **changed: Any) -> Iterator[Authenticator]:
    """An authenticator that is plugged in for a while."""
    made = Authenticator(visitor, **changed)
    yield made
    made.remove()


def _add(desktop: Visitor, place: Place, name: str) -> None:
    desktop.page.goto(f"{place.url}/devices/roots/passkey/add")
    desktop.page.get_by_label("Name of this key").fill(name)
    desktop.press("Add this key")


def test_a_key_is_added_shown_and_used_and_not_added_twice(place: Place, desktop: Visitor, arrive: Arrive) -> None:
    """Registered, explained, signed in with by the button of the sign-in page, at a relying party; excluded the second time."""
    person, page = place.employee("Ida", "Fern"), desktop.page
    desktop.sign_in(person, f"{place.url}/devices/roots/passkey/add")
    desktop.reads("Add a passkey or security key")
    with authenticator(desktop) as key:
        desktop.look("passkey-add")
        _add(desktop, place, "My laptop")
        desktop.reads("“My laptop” is worth AAL2")
        desktop.look("passkey-worth")
        assert [one["isResidentCredential"] for one in key.keys] == [True]

        _add(desktop, place, "Again")
        expect(page.locator("#trouble")).to_contain_text("in your account already")
        desktop.look("passkey-add-twice")
        carried = key.keys

    other = arrive(viewport={"width": 1280, "height": 900})
    with authenticator(other) as key:
        key.holds(carried)
        key.is_touched(at_once=False)  # so that the browser's own offer does not answer before the button is pressed
        other.page.goto(place.app.url)
        other.press("Log in, at AAL2 or nothing")
        other.reads("Sign in")
        other.look("login-with-passkey")
        key.is_touched(at_once=True)
        other.press(OFFER)
        other.is_at(f"{place.app.url}/")
        other.reads("Hello, Ida Fern")
    found = place.app.party.logins()[-1].claims
    assert (found["acr"], set(found["amr"])) == (AAL + "2", {"pop", "user", "mfa"})


def test_the_browser_offers_a_passkey_in_the_user_name_field(place: Place, desktop: Visitor, arrive: Arrive) -> None:
    """Conditional UI: the sign-in page asks quietly, and the passkey signs in without a press of ours."""
    person = place.employee("Nora", "Sedge")
    desktop.sign_in(person, f"{place.url}/devices/roots/passkey/add")
    with authenticator(desktop, defaultBackupEligibility=True, defaultBackupState=True) as key:
        _add(desktop, place, "Synced")
        desktop.reads("“Synced” is worth AAL2")
        expect(desktop.page.locator("main")).to_contain_text("synced between your devices")
        carried = key.keys
    other = arrive()
    with authenticator(other) as key:
        key.holds(carried)
        other.page.goto(f"{place.url}/login")
        other.is_at(f"{place.url}/devices")


def test_a_key_that_does_not_recognise_its_user_signs_nobody_in(place: Place, desktop: Visitor, arrive: Arrive) -> None:
    """A wrong finger: words, and another try that works; a cancelled registration adds nothing."""
    person = place.employee("Uwe", "Reed")
    desktop.sign_in(person, f"{place.url}/devices/roots/passkey/add")
    with authenticator(desktop) as key:
        key.verifies(user=False)
        _add(desktop, place, "Finger")
        expect(desktop.page.locator("#trouble")).to_contain_text("did not recognise you", timeout=30_000)
        key.verifies(user=True)
        desktop.press("Add this key")
        desktop.reads("“Finger” is worth AAL2")
        carried = key.keys
    other = arrive()
    with authenticator(other) as key:
        key.holds(carried)
        key.verifies(user=False)
        other.page.goto(f"{place.url}/login/passkey")
        other.look("passkey-login")
        other.press("Use my key")
        expect(other.page.locator("#trouble")).to_contain_text("did not recognise you", timeout=30_000)
        other.look("passkey-login-trouble")
        key.verifies(user=True)
        other.press("Use my key")
        other.is_at(f"{place.url}/devices")


def test_a_security_key_without_verification_is_the_second_factor(
    place: Place, desktop: Visitor, arrive: Arrive
) -> None:
    """A USB key without PIN: AAL2 after the password, and it names nobody by itself."""
    person = place.employee("Kai", "Rush")
    desktop.sign_in(person, f"{place.url}/devices/roots/passkey/add")
    plain: dict[str, Any] = {
        "transport": "usb",
        "hasResidentKey": False,
        "hasUserVerification": False,
        "isUserVerified": False,
    }
    with authenticator(desktop, **plain) as key:
        _add(desktop, place, "Old key")
        desktop.reads("“Old key” is worth AAL2")
        expect(desktop.page.locator("main")).to_contain_text("Alone it is one factor")
        carried = key.keys
    other = arrive(viewport={"width": 1280, "height": 900})
    with authenticator(other, **plain) as key:
        key.holds(carried)
        other.page.goto(f"{place.app.url}/login?aal=2")
        other.give_password(person)
        other.reads("Your six-digit code")
        other.look("login-totp-with-key")
        other.press("Use my security key instead")
        other.reads("Use my security key")
        other.look("passkey-second")
        other.press("Use my key")
        other.reads("Hello, Kai Rush")
        found = place.app.party.logins()[-1].claims
        assert (found["acr"], set(found["amr"])) == (AAL + "2", {"pop", "user", "pwd", "mfa"})


def test_an_account_without_keys_is_told_so(place: Place, desktop: Visitor) -> None:
    """After the password, where there is no key: the way back to the code."""
    person = place.employee("Jan", "Moss")
    desktop.page.goto(f"{place.url}/login")
    desktop.give_password(person)
    desktop.press("Use my security key instead")
    expect(desktop.page.locator("main")).to_contain_text("no passkey and no security key yet")
    desktop.look("passkey-second-none")
    desktop.press("Use a code")
    desktop.give_code(person)
    desktop.is_at(f"{place.url}/devices")


def test_a_newcomer_sets_up_a_passkey_instead_of_a_password(place: Place, desktop: Visitor) -> None:
    """From the invitation to a first sign-in with the key, and on to My devices."""
    _, link = place.newcomer("Mia", "Bracken")
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
        desktop.is_at(f"{place.url}/devices")
        expect(desktop.page.locator("main")).to_contain_text("My phone")


def test_without_scripts_every_page_says_what_it_needs(place: Place, arrive: Arrive) -> None:
    """The ceremony needs JavaScript, and the pages say so and name another way."""
    visitor = arrive(scripts=False)
    visitor.page.goto(f"{place.url}/login")
    visitor.press(OFFER)
    visitor.reads(OFFER)
    # By CSS: Playwright's own selectors by text and role pass over what stands in <noscript>.
    expect(visitor.page.locator("noscript strong")).to_have_text("This needs JavaScript.")
    expect(visitor.page.locator("noscript .note")).to_be_visible()
    expect(visitor.page.get_by_role("button", name="Use my key")).to_be_hidden()
    visitor.look("passkey-login-without-scripts")
    visitor.page.locator("noscript a").click()
    visitor.reads("Sign in")
