"""A person who has lost everything comes back without scripts: two managers vouch, and an invitation binds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from tests.browser.conftest import Arrive
    from tests.browser.visitor import Visitor
    from tests.fixtures.served_for_browsers import ServedForBrowsers


def _person_page(manager: Visitor, served: ServedForBrowsers, name: str) -> None:
    manager.page.goto(f"{served.url}/console")
    manager.page.get_by_role("link", name=name).first.click()


def test_locked_out_person_comes_back(served: ServedForBrowsers, arrive: Arrive) -> None:
    """Each page says what happens next; the second manager reads what the first one checked."""
    person = served.employee("Ilse", "Karg")
    managers = [served.employee("Nora", "Quist"), served.employee("Otto", "Veld")]
    for one in managers:
        served.appoint(one)

    stranger = arrive(scripts=False)
    stranger.page.goto(f"{served.url}/login")
    stranger.page.get_by_role("link", name="I cannot sign in").click()
    stranger.reads("I cannot sign in")
    stranger.page.get_by_role("link", name="My two e-mail addresses").click()
    stranger.look("mailed-begin")
    stranger.page.get_by_label("User name").fill(person.username)
    stranger.press("Send the codes")
    stranger.page.get_by_label("One code").fill("AAAA-AAAA-AAAA")
    stranger.page.get_by_label("The other code").fill("BBBB-BBBB-BBBB")
    stranger.press("Continue")
    expect(stranger.page.locator("#error")).to_contain_text("do not go together")
    stranger.look("mailed-codes-error")
    stranger.page.get_by_role("link", name="Other ways back").click()
    stranger.page.get_by_role("link", name="A temporary pass").click()
    stranger.look("login-pass")
    stranger.page.get_by_role("link", name="Other ways back").click()
    stranger.page.get_by_label("User name").fill(person.username)
    stranger.press("Ask for help")
    expect(stranger.page.get_by_role("status")).to_contain_text("knows that you need help")
    stranger.look("help-asked")

    desks = [arrive(), arrive()]
    for desk, manager in zip(desks, managers, strict=True):
        desk.enter_console(manager, served)
    expect(desks[0].page.get_by_text("asked for help")).to_be_visible()
    _person_page(desks[0], served, "Ilse Karg")
    desks[0].page.get_by_text("Help this person back in").click()
    desks[0].page.get_by_role("textbox", name="What you compared").fill("Staff card with photo, at the front desk")
    desks[0].look("console-recovery")
    desks[0].press("I have checked who it is")
    expect(desks[0].page.get_by_role("status")).to_contain_text("A second manager must agree")
    _person_page(desks[1], served, "Ilse Karg")
    expect(desks[1].page.get_by_text("Their words")).to_be_visible()
    desks[1].look("console-recovery-second")
    known = len(served.mailbox.to(person.email))
    desks[1].press("I agree")
    expect(desks[1].page.get_by_role("status")).to_contain_text("An invitation goes to")

    mail = served.mailbox.wait_for(person.email, link="/invitation/", after=1)
    assert mail is not None
    assert len(served.mailbox.to(person.email)) > known
    stranger.page.goto(mail.link("/invitation/"))
    stranger.reads("Welcome, Ilse Karg")
    stranger.look("invitation-after-recovery")
