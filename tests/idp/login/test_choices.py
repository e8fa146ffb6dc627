"""The login page offers exactly what suffices, and says what is missing (SS-6, AS-4, AS-5, TK-2, TK-3, C67; ruling
16).
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import time_machine

from demo.browser import Browser
from derived import clock
from idp.models import LoginSession
from tests.fixtures import passkey_pages
from tests.fixtures.card_reader import opened
from tests.fixtures.software_authenticator import Maker, SoftKey
from tests.fixtures.world import AAL, CALLBACK, ISSUER, answer, claims, http

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from demo.browser import Page
    from tests.fixtures.card_reader import CardSetup
    from tests.fixtures.world import World

pytestmark = pytest.mark.django_db
ALEX = "alex@example.org"
UNMET = "unmet_authentication_requirements"


@pytest.fixture
def card_setup(db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CardSetup]:
    with opened(tmp_path, monkeypatch) as found:
        yield found


def offers(page: Page) -> set[str]:
    """What a login page offers."""
    links = {"card": "/login/card", "passkey": "/login/passkey", "device": "/login/device"}
    found = {name for name, url in links.items() if re.search(rf'href="{url}["?]', page.html)}
    return found | ({"password"} if page.form_with("username", "password") else set())


@pytest.mark.parametrize(
    ("asked", "offered"),
    [
        (None, {"password", "card", "passkey", "device"}),
        (f"{AAL}2", {"password", "card", "passkey", "device"}),
        (f"{AAL}3", {"password", "card", "passkey"}),
        ("phr", {"password", "card", "passkey"}),
        ("phrh", {"password", "card", "passkey"}),
        (f"phrh {AAL}2", {"password", "card", "passkey", "device"}),
    ],
)
def test_anonymous_login_page_offers_every_sufficient_method(
    card_setup: CardSetup, world: World, asked: str | None, offered: set[str]
) -> None:
    """The same without a session, whoever exists (C67); password beside a security key may reach AAL3."""
    page = Browser(http()).get(world.app().url(acr_values=asked))
    assert page.path == "/login"
    assert offers(page) == offered


def test_step_up_page_offers_the_persons_own_methods(card_setup: CardSetup, world: World, tmp_path: Path) -> None:
    """Signed in with password and code, and the account has a card: only the card is offered, and the page says why."""
    person, _ = world.enrolled()
    card_setup.bind(ALEX, card := card_setup.pki.card(), tmp_path)
    reader = card_setup.reader(card)
    browser = reader.browser()
    person.sign_in(browser, browser.get(f"{ISSUER}/login"))
    app = world.app()
    page = browser.get(app.url(acr_values=f"{AAL}3"), stop_at=CALLBACK)
    assert page.path == "/login"
    assert offers(page) == {"card"}
    assert "needs a stronger sign-in (AAL3; you signed in at AAL2)" in page.html
    page = card_setup.sign_in(browser, page=browser.get(page.link_to("/login/card")), stop_at=CALLBACK)
    page = (
        page
        if page.stopped_at
        else browser.submit(page, page.form_with("decision"), values={"decision": "allow"}, stop_at=CALLBACK)
    )
    assert claims(app.redeem(answer(page)["code"]).json()["id_token"])["acr"] == f"{AAL}3"
    assert "stronger" not in Browser(http()).get(f"{ISSUER}/login").html


def test_weak_login_for_a_strong_request_may_be_declined(card_setup: CardSetup, world: World, tmp_path: Path) -> None:
    """Neither an error at once nor a silent downgrade: the person may go back, and the application gets the true
    error.
    """
    person, _ = world.enrolled()
    card_setup.bind(ALEX, card_setup.pki.card(), tmp_path)
    browser, app = Browser(http()), world.app()
    page = browser.get(app.url(acr_values="phrh"), stop_at=CALLBACK)
    page = browser.submit(
        page, page.form_with("username", "password"), values={"username": person.username, "password": person.password}
    )
    page = browser.submit(page, page.form_with("totp"), values={"totp": person.authenticator.code()}, stop_at=CALLBACK)  # type: ignore[union-attr]
    assert (page.path, page.stopped_at) == ("/login", "")
    assert "proven to be in hardware" in page.html
    assert "Go back to Travel desk without this" in page.html
    form = page.form_to("/consent")
    assert answer(browser.submit(page, form, values={"decision": "cannot"}, stop_at=CALLBACK))["error"] == UNMET
    assert browser.get(f"{ISSUER}/devices").path == "/devices"  # and stays signed in


def test_unreachable_level_is_refused_at_once(world: World) -> None:
    """Ruling 16: password and code alone will never be AAL3."""
    person, _ = world.enrolled()
    came = world.ask(world.app(), Browser(http()), person, acr_values=f"{AAL}3")
    assert came["error"] == UNMET


@pytest.mark.database
@pytest.mark.parametrize("verifies", [True, False])
def test_password_is_offered_where_a_key_beside_it_suffices(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    verifies: bool,  # noqa: FBT001
) -> None:
    """Password + security key reaches what the key's hardware allows; the page says that a code is not enough."""
    maker = Maker()
    monkeypatch.setattr("idp.policies.fido_metadata.known", lambda: passkey_pages.listed(maker))
    person, desktop = world.enrolled()
    key = SoftKey(verifies=verifies, maker=maker)
    assert passkey_pages.register(desktop, key).status == 200
    browser = world.signed_in(person)
    page = browser.get(world.app().url(acr_values="phrh"), stop_at=CALLBACK)
    assert offers(page) == {"password", "passkey"}
    assert "a code from an app is not enough" in page.html


def test_abandoned_reauthentication_leaves_the_session(world: World) -> None:
    """SS-6: `prompt=login` re-authenticates within the flow; a person who leaves it stays signed in (E12)."""
    person, _ = world.enrolled()
    browser = world.signed_in(person)
    before = LoginSession.objects.order_by("-created_at")[0].event_id
    assert browser.get(world.app().url(prompt="login"), stop_at=CALLBACK).path == "/login"
    assert browser.get(f"{ISSUER}/devices").path == "/devices"
    assert LoginSession.objects.order_by("-created_at")[0].event_id == before


@pytest.mark.parametrize(
    ("limit", "pause", "again"),
    [
        ({"most_session": timedelta(minutes=30)}, timedelta(minutes=29), False),
        ({"most_session": timedelta(minutes=30)}, timedelta(minutes=31), True),
        ({"most_idle": timedelta(minutes=10)}, timedelta(minutes=9), False),
        ({"most_idle": timedelta(minutes=10)}, timedelta(minutes=11), True),
    ],
)
def test_client_may_require_fresher_logins(
    world: World,
    limit: dict[str, Any],
    pause: timedelta,
    again: bool,  # noqa: FBT001
) -> None:
    """SS-1: stricter per client, in GET and POST alike; another client goes on with the same session."""
    person, _ = world.enrolled()
    browser, strict, easy = world.signed_in(person), world.app(**limit), world.app(name="Canteen")
    with time_machine.travel(clock.now() + pause, tick=True):
        page = browser.get(strict.url(), stop_at=CALLBACK)
        assert (page.path == "/login") == again
        came = (
            answer(browser.get(strict.url(prompt="none"), stop_at=CALLBACK))
            if again and "most_session" in limit
            else {"error": "login_required"}
        )
        assert came["error"] == "login_required"
        assert browser.get(easy.url(), stop_at=CALLBACK).path != "/login"


def test_new_login_at_aal2_lowers_an_aal3_session(card_setup: CardSetup, world: World, tmp_path: Path) -> None:
    """AS-4: never a sum of old cookies."""
    person, _ = world.enrolled()
    card_setup.bind(ALEX, card := card_setup.pki.card(), tmp_path)
    browser = card_setup.reader(card).browser()
    card_setup.sign_in(browser)
    app = world.app()
    page = browser.get(app.url(prompt="login"), stop_at=CALLBACK)
    page = person.sign_in(browser, page, stop_at=CALLBACK)
    assert claims(app.redeem(answer(page)["code"]).json()["id_token"])["aal"] == 2
    assert answer(browser.get(app.url(acr_values=f"{AAL}3", prompt="none"), stop_at=CALLBACK))["error"] == UNMET
