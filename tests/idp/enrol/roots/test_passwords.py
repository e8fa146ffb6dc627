"""Adding a password and an app, another password, another app; recovery in person (P2, RC-2, TH-1; rulings 5, 14)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import time_machine

from demo import authenticator
from demo.authenticator import Authenticator
from derived.ledger import status
from derived.models import Account, Credential, PasswordAndTotp
from derived.rules.assurance import AAL
from idp.models import AuthenticationEvent
from tests.fixtures.signing_in import at, key, sign_in_with, strong
from tests.fixtures.world import ISSUER

if TYPE_CHECKING:
    from demo.browser import Browser, Page
    from tests.fixtures.world import World

pytestmark = pytest.mark.django_db
NOON = "2026-11-23T12:00:00Z"
NEW = "eleven quiet otters"


def choose(browser: Browser, url: str, *, again: str = NEW) -> Page:
    page = browser.get(url)
    return browser.submit(page, page.form_with("password"), values={"password": NEW, "password_again": again})  # type: ignore[arg-type]


def connect(browser: Browser, page: Page) -> tuple[Authenticator, Page]:
    app = Authenticator(page.by_id("totp-secret"))
    return app, browser.submit(page, page.form_with("totp"), values={"totp": app.first_code()})  # type: ignore[arg-type]


def with_a_key_only(world: World) -> Browser:
    """Somebody who signed in with a security key, and has no password."""
    _, desktop = world.enrolled()
    account = Account.objects.get()
    row = key(account.id)
    AuthenticationEvent.objects.update(credential=row, phishing_resistant=True)
    Credential.objects.filter(kind="password_totp").update(
        state="revoked", ended_at=account.created_at, end_reason="removed_by_person"
    )
    return desktop


def test_password_and_app_are_added_under_a_login(world: World) -> None:
    """Ruling 5: bound on the login, worth no more than it; told; and it signs in."""
    with time_machine.travel(NOON, tick=False) as now:
        desktop = with_a_key_only(world)
        assert "Add: Password and authenticator app" in desktop.get(f"{ISSUER}/devices").html
        page = choose(desktop, f"{ISSUER}/devices/roots/password/add", again="something else")
        assert page.status == 400
        _, page = connect(desktop, choose(desktop, f"{ISSUER}/devices/roots/password/add"))
        assert len(page.by_class("recovery-code")) == 10
        row = Credential.objects.get(kind="password_totp", state="active")
        assert (row.aal, row.evidence["bound_by"], row.evidence["login_aal"]) == (2, "login", 2)
        now.shift(60)
        assert desktop.get(f"{ISSUER}/devices").path == "/devices"
        assert world.mails("alex@example.org", "was added")
        assert desktop.get(f"{ISSUER}/devices/roots/password/add").status == 409


@pytest.mark.database
@pytest.mark.parametrize("session", ["AAL1", "stale", "derived"])
def test_weak_session_adds_no_password(world: World, session: str) -> None:
    """P2, AU-8: 403 before anything is asked, and at the end if it became so meanwhile."""
    with time_machine.travel(NOON, tick=False) as now:
        desktop = with_a_key_only(world)
        page = choose(desktop, f"{ISSUER}/devices/roots/password/add")
        if session == "derived":
            AuthenticationEvent.objects.update(root=False)
        elif session == "AAL1":
            at(AAL.AAL1)
        else:
            now.shift(1201)
        _, page = connect(desktop, page)
        assert page.status == 403
        assert desktop.get(f"{ISSUER}/devices/roots/password/add").status == 403
        assert not Credential.objects.filter(kind="password_totp", state="active").exists()


@pytest.mark.parametrize("what", ["password", "app"])
@pytest.mark.parametrize("session", ["AAL1", "stale", "derived"])
def test_weak_session_changes_no_password_or_app(world: World, session: str, what: str) -> None:
    """P2: password and app, by GET and with the form that was open already."""
    with time_machine.travel(NOON, tick=False) as now:
        _, desktop = world.enrolled()
        row, before = Credential.objects.get(), PasswordAndTotp.objects.get().password_hash
        url = f"{ISSUER}/devices/roots/{row.id}/{what}"
        if session == "derived":
            phone = world.device(desktop)
            now.shift(1)
            assert sign_in_with(phone).get(url).status == 403
            return
        page = desktop.get(url)
        if session == "AAL1":
            at(AAL.AAL1)
        else:
            now.shift(1201)
        page = (
            connect(desktop, page)[1]
            if what == "app"
            else desktop.submit(page, page.form_with("password"), values={"password": NEW, "password_again": NEW})
        )  # type: ignore[arg-type]
        assert (page.status, desktop.get(url).status) == (403, 403)
        assert (Credential.objects.get().state, PasswordAndTotp.objects.get().password_hash) == ("active", before)


@pytest.mark.database
def test_changed_password_takes_effect(world: World) -> None:
    """TH-1: and enables again a password that wrong guesses had disabled; every address is notified."""
    with time_machine.travel(NOON, tick=False) as now:
        person, desktop = world.enrolled()
        row = Credential.objects.get()
        Credential.objects.update(failures=status.MOST_FAILURES)
        assert choose(desktop, f"{ISSUER}/devices/roots/{row.id}/password").path == "/devices"
        assert Credential.objects.get().failures == 0
        person.password = NEW
        now.shift(60)
        assert world.signed_in(person).get(f"{ISSUER}/devices").path == "/devices"
        assert {mail.to[0] for mail in world.mails(subject="was changed")} == {
            person.username,
            f"home.{person.username}",
        }


@pytest.mark.database
def test_changed_app_replaces_the_old_one(world: World) -> None:
    """Trap 1: a row of its own, no longer disabled; the old one and its sessions end, devices live on."""
    with time_machine.travel(NOON, tick=False) as now:
        person, desktop = world.enrolled()
        phone = world.device(desktop)
        old = Credential.objects.get(kind="password_totp")
        Credential.objects.filter(id=old.id).update(failures=status.MOST_FAILURES)
        page = desktop.get(f"{ISSUER}/devices/roots/{old.id}/app")
        person.authenticator, page = connect(desktop, page)
        assert len(page.by_class("recovery-code")) == 10
        assert desktop.get(f"{ISSUER}/devices").path == "/login"
        old.refresh_from_db()
        new = Credential.objects.get(kind="password_totp", state="active")
        assert (old.end_reason, new.failures, new.aal) == ("replaced", 0, 2)
        assert Credential.objects.get(id=phone.enrolment.credential_id).state == "pending"
        now.shift(60)
        assert world.signed_in(person).get(f"{ISSUER}/devices").path == "/devices"


@pytest.mark.parametrize("way", ["app", "add"])
def test_code_of_the_new_app_may_be_in_groups(world: World, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """As the app shows it, at "Replace the app" and where the pair is added: with a space, and in other digits."""
    plain = authenticator.totp

    def grouped(secret: str, *, step: int) -> str:
        code = plain(secret, step=step)
        return f"{code[:3]} {''.join(chr(0x6F0 + int(one)) for one in code[3:])}"

    with time_machine.travel(NOON, tick=False):
        if way == "add":
            desktop = with_a_key_only(world)
            page = choose(desktop, f"{ISSUER}/devices/roots/password/add")
        else:
            _, desktop = world.enrolled()
            page = desktop.get(f"{ISSUER}/devices/roots/{Credential.objects.get().id}/app")
        monkeypatch.setattr(authenticator, "totp", grouped)
        _, page = connect(desktop, page)
        assert len(page.by_class("recovery-code")) == 10, page.words()


@pytest.mark.parametrize(
    ("ial", "ended", "closed"),
    [(3, "", True), (3, "reported_by_person", True), (3, "removed_by_person", False), (2, "", False)],
)
def test_aal3_at_ial3_is_recovered_in_person(
    world: World,
    ial: int,
    ended: str,
    closed: bool,  # noqa: FBT001
) -> None:
    """RC-2: also after the card was reported lost; not where it was taken off on purpose."""
    from tests.fixtures.signing_in import after_password, with_code

    person, _ = world.enrolled()
    account = Account.objects.get()
    row = strong(account.id)
    if ended:
        Credential.objects.filter(id=row.id).update(state="revoked", ended_at=row.created_at, end_reason=ended)
    Account.objects.update(ial=ial)
    from demo.browser import Browser
    from tests.fixtures.world import http

    browser = Browser(http())
    after_password(browser, person)
    page = browser.get(f"{ISSUER}/login/recover")
    assert page.status == (403 if closed else 200)
    if not closed:
        assert with_code(browser, person.recovery_codes[0]).path == "/login/recover/totp"


def test_long_password_that_normalises_to_a_shorter_one_matches() -> None:
    """63B-4 3.1.1.2, P65: what was accepted is compared whole, and what is too long never matches a part."""
    from idp.login import password

    decomposed = "".join(f"{letter}\u0301" for letter in "aeiou" * 40)  # 400 code points, 200 after NFKC
    assert password.objection(decomposed) is None
    assert password.matches(decomposed, password.hashed(decomposed))
    longest = "abcdefgh" * 32
    assert password.matches(longest, password.hashed(longest))
    assert not password.matches(longest + "x", password.hashed(longest))
