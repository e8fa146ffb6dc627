"""The whole life of a key over HTTP: bound, used, copied, locked out, replayed (AU-1, AU-4, C58 to C61, PK-1, PK-2,
P2).
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import time_machine

from derived import clock
from derived.changes import revoke
from derived.errors import Reason, Refused
from derived.ledger.locking import under_lock
from derived.minting import passkey as webauthn
from derived.minting.fido.metadata import Metadata, ModelPolicy
from derived.models import Account, Credential, Event, Passkey
from idp.enrol.roots import passkeys
from idp.login.passkey import _claim, ceremony_parameters
from idp.login.session import end
from idp.models import AuthenticationEvent, Ceremony, Invitation, LoginSession, Throttle
from tests.fixtures import passkey_pages
from tests.fixtures.passkey_pages import (
    ADD,
    LOGIN,
    SECOND,
    asked,
    newest_event,
    register,
    second,
    sent,
    sign_in,
    stranger,
)
from tests.fixtures.software_authenticator import BE, UP, UV, Maker, SoftKey, b64
from tests.fixtures.world import AAL, CALLBACK, ISSUER, claims

if TYPE_CHECKING:
    from collections.abc import Callable

    from demo.browser import Browser
    from demo.person import Person
    from tests.fixtures.world import World

pytestmark = pytest.mark.django_db
NOON = "2026-11-24T12:00:00Z"


@pytest.fixture
def maker(monkeypatch: pytest.MonkeyPatch) -> Maker:
    """A maker whose model FIDO knows as a good one."""
    made = Maker()
    monkeypatch.setattr("idp.policies.fido_metadata.known", lambda: passkey_pages.listed(made))
    return made


def account_of(person: Person) -> Account:
    return Account.objects.get(person__login_name=person.username)


def key_row() -> Credential:
    return Credential.objects.filter(kind="passkey").latest("created_at")


# --- binding ----------------------------------------------------------------------------------------------------------


def test_passkey_is_bound_under_a_login_and_signs_in(world: World) -> None:
    """The ledger records its properties, every address is notified, and it signs in alone (BI-6, NT-1)."""
    person, desktop = world.enrolled()
    key = SoftKey()
    page = register(desktop, key, name="Blue key")
    assert page.path == f"/devices/roots/passkey/{key_row().id}", page.words()
    assert "“Blue key” is worth AAL2" in page.html
    row = key_row()
    assert (row.aal, row.state, row.root_id, row.account) == (2, "active", None, account_of(person))
    assert (row.passkey.user_verified, row.passkey.backup_eligible, row.passkey.attested, row.passkey.hardware) == (
        True,
        False,
        False,
        False,
    )
    assert (row.evidence["bound_by"], row.evidence["login_aal"], row.evidence["exportable"]) == ("login", 2, "unproven")
    assert [mail.to[0] for mail in world.mails(subject="")].count(person.username) >= 2
    browser = stranger()
    assert sign_in(browser, key).path == "/devices"
    event = newest_event()
    assert (event.credential_id, event.aal, event.root, event.beside_id) == (row.id, 2, True, None)


def test_options_exclude_every_existing_key(world: World) -> None:
    """`excludeCredentials` holds all of them, and the user handle is opaque: the account's id, not a name."""
    person, desktop = world.enrolled()
    keys = [SoftKey(), SoftKey()]
    for key in keys:
        assert register(desktop, key).status == 200
    options = asked(desktop, desktop.get(ADD), f"{ISSUER}/devices/roots/passkey/options")
    assert {one["id"] for one in options["excludeCredentials"]} == {b64(key.raw_id) for key in keys}
    assert options["user"]["id"] == b64(account_of(person).id.bytes)
    assert options["attestation"] == "direct"


def test_key_is_registered_once_ever(world: World) -> None:
    """Again by the same person, by another person, and after it was revoked: refused (C5)."""
    _, desktop = world.enrolled()
    _, other = world.enrolled("robin@example.org")
    key = SoftKey()
    assert register(desktop, key).status == 200
    assert register(desktop, key).status == 409
    assert register(other, key).status == 409
    row = key_row()
    under_lock(
        row.account_id,
        lambda locked: revoke.credential(
            row, account=locked, because=Reason.REMOVED_BY_PERSON, now=clock.now(), actor="person"
        ),
    )
    assert register(other, key).status == 409
    assert Passkey.objects.count() == 1


@pytest.mark.parametrize("late", [timedelta(minutes=20, seconds=1), timedelta(minutes=59)])
def test_binding_needs_a_fresh_login(world: World, late: timedelta) -> None:
    """P2, AU-8: before the options, at the options and at the end."""
    with time_machine.travel(NOON, tick=False) as time:
        _, desktop = world.enrolled()
        page = desktop.get(ADD)
        options = asked(desktop, page, f"{ISSUER}/devices/roots/passkey/options")
        time.shift(late)
        assert sent(desktop, page, SoftKey().create(options)).path == "/login"
        assert passkey_pages.fetched(desktop, page, f"{ISSUER}/devices/roots/passkey/options").status_code == 403
        assert "last 20 minutes" in desktop.get(ADD).html
    assert not Passkey.objects.exists()


def test_binding_needs_a_login(world: World) -> None:
    """At the page, at the options and at the end."""
    assert stranger().get(ADD).path == "/login"
    browser = stranger()
    page = browser.get(LOGIN)
    assert passkey_pages.fetched(browser, page, f"{ISSUER}/devices/roots/passkey/options").status_code == 403


def test_attested_key_under_an_aal3_login_is_aal3(world: World, maker: Maker) -> None:
    """PK-2: attested, non-exportable, and bound under AAL3; unattested under the same login stays AAL2."""
    person, desktop = world.enrolled()
    passkey_pages.with_card(account_of(person))
    assert "is worth AAL3" in register(desktop, SoftKey(maker=maker)).html
    assert (key_row().aal, key_row().passkey.hardware, key_row().evidence["listed_as"]) == (3, True, maker.aaguid)
    assert "is worth AAL2" in register(desktop, SoftKey()).html
    assert "is worth AAL2" in register(desktop, SoftKey(maker=Maker())).html


def test_attested_key_under_an_aal2_login_is_aal2(world: World, maker: Maker) -> None:
    """Ruling 5, trap 9: where the account reaches no more, it is bound, and capped at the login that bound it."""
    _, desktop = world.enrolled()
    key = SoftKey(maker=maker)
    assert "is worth AAL2" in register(desktop, key).html
    assert (key_row().aal, key_row().passkey.hardware) == (2, True)
    sign_in(stranger(), key)
    assert newest_event().aal == 2


def test_aal3_key_in_an_aal3_account_needs_an_aal3_login(world: World, maker: Maker) -> None:
    """AU-1: the key turns out to reach AAL3 only when it answers, so the gate is asked again; a weaker key may be
    bound.
    """
    person, desktop = world.enrolled()
    passkey_pages.card(account_of(person))
    page = register(desktop, SoftKey(maker=maker))
    assert page.path == "/login"
    assert "This account can reach AAL3" in page.html
    assert not Passkey.objects.exists()
    assert "is worth AAL2" in register(desktop, SoftKey()).html


def test_level_of_a_key_is_shown_to_its_owner_only(world: World) -> None:
    """BI-6: and to nobody else."""
    _, desktop = world.enrolled()
    _, other = world.enrolled("robin@example.org")
    register(desktop, SoftKey(verifies=False))
    url = f"{ISSUER}/devices/roots/passkey/{key_row().id}"
    assert "Alone it is one factor" in desktop.get(url).html
    assert other.get(url).status == 404
    mine = Credential.objects.get(kind="password_totp", account=key_row().account)
    assert desktop.get(f"{ISSUER}/devices/roots/passkey/{mine.id}").status == 404
    assert stranger().get(url).path == "/login"


# --- what a login with it is worth ------------------------------------------------------------------------------------

ROWS: dict[str, tuple[Callable[[Maker], SoftKey], bool, int, set[str], bool]] = {
    # key, with the password, AAL, amr, phrh
    "UV=1, BE=0, attested hardware": (lambda maker: SoftKey(maker=maker), False, 3, {"hwk", "user", "mfa"}, True),
    "UV=1, BE=0, no attestation": (lambda _: SoftKey(), False, 2, {"pop", "user", "mfa"}, False),
    "UV=1, BE=0, self attestation": (lambda _: SoftKey(self_attests=True), False, 2, {"pop", "user", "mfa"}, False),
    "UV=1, BE=0, an unknown maker": (lambda _: SoftKey(maker=Maker()), False, 2, {"pop", "user", "mfa"}, False),
    "UV=1, BE=1": (lambda maker: SoftKey(maker=maker, synced=True), False, 2, {"pop", "user", "mfa"}, False),
    "UV=0 alone": (lambda _: SoftKey(verifies=False), False, 1, {"pop", "user"}, False),
    "UV=0 alone, attested": (lambda maker: SoftKey(verifies=False, maker=maker), False, 1, {"pop", "user"}, True),
    "UV=0 with password": (
        lambda _: SoftKey(verifies=False, resident=False),
        True,
        2,
        {"pop", "user", "pwd", "mfa"},
        False,
    ),
    "UV=0 with password, attested": (
        lambda maker: SoftKey(verifies=False, maker=maker),
        True,
        3,
        {"pop", "user", "pwd", "mfa"},
        True,
    ),
    "UV=1 with password": (lambda _: SoftKey(), True, 2, {"pop", "user", "pwd", "mfa"}, False),
}


@pytest.mark.database
@pytest.mark.parametrize("row", ROWS)
def test_id_token_carries_the_level_of_the_credential(world: World, maker: Maker, row: str) -> None:
    """Each WebAuthn row of standards.md's look-up, with every key bound under AAL3 (AU-4, PK-1, PK-2, C60, TK-3)."""
    make, with_password, level, amr, hardware = ROWS[row]
    app = world.app()
    person, desktop = world.enrolled()
    passkey_pages.with_card(account_of(person))
    key = make(maker)
    assert register(desktop, key).status == 200
    browser = stranger()
    page = browser.get(app.url(), stop_at=CALLBACK)
    assert page.path == "/login"
    if with_password:
        page = second(browser, person, key, page=page, stop_at=CALLBACK)
    else:
        page = sign_in(browser, key, page=page, stop_at=CALLBACK)
    assert page.stopped_at, page.words()
    code = dict(one.split("=", 1) for one in page.stopped_at.split("?", 1)[1].split("&"))["code"]
    found = claims(app.redeem(code).json()["id_token"])
    assert (found["acr"], set(found["amr"])) == (f"{AAL}{level}", amr)
    event = newest_event()
    assert (event.phishing_resistant, event.hardware, event.beside_id is not None) == (True, hardware, with_password)


def test_single_factor_login_changes_nothing(world: World) -> None:
    """A UV=0 login is AAL1: no key, no device (EL-1)."""
    _, desktop = world.enrolled()
    key = SoftKey(verifies=False)
    register(desktop, key)
    browser = stranger()
    assert sign_in(browser, key).path == "/devices"
    page = browser.get(ADD)
    assert page.path == "/login"
    assert "two factors" in page.html


# --- falsified and replayed -------------------------------------------------------------------------------------------

REFUSED: dict[str, dict[str, Any]] = {
    "another origin": {"origin": "https://evil.example"},
    "a subdomain": {"origin": "http://x.localhost:8000"},
    "another site": {"rp_id": "evil"},
    "not present": {"flags": UV},
    "BE changed": {"flags": UP | UV | BE},
    "another person": {"user_handle": bytes(16)},
    "inside another site": {"crossOrigin": True},
    "of a registration": {"type": "webauthn.create"},
}


@pytest.mark.parametrize("what", REFUSED)
def test_falsified_assertion_is_refused_over_http(world: World, what: str) -> None:
    """Over HTTP, at both steps; the password's guesses are not counted (C58, C59)."""
    person, desktop = world.enrolled()
    key = SoftKey()
    register(desktop, key)
    events, sessions = AuthenticationEvent.objects.count(), LoginSession.objects.count()
    assert sign_in(stranger(), key, **REFUSED[what]).status == 400
    assert second(stranger(), person, key, **REFUSED[what]).status == 400
    assert (AuthenticationEvent.objects.count(), LoginSession.objects.count()) == (events, sessions)
    assert set(Credential.objects.filter(kind__in=["passkey", "password_totp"]).values_list("failures", flat=True)) == {
        0
    }
    assert sign_in(stranger(), key).path == "/devices"


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "x",
        "{}",
        "[]",
        "null",
        json.dumps({"response": {}}),
        "[" * 5000,
        "\x00",
        '{"rawId": 1, "response": {"clientDataJSON": "e30"}}',
    ],
)
def test_malformed_response_gets_an_error_page(world: World, answer: str) -> None:
    """Never a 500."""
    browser = stranger()
    page = browser.get(LOGIN)
    form = page.form_with("response")
    assert form is not None
    found = browser.submit(page, form, values={"response": answer})
    assert found.status == 400
    assert "This key was not accepted" in found.html


@pytest.mark.database
def test_challenge_is_single_use(world: World) -> None:
    """The same response a second time (I3)."""
    _, desktop = world.enrolled()
    key = SoftKey(counts=False)
    register(desktop, key)
    browser = stranger()
    page = browser.get(LOGIN)
    answer = key.get(asked(browser, page, LOGIN + "/options"))
    assert sent(browser, page, answer).path == "/devices"
    page = browser.get(LOGIN)
    assert sent(browser, page, answer).status == 400
    assert Ceremony.objects.filter(purpose="login", consumed_at__isnull=False).count() == 1


def test_challenge_is_tied_to_its_browser(world: World) -> None:
    """Relayed into another browser (P23)."""
    _, desktop = world.enrolled()
    key = SoftKey()
    register(desktop, key)
    mine, theirs = stranger(), stranger()
    options = asked(mine, mine.get(LOGIN), LOGIN + "/options")
    assert sent(theirs, theirs.get(LOGIN), key.get(options)).status == 400
    assert sent(mine, mine.get(LOGIN), key.get(options)).path == "/devices"


@pytest.mark.parametrize(
    ("later", "in_time"), [(timedelta(minutes=4, seconds=59), True), (timedelta(minutes=5), False)]
)
# a parameter
def test_challenge_expires_after_five_minutes(world: World, later: timedelta, in_time: bool) -> None:  # noqa: FBT001
    """C59."""
    with time_machine.travel(NOON, tick=False) as time:
        _, desktop = world.enrolled()
        key = SoftKey()
        register(desktop, key)
        browser = stranger()
        page = browser.get(LOGIN)
        options = asked(browser, page, LOGIN + "/options")
        time.shift(later)
        found = sent(browser, page, key.get(options))
        assert (found.path == "/devices") is in_time


def test_challenge_is_for_one_purpose_and_account(world: World) -> None:
    """A challenge of the login is none of the second step, nor of a registration, nor the other way round."""
    person, desktop = world.enrolled()
    key = SoftKey()
    register(desktop, key)
    browser = stranger()
    passkey_pages.password(browser, person)
    of_login = asked(browser, browser.get(LOGIN), LOGIN + "/options")
    assert sent(browser, browser.get(SECOND), key.get(of_login)).status == 400
    of_second = asked(browser, browser.get(SECOND), SECOND + "/options")
    assert sent(browser, browser.get(LOGIN), key.get(of_second)).status == 400
    page = desktop.get(ADD)
    login = asked(desktop, page, LOGIN + "/options")
    passkey_pages.password(desktop, person)  # the same account, signed in and half way through another login
    after_password = asked(desktop, desktop.get(SECOND), SECOND + "/options")
    to_register = asked(desktop, page := desktop.get(ADD), f"{ISSUER}/devices/roots/passkey/options")
    for other in (login, after_password):
        assert sent(desktop, page, SoftKey().create({**to_register, "challenge": other["challenge"]})).status == 400
    assert sent(desktop, page, SoftKey().create(to_register)).status == 200


@pytest.mark.database
def test_registration_challenge_binds_one_key(world: World) -> None:
    """Another key may not answer it again."""
    _, desktop = world.enrolled()
    page = desktop.get(ADD)
    options = asked(desktop, page, f"{ISSUER}/devices/roots/passkey/options")
    assert sent(desktop, page, SoftKey().create(options)).status == 200
    assert sent(desktop, page, SoftKey().create(options)).status == 400
    assert Passkey.objects.count() == 1


@pytest.mark.database
def test_ended_session_binds_nothing(world: World) -> None:
    """Read again under the lock (C7)."""
    person, desktop = world.enrolled()
    account, key = account_of(person), SoftKey()
    options = asked(desktop, desktop.get(ADD), f"{ISSUER}/devices/roots/passkey/options")
    response = webauthn.parse(json.dumps(key.create(options)))
    ceremony, mine = Ceremony.objects.latest("created_at"), passkey_pages.session_of(account)
    verified = webauthn.register(
        response, expected=ceremony_parameters(ceremony), metadata=Metadata(), policy=ModelPolicy(), now=clock.now()
    )
    end(mine, now=clock.now(), actor="person")
    with pytest.raises(Refused) as refused:
        passkeys.bind(mine, ceremony, verified, name="Key", now=clock.now())
    assert refused.value.reason == Reason.LOGIN_ENDED
    assert not Passkey.objects.exists()


@pytest.mark.database
def test_level_is_compared_under_the_lock(world: World, maker: Maker) -> None:
    """The login reads the level before the lock; it is compared under it."""
    person, desktop = world.enrolled()
    passkey_pages.with_card(account_of(person))
    key = SoftKey(maker=maker)
    register(desktop, key)
    browser = stranger()
    page = browser.get(LOGIN)
    answer = key.get(asked(browser, page, LOGIN + "/options"))
    ceremony, stale = Ceremony.objects.latest("created_at"), Passkey.objects.select_related("credential").get()
    Passkey.objects.update(hardware=False)
    asserted = webauthn.VerifiedAssertion(user_verified=True, backed_up=False, sign_count=99)
    with pytest.raises(Refused) as refused:
        under_lock(
            stale.credential.account_id, lambda account: _claim(account, ceremony, stale, asserted, now=clock.now())
        )
    assert refused.value.reason == Reason.LOGIN_ENDED
    assert sent(browser, page, answer).path == "/devices"
    assert not newest_event().hardware


def test_challenges_are_128_random_bits(world: World) -> None:
    """C59."""
    browser = stranger()
    page = browser.get(LOGIN)
    found = {asked(browser, page, LOGIN + "/options")["challenge"] for _ in range(50)}
    assert len(found) == 50
    assert {len(one) for one in found} == {43}
    assert len({one[22:] for one in found}) == 50


def test_registration_challenge_is_tied_to_its_account(world: World) -> None:
    """Begun by one person, ended by another in the same browser: nothing is bound."""
    _, desktop = world.enrolled()
    other, _ = world.enrolled("robin@example.org")
    options = asked(desktop, desktop.get(ADD), f"{ISSUER}/devices/roots/passkey/options")
    desktop.submit(page := desktop.get(f"{ISSUER}/oidc/logout"), page.forms()[-1])
    other.sign_in(desktop, desktop.get(f"{ISSUER}/login"))
    assert sent(desktop, desktop.get(ADD), SoftKey().create(options)).status == 400
    assert not Passkey.objects.exists()


def test_cross_site_form_is_refused(world: World) -> None:
    """C64: options and answers need our own page."""
    browser = stranger()
    browser.get(LOGIN)
    for url in (LOGIN, LOGIN + "/options", SECOND, SECOND + "/options", ADD, f"{ISSUER}/devices/roots/passkey/options"):
        assert (
            browser._http.post(url, data={"response": "{}"}, headers={"Origin": "https://evil.example"}).status_code
            == 403
        )


# --- the counter ------------------------------------------------------------------------------------------------------


@pytest.mark.database
@pytest.mark.parametrize("step", ["alone", "second"])
def test_lower_counter_is_refused_and_recorded(world: World, step: str) -> None:
    """A copied key repeats a counter value: refused, recorded, and its challenge is spent (C59)."""
    person, desktop = world.enrolled()
    key = SoftKey()
    register(desktop, key)
    assert sign_in(stranger(), key).path == "/devices"
    key.count = 0
    page = sign_in(stranger(), key) if step == "alone" else second(stranger(), person, key)
    assert page.status == 400
    assert "counted backwards" in page.html
    event = Event.objects.filter(kind="passkey.sign_count_regressed").get()
    assert event.body == {"kept": 2, "shown": 1}
    assert (
        Ceremony.objects.filter(purpose={"alone": "login", "second": "second"}[step]).latest("created_at").consumed_at
        is not None
    )
    assert Passkey.objects.get().sign_count == 2
    key.count = 9
    assert sign_in(stranger(), key).path == "/devices"
    assert Passkey.objects.get().sign_count == 10


def test_forged_counter_is_not_recorded(world: World) -> None:
    """The signature is verified first, so only the key's holder causes a record."""
    _, desktop = world.enrolled()
    key = SoftKey()
    register(desktop, key)
    forged = SoftKey(raw_id=key.raw_id, user_handle=key.user_handle, count=-1)
    assert sign_in(stranger(), forged).status == 400
    assert not Event.objects.filter(kind="passkey.sign_count_regressed").exists()


def test_key_without_a_counter_signs_in_repeatedly(world: World) -> None:
    """Zero and zero."""
    _, desktop = world.enrolled()
    key = SoftKey(counts=False)
    register(desktop, key)
    assert [sign_in(stranger(), key).path for _ in range(3)] == ["/devices"] * 3


def test_backup_state_may_change(world: World) -> None:
    """BS is a state; BE is immutable (PK-1)."""
    _, desktop = world.enrolled()
    key = SoftKey(synced=True)
    register(desktop, key)
    assert Passkey.objects.get().backed_up
    assert sign_in(stranger(), key, flags=UP | UV | BE).path == "/devices"
    assert not Passkey.objects.get().backed_up


# --- whose key --------------------------------------------------------------------------------------------------------


def test_login_options_reveal_nothing(world: World) -> None:
    """C61, C67: the same for everybody, whatever name is sent along."""
    person, desktop = world.enrolled()
    register(desktop, SoftKey())
    found = []
    for name in (person.username, "nobody@example.org"):
        browser = stranger()
        page = browser.get(LOGIN)
        token = page.form_with("response").fields["csrfmiddlewaretoken"]  # type: ignore[union-attr]
        response = browser._http.post(
            LOGIN + "/options", data={"csrfmiddlewaretoken": token, "username": name}, headers={"Origin": ISSUER}
        )
        found.append({name: value for name, value in response.json().items() if name != "challenge"})
    assert found[0] == found[1]
    assert found[0]["allowCredentials"] == []


def test_second_factor_needs_the_password_first(world: World) -> None:
    """Before it neither page nor options; after it the account's own keys and no others."""
    person, desktop = world.enrolled()
    _, other = world.enrolled("robin@example.org")
    mine, theirs = SoftKey(), SoftKey()
    register(desktop, mine)
    register(other, theirs)
    browser = stranger()
    assert browser.get(SECOND).path == "/login"
    page = browser.get(LOGIN)
    assert passkey_pages.fetched(browser, page, SECOND + "/options").status_code == 403
    passkey_pages.password(browser, person)
    options = asked(browser, browser.get(SECOND), SECOND + "/options")
    assert [one["id"] for one in options["allowCredentials"]] == [b64(mine.raw_id)]
    assert sent(browser, browser.get(SECOND), theirs.get(options)).status == 400
    assert (
        sent(
            browser, browser.get(SECOND), {**theirs.get(options), "id": b64(mine.raw_id), "rawId": b64(mine.raw_id)}
        ).status
        == 400
    )
    assert sent(browser, browser.get(SECOND), mine.get(options)).path == "/devices"


def test_key_added_after_the_options_is_refused(world: World) -> None:
    """Only the keys that were named may answer."""
    person, desktop = world.enrolled()
    first, later = SoftKey(), SoftKey()
    register(desktop, first)
    browser = stranger()
    passkey_pages.password(browser, person)
    options = asked(browser, browser.get(SECOND), SECOND + "/options")
    register(desktop, later)
    assert sent(browser, browser.get(SECOND), later.get(options)).status == 400


def test_key_without_user_handle_does_not_sign_in_alone(world: World) -> None:
    """C61: where no key was named, the key has to say whose it is."""
    _, desktop = world.enrolled()
    key = SoftKey(resident=False)
    register(desktop, key)
    assert sign_in(stranger(), key).status == 400


def test_revoked_key_is_refused(world: World) -> None:
    """TK-1: nor does the key of an account that has ended; and it is offered no more."""
    person, desktop = world.enrolled()
    key = SoftKey()
    register(desktop, key)
    row = key_row()
    under_lock(
        row.account_id,
        lambda locked: revoke.credential(
            row, account=locked, because=Reason.REMOVED_BY_PERSON, now=clock.now(), actor="person"
        ),
    )
    page = sign_in(stranger(), key)
    assert page.status == 400
    assert "can no longer sign in" in page.html
    browser = stranger()
    passkey_pages.password(browser, person)
    assert "no passkey and no security key yet" in browser.get(SECOND).html


def test_leavers_key_is_refused(world: World) -> None:
    """I2."""
    _, desktop = world.enrolled()
    key = SoftKey()
    register(desktop, key)
    world.deactivate()
    assert sign_in(stranger(), key).status == 400


# --- the password beside it -------------------------------------------------------------------------------------------


def test_disabled_password_does_not_disable_the_key(world: World) -> None:
    """C58: after a hundred wrong passwords from anywhere, the key signs in."""
    _, desktop = world.enrolled()
    key = SoftKey()
    register(desktop, key)
    Credential.objects.filter(kind="password_totp").update(failures=100)
    assert sign_in(stranger(), key).path == "/devices"
    assert (
        Credential.objects.get(kind="password_totp").failures == 100
    )  # TH-5: its own success resets nothing of another's


def test_login_with_password_and_key_resets_the_throttle(world: World) -> None:
    """TH-5: the whole login succeeded; the place starts afresh, as after a code."""
    person, desktop = world.enrolled()
    key = SoftKey(verifies=False)
    register(desktop, key)
    Credential.objects.filter(kind="password_totp").update(failures=7)
    assert second(stranger(), person, key).path == "/devices"
    assert Credential.objects.get(kind="password_totp").failures == 0
    assert not Throttle.objects.filter(failures__gt=0).exists()  # nor in the counts of the network and the house
    event = newest_event()
    assert (event.aal, event.credential.kind, event.beside and event.beside.kind) == (2, "passkey", "password_totp")


def test_session_ends_with_either_of_its_credentials(world: World) -> None:
    """The session needs both: it ends with the first one that ends."""
    person, desktop = world.enrolled()
    key = SoftKey(verifies=False)
    register(desktop, key)
    browser = stranger()
    assert second(browser, person, key).path == "/devices"
    Credential.objects.filter(kind="password_totp").update(state="suspended")
    assert browser.get(f"{ISSUER}/devices").path == "/login"


def test_login_changes_the_session_cookie(world: World) -> None:
    """C11: no fixed session survives a login with a key."""
    _, desktop = world.enrolled()
    key = SoftKey()
    register(desktop, key)
    browser = stranger()
    browser.get(LOGIN)
    page = browser.get(LOGIN)
    answer = key.get(asked(browser, page, LOGIN + "/options"))
    before = browser._http.cookies["ramet_session"]
    sent(browser, page, answer)
    assert browser._http.cookies["ramet_session"] != before


def test_wrong_assertions_after_a_password_throttle_the_network(world: World) -> None:
    """The network is throttled, and nothing is counted against the person (ruling 13)."""
    person, desktop = world.enrolled()
    key = SoftKey()
    register(desktop, key)
    browser = stranger()
    passkey_pages.password(browser, person)
    statuses = []
    for _ in range(8):
        page = browser.get(SECOND)
        statuses.append(sent(browser, page, key.get(asked(browser, page, SECOND + "/options"), rp_id="evil")).status)
    assert statuses[0] == 400
    assert statuses[-1] == 429
    assert Credential.objects.get(kind="password_totp").failures == 0
    assert sign_in(stranger(), key).path == "/devices"


# --- as the first root ------------------------------------------------------------------------------------------------


def invited(world: World, username: str = "sam@example.org") -> tuple[Browser, str]:
    world.push(username)
    return stranger(), world.invitation(username) + "/passkey"


def test_passkey_may_be_the_first_root(world: World, maker: Maker) -> None:
    """It spends the invitation, is worth AAL2 at most, signs nobody in by itself, and is tried out next (ruling 3,
    5; BI-5, PK-4).
    """
    browser, url = invited(world)
    page = browser.get(url)
    assert browser.get(url).status == 200  # opening it spends nothing
    key = SoftKey(maker=maker)
    options = asked(browser, page, url + "/options")
    assert options["authenticatorSelection"]["userVerification"] == "required"
    page = sent(browser, page, key.create(options), name="")
    assert (page.path, "Sign in with it now" in page.html) == ("/login/passkey", True)
    assert not Invitation.objects.filter(consumed_at__isnull=True).exists()
    assert not Ceremony.objects.filter(consumed_at__isnull=True).exists()
    assert not LoginSession.objects.exists()
    row = key_row()
    assert (row.aal, row.name, row.evidence["bound_by"]) == (2, "A good key", "invitation")
    page = sent(browser, page, key.get(asked(browser, page, LOGIN + "/options")))
    assert page.path == "/devices"
    assert stranger().get(url).status == 410


def test_invitation_needs_a_key_with_user_verification(world: World) -> None:
    """One factor alone would be no way in (RC-1); nothing is spent by the refusal."""
    browser, url = invited(world)
    page = browser.get(url)
    assert sent(browser, page, SoftKey(verifies=False).create(asked(browser, page, url + "/options"))).status == 400
    assert Invitation.objects.filter(consumed_at__isnull=True).count() == 1
    assert not Passkey.objects.exists()


def test_invitation_binds_one_key(world: World) -> None:
    """Two answers to two challenges of one invitation: one root."""
    browser, url = invited(world)
    first, second_page = browser.get(url), browser.get(url)
    answers = [SoftKey().create(asked(browser, first, url + "/options")) for _ in range(2)]
    assert sent(browser, first, answers[0]).path == "/login/passkey"
    assert sent(browser, second_page, answers[1]).status == 410
    assert Passkey.objects.count() == 1


def test_invitation_challenge_is_tied_to_its_account(world: World) -> None:
    """Somebody else's challenge in the same browser binds nothing."""
    browser, mine = invited(world)
    world.push("kim@example.org")
    theirs = world.invitation("kim@example.org") + "/passkey"
    options = asked(browser, browser.get(theirs), theirs + "/options")
    assert sent(browser, browser.get(mine), SoftKey().create(options)).status == 400
    assert not Passkey.objects.exists()
    assert (
        passkey_pages.fetched(browser, browser.get(mine), f"{ISSUER}/invitation/{'a' * 43}/passkey/options").status_code
        == 410
    )
