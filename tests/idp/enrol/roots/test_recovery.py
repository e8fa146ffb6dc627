"""A lost authenticator app (RC-1, RC-3, C65, IV-4, TH-3; ruling 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import time_machine

from demo.authenticator import Authenticator
from demo.browser import Browser, Page
from derived.ledger import audit
from derived.models import Account, Credential, RecoveryCode
from tests.fixtures.signing_in import after_password, with_code
from tests.fixtures.world import ISSUER, http

if TYPE_CHECKING:
    from demo.person import Person
    from tests.fixtures.world import World

pytestmark = pytest.mark.django_db
NOON = "2026-11-23T12:00:00Z"


def recovered(person: Person, browser: Browser, code: str) -> Page:
    after_password(browser, person)
    page = with_code(browser, code)
    person.totp_secret = page.by_id("totp-secret")
    person.authenticator = Authenticator(person.totp_secret)
    return browser.submit(page, page.form_with("totp"), values={"totp": person.authenticator.first_code()})  # type: ignore[arg-type]


@pytest.mark.database
def test_password_and_recovery_code_connect_a_new_app(world: World) -> None:
    """RC-1: typed in any form; nobody is signed in by it (C65); the old root ends, the devices live on (IV-4), the
    person is told.
    """
    with time_machine.travel(NOON, tick=False) as now:
        person, desktop = world.enrolled()
        app = world.phone_app()
        phone = world.device(desktop)
        now.shift(120)
        browser = Browser(http())
        page = recovered(person, browser, person.recovery_codes[3].lower().replace("-", " "))
        assert len(page.by_class("recovery-code")) == 10
        assert browser.get(f"{ISSUER}/devices").path == "/login"
        assert desktop.get(f"{ISSUER}/devices").path == "/login"
        old, new = Credential.objects.filter(kind="password_totp").order_by("created_at")
        assert (old.state, old.end_reason, new.state, new.aal) == ("revoked", "replaced", "active", 2)
        assert Credential.objects.get(id=phone.enrolment.credential_id).state == "pending"
        now.shift(60)
        assert world.signed_in(person).get(f"{ISSUER}/devices").path == "/devices"
        assert phone.login(app.client_id, passphrase="seven mossy stones").access_token
        assert [
            mail
            for mail in world.mails(person.username)
            if "authenticator" in mail.subject.lower() or "sign" in mail.subject.lower()
        ]
        assert audit.verify(Account.objects.get()) is None


def test_recovery_code_is_single_use_and_ends_with_its_root(world: World) -> None:
    """RC-3: the used one, and the nine that were left."""
    with time_machine.travel(NOON, tick=False) as now:
        person, _ = world.enrolled()
        codes = list(person.recovery_codes)
        now.shift(120)
        recovered(person, Browser(http()), codes[0])
        assert RecoveryCode.objects.filter(consumed_at__isnull=False).count() == 1
        now.shift(120)
        for code in codes[:2]:
            browser = Browser(http())
            after_password(browser, person)
            assert with_code(browser, code).status == 400


def test_recovery_code_needs_the_password(world: World) -> None:
    """RC-1: one code alone fails; so does somebody else's code."""
    person, _ = world.enrolled()
    kim, _ = world.enrolled("kim@example.org")
    assert Browser(http()).get(f"{ISSUER}/login/recover/totp").path == "/login"
    alone = Browser(http())
    page = alone.get(f"{ISSUER}/login/recover")
    values = {"username": person.username, "password": "wrong wrong wrong", "code": person.recovery_codes[0]}
    assert alone.submit(page, page.form_with("username", "password", "code"), values=values).status == 400
    assert alone.get(f"{ISSUER}/login/recover/totp").path == "/login"
    browser = Browser(http())
    after_password(browser, kim)
    assert with_code(browser, person.recovery_codes[0]).status == 400
    assert browser.get(f"{ISSUER}/login/recover/totp").path == "/login"


def test_recovery_codes_are_throttled(world: World) -> None:
    """TH-3: counted against the authenticator and the network."""
    with time_machine.travel(NOON, tick=False):
        person, _ = world.enrolled()
        browser = Browser(http())
        after_password(browser, person)
        statuses = [with_code(browser, f"AAAA-AAAA-AAAA-{n:04d}").status for n in range(8)]
        assert statuses[0] == 400
        assert statuses[-1] == 429
        assert Credential.objects.get(kind="password_totp").failures > 1


def test_recovery_ends_with_the_account(world: World) -> None:
    """C7: ended between the code and the new app."""
    with time_machine.travel(NOON, tick=False) as now:
        person, _ = world.enrolled()
        now.shift(120)
        browser = Browser(http())
        after_password(browser, person)
        page = with_code(browser, person.recovery_codes[0])
        secret = page.by_id("totp-secret")
        world.deactivate()
        page = browser.submit(page, page.form_with("totp"), values={"totp": Authenticator(secret).code()})  # type: ignore[arg-type]
        assert page.path == "/login"
        assert Credential.objects.filter(kind="password_totp").count() == 1
