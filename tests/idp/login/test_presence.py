"""Who is here: a session that rested too long, and tokens that prove nobody's presence (SS-1 to SS-3, SS-5; C62)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import time_machine

from demo.browser import Browser
from derived import clock
from device.errors import ProtocolError
from idp.models import ClientPolicy
from tests.fixtures import passkey_pages
from tests.fixtures.card_reader import opened
from tests.fixtures.software_authenticator import Maker, SoftKey
from tests.fixtures.world import AAL, CALLBACK, ISSUER, answer, http

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fixtures.card_reader import CardSetup
    from tests.fixtures.world import World

pytestmark = [pytest.mark.django_db, pytest.mark.database]


@pytest.fixture
def card_setup(db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CardSetup]:
    with opened(tmp_path, monkeypatch) as found:
        yield found


def test_idle_session_needs_a_full_login(world: World) -> None:
    """SS-1, SS-3: 63B lets AAL2 resume by one factor (MAY); here it is a whole login, whose level is its own."""
    person, desktop = world.enrolled()
    app = world.app()
    with time_machine.travel(clock.now() + timedelta(minutes=61), tick=True):
        page = desktop.get(f"{ISSUER}/devices")
        assert page.path == "/login"
        page = desktop.submit(
            page,
            page.form_with("username", "password"),
            values={"username": person.username, "password": person.password},
        )
        assert page.path == "/login/totp"
        assert desktop.get(f"{ISSUER}/devices").path == "/login"
        assert answer(desktop.get(app.url(prompt="none"), stop_at=app.redirect_uri))["error"] == "login_required"


def test_idle_aal3_session_needs_a_full_aal3_login(card_setup: CardSetup, world: World, tmp_path: Path) -> None:
    """SS-2, SS-3: neither the password nor anything less than the card resumes a session at AAL3."""
    person, _ = world.enrolled()
    card = card_setup.pki.card(person="ALEX")
    card_setup.bind(person.username, card, tmp_path)
    browser = card_setup.reader(card).browser()
    assert card_setup.sign_in(browser).path == "/devices"
    app, strongest = world.app(), f"{AAL}3"
    with time_machine.travel(clock.now() + timedelta(minutes=14), tick=True):
        assert "code" in answer(browser.get(app.url(acr_values=strongest), stop_at=app.redirect_uri))
        with time_machine.travel(clock.now() + timedelta(minutes=16), tick=True):
            assert (
                answer(browser.get(app.url(prompt="none", acr_values=strongest), stop_at=app.redirect_uri))["error"]
                == "login_required"
            )
            page = browser.get(f"{ISSUER}/login")
            page = person.sign_in(browser, page)
            assert page.path == "/devices"
            assert (
                answer(browser.get(app.url(prompt="none", acr_values=strongest), stop_at=app.redirect_uri))["error"]
                == "unmet_authentication_requirements"
            )


def test_access_token_is_no_session(world: World) -> None:
    """SS-5: with a good token in the header no page opens, nothing is added, and no code is made."""
    person, desktop = world.enrolled()
    app = world.app()
    token = world.tokens(app, world.signed_in(person), scope="openid profile offline_access")["access_token"]
    with http() as agent:
        agent.headers["Authorization"] = f"Bearer {token}"
        for path in ("/devices", "/devices/add", "/devices/roots/passkey/add", "/devices/roots/password/add"):
            answered = agent.get(path)
            assert answered.status_code in {302, 405}, path
            assert answered.headers.get("location", "/login").startswith("/login"), path
        back = agent.get(app.url(prompt="none"))
        assert "error=login_required" in back.headers["location"]
    assert desktop.get(f"{ISSUER}/devices").path == "/devices"


def test_weaker_login_replaces_a_step_up(world: World) -> None:
    """AS-4, C11: after a weaker login in the same browser the stronger one is gone, and its cookie with it."""
    person, desktop = world.enrolled()
    key = SoftKey(maker=Maker())
    assert passkey_pages.register(desktop, key).status == 200
    stronger = passkey_pages.stranger()
    assert passkey_pages.sign_in(stronger, key).path == "/devices"
    before = dict(stronger._http.cookies)
    page = person.sign_in(stronger, stronger.get(f"{ISSUER}/login"))
    assert page.path == "/devices"
    assert dict(stronger._http.cookies)["ramet_session"] != before["ramet_session"]
    old = Browser(http())
    old._http.cookies.update(before)
    assert old.get(f"{ISSUER}/devices").path == "/login"


def test_idle_time_is_not_reset_by_reloading(world: World) -> None:
    """A client's `most_idle` asks for the longest pause since the login; the refused request does not shorten it."""
    person, browser = world.enrolled()
    app = world.app()
    ClientPolicy.objects.update(most_idle=timedelta(minutes=10))
    with time_machine.travel(clock.now() + timedelta(minutes=30), tick=True):
        for _ in range(2):
            assert browser.get(app.url(), stop_at=CALLBACK).path == "/login"
        browser.get(f"{ISSUER}/devices")
        page = browser.get(app.url(), stop_at=CALLBACK)
        assert page.path == "/login"
        assert "code=" in person.sign_in(browser, page, stop_at=CALLBACK).stopped_at


def test_device_assertion_respects_max_session(world: World) -> None:
    """Ruling 2: every gate of the relying party applies to an assertion, `most_session` too."""
    _, desktop = world.enrolled()
    app = world.phone_app()
    phone = world.device(desktop)
    ClientPolicy.objects.update(most_session=timedelta(minutes=15))
    phone.login(app.client_id, passphrase="seven mossy stones")
    with (
        time_machine.travel(clock.now() + timedelta(days=3), tick=True),
        pytest.raises(ProtocolError, match="invalid_grant"),
    ):
        phone.login(app.client_id, passphrase=None)
