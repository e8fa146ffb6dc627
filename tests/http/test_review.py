"""Attacks that an independent review found to work, each with what it must meet now (rulings 2, 13 and 21; C3, C18, C57, C66, C67, C73, C83, E23)."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from demo.browser import Browser
from derived import clock
from derived.keyring import PUBLISHED_BEFORE_USE, KeyPurpose, Keyring
from derived.ledger import outbox
from derived.ledger.locking import under_lock
from derived.models import Account, Credential, Event, OutboxRow, SigningKey
from device.errors import ProtocolError
from idp.keys import wrapper
from idp.login import throttle
from idp.models import ClientPolicy, LoginSession, RegisteredUri
from idp.models import Throttle as ThrottleRow
from idp.signals import worker
from tests.world import CALLBACK, ISSUER, claims, http, userinfo

if TYPE_CHECKING:
    from demo.browser import Page
    from tests.world import World

pytestmark = pytest.mark.django_db
NOON = "2026-11-23T12:00:00Z"
PASSPHRASE = "seven mossy stones"
AAL3 = "http://idmanagement.gov/ns/assurance/aal/3"


def try_password(browser: Browser, username: str, password: str = "a wrong guess") -> Page:
    page = browser.get(f"{ISSUER}/login")
    return browser.submit(page, page.forms()[0], values={"username": username, "password": password})


# --- throttling -------------------------------------------------------------------------------------------------------


def test_guesses_at_a_password_do_not_slow_the_persons_phone(world: World) -> None:
    """Ruling 13: who does not hold the key counts nothing against the device, from the same network either."""
    with time_machine.travel(NOON, tick=False):
        person, desktop = world.enrolled()
        app = world.phone_app()
        phone = world.device(desktop)
        for _ in range(8):
            try_password(Browser(http()), person.username)
        assert phone.login(app.client_id, passphrase=PASSPHRASE).token_type == "DPoP"


def test_the_persons_phone_does_not_forgive_a_strangers_guesses(world: World) -> None:
    """TH-3: a success with the device's passphrase says nothing about who guesses at the password."""
    with time_machine.travel(NOON, tick=False):
        person, desktop = world.enrolled()
        app = world.phone_app()
        phone = world.device(desktop)
        for _ in range(5):
            try_password(Browser(http()), person.username)
        phone.login(app.client_id, passphrase=PASSPHRASE)
        assert [try_password(Browser(http()), person.username).status for _ in range(2)] == [400, 429]


def test_a_right_passphrase_is_no_failure_where_the_level_is_refused(world: World) -> None:
    """TH-1: an app that asks for AAL3 again and again must not disable the device."""
    _, desktop = world.enrolled()
    app = world.phone_app()
    phone = world.device(desktop)
    for _ in range(3):
        with pytest.raises(ProtocolError, match="unmet"):
            phone.login(app.client_id, passphrase=PASSPHRASE, acr_values=AAL3)
    assert Credential.objects.get(kind="device_key").failures == 0


def test_a_disabled_device_gets_nothing_by_its_key_alone(world: World) -> None:
    """TH-1, TH-2, ruling 13: a hundred wrong guesses at one factor disable both: the key as well as its passphrase."""
    _, desktop = world.enrolled()
    app = world.phone_app()
    phone = world.device(desktop)
    phone.login(app.client_id, passphrase=PASSPHRASE)
    Credential.objects.filter(kind="device_key").update(failures=throttle.MOST_FAILURES)
    with pytest.raises(ProtocolError, match="invalid_grant"):
        phone.login(app.client_id, passphrase=None)


def test_two_successes_at_once_are_no_server_error(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_try_is_admitted_and_counted_in_one_transaction(world: World) -> None:
    """P53: parallel tries must not all pass before the first one starts the wait."""
    key, now = "k" * 64, clock.now()
    for _ in range(throttle.FREE_TRIES):
        throttle.count_attempt(key, now=now)
    with CaptureQueriesContext(connection) as seen:
        throttle.count_attempt(key, now=now)
    writes = [one["sql"] for one in seen.captured_queries if one["sql"].startswith("UPDATE")]
    assert len(writes) == 1, writes
    assert ThrottleRow.objects.get(key=key).until > now


def test_spellings_of_a_name_share_one_count_whether_it_exists_or_not(world: World) -> None:
    """C67, P53: a name that nobody has is slowed in all its spellings, as one that exists is."""
    world.enrolled()
    with time_machine.travel(NOON, tick=False):
        for name, other in (
            ("alex@example.org", "\uff41lex@example.org"),
            ("nobody@example.org", "\uff4eobody@example.org"),
        ):
            for _ in range(6):
                try_password(Browser(http()), name)
            assert try_password(Browser(http()), other).status == 429, name


def test_a_wrong_guess_writes_as_much_for_nobody_as_for_somebody(world: World) -> None:
    """C67, P54: a commit more would be seen with a stop-watch."""
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
def test_networks_are_those_of_the_address_that_is_meant(one: str, other: str, *, same: bool) -> None:
    """Ruling 13: behind a dual-stack socket all of IPv4 must not be one network, and a zone is no error."""
    from django.test import RequestFactory

    from idp.edge import caller

    def network(address: str) -> str:
        request = RequestFactory().get("/login", REMOTE_ADDR=address)
        request.META["ramet.peer"] = caller.address(request.META)
        return throttle.network(request)

    assert (network(one) == network(other)) is same


def test_the_browser_that_accepted_the_invitation_is_known(world: World) -> None:
    """Ruling 13: a stranger in the same network does not slow the person in the browser where they enrolled."""
    with time_machine.travel(NOON, tick=False) as now:
        person, desktop = world.enrolled()
        now.shift(60)
        for _ in range(8):
            try_password(Browser(http()), person.username)
        assert try_password(desktop, person.username, person.password).path == "/login/totp"


def test_a_long_password_that_normalises_to_a_shorter_one_still_matches() -> None:
    """63B-4 3.1.1.2, P65: what was accepted is compared whole, and what is too long never matches a part."""
    from idp.login import password

    decomposed = "".join(f"{letter}\u0301" for letter in "aeiou" * 40)  # 400 code points, 200 after NFKC
    assert password.objection(decomposed) is None
    assert password.matches(decomposed, password.hashed(decomposed))
    longest = "abcdefgh" * 32
    assert password.matches(longest, password.hashed(longest))
    assert not password.matches(longest + "x", password.hashed(longest))


# --- keys -------------------------------------------------------------------------------------------------------------


def test_two_processes_that_let_a_key_take_over_leave_it_active(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """C73: the second must not retire what the first has just made active, or an unpublished key would sign next."""
    ring, other, now = Keyring(wrapper()), Keyring(wrapper()), datetime(2026, 11, 23, 12, tzinfo=UTC)
    new = ring.rotate(KeyPurpose.TOKENS, "ES256", now=now)
    later = now + PUBLISHED_BEFORE_USE
    real, first = transaction.atomic, [True]

    def overtaken(*args: Any, **kwargs: Any) -> Any:
        if first.pop() if first else False:
            other.advance(now=later)
        return real(*args, **kwargs)

    monkeypatch.setattr("derived.keyring.transaction.atomic", overtaken)
    ring.advance(now=later)
    assert SigningKey.objects.get(state="active").kid == new.kid


# --- the outbox -------------------------------------------------------------------------------------------------------


@pytest.mark.database
def test_one_account_whose_fan_out_fails_does_not_hold_up_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C83, promise 4: one receiver, one queue; accounts are not one receiver."""
    told: list[str] = []
    world.app(backchannel_logout_uri="https://app.example/logout")
    first, second = world.enrolled("alex@example.org")[0], world.enrolled("kim@example.org")[0]
    world.mails()
    real = worker.backchannel.fan_out

    def broken(row: OutboxRow, *, now: datetime) -> None:
        assert row.account
        if row.account.person.user_name == first.username:
            message = "a poison row"
            raise RuntimeError(message)
        told.append(row.account.person.user_name)
        real(row, now=now)

    monkeypatch.setattr(worker.backchannel, "fan_out", broken)
    world.deactivate(first.username)
    world.deactivate(second.username)
    worker.step(now=clock.now())
    worker.step(now=clock.now())
    assert told == [second.username]


# --- the edge ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/login", "/oidc/token", "/oidc/logout", "/enrol/v1/bindings", "/scim/v2/Users"])
def test_files_are_refused_before_they_are_read(world: World, path: str) -> None:
    """J5, R31: nothing here takes a file, so none is spooled to the disk."""
    response = http().post(path, files={"file": ("a", b"x" * 4_000_000)})
    assert response.status_code in {400, 415}
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]


def test_a_proof_with_half_a_character_is_a_refusal(world: World) -> None:
    """E23: a lone surrogate in `ath` is a bad proof, not a server error."""
    from device import proofs
    from device.key import DeviceKey

    _, desktop = world.enrolled()
    app, key = world.app(), DeviceKey.generate()
    code = world.ask(app, desktop)["code"]
    token = app.redeem(code, dpop=proofs.dpop(key, "POST", url=f"{ISSUER}/oidc/token", now=clock.now())).json()[
        "access_token"
    ]
    body = {
        "htm": "GET",
        "htu": f"{ISSUER}/oidc/userinfo",
        "iat": int(clock.now().timestamp()),
        "jti": "j" * 20,
        "ath": "\ud800",
    }
    proof = key.sign({"typ": "dpop+jwt", "jwk": key.public_jwk}, body)
    assert userinfo(token, "DPoP", DPoP=proof).status_code == 401


@pytest.mark.parametrize(
    "header",
    [
        {"crit": 5},
        {"crit": [5]},
        {"kid": []},
        {"kid": {}},
        {"kid": None},
        {"alg": ["ES256"]},
        {"typ": []},
        {"jwk": 5},
        {"b64": False},
    ],
)
def test_a_token_whose_header_is_no_header_is_a_refusal(world: World, header: dict[str, Any]) -> None:
    """E23, J5: the engine trips over these, and anybody may send them."""
    kid = http().get("/oidc/jwks").json()["keys"][0]["kid"]
    for typ in ("at+jwt", "JWT"):
        parts = ({"typ": typ, "alg": "ES256", "kid": kid, **header}, {"iss": ISSUER})
        token = ".".join(
            [*(urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=").decode() for one in parts), "A" * 86]
        )
        assert userinfo(token).status_code == 401
        assert http().get("/oidc/logout", params={"id_token_hint": token}).status_code == 200


# --- sessions ---------------------------------------------------------------------------------------------------------


def test_a_post_from_another_site_does_not_take_the_session_away(world: World) -> None:
    """C64: without the cookie (SameSite=Lax) the request goes round by GET, and no new cookie is set over the old one."""
    app = world.app()
    with http() as stranger:
        response = stranger.post("/oidc/authorize", data=app.parameters())
    assert response.status_code == 303
    assert "set-cookie" not in response.headers
    _, desktop = world.enrolled()
    assert desktop.get(f"{ISSUER}{response.headers['Location']}", stop_at=CALLBACK).stopped_at


def test_a_native_app_is_returned_to_after_signing_out(world: World) -> None:
    """RP-Initiated Logout 1.0: a registered private scheme is an address to return to."""
    app = world.app(
        redirect_uris=["org.example.app:/cb"],
        post_logout_uris=["org.example.app:/bye"],
        application_type="native",
        public=True,
    )
    asked = f"/oidc/logout?client_id={app.client_id}&post_logout_redirect_uri=org.example.app:/bye&state=s"
    response = http().get(asked)
    assert (response.status_code, response.headers.get("Location")) == (302, "org.example.app:/bye?state=s")


def test_another_person_in_the_same_browser_ends_the_session_before(world: World) -> None:
    """P22, C66: nobody could sign that session out any more, and its tokens would live on."""
    _, browser = world.enrolled()
    kim, _ = world.enrolled("kim@example.org")
    app = world.app()
    before = LoginSession.objects.get(account__person__login_name="alex@example.org")
    tokens = world.tokens(app, browser)
    with time_machine.travel(datetime.now(tz=UTC) + timedelta(minutes=2)):
        kim.sign_in(browser, try_password(browser, kim.username, kim.password))
        before.refresh_from_db()
        assert before.ended_at is not None
        assert app.refresh(tokens["refresh_token"]).status_code == 400


def test_a_consent_is_that_of_the_person_who_was_asked(world: World) -> None:
    """E1, C1: the page that one person was shown says nothing for another who signed in to this browser since."""
    with time_machine.travel(NOON, tick=False) as now:
        _, browser = world.enrolled()
        kim, _ = world.enrolled("kim@example.org")
        app = world.app(consent=True)
        now.shift(60)
        page = browser.get(app.url(), stop_at=CALLBACK)
        assert page.form_to("/consent")
        kim.sign_in(browser, try_password(browser, kim.username, kim.password))
        page = browser.submit(page, page.form_to("/consent"), values={"decision": "allow"}, stop_at=CALLBACK)
        assert not page.stopped_at
        assert "kim@example.org" in page.html
        assert browser.submit(page, page.form_to("/consent"), values={"decision": "allow"}, stop_at=CALLBACK).stopped_at


def test_a_client_that_must_use_dpop_now_has_no_bearer_token_from_before(world: World) -> None:
    """C21: nothing that was granted earlier is a way around the policy."""
    from device import proofs
    from device.key import DeviceKey

    _, browser = world.enrolled()
    app = world.app()
    tokens = world.tokens(app, browser)
    ClientPolicy.objects.update(dpop_required=True)
    proof = proofs.dpop(DeviceKey.generate(), "POST", url=f"{ISSUER}/oidc/token", now=clock.now())
    assert app.refresh(tokens["refresh_token"], dpop=proof).json()["error"] == "invalid_grant"
    assert userinfo(tokens["access_token"]).status_code == 401


# --- the record -------------------------------------------------------------------------------------------------------


@pytest.mark.database
def test_a_new_name_of_a_device_is_an_event(world: World) -> None:
    """RE-1: what changes the ledger is an Event, and the name is personal, so it stands beside the chain."""
    _, desktop = world.enrolled()
    world.device(desktop)
    page = desktop.get(f"{ISSUER}/devices")
    desktop.submit(page, page.form_to("/rename"), values={"name": "Work phone"})
    row = Credential.objects.get(kind="device_key")
    assert row.name == "Work phone"
    event = Event.objects.get(kind="credential.renamed", credential=row)
    assert event.details.get().value == "Work phone"
    assert "Work phone" not in str(event.body)


def test_what_a_manager_ends_after_a_source_did_no_source_opens(world: World) -> None:
    """Ruling 11, C30: a manager's end is the last word, also on an account that a source had closed."""
    from derived.changes import revoke
    from derived.errors import Reason

    world.enrolled()
    world.deactivate()
    account = Account.objects.get()
    under_lock(
        account.id,
        lambda row: revoke.everything(row, because=Reason.ENDED_BY_MANAGER, now=clock.now(), actor="operator"),
    )
    world.reactivate()
    account.refresh_from_db()
    assert account.status == "terminated"


def test_a_source_does_not_lift_a_managers_suspension(world: World) -> None:
    """Ruling 11: only our own status suspends and resumes; `active` false and true again is no resume."""
    from derived.changes import suspend

    world.enrolled()
    account = Account.objects.get()
    under_lock(account.id, lambda row: suspend.suspend(row, now=clock.now(), actor="operator"))
    world.deactivate()
    world.reactivate()
    account.refresh_from_db()
    assert account.status == "suspended"
    assert not OutboxRow.objects.filter(kind="invite", account=account, delivered_at__isnull=True).exists()


def test_a_name_with_markup_is_only_text_to_the_operator(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """C77, C78: a person names their device, and the tree must print it."""
    from django.core.management import call_command

    person, desktop = world.enrolled()
    world.device(desktop, name="[/bold] [link=https://evil.example]phone")
    call_command("credential", "tree", person.username)
    assert "[link=https://evil.example]phone" in capsys.readouterr().out


# --- clients ----------------------------------------------------------------------------------------------------------


def test_a_pairwise_subject_does_not_hang_on_the_order_of_rows(world: World) -> None:
    """C53, ruling 21: the sector is that of the URI registered first, whatever the database gives first."""
    person, browser = world.enrolled()
    app = world.app(subject_type="pairwise")
    RegisteredUri.objects.create(
        policy=app.party.policy, use="redirect", uri="https://other.example/cb"
    )  # as older registrations may have
    before = claims(world.tokens(app, browser)["id_token"])["sub"]
    first = RegisteredUri.objects.get(uri=CALLBACK)
    RegisteredUri.objects.filter(uri=CALLBACK).delete()
    RegisteredUri.objects.bulk_create([first])  # the same row, physically last
    assert claims(world.tokens(app, browser, person)["id_token"])["sub"] == before


@pytest.mark.parametrize(
    "uri", ["http://[::1].evil.example/cb", "http://evil.example[::1]/cb", "http://[::1]x:80/cb", "http://[::1]:/cb"]
)
def test_a_loopback_literal_is_the_whole_host(uri: str) -> None:
    """RFC 8252 7.3, P40: older Pythons read a host with something around the brackets as the literal in them."""
    from idp import uris

    assert not uris.is_same(uri, "http://[::1]/cb", application_type="native")
    assert uris.is_same("http://[::1]:4711/cb", "http://[::1]/cb", application_type="native")


def test_the_hint_names_the_person_that_is_meant(world: World) -> None:
    """C42, OpenID Connect Core 3.1.2.1: with `id_token_hint` nobody else is answered for."""
    _, alexs = world.enrolled()
    _, kims = world.enrolled("kim@example.org")
    app = world.app()
    hint = world.tokens(app, alexs)["id_token"]
    assert "code" in world.ask(app, alexs, prompt="none", id_token_hint=hint)
    assert world.ask(app, kims, prompt="none", id_token_hint=hint)["error"] == "login_required"
    assert not kims.get(app.url(id_token_hint=hint), stop_at=CALLBACK).stopped_at
    assert world.ask(app, alexs, prompt="none", id_token_hint="x.y.z")["error"] == "login_required"
    assert "code" in world.ask(app, alexs, id_token_hint="x.y.z")


def test_outbox_rows_of_one_account_keep_their_order(world: World) -> None:
    """C83: a queue per account still delivers what concerns it in the order in which it was written."""
    world.enrolled()
    account, now = Account.objects.get(), clock.now()
    world.mails()
    for number in (1, 2):
        outbox.fan_out(account, {"n": number}, now=now)
    assert [row.payload["n"] for row in outbox.lease(now=now)] == [1]
