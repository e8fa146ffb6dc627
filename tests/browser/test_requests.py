"""A supervisor asks for a new starter's phone, a manager approves it, the starter collects it (WF-1, WF-3, WF-23)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from playwright.sync_api import expect

from demo.browser import Browser
from demo.hr import user
from demo.person import Person
from tests.fixtures.scim_client import ENTERPRISE
from tests.fixtures.virtual_authenticator import authenticator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.browser.conftest import Arrive
    from tests.browser.visitor import Visitor
    from tests.fixtures.served_for_browsers import ServedForBrowsers

_RULES = '[derived_passkey.generic]\napproval = "one"\napprovers = ["supervisor", "manager"]\n'


@pytest.fixture
def asking(served: ServedForBrowsers) -> Iterator[ServedForBrowsers]:
    """Passkeys take one approval."""
    file = served.ramet.var / "issuance.toml"
    file.write_text(_RULES)
    yield served
    file.unlink()


def _starter(served: ServedForBrowsers, supervisor: Person) -> Person:
    """Somebody new, whose supervisor HR names."""
    found = served.hr.find(supervisor.username)
    assert found is not None
    person = Person("new.starter", name="New Starter", email="new.starter@example.org")
    body = user(person.username, names=("New", "Starter"), email=person.email, number="7001", department="Field")
    body[ENTERPRISE] = {**body.get(ENTERPRISE, {}), "manager": {"value": found["id"]}}
    served.hr.hire(body).raise_for_status()
    mail = served.mailbox.wait_for(person.email, link="/invitation/", seconds=30)
    assert mail is not None
    with httpx.Client(timeout=30) as cookies:
        person.accept_invitation(Browser(cookies), mail.link("/invitation/"))
    return person


def test_supervisor_asks_manager_approves_starter_collects(
    asking: ServedForBrowsers, desktop: Visitor, tablet: Visitor, arrive: Arrive
) -> None:
    """Each step is on a page of its own browser; whoever asked is offered no form, and the same steps are shown."""
    served = asking
    sam, nora = served.employee("Sam", "Boss"), served.employee("Nora", "Lane")
    served.appoint(nora)
    starter = _starter(served, sam)

    desktop.sign_in(sam, f"{served.url}/requests/new")
    desktop.reads("Ask for something")
    desktop.look("request-ask")
    desktop.page.locator("#ask-login_name").fill(starter.username)
    desktop.page.locator("#ask-kind").select_option("derived_passkey")
    desktop.page.locator("#ask-purpose").fill("Work on the road")
    desktop.press("Ask for it")
    expect(desktop.page.locator("li[aria-current=step]")).to_contain_text("One approval is needed")
    desktop.look("request-waits")
    address = desktop.page.url.replace("/requests/", "/console/requests/")
    served.use_key(sam)
    desktop.page.goto(address)
    expect(desktop.page.locator(".progress-steps")).to_be_visible()
    expect(desktop.page.get_by_role("button", name="Approve")).to_have_count(0)

    manager = arrive(viewport={"width": 1280, "height": 900})
    manager.enter_console(nora, served)
    manager.page.goto(f"{served.url}/console/requests")
    manager.look("console-requests")
    manager.page.goto(address)
    manager.look("console-request")
    manager.page.get_by_role("button", name="Approve").click()
    manager.is_at(f"{served.url}/console/requests")

    tablet.sign_in(starter, f"{served.url}/requests")
    tablet.look("requests-collect")
    with authenticator(tablet):
        tablet.page.get_by_role("link", name="Collect").first.click()
        tablet.is_at(f"{served.url}/devices/passkey/add")
        tablet.page.get_by_label("Name of this passkey").fill("Starter's tablet")
        tablet.press("Make it through this browser")
        tablet.reads("Use a passkey or security key")
        desktop.page.goto(f"{served.url}/requests")
        expect(desktop.page.locator("main")).to_contain_text("Collected: not used yet")
        tablet.press("Use my key")
        tablet.is_at(f"{served.url}/devices")
    desktop.page.reload()
    expect(desktop.page.locator("main .badge.active")).to_have_text("Active")
