"""Guesses: per network, per known browser, and the hundredth in a row (C57, C58, C67; TH-1, TH-5; rulings 13, 33)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import time_machine

from demo.browser import Browser
from derived import clock
from derived.models import Credential, Event
from idp.login import throttle
from tests.webauthn import life
from tests.webauthn.authenticator import SoftKey
from tests.world import ISSUER, http

if TYPE_CHECKING:
    from demo.browser import Page
    from demo.person import Person
    from tests.world import World

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def guess(browser: Browser, username: str, password: str = "wrong wrong wrong") -> Page:
    page = browser.get(f"{ISSUER}/login")
    return browser.submit(
        page, page.form_with("username", "password"), values={"username": username, "password": password}
    )


def test_spraying_from_one_network_runs_into_the_brake(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """C57: one try each at many names; then even a right password has to wait there, from a browser that nobody knows."""
    monkeypatch.setattr(throttle, "MOST_OF_A_NETWORK", 6)
    person, _ = world.enrolled()
    statuses = [guess(Browser(http()), f"nobody-{number}@example.org").status for number in range(8)]
    assert statuses == [400] * 6 + [429] * 2
    assert guess(Browser(http()), person.username, person.password).status == 429
    with time_machine.travel(clock.now() + throttle.WINDOW + timedelta(seconds=1), tick=True):
        assert guess(Browser(http()), person.username, person.password).path == "/login/totp"


def test_a_stranger_does_not_hold_up_a_browser_that_the_person_has_used(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ruling 13: also when their network is braked; and a cookie of one account is none of another."""
    monkeypatch.setattr(throttle, "MOST_OF_A_NETWORK", 4)
    (alex, desk), (_, other) = world.enrolled(), world.enrolled("sam@example.org")
    for number in range(6):
        guess(Browser(http()), f"nobody-{number}@example.org")
    assert guess(Browser(http()), alex.username, alex.password).status == 429
    assert guess(other, alex.username, alex.password).status == 429
    assert guess(desk, alex.username, alex.password).path == "/login/totp"


def test_people_who_sign_in_are_not_counted_as_guesses(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """An office behind one address at nine in the morning."""
    monkeypatch.setattr(throttle, "MOST_OF_A_NETWORK", 3)
    person, _ = world.enrolled()
    with time_machine.travel(clock.now(), tick=True) as traveller:
        for _ in range(6):
            traveller.shift(timedelta(seconds=31))
            assert world.signed_in(person)


def exhaust(person: Person) -> None:
    """Ninety-nine wrong guesses, already made."""
    Credential.objects.filter(account__person__login_name=person.username, kind="password_totp").update(failures=99)


def test_the_hundredth_wrong_guess_is_told_once(world: World) -> None:
    """TH-1: one Event, one mail to each address, with a link that freezes; the key still signs in (C58)."""
    person, desktop = world.enrolled()
    key = SoftKey()
    assert life.register(desktop, key).status == 200
    exhaust(person)
    for _ in range(3):
        assert guess(Browser(http()), person.username).status == 400
    row = Credential.objects.get(kind="password_totp")
    assert row.failures == 100
    assert Event.objects.filter(kind="credential.disabled", credential=row).count() == 1
    told = world.mails(subject="switched off")
    assert sorted(mail.to[0] for mail in told) == sorted({mail.to[0] for mail in told})
    assert {person.username, f"home.{person.username}"} == {mail.to[0] for mail in told}
    assert "/undo/" in told[0].body
    assert guess(Browser(http()), person.username, person.password).status == 400
    assert life.sign_in(life.stranger(), key).path == "/devices"
    row.refresh_from_db()
    assert row.failures == 100  # TH-5: another authenticator's success resets nothing of this one


def test_a_right_hundredth_guess_is_no_end(world: World) -> None:
    """Counted before it is looked at, and given back."""
    person, _ = world.enrolled()
    exhaust(person)
    assert guess(Browser(http()), person.username, person.password).path == "/login/totp"
    assert not Event.objects.filter(kind="credential.disabled").exists()
    assert Credential.objects.get(kind="password_totp").failures == 99
