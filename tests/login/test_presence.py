"""Who is here: a session that rested too long, and tokens that prove nobody's presence (SS-1 to SS-3, SS-5; C62)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import time_machine

from demo.browser import Browser
from derived import clock
from tests.card.desk import opened
from tests.webauthn import life
from tests.webauthn.authenticator import Maker, SoftKey
from tests.world import AAL, ISSUER, answer, http

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.card.desk import Desk
    from tests.world import World

pytestmark = [pytest.mark.django_db, pytest.mark.database]


@pytest.fixture
def desk(db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with opened(tmp_path, monkeypatch) as found:
        yield found


def test_after_an_idle_hour_a_password_alone_brings_nobody_back(world: World) -> None:
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


def test_after_fifteen_idle_minutes_aal3_takes_the_whole_login_again(desk: Desk, world: World, tmp_path: Path) -> None:
    """SS-2, SS-3: neither the password nor anything less than the card resumes a session at AAL3."""
    person, _ = world.enrolled()
    card = desk.pki.card(person="ALEX")
    desk.bind(person.username, card, tmp_path)
    browser = desk.reader(card).browser()
    assert desk.sign_in(browser).path == "/devices"
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


def test_an_access_token_is_nobodys_presence(world: World) -> None:
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


def test_a_step_up_ends_with_its_own_event_and_old_cookies_add_nothing(world: World) -> None:
    """AS-4, C11: after a weaker login in the same browser the stronger one is gone, and its cookie with it."""
    person, desktop = world.enrolled()
    key = SoftKey(maker=Maker())
    assert life.register(desktop, key).status == 200
    stronger = life.stranger()
    assert life.sign_in(stronger, key).path == "/devices"
    before = dict(stronger._http.cookies)
    page = person.sign_in(stronger, stronger.get(f"{ISSUER}/login"))
    assert page.path == "/devices"
    assert dict(stronger._http.cookies)["ramet_session"] != before["ramet_session"]
    old = Browser(http())
    old._http.cookies.update(before)
    assert old.get(f"{ISSUER}/devices").path == "/login"
