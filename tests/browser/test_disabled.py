"""A password that wrong tries have disabled: the way back from outside, in My devices, and in the console."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from demo.person import Person
    from tests.browser.conftest import Arrive
    from tests.fixtures.served_for_browsers import ServedForBrowsers


def disable(served: ServedForBrowsers, person: Person) -> None:
    """A hundred wrong tries, already made."""
    with sqlite3.connect(served.ramet.var / "ramet.sqlite3", timeout=20) as database:
        database.execute(
            "UPDATE derived_credential SET failures = 100 WHERE kind = 'password_totp' AND account_id = "
            "(SELECT account_id FROM scim_person WHERE login_name = ?)",
            [person.username],
        )


def test_disabled_password_comes_back(served: ServedForBrowsers, arrive: Arrive) -> None:
    """Each page names what happened, and the next step; nothing typed is lost but the secrets."""
    person, manager = served.employee("Yrsa", "Falk"), served.employee("Zoe", "Brandt")
    served.appoint(manager)
    signed = arrive(scripts=False)
    signed.sign_in(person, f"{served.url}/devices")
    disable(served, person)
    signed.page.goto(f"{served.url}/devices")
    expect(signed.page.get_by_text("switched it off")).to_be_visible()
    signed.look("devices-disabled")

    stranger = arrive()
    stranger.page.goto(f"{served.url}/login")
    stranger.look("login-password")
    stranger.page.get_by_role("link", name="I cannot sign in").click()
    stranger.look("cannot-sign-in")
    stranger.page.get_by_role("link", name="My password and a recovery code").click()
    stranger.reads("Use a recovery code")
    stranger.look("recover-from-outside")
    stranger.page.get_by_label("User name").fill(person.username)
    stranger.page.get_by_label("Password", exact=True).fill(person.password)
    stranger.page.get_by_label("Recovery code", exact=True).fill("AAAA-AAAA-AAAA-AAAA")
    stranger.press("Continue")
    expect(stranger.page.locator("#error")).to_contain_text("do not go together")
    expect(stranger.page.get_by_label("User name")).to_have_value(person.username)
    stranger.look("recover-from-outside-error")

    desk = arrive()
    desk.enter_console(manager, served)
    desk.page.goto(f"{served.url}/console/people?q={person.username}")
    desk.page.get_by_role("link", name="Yrsa Falk").first.click()
    expect(desk.page.get_by_role("button", name="on again")).to_be_visible()
    desk.look("console-person-disabled")
    desk.page.get_by_role("button", name="on again").click()
    expect(desk.page.get_by_role("status")).to_contain_text("signs in again")
    served.ramet.manage("role", "review", "--begin")
    for page, heading in (("roles", "Roles"), ("reviews", "Reviews")):
        desk.page.goto(f"{served.url}/console/{page}")
        desk.reads(heading)
        desk.look(f"console-{page}")
    signed.page.reload()
    expect(signed.page.get_by_text("switched it off")).to_have_count(0)
