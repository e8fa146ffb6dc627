"""Delivery never waits for a receiver that refuses, hangs or is slow (ruling 31, C83; issue 12 E)."""

from __future__ import annotations

import io
import json
import smtplib
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from aiosmtpd.controller import Controller
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.core.management import CommandError, call_command
from django.test import override_settings
from pydantic import ValidationError

from demo.server import free_port
from derived import clock
from derived.errors import Reason, Unavailable
from derived.ledger import outbox
from derived.ledger.outbox import DeliveryLane
from derived.models import Account, OutboxRow
from idp.config import Config
from idp.models import ClientPolicy
from idp.signals import backchannel, worker
from scim.models import Person, RoleName
from tests.fixtures.client_registration import GOOD, initial, send
from tests.fixtures.roles import appoint
from tests.fixtures.world import ISSUER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fixtures.world import World

pytestmark = pytest.mark.database

ALEX = "alex@example.org"


class Receiver(ThreadingHTTPServer):
    """A relying party's logout URI, which answers as it is told to."""

    def __init__(self, status: int = 200, *, body: bytes = b"", seconds: float = 0) -> None:
        self.calls = 0
        self.status = status
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                outer.calls += 1
                time.sleep(seconds)
                self.send_response(outer.status)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def uri(self, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.server_port}/backchannel"


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy test machine is no dead receiver, and every test begins without resting clients."""
    monkeypatch.setattr(backchannel, "_SECONDS", 30.0)
    monkeypatch.setattr(backchannel, "_RESTING", {})


def drain() -> None:
    while worker.step(now=clock.now()):
        pass


def _undelivered(**wanted: Any) -> list[OutboxRow]:
    return list(OutboxRow.objects.filter(delivered_at__isnull=True, **wanted).order_by("id"))


# --- a refusal is an answer -------------------------------------------------------------------------------------------


def test_a_4xx_is_final_and_the_next_token_goes_out(world: World) -> None:
    """A client answers 400 to one logout token; the next ones for it, of the same person too, are sent at once."""
    party = Receiver(400)
    app = world.app(backchannel_logout_uri=party.uri())
    person, first = world.enrolled()
    second = world.signed_in(person)
    world.tokens(app, first)
    world.tokens(app, second)
    page = first.get(f"{ISSUER}/oidc/logout")
    first.submit(page, page.form_to("confirmed"))
    drain()
    [row] = _undelivered(kind="logout")
    assert (row.parked_at is not None, row.last_error, row.attempts) == (True, "it answered 400", 1)
    party.status = 200
    world.deactivate()
    drain()
    assert party.calls == 3, "both sessions of the ended person are told"
    assert [one.id for one in _undelivered(kind="logout")] == [row.id]


@pytest.mark.parametrize(
    ("status", "tried_again"), [(408, True), (425, True), (429, True), (500, True), (404, False), (410, False)]
)
def test_only_a_transient_answer_is_tried_again(world: World, status: int, tried_again: bool) -> None:  # noqa: FBT001
    """408, 425, 429 and 5xx wait for another try; every other 4xx is final."""
    party = Receiver(status)
    _, desktop = world.enrolled()
    world.tokens(world.app(backchannel_logout_uri=party.uri()), desktop)
    world.deactivate()
    drain()
    [row] = _undelivered(kind="logout")
    assert (row.parked_at is None) is tried_again


# --- back-off belongs to a client -------------------------------------------------------------------------------------


def test_a_client_that_does_not_answer_mutes_no_other_on_its_host(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two clients with the same host and port: the one whose path hangs up rests alone."""
    good = Receiver()
    closed = socket.create_server(("127.0.0.1", 0))
    monkeypatch.setattr(backchannel, "_SECONDS", 1.0)
    _, desktop = world.enrolled()
    world.tokens(world.app(name="Muted", backchannel_logout_uri=good.uri()), desktop)
    hanging = f"http://127.0.0.1:{closed.getsockname()[1]}/"
    world.tokens(world.app(name="Hanging", backchannel_logout_uri=hanging), desktop)
    backchannel._RESTING["127.0.0.1"] = clock.now() + timedelta(hours=1)  # a rest of the host concerns nobody
    world.deactivate()
    drain()
    assert good.calls == 1
    closed.close()


def test_a_long_answer_is_an_answer(world: World) -> None:
    """A page of more than 64 KiB with status 200 is a delivery, and mutes nobody."""
    party = Receiver(200, body=b"x" * 200_000)
    _, desktop = world.enrolled()
    world.tokens(world.app(backchannel_logout_uri=party.uri()), desktop)
    world.deactivate()
    drain()
    assert (party.calls, _undelivered(kind="logout"), backchannel._RESTING) == (1, [], {})


def test_rows_of_a_resting_client_stay_where_they_are(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a client rests none of its rows is leased or signed, so no number of them delays another client."""
    app = world.app(backchannel_logout_uri="http://127.0.0.1:9/")
    _, desktop = world.enrolled()
    world.tokens(app, desktop)
    world.deactivate()
    monkeypatch.setattr(backchannel, "_SECONDS", 1.0)
    worker.step(now=clock.now())
    [row] = _undelivered(kind="logout")
    OutboxRow.objects.filter(id=row.id).update(due_at=clock.now())
    backchannel._RESTING[app.client_id] = clock.now() + timedelta(seconds=20)
    monkeypatch.setattr(backchannel, "logout_message", None)
    drain()
    assert OutboxRow.objects.get(id=row.id).attempts == row.attempts
    monkeypatch.undo()
    monkeypatch.setattr(backchannel, "_RESTING", {app.client_id: clock.now() - timedelta(seconds=1)})
    worker.step(now=clock.now())
    assert OutboxRow.objects.get(id=row.id).attempts == row.attempts + 1


def test_a_token_that_is_not_taken_delays_no_other_session(world: World) -> None:
    """A client answers 302 to the token of one session: the person's other session is logged out there at once."""
    party = Receiver(302)
    app = world.app(backchannel_logout_uri=party.uri())
    person, first = world.enrolled()
    second = world.signed_in(person)
    world.tokens(app, first)
    world.tokens(app, second)
    world.deactivate()
    drain()
    assert party.calls == 2
    assert [row.attempts for row in _undelivered(kind="logout")] == [1, 1]


def test_a_self_registered_client_sends_logout_tokens_to_its_own_hosts_only(world: World) -> None:
    """The logout URI is on a host of the redirect URIs: at registration, at its replacement, and again when it is
    used.
    """
    own = {**GOOD, "redirect_uris": ["https://one.example/cb"], "backchannel_logout_uri": "https://other.example/out"}
    answer = send("POST", "/oidc/register", initial(), own)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")
    good = {**own, "backchannel_logout_uri": "https://one.example/out"}
    made = send("POST", "/oidc/register", initial(), good).json()
    where, token = made["registration_client_uri"], made["registration_access_token"]
    again = {**own, "client_id": made["client_id"]}
    assert send("PUT", where, token, again).status_code == 400
    party = Receiver()
    app = world.app(backchannel_logout_uri=party.uri("localhost"))
    _, desktop = world.enrolled()
    world.tokens(app, desktop)
    ClientPolicy.objects.filter(client__client_id=app.client_id).update(registration_hash="x" * 64)
    world.deactivate()
    drain()
    [row] = _undelivered(kind="logout")
    assert (party.calls, row.parked_at is not None, row.last_error) == (
        0,
        True,
        "its logout URI is on a host that is not the client's",
    )


# --- nobody waits for the slowest -------------------------------------------------------------------------------------


def test_a_slow_client_keeps_a_few_connections_and_delays_no_other(world: World) -> None:
    """Ten people leave a slow client and a fast one: all of the fast one's tokens arrive while the slow one still
    thinks.
    """
    gate = threading.Event()
    slow, fast = Receiver(), Receiver()
    slow_app = world.app(name="Slow", backchannel_logout_uri=slow.uri())
    fast_app = world.app(backchannel_logout_uri=fast.uri())
    for number in range(10):
        _, desktop = world.enrolled(f"leaver{number}@example.org")
        world.tokens(slow_app, desktop)
        world.tokens(fast_app, desktop)
    for number in range(10):
        world.deactivate(f"leaver{number}@example.org")
    real = backchannel.LogoutMessage.send

    def held(letter: backchannel.LogoutMessage, *, now: datetime) -> Any:
        if letter.client_id == slow_app.client_id:
            gate.wait(60)
        return real(letter, now=now)

    with pytest.MonkeyPatch.context() as patch, worker.Deliveries() as deliveries:
        patch.setattr(backchannel.LogoutMessage, "send", held)
        for _ in range(200):
            deliveries.step(now=clock.now())
            deliveries.collect(wait_seconds=0.05)
            if fast.calls == 10:
                break
        under_way = sum(letter.client_id == slow_app.client_id for letter in deliveries._under_way.values())
        gate.set()
    assert (fast.calls, slow.calls, under_way) == (10, 4, 4)
    drain()
    assert slow.calls == 10


# --- mail -------------------------------------------------------------------------------------------------------------


class Mailbox:
    """A mail server that refuses some recipients for good, others for now."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.later = "later"

    async def handle_RCPT(self, *given: Any) -> str:  # noqa: N802 - aiosmtpd's name
        _server, _session, envelope, address, _options = given
        if address.startswith("gone"):
            return "550 5.1.1 no such mailbox"
        if self.later and address.startswith(self.later):
            return "451 4.3.0 try again"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - likewise
        self.taken.extend(envelope.rcpt_tos)
        return "250 OK"


@pytest.fixture
def manager(world: World) -> str:
    """A manager, enrolled before any mail server is used."""
    world.enrolled("mona@example.org")
    call_command("person", "appoint", "mona@example.org", stdout=io.StringIO())
    OutboxRow.objects.all().delete()
    return "mona@example.org"


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    box = Mailbox()
    server = Controller(box, hostname="127.0.0.1", port=0)
    server.port = free_port()
    server.start()
    smtp = "django.core.mail.backends.smtp.EmailBackend"
    with override_settings(EMAIL_BACKEND=smtp, EMAIL_HOST="127.0.0.1", EMAIL_PORT=server.port, EMAIL_USE_TLS=False):
        yield box
    server.stop()


def test_a_dead_address_holds_up_no_later_mail_and_managers_are_told(
    world: World, manager: str, mailbox: Mailbox
) -> None:
    """A 550 is final: the corrected invitation goes out at once, and the manager gets one mail about it."""
    world.push(ALEX, emails=[{"value": "gone@example.org", "type": "work", "primary": True}])
    drain()
    [row] = [one for one in _undelivered() if one.kind == "invite"]
    assert (row.parked_at is not None, row.last_error) == (True, "the mail server answered 550")
    assert mailbox.taken == [manager, f"home.{manager}"], "the manager is told, once"
    world.patch(ALEX, {"emails": [{"value": "alex@example.org", "type": "work", "primary": True}]})
    drain()
    assert "alex@example.org" in mailbox.taken
    assert mailbox.taken.count(manager) == 1


def test_a_temporary_refusal_is_tried_again(world: World, mailbox: Mailbox) -> None:
    """A 451 waits for another try, and tells nobody."""
    world.push(ALEX, emails=[{"value": "later@example.org", "type": "work", "primary": True}])
    drain()
    [row] = [one for one in _undelivered() if one.kind == "invite"]
    assert (row.parked_at, row.attempts) == (None, 1)
    assert mailbox.taken == []


def test_an_address_that_is_put_off_is_asked_again(world: World, mailbox: Mailbox) -> None:
    """The former address answers 451 for a while (greylisting): it still hears of the change, and the new one once."""
    with override_settings(EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend"):
        world.enrolled(ALEX)
        world.patch(ALEX, {"emails": [{"value": "later@example.org", "type": "work", "primary": True}]})
        Person.objects.update(former_addresses=[])
        OutboxRow.objects.all().delete()
    world.patch(ALEX, {"emails": [{"value": "thief@evil.example", "type": "work", "primary": True}]})
    drain()
    [row] = [one for one in _undelivered() if one.kind == "profile_changed"]
    assert mailbox.taken == ["thief@evil.example"]
    mailbox.later = ""
    OutboxRow.objects.filter(id=row.id).update(due_at=clock.now())
    drain()
    assert mailbox.taken == ["thief@evil.example", "later@example.org"]
    assert "example" not in str(OutboxRow.objects.get(id=row.id).payload), "no address is kept in the row"


@pytest.mark.parametrize("url", ["mailto:x@y", "SMTP+tls://x", "https://mail.example.org", "smtp:", "smtps://", ""])
def test_an_unknown_way_to_send_mail_is_refused_at_start(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No unknown scheme falls to the backend that prints working links."""
    monkeypatch.setenv("RAMET_EMAIL_URL", url)
    with pytest.raises(ValidationError, match="email_url"):
        Config()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://mail.example.org", (False, True, 587)),
        ("smtp://u:p@mail.example.org:2525", (False, True, 2525)),
        ("smtps://mail.example.org", (True, False, 465)),
        ("smtp://localhost", (False, False, 25)),
        ("smtp://127.0.0.1:1025", (False, False, 1025)),
    ],
)
def test_mail_is_encrypted_off_loopback(url: str, expected: tuple[bool, bool, int]) -> None:
    """`smtps` from the start, `smtp` by STARTTLS; only a server on this machine is spoken to in plain text."""
    from idp.settings import mail_settings

    found = mail_settings(url)
    assert (found["EMAIL_USE_SSL"], found["EMAIL_USE_TLS"], found["EMAIL_PORT"]) == expected


def test_a_server_without_starttls_gets_no_mail(mailbox: Mailbox) -> None:
    """`manage.py mail test` reports the refusal; nothing was handed over in plain text."""
    with override_settings(EMAIL_USE_TLS=True), pytest.raises(CommandError, match="STARTTLS"):
        call_command("mail", "test", "alex@example.org", stdout=io.StringIO())
    assert mailbox.taken == []


def test_the_operator_tries_the_way_to_send_mail(mailbox: Mailbox) -> None:
    """`manage.py mail test` sends one mail, or reports what the server said."""
    out = io.StringIO()
    call_command("mail", "test", "alex@example.org", "--json", stdout=out)
    assert json.loads(out.getvalue())["sent to"] == "alex@example.org"
    assert mailbox.taken == ["alex@example.org"]
    with pytest.raises(CommandError, match="550"):
        call_command("mail", "test", "gone@example.org", stdout=io.StringIO())


# --- what waits is seen -----------------------------------------------------------------------------------------------


def _said(*words: str) -> Any:
    out = io.StringIO()
    call_command("outbox", *words, "--json", stdout=out)
    return json.loads(out.getvalue())


def _one_parked(world: World) -> OutboxRow:
    party = Receiver(410)
    _, desktop = world.enrolled()
    world.tokens(world.app(backchannel_logout_uri=party.uri()), desktop)
    world.deactivate()
    drain()
    [row] = _undelivered(kind="logout")
    return row


def test_the_operator_lists_retries_and_drops(world: World) -> None:
    """Each row with its age and reason; a parked row is tried again or dropped by number or receiver."""
    row = _one_parked(world)
    [listed] = _said("list", "--parked")
    assert (listed["number"], listed["state"], listed["why"], listed["tries"]) == (
        row.id,
        "parked",
        "it answered 410",
        1,
    )
    assert listed["receiver"].startswith("client:")
    assert _said("depth") == {"waiting": 0, "oldest_seconds": 0, "parked": 1}
    assert _said("retry", str(row.id)) == "1 are tried again"
    assert _said("depth")["waiting"] == 1
    assert _said("drop", "--receiver", "client:") == "1 dropped"
    assert _said("list") == []
    with pytest.raises(CommandError, match="Name rows"):
        _said("drop")


def test_readiness_shows_depth_and_age(world: World) -> None:
    """`/readyz` says how much waits and since when, and stays ready: an idle worker makes no node useless."""
    _one_parked(world)
    account = OutboxRow.objects.filter(kind="logout").get().account
    since = datetime.now(tz=UTC) - timedelta(minutes=5)
    outbox.enqueue(kind="fan_out", receiver="worker:x", account=account, payload={}, now=since)
    with world_http() as agent:
        found = agent.get("/readyz")
    assert found.status_code == 200
    assert found.json()["outbox"]["parked"] == 1
    assert found.json()["outbox"]["waiting"] == 1
    assert 295 <= found.json()["outbox"]["oldest_seconds"] <= 400


def test_managers_see_what_waits_and_try_it_again(world: World) -> None:
    """The console lists the row with its reason; a POST makes it due."""
    row = _one_parked(world)
    _, desktop = world.enrolled("mona@example.org")
    appoint("mona@example.org", RoleName.MANAGER)
    page = desktop.get(f"{ISSUER}/console/deliveries")
    assert "it answered 410" in page.words()
    assert ALEX in page.words()
    form = page.form_with("number")
    assert form is not None
    desktop.submit(page, form)
    row.refresh_from_db()
    assert row.parked_at is None


def world_http() -> Any:
    from tests.fixtures.world import http

    return http()


def test_a_refused_recipient_is_told_apart_from_a_fault() -> None:
    """Only the recipient's or the message's 5xx is final; a refused sender or a closed connection is our own fault."""
    from idp.signals.mail import _final

    assert _final(smtplib.SMTPRecipientsRefused({"a@b": (550, b"no")})) == "the mail server answered 550"
    assert _final(smtplib.SMTPRecipientsRefused({"a@b": (451, b"later")})) is None
    assert _final(smtplib.SMTPDataError(554, b"no")) == "the mail server answered 554"
    assert _final(ValueError("bad address")) == "the address is not one that mail can be sent to"


@pytest.mark.django_db
@pytest.mark.database
def test_failing_fan_out_of_one_account_does_not_delay_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
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


@pytest.mark.django_db
def test_outbox_rows_of_one_account_keep_their_order(world: World) -> None:
    """C83: a queue per account still delivers what concerns it in the order in which it was written."""
    world.enrolled()
    account, now = Account.objects.get(), clock.now()
    world.mails()
    for number in (1, 2):
        outbox.fan_out(account, {"n": number}, now=now)
    assert [row.payload["n"] for row in outbox.lease(now=now)] == [1]


@pytest.mark.django_db
def test_unavailable_key_does_not_stop_the_worker(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """C83, promise 4: whatever fails in the housekeeping, what waits in the outbox is delivered."""
    tried: set[str] = set()

    def away(*_: object, **__: object) -> int:
        tried.add("keys")
        raise Unavailable(Reason.KEY_UNAVAILABLE)

    def full(*_: object, **__: object) -> bool:
        tried.add("disk")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("idp.signals.worker.lists.sign_due", away)
    monkeypatch.setattr("idp.signals.worker.files.mirror", full)
    monkeypatch.setattr("idp.signals.worker._IDLE", 0)
    world.push()
    monkeypatch.setattr("idp.signals.worker.connection.close", lambda: None)  # the test's own transaction
    give_up = time.monotonic() + 20  # seconds
    keeper = worker._Housekeeper()
    worker._deliver(DeliveryLane.MAIL, lambda: bool(mail.outbox) or time.monotonic() > give_up, keeper)
    assert tried == {"keys", "disk"}
    assert [one.to for one in mail.outbox] == [["alex@example.org"]]


@pytest.mark.django_db
def test_worker_survives_an_unexpected_exception(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """C83: an exception in one pass does not end the worker."""
    looks: list[Exception | None] = [None, KeyError("whatever"), None, KeyError("whatever")]

    def step(_self: object, *, now: object) -> int:
        if looks and (error := looks.pop()) is not None:
            raise error
        return 1

    monkeypatch.setattr("idp.signals.worker.Deliveries.step", step)
    monkeypatch.setattr("idp.signals.worker.housekeeping", lambda *, now: None)
    monkeypatch.setattr("idp.signals.worker._AFTER_AN_ERROR", 0)
    worker.run(lambda: not looks)
    assert looks == []


@pytest.mark.django_db
def test_invalid_address_does_not_silence_the_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """NT-1: a notice goes to every address that takes it, and once."""
    whole = EmailBackend.send_messages

    def picky(self: EmailBackend, messages: Any) -> int:
        if any("n/a" in one.to[0] for one in messages):
            raise smtplib.SMTPRecipientsRefused({"n/a": (553, b"no such address")})
        return whole(self, messages)

    monkeypatch.setattr(EmailBackend, "send_messages", picky)
    world.enrolled()
    world.patch(
        "alex@example.org",
        {"emails": [{"value": "n/a", "primary": True}, {"value": "alex@example.org"}, {"value": "last@example.org"}]},
    )
    world.mails()
    mail.outbox.clear()
    world.deactivate()
    world.mails()
    assert sorted(one.to[0] for one in mail.outbox if "ended" in one.subject.lower() or "ended" in one.body) == [
        "alex@example.org",
        "home.alex@example.org",  # replaced lately: ruling 29
        "last@example.org",
    ]
    assert not OutboxRow.objects.filter(delivered_at=None, receiver__startswith="mail:").exists()


def test_worker_pauses_for_bursts_by_default_and_never_for_what_must_be_known(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`manage.py worker` waits ten seconds for another cause of mail that sources cause in bursts; 0 is possible."""
    pauses: list[outbox.Pause] = []
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr(worker, "run", lambda _stop, *, pause: pauses.append(pause))
    call_command("worker", stdout=io.StringIO())
    call_command("worker", "--mail-pause", "0", stdout=io.StringIO())
    assert [one.quiet for one in pauses] == [timedelta(seconds=10), timedelta()]
    with pytest.raises(CommandError, match="from 0 to 300"):
        call_command("worker", "--mail-pause", "301", stdout=io.StringIO())
    person, _ = world.enrolled()
    world.patch(person.username, {"name": {"givenName": "Alexa", "familyName": "Moss"}})
    at_once = [row.kind for row in outbox.lease(now=clock.now(), pause=pauses[0])]
    assert at_once == ["authenticator.bound"]
    OutboxRow.objects.filter(kind="authenticator.bound").delete()
    later = clock.now() + timedelta(seconds=11)
    assert [row.kind for row in outbox.lease(now=later, pause=pauses[0])] == ["profile_changed"]
