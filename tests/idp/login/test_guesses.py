"""Guesses: per network, per known browser, and the hundredth in a row (C57, C58, C67; TH-1, TH-5; rulings 13, 33)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from demo.browser import Browser
from derived import clock
from derived.models import Credential, Event
from device.errors import ProtocolError
from idp.login import throttle
from idp.models import Throttle as ThrottleRow
from tests.fixtures import passkey_pages
from tests.fixtures.signing_in import guess, try_password
from tests.fixtures.software_authenticator import SoftKey
from tests.fixtures.world import ISSUER, http

if TYPE_CHECKING:
    from demo.person import Person
    from tests.fixtures.world import World

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def test_password_spraying_is_throttled_by_network(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """C57: one try each at many names; then even a right password has to wait there, from an unknown browser."""
    monkeypatch.setattr(throttle, "MOST_OF_A_NETWORK", 6)
    person, _ = world.enrolled()
    statuses = [guess(Browser(http()), f"nobody-{number}@example.org").status for number in range(8)]
    assert statuses == [400] * 6 + [429] * 2
    assert guess(Browser(http()), person.username, person.password).status == 429
    with time_machine.travel(clock.now() + throttle.WINDOW + timedelta(seconds=1), tick=True):
        assert guess(Browser(http()), person.username, person.password).path == "/login/totp"


def test_known_browser_is_not_throttled_by_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ruling 13: also under the global throttle; and a cookie of one account does not help for another."""
    monkeypatch.setattr(throttle, "MOST_OF_A_NETWORK", 4)
    (alex, desk), (_, other) = world.enrolled(), world.enrolled("sam@example.org")
    for number in range(6):
        guess(Browser(http()), f"nobody-{number}@example.org")
    assert guess(Browser(http()), alex.username, alex.password).status == 429
    assert guess(other, alex.username, alex.password).status == 429
    assert guess(desk, alex.username, alex.password).path == "/login/totp"


def test_successful_logins_are_not_counted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """An office behind one address at nine in the morning."""
    monkeypatch.setattr(throttle, "MOST_OF_A_NETWORK", 3)
    person, _ = world.enrolled()
    with time_machine.travel(clock.now(), tick=True) as traveller:
        for _ in range(6):
            traveller.shift(timedelta(seconds=31))
            assert world.signed_in(person)


def test_login_that_was_not_counted_lowers_no_count(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """C57: logins in a known browser raise no counter, so repeating them frees no guess at other names."""
    monkeypatch.setattr(throttle, "MOST_OF_A_NETWORK", 4)
    person, desk = world.enrolled()
    seconds = throttle.WINDOW.total_seconds()
    with time_machine.travel((clock.now().timestamp() // seconds + 1) * seconds, tick=True) as traveller:
        statuses = []
        for number in range(6):
            traveller.shift(timedelta(seconds=31))
            page = person.sign_in(desk, desk.get(f"{ISSUER}/login"))
            assert page.path == "/devices", page.words()
            statuses.append(guess(Browser(http()), f"nobody-{number}@example.org").status)
    assert statuses == [400] * 4 + [429] * 2


def exhaust(person: Person) -> None:
    """Ninety-nine wrong guesses, already made."""
    Credential.objects.filter(account__person__login_name=person.username, kind="password_totp").update(failures=99)


def test_hundredth_wrong_guess_is_notified_once(world: World) -> None:
    """TH-1: one Event, one mail to each address, with a link that freezes; the key still signs in (C58)."""
    person, desktop = world.enrolled()
    key = SoftKey()
    assert passkey_pages.register(desktop, key).status == 200
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
    assert passkey_pages.sign_in(passkey_pages.stranger(), key).path == "/devices"
    row.refresh_from_db()
    assert row.failures == 100  # TH-5: another authenticator's success resets nothing of this one


def test_right_hundredth_guess_does_not_disable(world: World) -> None:
    """Counted before it is looked at, and given back."""
    person, _ = world.enrolled()
    exhaust(person)
    assert guess(Browser(http()), person.username, person.password).path == "/login/totp"
    assert not Event.objects.filter(kind="credential.disabled").exists()
    assert Credential.objects.get(kind="password_totp").failures == 99


NOON = "2026-11-23T12:00:00Z"


PASSPHRASE = "seven mossy stones"


AAL3 = "http://idmanagement.gov/ns/assurance/aal/3"


def test_password_guesses_do_not_throttle_the_phone(world: World) -> None:
    """Ruling 13: requests without the device key count nothing against the device, from the same network either."""
    with time_machine.travel(NOON, tick=False):
        person, desktop = world.enrolled()
        app = world.phone_app()
        phone = world.device(desktop)
        for _ in range(8):
            try_password(Browser(http()), person.username)
        assert phone.login(app.client_id, passphrase=PASSPHRASE).token_type == "DPoP"


def test_device_login_does_not_reset_password_guesses(world: World) -> None:
    """TH-3: a success with the device's passphrase says nothing about who guesses at the password."""
    with time_machine.travel(NOON, tick=False):
        person, desktop = world.enrolled()
        app = world.phone_app()
        phone = world.device(desktop)
        for _ in range(5):
            try_password(Browser(http()), person.username)
        phone.login(app.client_id, passphrase=PASSPHRASE)
        assert [try_password(Browser(http()), person.username).status for _ in range(2)] == [400, 429]


def test_refused_level_does_not_count_as_a_wrong_passphrase(world: World) -> None:
    """TH-1: an app that asks for AAL3 again and again must not disable the device."""
    _, desktop = world.enrolled()
    app = world.phone_app()
    phone = world.device(desktop)
    for _ in range(3):
        with pytest.raises(ProtocolError, match="unmet"):
            phone.login(app.client_id, passphrase=PASSPHRASE, acr_values=AAL3)
    assert Credential.objects.get(kind="device_key").failures == 0


def test_disabled_device_key_is_refused(world: World) -> None:
    """TH-1, TH-2, ruling 13: a hundred wrong guesses at one factor disable both: the key as well as its passphrase."""
    _, desktop = world.enrolled()
    app = world.phone_app()
    phone = world.device(desktop)
    phone.login(app.client_id, passphrase=PASSPHRASE)
    Credential.objects.filter(kind="device_key").update(failures=throttle.MOST_FAILURES)
    with pytest.raises(ProtocolError, match="invalid_grant"):
        phone.login(app.client_id, passphrase=None)


def test_concurrent_successes_do_not_fail(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """P53: the row of a place may be forgiven by another request between any two statements."""
    key, now = "k" * 64, clock.now()
    real = ThrottleRow.objects.get_or_create

    def forgiven_meanwhile(**values: Any) -> Any:
        found = real(**values)
        throttle.reset_backoff(key)
        return found

    monkeypatch.setattr(ThrottleRow.objects, "get_or_create", forgiven_meanwhile)
    throttle.count_attempt(key, now=now)
    assert not ThrottleRow.objects.filter(key=key).exists()


def test_free_tries_at_once_do_not_wait_for_each_other(world: World) -> None:
    """The second may have read its clock before the first one has, and may come before its forgiveness or after."""
    now, later = clock.now(), timedelta(milliseconds=3)
    first = throttle.count_attempt("a" * 64, now=now + later)
    assert throttle.count_attempt("a" * 64, now=now).failures == 2
    throttle.take_back(first, now=now + 2 * later)
    again = throttle.count_attempt("b" * 64, now=now + later)
    throttle.take_back(again, now=now + 2 * later)
    assert throttle.count_attempt("b" * 64, now=now).failures == 1


def test_attempt_is_admitted_and_counted_in_one_transaction(world: World) -> None:
    """P53: parallel tries must not all pass before the first one starts the wait."""
    key, now = "k" * 64, clock.now()
    for _ in range(throttle.FREE_TRIES):
        throttle.count_attempt(key, now=now)
    with CaptureQueriesContext(connection) as seen:
        throttle.count_attempt(key, now=now)
    writes = [one["sql"] for one in seen.captured_queries if one["sql"].startswith("UPDATE")]
    assert len(writes) == 1, writes
    assert ThrottleRow.objects.get(key=key).until > now


def test_spellings_of_a_name_share_one_counter(world: World) -> None:
    """C67, P53: an unknown name is throttled in all its spellings, like a known one."""
    world.enrolled()
    with time_machine.travel(NOON, tick=False):
        for name, other in (
            ("alex@example.org", "\uff41lex@example.org"),
            ("nobody@example.org", "\uff4eobody@example.org"),
        ):
            for _ in range(6):
                try_password(Browser(http()), name)
            assert try_password(Browser(http()), other).status == 429, name


def test_wrong_guess_writes_the_same_for_unknown_names(world: World) -> None:
    """C67, P54: one more commit would be visible in the response time."""
    world.enrolled()
    try_password(
        Browser(http()), "first@example.org"
    )  # the counters of the network and the house begin with whoever comes first
    writes = []
    for name in ("alex@example.org", "nobody@example.org"):
        browser = Browser(http())
        page = browser.get(f"{ISSUER}/login")
        with CaptureQueriesContext(connection) as seen:
            browser.submit(page, page.forms()[0], values={"username": name, "password": "a wrong guess"})
        verbs = [one["sql"].split()[0] for one in seen.captured_queries]
        writes.append(sorted(verb for verb in verbs if verb in {"INSERT", "UPDATE", "DELETE"}))
    assert writes[0] == writes[1]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("::ffff:192.0.2.7", "::ffff:198.51.100.7", False),
        ("::ffff:192.0.2.7", "192.0.2.9", True),
        ("fe80::1%eth0", "fe80::2", True),
    ],
)
def test_network_of_mapped_and_scoped_addresses(one: str, other: str, *, same: bool) -> None:
    """Ruling 13: behind a dual-stack socket all of IPv4 must not be one network, and a zone is no error."""
    from django.test import RequestFactory

    from idp.edge import caller

    def network(address: str) -> str:
        request = RequestFactory().get("/login", REMOTE_ADDR=address)
        request.META["ramet.peer"] = caller.address(request.META)
        return throttle.network(request)

    assert (network(one) == network(other)) is same


def test_browser_that_accepted_the_invitation_is_known(world: World) -> None:
    """Ruling 13: a stranger in the same network does not slow the person in the browser where they enrolled."""
    with time_machine.travel(NOON, tick=False) as now:
        person, desktop = world.enrolled()
        now.shift(60)
        for _ in range(8):
            try_password(Browser(http()), person.username)
        assert try_password(desktop, person.username, person.password).path == "/login/totp"
