"""Strangers slow strangers, and disable nothing for the person (ruling 33, TH-1 to TH-5)."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import TYPE_CHECKING

import httpx
import pytest
import time_machine
from django.core.management import CommandError, call_command

from demo.authenticator import Authenticator
from demo.browser import Browser
from derived import clock
from derived.models import Credential, Event
from idp.login import throttle
from idp.models import Throttle
from tests.fixtures import passkey_pages
from tests.fixtures.in_process import InProcess
from tests.fixtures.signing_in import guess
from tests.fixtures.software_authenticator import SoftKey
from tests.fixtures.world import ISSUER, http

if TYPE_CHECKING:
    from demo.person import Person
    from tests.fixtures.world import World

pytestmark = pytest.mark.django_db
NOON = "2026-11-23T12:00:00Z"


def at(address: str) -> Browser:
    """A browser that nobody knows, at this address."""
    return Browser(httpx.Client(transport=InProcess(address), base_url=ISSUER))


def signed_out(browser: Browser) -> Browser:
    page = browser.get(f"{ISSUER}/oidc/logout")
    browser.submit(page, page.form_to("confirmed"))
    return browser


def attacked(person: Person, *, networks: int = 20, each: int = 6) -> Credential:
    """Wrong passwords from many networks, over hours; the row that they are counted on."""
    with time_machine.travel(clock.now(), tick=True) as traveller:
        for number in range(networks * each):
            assert guess(at(f"198.51.{number % networks}.7"), person.username, f"wrong guess {number}").status in {
                400,
                429,
            }
            if number % networks == 0:
                traveller.shift(timedelta(minutes=16))
    return Credential.objects.get(kind="password_totp", account__person__login_name=person.username)


def test_the_persons_own_browser_signs_in_after_a_hundred_and_twenty_wrong_guesses(world: World) -> None:
    """Ruling 33: from twenty networks; the right password and code, where the person has signed in before, and it is
    on again.
    """
    person, desk = world.enrolled()
    signed_out(desk)
    row = attacked(person)
    assert row.failures == 100
    with time_machine.travel(clock.now() + timedelta(days=1), tick=True):
        assert (
            guess(at("203.0.113.7"), person.username, person.password).status == 400
        )  # off, where nobody knows the browser
        page = guess(desk, person.username, person.password)
        assert page.path == "/login/totp", page.words()
        page = person.sign_in(desk, page)
        assert page.path == "/devices", page.words()
        assert "100 wrong tries" in page.html
        assert "100 wrong tries" not in desk.get(f"{ISSUER}/devices").html
        row.refresh_from_db()
        assert row.failures == 0
        kinds = list(
            Event.objects.filter(credential=row, kind__startswith="credential.").values_list("kind", flat=True)
        )
        assert kinds.count("credential.disabled") == kinds.count("credential.enabled") == 1
        assert guess(at("203.0.113.7"), person.username, person.password).path == "/login/totp"


def test_wrong_guesses_in_the_persons_own_browser_are_counted_there(world: World) -> None:
    """63B: a hundred in a row are a hundred in that browser too, and days do not wash them away; then it is like any
    other.
    """
    person, desk = world.enrolled()
    signed_out(desk)
    row = Credential.objects.get(kind="password_totp")
    with time_machine.travel(clock.now(), tick=True) as traveller:
        for number in range(7):
            traveller.shift(timedelta(hours=25))
            guess(desk, person.username, f"wrong guess {number}")
        row.refresh_from_db()
        assert row.failures == 0
        key = throttle._browser_guesses(_request(desk), row)
        assert Throttle.objects.get(key=key).failures == 7
        assert Throttle.objects.get(key=key).seen_at > clock.now() + timedelta(days=100)
        Throttle.objects.filter(key=key).update(failures=100)
        traveller.shift(timedelta(hours=25))
        guess(desk, person.username, "wrong guess")
        row.refresh_from_db()
        assert row.failures == 1


def _request(browser: Browser) -> object:
    from django.test import RequestFactory

    request = RequestFactory().get("/login")
    request.COOKIES.update(dict(browser._http.cookies))
    return request


def test_another_authenticator_switches_it_on_again(world: World) -> None:
    """Ruling 33: signed in with a passkey, the person presses the button in My devices."""
    person, desk = world.enrolled()
    key = SoftKey()
    assert passkey_pages.register(desk, key).status == 200
    row = attacked(person)
    other = passkey_pages.stranger()
    page = passkey_pages.sign_in(other, key)
    assert "switched it off" in page.html
    page = other.submit(page, page.form_to(f"{row.id}/enable"))
    assert "signs in again" in page.html
    assert "switched it off" not in page.html
    row.refresh_from_db()
    assert row.failures == 0
    with time_machine.travel(clock.now() + timedelta(days=1), tick=True):
        assert guess(at("203.0.113.9"), person.username, person.password).path == "/login/totp"


def test_nobody_elses_authenticator_is_switched_on(world: World) -> None:
    """I7: the button of another person's page does nothing here."""
    person, _ = world.enrolled()
    row = attacked(person)
    _, other = world.enrolled("sam@example.org")
    page = other.get(f"{ISSUER}/devices")
    form = page.form_to("/devices/add")
    sent = other._http.post(f"{ISSUER}/devices/roots/{row.id}/enable", data=form.fields)
    assert sent.status_code == 404
    row.refresh_from_db()
    assert row.failures == 100


@pytest.mark.database
def test_a_recovery_code_leads_back_without_a_known_browser(world: World) -> None:
    """Ruling 33, RC-1: user name, password and code on one page; a new app, and the old pair has ended."""
    person, _ = world.enrolled()
    codes = list(person.recovery_codes)
    row = attacked(person)
    with time_machine.travel(clock.now() + timedelta(days=1), tick=True):
        browser = at("203.0.113.11")
        page = browser.get(f"{ISSUER}/login")
        page = browser.get(f"{ISSUER}/login/recover")
        for values in (
            {"username": person.username, "password": "wrong", "code": codes[0]},
            {"username": person.username, "password": person.password, "code": "AAAA-AAAA-AAAA-AAAA"},
            {"username": "nobody@example.org", "password": person.password, "code": codes[0]},
        ):
            page = browser.submit(page, page.form_with("username", "code"), values=values)
            assert page.status == 400
            assert "do not go together" in page.html
        values = {"username": person.username, "password": person.password, "code": codes[0]}
        page = browser.submit(page, page.form_with("username", "code"), values=values)
        assert page.path == "/login/recover/totp", page.words()
        app = (
            Authenticator.from_page(page)
            if hasattr(Authenticator, "from_page")
            else Authenticator(page.by_id("totp-secret"))
        )
        page = browser.submit(page, page.form_with("totp"), values={"totp": app.code()})
        assert "recovery" in page.html.lower()
    row.refresh_from_db()
    assert row.state == "revoked"


def test_a_recovery_code_is_not_put_off_by_strangers_of_the_network(world: World) -> None:
    """Wrong passwords and wrong codes of a stranger in the same /24 delay strangers, not the holder of a code."""
    person, _ = world.enrolled()
    code = person.recovery_codes[0]
    stranger = at("203.0.113.5")
    for _ in range(8):
        guess(stranger, person.username)
    page = stranger.get(f"{ISSUER}/login/recover")
    wrong = {"username": person.username, "password": person.password, "code": "AAAA-AAAA-AAAA-AAAA"}
    assert stranger.submit(page, page.form_with("username", "code"), values=wrong).status == 429
    browser = at("203.0.113.11")
    page = browser.get(f"{ISSUER}/login/recover")
    values = {**wrong, "code": code}
    page = browser.submit(page, page.form_with("username", "code"), values=values)
    assert page.path == "/login/recover/totp", page.words()


def test_an_operators_verb_switches_it_on_again(world: World) -> None:
    """Ruling 33: `manage.py credential enable ID`, recorded; not twice."""
    person, _ = world.enrolled()
    row = attacked(person)
    said = StringIO()
    call_command("credential", "enable", str(row.id), stdout=said)
    assert "is on again" in said.getvalue()
    row.refresh_from_db()
    assert row.failures == 0
    assert Event.objects.filter(kind="credential.enabled", credential=row, actor="operator").count() == 1
    with pytest.raises(CommandError, match="is not disabled"):
        call_command("credential", "enable", str(row.id), stdout=said)


@pytest.mark.database
def test_a_right_password_never_lengthens_a_wait(world: World) -> None:
    """Ruling 33: one wrong password, one wrong code, one wrong recovery code; then the right password as often as
    one likes.
    """
    with time_machine.travel(NOON, tick=False) as now:
        person, _ = world.enrolled()
        browser = at("203.0.113.5")
        guess(browser, person.username)
        page = guess(browser, person.username, person.password)
        page = browser.submit(page, page.form_with("totp"), values={"totp": "000000"})
        page = browser.get(f"{ISSUER}/login/recover")
        browser.submit(page, page.form_with("code"), values={"code": "AAAA-AAAA-AAAA-AAAA"})
        for number in range(20):
            page = guess(browser, person.username, person.password)
            assert page.path == "/login/totp", (number, page.words())
        now.shift(timedelta(minutes=2))
        assert person.sign_in(browser, page).path == "/devices"


@pytest.mark.database
def test_a_right_password_takes_back_only_its_own_count(world: World) -> None:
    """Six wrong guesses and a right one leave the wait of the six."""
    with time_machine.travel(NOON, tick=False) as now:
        person, _ = world.enrolled()
        for number in range(5):
            guess(at("203.0.113.5"), person.username, f"wrong {number}")
        assert guess(at("203.0.113.5"), person.username, person.password).path == "/login/totp"
        assert guess(at("203.0.113.5"), person.username, "wrong").status == 400
        assert guess(at("203.0.113.5"), person.username, person.password).status == 429
        now.shift(timedelta(seconds=3))
        assert guess(at("203.0.113.5"), person.username, person.password).path == "/login/totp"


def test_a_wait_is_told_in_seconds(world: World) -> None:
    """A person knows when to try again, and so does a program (Retry-After)."""
    with time_machine.travel(NOON, tick=False):
        person, _ = world.enrolled()
        for number in range(7):
            guess(at("203.0.113.5"), person.username, f"wrong {number}")
        browser = at("203.0.113.5")
        page = browser.get(f"{ISSUER}/login")
        fields = {
            **page.form_with("username", "password").fields,
            "username": person.username,
            "password": person.password,
        }
        answer = browser._http.post(f"{ISSUER}/login", data=fields)
        assert answer.status_code == 429
        assert f"Wait {answer.headers['Retry-After']} seconds" in answer.text
        assert int(answer.headers["Retry-After"]) == 2


def test_fifty_networks_of_one_allocation_are_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A /48 is given to one customer: its /56 networks share one brake, and nobody else's sign-in feels it."""
    monkeypatch.setattr(throttle, "MOST_OF_A_NETWORK", 10)
    person, _ = world.enrolled()
    statuses = [guess(at(f"2001:db8:7:{number:x}00::1"), f"nobody-{number}@example.org").status for number in range(50)]
    assert statuses == [400] * 10 + [429] * 40
    assert guess(at("2001:db8:8::1"), person.username, person.password).path == "/login/totp"
    assert guess(at("203.0.113.5"), person.username, person.password).path == "/login/totp"


def test_many_networks_do_not_brake_the_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never per victim: however many networks guess, one that does not is not held up."""
    monkeypatch.setattr(throttle, "MOST_OF_A_NETWORK", 3)
    person, _ = world.enrolled()
    for number in range(60):
        guess(at(f"198.{51 + number % 20}.100.7"), f"nobody-{number}@example.org")
    assert guess(at("203.0.113.5"), person.username, person.password).path == "/login/totp"
    assert http()
