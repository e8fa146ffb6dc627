"""A tablet becomes a derived credential, logs its person in, and ends."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import segno
from playwright.sync_api import expect

from demo.relying_party import AAL

if TYPE_CHECKING:
    from demo.person import Person
    from tests.browser.conftest import Arrive
    from tests.browser.visitor import Visitor
    from tests.fixtures.served_for_browsers import ServedForBrowsers

PASSPHRASE = "hedgerow plum lantern"
NAME = "Workshop tablet"


def _code(served: ServedForBrowsers, desktop: Visitor, *, look: bool = False) -> tuple[str, str]:
    """Begin on the desktop: the long code, as the QR picture carries it, and the short one."""
    desktop.press("Add a device")
    desktop.reads("Add a device")
    page = desktop.page
    long = "".join(page.locator("#binding-code").inner_text().split()).replace("-", "")
    picture = segno.make(f"{served.url}/enrol#code={long}", error="m").svg_data_uri(scale=6, border=3, light="#fff")
    assert page.locator("img.qr").get_attribute("src") == picture, (
        "the QR code does not carry the address with the code"
    )
    if look:
        desktop.look("device-add-waiting")
    return long, page.locator("#binding-code-short").inner_text()


def _added(served: ServedForBrowsers, person: Person, desktop: Visitor, tablet: Visitor, *, look: bool = False) -> None:
    """Sign in at the desktop, add the tablet by its QR code, and confirm."""
    desktop.sign_in(person, f"{served.url}/devices")
    desktop.reads("My devices")
    long, _ = _code(served, desktop, look=look)
    tablet.page.goto(f"{served.url}/enrol#code={long}")
    tablet.reads("Add this device")
    assert long not in tablet.page.url, "the code must not stay in the address bar"
    if look:
        tablet.look("enrol")
    number = tablet.answer_code(NAME, PASSPHRASE)
    if look:
        _a_reload_finds_the_same(tablet, number)
        tablet.look("enrol-wait")
    desktop.reads("Does your device show exactly this?")
    expect(desktop.page.locator(".number")).to_have_text(number)
    expect(desktop.page.locator(".named")).to_have_text(NAME)
    expect(tablet.page.locator("#bound-name")).to_have_text(NAME)
    if look:
        desktop.look("device-add-answered")
    desktop.press("Yes, it is the same: add this device")
    desktop.reads(f"“{NAME}” is added")
    tablet.reads("This device is added")
    if look:
        desktop.look("device-add-bound")
        tablet.look("enrol-done")


def _a_reload_finds_the_same(tablet: Visitor, number: str) -> None:
    tablet.page.reload()
    tablet.reads("Now look at your computer")
    expect(tablet.page.locator("#number")).to_have_text(number)


def test_tablet_is_added_used_and_removed(served: ServedForBrowsers, desktop: Visitor, tablet: Visitor) -> None:
    """QR code, number and name on both screens, first login with key and passphrase at AAL2; once removed, its
    sessions end at once.
    """
    person = served.employee("Mara", "Quist")
    _added(served, person, desktop, tablet, look=True)
    desktop.press("My devices")
    expect(desktop.page.get_by_text("Waits for its first sign-in", exact=True)).to_be_visible()
    desktop.look("devices-pending")

    key = tablet.private_key()
    assert key is not None
    assert key["extractable"] is False
    assert "exported" not in key["forms"], key  # type: ignore[operator]

    tablet.page.goto(served.app.url)
    tablet.press("Log in, at AAL2 or nothing")
    tablet.reads("Sign in")
    expect(tablet.page.get_by_text(f"Signs in with the key of “{NAME}”")).to_be_visible()
    tablet.look("login-offer")
    tablet.press("Use this device")
    tablet.reads("Use this device")
    tablet.look("login-device")
    tablet.give_passphrase("not the passphrase")
    expect(tablet.page.get_by_role("alert").first).to_contain_text("Check the passphrase of this device")
    tablet.look("login-device-error")
    tablet.give_passphrase(PASSPHRASE)
    tablet.is_at(f"{served.app.url}/")
    tablet.reads("Hello, Mara Quist")
    claims = served.app.party.logins()[-1].claims
    assert claims["acr"] == AAL + "2"
    assert {"pop", "pwd", "mfa"} <= {*claims["amr"]}
    assert "otp" not in claims["amr"]

    tablet.page.goto(f"{served.url}/devices")
    expect(tablet.page.get_by_text("This device", exact=True)).to_be_visible()
    desktop.page.goto(f"{served.url}/devices")
    expect(desktop.page.locator(".badge.active")).to_have_text("Active")
    desktop.look("devices")
    _removed(served, desktop, tablet, sub=str(claims["sub"]))


def _removed(served: ServedForBrowsers, desktop: Visitor, tablet: Visitor, *, sub: str) -> None:
    """Remove the tablet at the desktop: its sessions end here and at the app, and its key opens nothing."""
    desktop.press(f"Remove {NAME}")
    desktop.reads(f"Remove “{NAME}”?")
    desktop.look("device-remove")
    desktop.press("Remove this device")
    expect(desktop.page.get_by_role("status")).to_contain_text(f"{NAME} was removed")
    tablet.page.goto(f"{served.url}/devices")
    tablet.reads("Sign in")
    until = time.monotonic() + 10
    while any(login.claims["sub"] == sub for login in served.app.party.logins()) and time.monotonic() < until:
        time.sleep(0.2)
    assert not any(login.claims["sub"] == sub for login in served.app.party.logins()), "the app was not told"
    tablet.page.goto(f"{served.url}/login/device")
    tablet.give_passphrase(PASSPHRASE)
    expect(tablet.page.get_by_role("alert").first).to_contain_text("This device can no longer sign in.")
    tablet.look("login-device-removed")
    assert "/login/device" in tablet.page.url


def test_short_code_requires_the_user_name(served: ServedForBrowsers, desktop: Visitor, tablet: Visitor) -> None:
    """Typed by hand, with the user name; a wrong code is explained and the right one still serves."""
    person = served.employee("Nils", "Ekman")
    desktop.sign_in(person, f"{served.url}/devices")
    _, short = _code(served, desktop)
    page = tablet.page
    page.goto(f"{served.url}/enrol")
    tablet.reads("Add this device")
    page.get_by_label("Code from your computer").fill("AAAA-AAAA")
    page.get_by_label("Name of this device").fill(NAME)
    page.get_by_label("New passphrase for this device", exact=True).fill(PASSPHRASE)
    page.get_by_label("The same passphrase again", exact=True).fill(PASSPHRASE)
    tablet.press("Continue")
    expect(page.get_by_role("alert").first).to_contain_text("Enter your user name too")
    page.get_by_label("Your user name").fill(person.username)
    tablet.press("Continue")
    expect(page.get_by_role("alert").first).not_to_contain_text("Enter your user name too")
    expect(page.get_by_role("alert").first).to_be_visible()
    tablet.look("enrol-error")
    page.get_by_label("Code from your computer").fill(short.lower())
    number = tablet.answer_code(NAME, PASSPHRASE)
    desktop.reads("Does your device show exactly this?")
    expect(desktop.page.locator(".number")).to_have_text(number)


def test_different_number_is_rejected_and_binds_nothing(
    served: ServedForBrowsers, desktop: Visitor, tablet: Visitor
) -> None:
    """Answering "No, stop" on the desktop: the tablet reports it, keeps no key, and the person has no device."""
    person = served.employee("Rosa", "Ibarra")
    desktop.sign_in(person, f"{served.url}/devices")
    long, _ = _code(served, desktop)
    tablet.page.goto(f"{served.url}/enrol#code={long}")
    tablet.answer_code(NAME, PASSPHRASE)
    desktop.reads("Does your device show exactly this?")
    desktop.press("No, stop")
    desktop.reads("The device was not added")
    tablet.reads("This device was not added")
    tablet.look("enrol-refused")
    assert tablet.private_key() is None
    desktop.page.goto(f"{served.url}/devices")
    expect(desktop.page.get_by_text("You have not added a device.")).to_be_visible()


def test_mailed_link_revokes_the_device(
    served: ServedForBrowsers, desktop: Visitor, tablet: Visitor, arrive: Arrive
) -> None:
    """Opened without a session: GET asks, POST revokes, and the key is refused afterwards."""
    person = served.employee("Sven", "Torres")
    _added(served, person, desktop, tablet)
    mail = served.mailbox.wait_for(person.email, link="/undo/", subject="device")
    assert mail is not None
    reader = arrive()
    reader.page.goto(mail.link("/undo/"))
    reader.reads("Was this not you?")
    reader.look("undo")
    reader.press("This wasn\u2019t me: revoke it")
    reader.reads("It is revoked")
    reader.look("undone")
    reader.page.goto(mail.link("/undo/"))
    expect(reader.page.get_by_text("This link was used already or is too old.")).to_be_visible()
    tablet.page.goto(f"{served.url}/login/device")
    tablet.give_passphrase(PASSPHRASE)
    expect(tablet.page.get_by_role("alert").first).to_contain_text("This device can no longer sign in.")
    tablet.page.goto(f"{served.url}/devices")
    tablet.reads("Sign in")


def test_browser_without_a_device_key_is_led_to_the_password(served: ServedForBrowsers, tablet: Visitor) -> None:
    """ "Use this device" in a browser that was never added leads to the password."""  # noqa: D210
    tablet.page.goto(f"{served.url}/login/device")
    expect(tablet.page.get_by_role("alert").first).to_contain_text("There is no key of yours in this browser")
    tablet.look("login-device-no-key")
    tablet.press("Sign in with your password")
    tablet.reads("Sign in")
