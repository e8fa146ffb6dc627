"""Ways back for people who cannot sign in: codes to two addresses, a temporary pass, and asking for help (RC-1)."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import time_machine

from demo.authenticator import Authenticator
from demo.browser import Browser
from derived import clock
from derived.changes import issue, temporary_passes
from derived.ledger.locking import under_lock
from derived.models import Account, Credential
from derived.rules.assurance import AAL
from derived.rules.kinds import Kind
from derived.rules.lifecycle import State
from idp.enrol.roots import mailed_codes
from idp.login import asking
from idp.login.session import login_of
from idp.models import LoginSession, RecoveryAttempt
from scim.models import Person, RoleName
from tests.fixtures.roles import appoint
from tests.fixtures.signing_in import after_password
from tests.fixtures.world import ISSUER, http

if TYPE_CHECKING:
    from demo.browser import Page
    from demo.person import Person as Somebody
from tests.fixtures.world import World

pytestmark = pytest.mark.database
ALEX, MONA = "alex@example.org", "mona@example.org"
HELP = f"{ISSUER}/login/help"


def _asked(username: str = ALEX) -> tuple[Browser, Page]:
    """A browser that has asked for codes, on the page that takes them."""
    browser = Browser(http())
    page = browser.get(f"{ISSUER}/login/mailed")
    return browser, browser.submit(page, page.form_with("username"), values={"username": username})


def _codes(world: World) -> dict[str, str]:
    """The newest code that went to each address."""
    mails = [one for one in world.mails("", "one of two") if "one of two" in one.subject]
    return {one.to[0]: re.search(r"^  (\S+)$", str(one.body), re.MULTILINE)[1] for one in mails}  # type: ignore[index]


def _sent(browser: Browser, page: Page, codes: list[str], **more: str) -> Page:
    values = {"first": codes[0], "second": codes[1], **more}
    return browser.submit(page, page.form_with("first", "second"), values=values)


def _new_app(browser: Browser, page: Page) -> Page:
    assert page.path == "/login/recover/totp"
    code = Authenticator("".join(page.by_id("totp-secret").split())).code()
    return browser.submit(page, page.form_with("totp"), values={"totp": code})


def _alone(world: World, person: Somebody) -> tuple[Browser, Page]:
    browser, page = _asked(person.username)
    return browser, _sent(browser, page, list(_codes(world).values()))


def test_codes_alone_sign_in_at_the_lowest_level(world: World) -> None:
    """Two codes by mail are one method: AAL1, for an hour, and nothing can be added; all addresses are told."""
    person, _ = world.enrolled()
    browser, page = _alone(world, person)
    assert (page.path, page.status) == ("/devices", 200)
    assert "Temporary pass" in page.html
    session = LoginSession.objects.select_related("event__credential").latest("created_at")
    assert (login_of(session.event).aal, login_of(session.event).root, session.event.amr) == (1, False, ["otp"])
    assert {*_codes(world)} == {ALEX, f"home.{ALEX}"}
    assert len(world.mails("", "signed you in")) == 2
    assert browser.get(f"{ISSUER}/devices/roots/passkey/add").path == "/login"
    assert Credential.objects.get(kind=Kind.PASSWORD_TOTP).state == State.ACTIVE
    with time_machine.travel(clock.now() + timedelta(minutes=61)):
        assert browser.get(f"{ISSUER}/devices").path == "/login"


@pytest.mark.parametrize("beside", ["password", "saved code"])
def test_codes_and_a_second_method_replace_the_lost_root(world: World, beside: str) -> None:
    """RC-1: a new app at the level of the old one; with a saved code a forgotten password is replaced too."""
    person, _ = world.enrolled()
    browser, page = _asked()
    codes = list(_codes(world).values())
    if beside == "password":
        page = _sent(browser, page, codes, password=person.password)
        new_password = person.password
    else:
        page = _sent(browser, page, codes, saved=person.recovery_codes[0])
        assert page.path == "/login/recover/password"
        assert browser.get(f"{ISSUER}/login/recover/totp").path == "/login/recover/password"
        new_password = "quiet copper lantern"
        values = {"password": new_password, "password_again": new_password}
        page = browser.submit(page, page.form_with("password", "password_again"), values=values)
    secret = page.by_id("totp-secret")
    assert "recovery" in _new_app(browser, page).words().casefold()
    old, new = Credential.objects.filter(kind=Kind.PASSWORD_TOTP).order_by("created_at")
    assert (old.state, new.state, new.aal) == (State.REVOKED, State.ACTIVE, old.aal)
    assert new.evidence["bound_by"] == "recovery"
    person.password, person.authenticator = new_password, Authenticator("".join(secret.split()))
    with time_machine.travel(clock.now() + timedelta(minutes=2)):
        assert world.signed_in(person)


@pytest.mark.parametrize(
    "how", ["one code twice", "another browser", "used", "an hour later", "moved address", "ended", "five wrong tries"]
)
def test_codes_that_serve_nobody(world: World, how: str) -> None:
    """Nothing is signed in or changed."""
    person, _ = world.enrolled()
    browser, page = _asked()
    codes = list(_codes(world).values())
    later = timedelta()
    match how:
        case "one code twice":
            codes = [codes[0], codes[0]]
        case "another browser":
            browser, page = _asked()
            codes = mailed_codes.codes(RecoveryAttempt.objects.earliest("created_at"))
        case "used":
            other = browser.get(page.url)
            assert _sent(browser, page, codes).path == "/devices"
            browser.submit(other, other.form_with("first", "second"), values={"first": codes[0], "second": codes[1]})
            assert LoginSession.objects.filter(event__credential__kind=Kind.TEMPORARY_PASS).count() == 1
            return
        case "an hour later":
            later = mailed_codes.LIVES
        case "moved address":
            world.patch(ALEX, {"emails": [{"value": "thief@example.org", "primary": True}]})
        case "ended":
            world.deactivate()
        case _:
            for _ in range(5):
                assert _sent(browser, page, ["AAAA-AAAA-AAAA", "BBBB-BBBB-BBBB"]).status == 400
    with time_machine.travel(clock.now() + later):
        answered = _sent(browser, page, codes, password=person.password if how == "moved address" else "")
        assert answered.status == 400 or answered.path == "/login/mailed"
    assert not Credential.objects.filter(kind=Kind.TEMPORARY_PASS).exists()
    assert Credential.objects.filter(kind=Kind.PASSWORD_TOTP).count() == 1


@pytest.mark.parametrize("who", ["nobody", "one address", "the highest level", "never enrolled", "asked thrice"])
def test_no_codes_are_sent(world: World, monkeypatch: pytest.MonkeyPatch, who: str) -> None:
    """The page is the same for everybody (C67, RC-2); strangers have a person mailed so often an hour."""
    monkeypatch.setattr(mailed_codes, "_MOST_AN_HOUR", 3)
    known = _asked(ALEX)[1].html if who == "asked thrice" else ""
    match who:
        case "one address":
            world.push(ALEX, emails=[{"value": ALEX, "primary": True}])
            world.enrolled(ALEX)
        case "the highest level":
            world.enrolled(ALEX)
            Credential.objects.update(aal=3)
            Account.objects.update(ial=3)
        case "never enrolled":
            world.push(ALEX)
        case "asked thrice":
            world.enrolled(ALEX)
            for _ in range(3):
                known = _asked()[1].html
            assert len(world.mails("", "one of two")) == 6
        case _:
            pass
    page = _asked()[1]
    assert (page.status, page.path) == (200, "/login/mailed/codes")
    assert not known or re.sub(r'value="[^"]*"', "", page.html) == re.sub(r'value="[^"]*"', "", known)
    assert len(world.mails("", "one of two")) == (6 if who == "asked thrice" else 0)


def test_no_recovery_is_a_login(world: World) -> None:
    """Both mailed codes and a saved one prove no password: a code of the old app signs nobody in meanwhile."""
    person, _ = world.enrolled()
    browser, page = _asked()
    assert _sent(browser, page, list(_codes(world).values()), saved=person.recovery_codes[0]).path.endswith("/password")
    assert browser.get(f"{ISSUER}/login/totp").path == "/login"
    with time_machine.travel(clock.now() + timedelta(minutes=11)):
        assert browser.get(f"{ISSUER}/login/recover/totp").path == "/login"


def test_added_addresses_get_no_codes(world: World) -> None:
    """A stolen source token puts two addresses before the person's own, and moves none."""
    world.enrolled()
    emails = ["t1@example.org", "t2@example.org", ALEX, f"home.{ALEX}"]
    rows = [{"value": one, "primary": one == emails[0]} for one in emails]
    assert world.patch(ALEX, {"emails": rows}).status_code == 200
    _asked()
    assert not world.mails("", "one of two")


def test_two_spellings_are_one_mailbox(world: World) -> None:
    """Whoever reads it would have both codes."""
    world.push(ALEX, emails=[{"value": ALEX, "primary": True}, {"value": ALEX.title()}])
    world.enrolled(ALEX)
    _asked()
    assert not world.mails("", "one of two")


def test_addresses_serve_again_after_a_month(world: World) -> None:
    """A changed address does not shut its person out for good."""
    world.enrolled()
    rows = [{"value": "new@example.org", "primary": True}, {"value": ALEX}]
    assert world.patch(ALEX, {"emails": rows}).status_code == 200
    with time_machine.travel(clock.now() + timedelta(days=31)):
        _asked()
        assert {*_codes(world)} == {"new@example.org", ALEX}


def test_forms_sent_twice(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A double press signs in once, and both answers lead on; another browser with the same pass gets nothing."""
    person, _ = world.enrolled()
    browser, page = _asked(person.username)
    codes = list(_codes(world).values())
    _twice(browser, page, {"first": codes[0], "second": codes[1]})
    code = _given(world, monkeypatch)
    browser = Browser(http())
    _twice(browser, browser.get(f"{ISSUER}/login/pass"), {"username": ALEX, "code": code})
    assert LoginSession.objects.filter(event__credential__kind=Kind.TEMPORARY_PASS).count() == 2


def _twice(browser: Browser, page: Page, values: dict[str, str]) -> None:
    """The same form from the cookie of before, once the first answer has changed it."""
    late = Browser(http())
    late._http.cookies.update(browser._http.cookies)
    pages = [one.submit(page, page.form_with(*values), values=values) for one in (browser, late)]
    assert [(one.path, one.status) for one in pages] == [("/devices", 200)] * 2


@pytest.mark.parametrize("path", ["/login/mailed", "/login/help"])
def test_a_network_causes_so_much_mail(world: World, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """Over all names: a stranger does not have everybody mailed."""
    monkeypatch.setattr("idp.login.throttle.MOST_OF_A_NETWORK", 3)
    statuses = []
    for number in range(5):
        browser = Browser(http())
        page = browser.get(f"{ISSUER}{path}")
        name = f"somebody.{number}@example.org"
        statuses.append(browser.submit(page, page.form_with("username"), values={"username": name}).status)
    assert statuses == [200, 200, 200, 429, 429]
    assert world


def test_strangers_take_no_codes_from_a_known_browser(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ruling 13: requests in unknown browsers do not count against the person's own."""
    monkeypatch.setattr(mailed_codes, "_MOST_AN_HOUR", 1)
    person, _ = world.enrolled()
    own = world.signed_in(person)
    _asked()
    assert len(world.mails("", "one of two")) == 2
    page = own.get(f"{ISSUER}/login/mailed")
    own.submit(page, page.form_with("username"), values={"username": ALEX})
    assert len(world.mails("", "one of two")) == 4


def test_a_wrong_second_method_changes_nothing(world: World) -> None:
    """Each try is counted, and the codes can be used again."""
    person, _ = world.enrolled()
    browser, page = _asked()
    codes = list(_codes(world).values())
    statuses = [_sent(browser, page, codes, password="wrong wrong wrong").status for _ in range(7)]
    assert (statuses[0], statuses[-1]) == (400, 429)
    assert Credential.objects.get().state == State.ACTIVE
    assert Credential.objects.get().failures > 4
    assert _sent(browser, page, codes).path == "/devices"
    assert person


def _officer(world: World) -> Browser:
    desktop = world.enrolled(MONA)[1]
    appoint(MONA, RoleName.MANAGER, RoleName.OFFICER)
    return desktop


def _given(world: World, monkeypatch: pytest.MonkeyPatch) -> str:
    """A pass for Alex, from an officer at AAL3; the code."""
    officer = _officer(world)
    monkeypatch.setattr("idp.console.guards.login_of", _strongest)
    page = officer.get(f"{ISSUER}/console/people/{Person.objects.get(login_name=ALEX).id}")
    page = officer.submit(page, page.form_to("/pass"), values={"place": "Front desk, staff card with photo"})
    found = re.search(r'<code class="code">([^<]+)</code>', page.html)
    assert found, page.words()
    return found[1]


def _strongest(event: object) -> object:
    return replace(login_of(event), aal=AAL.AAL3)  # type: ignore[arg-type]


def _with_pass(code: str, username: str = ALEX) -> tuple[Browser, Page]:
    browser = Browser(http())
    page = browser.get(f"{ISSUER}/login/pass")
    return browser, browser.submit(
        page, page.form_with("username", "code"), values={"username": username, "code": code}
    )


@pytest.mark.parametrize("enrolled", [True, False])
def test_a_temporary_pass_signs_in_once(world: World, monkeypatch: pytest.MonkeyPatch, *, enrolled: bool) -> None:
    """AAL1, once, for an hour; a new starter's invitation still binds their first root."""
    if enrolled:
        world.enrolled(ALEX)
    else:
        world.push(ALEX)
    code = _given(world, monkeypatch)
    browser, page = _with_pass(code.replace("-", " ").lower())
    assert (page.path, page.status) == ("/devices", 200)
    session = LoginSession.objects.select_related("event__credential").latest("created_at")
    assert (login_of(session.event).aal, login_of(session.event).root) == (1, False)
    assert _with_pass(code)[1].status == 400
    assert browser.get(f"{ISSUER}/devices/roots/passkey/add").path == "/login"
    assert world.mails(ALEX, "temporary pass")
    account = Person.objects.get(login_name=ALEX).account
    event = account.events.filter(kind="credential.issued").latest("seq")
    assert event.actor.startswith("manager:")
    assert event.details.get(name="words").value == "Front desk, staff card with photo"
    if not enrolled:
        assert world.enrolled(ALEX)[1].get(f"{ISSUER}/devices").path == "/devices"
    with time_machine.travel(clock.now() + timedelta(minutes=61)):
        assert browser.get(f"{ISSUER}/devices").path == "/login"


@pytest.mark.parametrize("how", ["wrong code", "wrong name", "an hour later", "a newer pass", "ended", "undone"])
def test_a_pass_that_serves_nobody(world: World, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """Every answer is the same."""
    world.enrolled(ALEX)
    code, username, later = _given(world, monkeypatch), ALEX, timedelta()
    match how:
        case "wrong code":
            code = "AAAA-AAAA-AAAA"
        case "wrong name":
            username = MONA
        case "an hour later":
            later = timedelta(hours=1)
        case "a newer pass":
            given = issue.GivenPass(by=issue.GivenBy.OFFICER, code_hash="x")
            under_lock(
                Person.objects.get(login_name=ALEX).account_id,
                lambda account: temporary_passes.give(account, given, now=clock.now(), actor="manager:x"),
            )
        case "ended":
            world.deactivate(ALEX)
        case _:
            mail = world.mails(ALEX, "temporary pass")[-1]
            browser = Browser(http())
            page = browser.get(next(word for word in str(mail.body).split() if "/undo/" in word))
            browser.submit(page, page.forms()[0])
    with time_machine.travel(clock.now() + later):
        assert _with_pass(code, username)[1].status == 400
    assert not LoginSession.objects.filter(event__credential__kind=Kind.TEMPORARY_PASS).exists()


def test_a_manager_at_two_factors_gives_no_pass(world: World) -> None:
    """It takes AAL3, another person, and a place."""
    world.push(ALEX)
    officer = _officer(world)
    page = officer.get(f"{ISSUER}/console/people/{Person.objects.get(login_name=ALEX).id}")
    page = officer.submit(page, page.form_to("/pass"), values={"place": "Front desk"})
    assert page.path == "/login"
    assert not Credential.objects.filter(kind=Kind.TEMPORARY_PASS).exists()


def test_asking_for_help(world: World) -> None:
    """Managers are mailed once a day for a person, the console lists who asked; a stranger learns nothing."""
    manager = _officer(world)
    person, _ = world.enrolled(ALEX)

    def ask(username: str) -> Page:
        browser = Browser(http())
        page = browser.get(HELP)
        return browser.submit(page, page.form_with("username"), values={"username": username})

    pages = [ask(name) for name in (ALEX, ALEX, "nobody@example.org")]
    assert {page.status for page in pages} == {200}
    assert all("knows that you need help" in page.html for page in pages)
    assert [one.to for one in world.mails(MONA, f"{ALEX} cannot sign in")] == [[MONA], [f"home.{MONA}"]]
    assert [one.login_name for one in asking.waiting(now=clock.now())] == [ALEX]
    assert world.mails(MONA)
    assert "1 person cannot sign in" in manager.get(f"{ISSUER}/console").html
    assert person


def test_every_sign_in_page_leads_there(world: World) -> None:
    """*I cannot sign in* stands on each of them."""
    person, _ = world.enrolled()
    browser = Browser(http())
    for path in ("/login", "/login/device", "/login/passkey", "/login/recover"):
        assert "/login/help" in browser.get(f"{ISSUER}{path}").html, path
    after_password(browser, person)
    for path in ("/login/totp", "/login/second/passkey"):
        assert "/login/help" in browser.get(f"{ISSUER}{path}").html, path
    for link in re.findall(r'href="(/login/[a-z]+)', browser.get(HELP).html):
        assert browser.get(f"{ISSUER}{link}").status == 200, link
