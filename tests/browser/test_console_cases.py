"""The console's urgent pages in Chromium: a leaver who is still active, and one case of three records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

from demo.hr import user

if TYPE_CHECKING:
    from tests.browser.conftest import Arrive
    from tests.fixtures.served_for_browsers import ServedForBrowsers

CORE = "urn:ietf:params:scim:schemas:core:2.0:User"


def test_a_refused_leaver_and_one_case(served: ServedForBrowsers, arrive: Arrive) -> None:
    """Without scripts: the console says what is urgent, each page says why, and a click acts."""
    leaver, manager = served.employee("Lea", "Vermeer"), served.employee("Mira", "Janssen")
    served.appoint(manager)
    served.ramet.manage("match", "by", "employeeNumber")
    for at in range(3):
        body = user(
            f"kim{at}.tan", names=("Kim", f"Tan{at}"), email="kim@example.org", number="4711", department="Field"
        )
        assert served.hr.hire({**body, "externalId": f"kim-{at}"}).status_code == 201
    assert served.hr.hire({"schemas": [CORE], "userName": leaver.username, "active": False, "salary": 1}).is_error

    desk = arrive(scripts=False)
    desk.enter_console(manager, served)
    expect(desk.page.get_by_text("still active.")).to_be_visible()
    expect(desk.page.get_by_role("link", name="Compare")).to_have_count(1)
    desk.look("console-urgent")
    desk.page.get_by_role("link", name="Compare").click()
    expect(desk.page.get_by_role("button", name="3 different people: keep apart")).to_be_visible()
    desk.look("console-case")
    desk.page.get_by_role("button", name="3 different people: keep apart").click()
    desk.page.goto(f"{served.url}/console/refused")
    desk.look("console-refused")
    desk.page.get_by_role("link", name="Lea Vermeer").click()
    expect(desk.page.get_by_text("said that this person is no longer active")).to_be_visible()
    desk.look("console-person-leaver")
    desk.page.get_by_role("button", name="Suspend").click()
    expect(desk.page.get_by_role("status")).to_contain_text("Suspended")
