"""Logout tokens to a real receiver, checks that refuse an unsafe start, and the operator's verbs (C49, C83, C84,
R31).
"""

from __future__ import annotations

import contextlib
import io
import json
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.core.management.base import SystemCheckError
from django.test import override_settings

from derived import clock
from derived.models import Credential, OutboxRow
from idp import outbound, wire
from idp.checks import configuration as checks
from idp.config import Config
from idp.signals import backchannel, worker
from tests.fixtures.world import ISSUER, claims

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fixtures.world import World

pytestmark = [pytest.mark.django_db, pytest.mark.database]


class Receiver(HTTPServer):
    """A relying party's back-channel logout URI."""

    def __init__(self, answers: int = 200) -> None:
        self.tokens: list[str] = []
        self.answers = answers
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                outer.tokens.append(parse_qs(body)["logout_token"][0])
                self.send_response(outer.answers)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/backchannel"


@pytest.fixture
def receivers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Receiver]]:
    """Two relying parties: one that takes logout tokens, one that is broken. A busy test machine is no dead party."""
    monkeypatch.setattr(backchannel, "_SECONDS", 30.0)
    monkeypatch.setattr(backchannel, "_RESTING", {})
    made = [Receiver(), Receiver(500)]
    yield made
    for one in made:
        one.shutdown()
        one.server_close()


def drain() -> None:
    while worker.step(now=clock.now()):
        pass


def test_relying_parties_of_an_ended_person_get_logout_tokens(world: World, receivers: list[Receiver]) -> None:
    """Issue 2.5, C49, C83: signed, typed, with sub, sid and event, no nonce; a broken one delays nobody."""
    _, desktop = world.enrolled()
    good = world.app(backchannel_logout_uri=receivers[0].uri)
    broken = world.app(name="Broken", backchannel_logout_uri=receivers[1].uri)
    login = claims(world.tokens(good, desktop)["id_token"])
    world.tokens(broken, desktop)
    world.deactivate()
    drain()
    assert len(receivers[0].tokens) == 1
    told = claims(receivers[0].tokens[0])
    assert (told["sub"], told["sid"], told["aud"], told["iss"]) == (login["sub"], login["sid"], good.client_id, ISSUER)
    assert "http://schemas.openid.net/event/backchannel-logout" in told["events"]
    assert "nonce" not in told
    assert 0 < told["exp"] - told["iat"] <= 120
    assert len(receivers[1].tokens) == 1
    waiting = OutboxRow.objects.filter(kind="logout", delivered_at__isnull=True)
    assert [row.attempts for row in waiting] == [1]


def test_logout_notifies_the_parties_of_that_session_only(world: World, receivers: list[Receiver]) -> None:
    """C66: the other browser's session stays."""
    person, first = world.enrolled()
    second = world.signed_in(person)
    app = world.app(backchannel_logout_uri=receivers[0].uri)
    sid = claims(world.tokens(app, first)["id_token"])["sid"]
    world.tokens(app, second)
    page = first.get(f"{ISSUER}/oidc/logout")
    first.submit(page, page.form_to("confirmed"))
    drain()
    assert [claims(token)["sid"] for token in receivers[0].tokens] == [sid]


def test_housekeeping_changes_no_decision(world: World) -> None:
    """P19: expiry is enforced at use; the worker only tidies."""
    _, desktop = world.enrolled()
    found = world.tokens(world.app(), desktop)
    worker.housekeeping(now=clock.now())
    assert claims(found["access_token"])
    assert desktop.get(f"{ISSUER}/devices").path == "/devices"


class Dead:
    """A place that takes connections, and says nothing, or so slowly that nobody can wait for it."""

    def __init__(self, says: bytes = b"") -> None:
        self.calls, self._says = 0, says
        self._socket = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.calls += 1
            threading.Thread(target=self._drip, args=(connection,), daemon=True).start()

    def _drip(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            for number in range(600):
                connection.sendall(self._says[number : number + 1])
                time.sleep(0.1)

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}/backchannel"

    def close(self) -> None:
        self._socket.close()


@pytest.mark.parametrize("says", [b"", b"HTTP/1.1 200 OK\r\nX-Slow: " + b"z" * 500])
def test_unreachable_client_delays_no_other(world: World, monkeypatch: pytest.MonkeyPatch, says: bytes) -> None:
    """C83: ten people leave; the client that hangs, or drips, costs one wait, and every token of the other one
    arrives.
    """
    monkeypatch.setattr(backchannel, "_SECONDS", 1.0)
    monkeypatch.setattr(backchannel, "_RESTING", {})
    dead, alive = Dead(says), Receiver()
    first, second = world.app(name="Dead", backchannel_logout_uri=dead.uri), world.app(backchannel_logout_uri=alive.uri)
    for number in range(10):
        _, desktop = world.enrolled(f"leaver{number}@example.org")
        world.tokens(first, desktop)
        world.tokens(second, desktop)
        world.deactivate(f"leaver{number}@example.org")
    drain()
    assert len(alive.tokens) == 10
    assert OutboxRow.objects.filter(kind="logout", delivered_at__isnull=True).count() == 10
    assert dead.calls <= 20, "it was called again while it rested"
    monkeypatch.setattr(clock, "now", lambda: datetime.now(tz=UTC) + timedelta(minutes=1))
    calls = dead.calls
    worker.step(now=clock.now())
    assert dead.calls > calls, "it is tried again after a rest"
    dead.close()
    alive.shutdown()
    alive.server_close()


# --- start-up ---------------------------------------------------------------------------------------------------------


def ids(check: Any) -> set[str]:
    return {str(error.id) for error in check()}


def test_default_configuration_passes_the_checks() -> None:
    """No check reports an error."""
    assert (
        ids(checks.engine_views_are_unreachable) | ids(checks.settings_are_safe) | ids(checks.database_is_durable)
        == set()
    )


def test_checks_are_registered_with_django() -> None:
    """R31: Django knows them, not only this test; two configurations in one module once hid ours from it."""
    from django.core.checks.registry import registry

    known = {f"{one.__module__}.{one.__name__}" for one in registry.get_checks()}
    assert {
        "idp.checks.configuration.settings_are_safe",
        "idp.checks.configuration.engine_views_are_unreachable",
        "idp.checks.configuration.database_is_durable",
    } <= known
    assert type(apps.get_app_config("idp")).__name__ == "IdpConfig"
    with override_settings(DEBUG=True), pytest.raises(SystemCheckError):
        call_command("check")


@pytest.mark.parametrize(
    ("issuer", "refuses"),
    [("https://login.example.org", True), ("http://localhost:8000", True), ("https://localhost:9443", False)],
)
def test_conformance_profile_starts_on_loopback_only(
    monkeypatch: pytest.MonkeyPatch,
    issuer: str,
    refuses: bool,  # noqa: FBT001
) -> None:
    """The fixed second factor: refused by a check anywhere else, and never accepted there."""
    from idp import conformance

    where = Config(issuer=issuer, kek="A" * 43 + "=")
    for module in (checks, conformance):
        monkeypatch.setattr(module, "config", lambda: where)
    with override_settings(RAMET_CONFORMANCE=True):
        assert ("ramet.E060" in ids(checks.the_conformance_profile_is_on_loopback)) is refuses
        assert conformance.is_on() is (where.host == "localhost")
    assert ids(checks.the_conformance_profile_is_on_loopback) == set()
    assert not conformance.is_on()


@override_settings(ROOT_URLCONF="tests.fixtures.unsafe_urls")
def test_routed_registry_view_stops_the_start() -> None:
    """No view of django-oidc-provider is reachable, however deep it is included."""
    from django.urls import clear_url_caches

    clear_url_caches()
    try:
        assert "ramet.E001" in ids(checks.engine_views_are_unreachable)
    finally:
        clear_url_caches()


def test_insecure_transport_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """security.md §1.2."""
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
    assert "ramet.E003" in ids(checks.engine_views_are_unreachable)


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"ATOMIC_REQUESTS": True}, "ramet.E010"),
        ({"ENGINE": "django.db.backends.sqlite3", "OPTIONS": {"timeout": 20}}, "ramet.E014"),
        (
            {"ENGINE": "django.db.backends.sqlite3", "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 1}},
            "ramet.E014",
        ),
    ],
)
def test_unsafe_database_settings_stop_the_start(
    changed: dict[str, Any], error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite without IMMEDIATE or a busy timeout, and ATOMIC_REQUESTS."""
    from django.conf import settings

    monkeypatch.setitem(settings.DATABASES, "default", {**settings.DATABASES["default"], **changed})
    assert error in ids(checks.settings_are_safe)


@override_settings(DEBUG=True)
def test_debug_stops_the_start() -> None:
    """C80."""
    assert "ramet.E011" in ids(checks.settings_are_safe)


@pytest.mark.parametrize(
    ("variables", "part"),
    [
        ({"RAMET_ISSUER": "http://login.example.org"}, "https"), ({"RAMET_ISSUER": "https://x.example/path"}, "path"),
        ({"RAMET_ISSUER": "https://u@x.example"}, "user"), ({"RAMET_ISSUER": "https://login.example.org"}, "RAMET_KEK"),
        ({"RAMET_KEK": "c2hvcnQ="}, "32 bytes"), ({"RAMET_LOG_LEVEL": "LOUD"}, "log_level"),
    ],
)  # fmt: skip
def test_bad_variable_is_named_without_its_value(
    variables: dict[str, str], part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R31, and the value of a bad secret is not printed."""
    from pydantic import ValidationError

    from idp.config import Config

    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match=part) as caught:
        Config()
    assert "c2hvcnQ=" not in str(caught.value)


# --- the operator -----------------------------------------------------------------------------------------------------


def said(*words: str) -> Any:
    out = io.StringIO()
    call_command(*words, "--json", stdout=out)
    return json.loads(out.getvalue())


def test_commands_print_tables_and_json(world: World) -> None:
    """Issue 2, commands: JSON for scripts, tables for people."""
    person, desktop = world.enrolled()
    phone = world.device(desktop)
    assert [row["name"] for row in said("source", "list")] == ["hr"]
    added = said("source", "add", "badges", "--precedence", "50")
    assert added["token"]
    assert said("source", "rotate", "badges")["token"] != added["token"]
    client = said("client", "add", "Travel", "--redirect-uri", "https://travel.example/cb")
    assert client["redirect_uris"] == ["https://travel.example/cb"]
    shown = said("client", "show", client["client_id"])
    assert client["client_secret"] not in json.dumps(shown)
    tree = said("credential", "tree", person.username)
    assert [child["kind"] for child in tree[0]["children"]] == ["device_key"]
    assert said("person", "show", person.username)["account"]["ial"] == 2
    assert said("audit", "verify")["ok"]
    assert said("audit", "show", person.username)[0]["kind"] == "account.opened"
    assert said("audit", "checkpoint")["statement"].count(".") == 2
    assert said("key", "rotate")["state"] == "pending"
    assert said("exposure")
    call_command("credential", "revoke", phone.enrolment.credential_id, stdout=io.StringIO())
    assert said("credential", "show", phone.enrolment.credential_id)["because"] == "ended_by_manager"
    call_command("person", "end", person.username, stdout=io.StringIO())
    assert said("person", "show", person.username)["account"]["status"] == "terminated"
    assert said("credential", "list", person.username) == []
    out = io.StringIO()
    call_command("credential", "tree", person.username, "--all", stdout=out)
    assert "device_key" in out.getvalue()


def lines(*words: str) -> list[str]:
    """What a command prints for a person at a terminal of 80 columns."""
    out = io.StringIO()
    call_command(*words, stdout=out)
    return out.getvalue().splitlines()


def test_tree_shows_a_device_whose_root_has_ended(world: World) -> None:
    """Trap 1: it lives on, and so does its place in the tree, without --all; the ended root is told as such."""
    person, desktop = world.enrolled()
    phone = world.device(desktop)
    root = Credential.objects.get(kind="password_totp")
    call_command("credential", "revoke", str(root.id), stdout=io.StringIO())
    [node] = said("credential", "tree", person.username)
    assert (node["id"], node["state"], node["because"]) == (str(root.id), "revoked", "ended_by_manager")
    assert [child["id"] for child in node["children"]] == [phone.enrolment.credential_id]
    shown = "\n".join(lines("credential", "tree", person.username))
    assert "Alex's phone" in shown
    assert "revoked" in shown


def test_credential_list_fits_80_columns(world: World) -> None:
    """Ids are whole, since other commands take them; --json has every fact."""
    person, desktop = world.enrolled()
    phone = world.device(desktop, name="A telephone with a name that is much longer than any column")
    shown = lines("credential", "list", person.username)
    assert max(map(len, shown)) <= 80
    assert any(phone.enrolment.credential_id in line for line in shown)
    assert any("password_totp" in line for line in shown)
    assert "last_used" in said("credential", "list", person.username)[0]


def test_people_are_looked_for_and_listed_by_pages(world: World) -> None:
    """--search, --source and --state, together; pages say how many there are and how to see the next."""
    world.enrolled()
    for number in range(4):
        world.push(f"p{number}@example.org", name={"givenName": "Kim", "familyName": f"Rivers{number}"})
    world.deactivate("p3@example.org")

    def names(*options: str) -> list[str]:
        return [row["login_name"] for row in said("person", "list", *options)]

    everybody = ["alex@example.org", *(f"p{number}@example.org" for number in range(4))]
    assert names() == everybody
    assert names("--search", "rivers1") == names("--search", "P1@EXAMPLE") == ["p1@example.org"]
    assert names("--search", "home.p2@") == ["p2@example.org"]
    assert names("--search", "100%") == []
    assert names("--state", "terminated") == ["p3@example.org"]
    assert names("--state", "not-enrolled", "--search", "kim") == everybody[1:4]
    assert (names("--source", "hr"), names("--state", "held")) == (everybody, [])
    assert names("--limit", "2", "--page", "3") == everybody[4:]
    shown = lines("person", "list", "--limit", "2", "--page", "2")
    assert shown[-1] == "page 2 of 3, 5 people; the next: --page 3"
    assert lines("person", "list")[-1] == "page 1 of 1, 5 people"
    with pytest.raises(CommandError, match="There is no source x"):
        call_command("person", "list", "--source", "x")


@pytest.mark.parametrize(
    "words",
    [
        ("source", "rotate", "nobody"), ("client", "show", "nobody"), ("person", "show", "nobody"),
        ("credential", "show", "nobody"), ("key", "revoke", "x"),
        ("client", "add", "X"), ("client", "add", "X", "--redirect-uri", "http://evil.example/"),
        ("client", "add", "X", "--redirect-uri", "https://a/", "--scope", "admin"),
        ("source", "add", "No Spaces", "--precedence", "1"), ("person", "invite", "nobody"),
    ],
)  # fmt: skip
def test_wrong_command_explains_itself(words: tuple[str, ...], db: None) -> None:
    """Commands that explain themselves."""
    with pytest.raises(CommandError):
        call_command(*words, stdout=io.StringIO())


def test_registry_clients_are_imported(db: None) -> None:
    """Design: a site that runs django-oidc-provider brings its clients; secrets end up hashed, and its columns empty
    (E19, E20).
    """
    from oidc_provider.models import Client

    from idp import clients

    old = Client.objects.create(
        name="Old", client_id="123456", client_secret="plain-secret", client_type="confidential"
    )
    old._redirect_uris = "https://old.example/cb\nhttp://old.example/insecure\u2028https://smuggled.example/"
    old.save()
    taken = said("client", "import")
    assert taken[0]["client_id"] == "123456"
    assert "http://old.example/insecure" in taken[0]["left_out"]
    party = clients.find("123456")
    assert party is not None
    assert party.check_client_secret("plain-secret")
    assert party.redirect_uris() == ["https://old.example/cb"]
    old.refresh_from_db()
    assert (old.client_secret, old._redirect_uris) == ("", "")


def test_logout_uri_with_an_internal_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """P55: of a client that registered itself, the address is judged when it is used."""
    import ipaddress

    from idp.signals.backchannel import LogoutMessage

    far, seen = Config(issuer="https://login.example.org", kek="A" * 43 + "="), []
    monkeypatch.setattr(outbound, "config", lambda: far)
    monkeypatch.setattr(wire, "resolved", lambda host, deadline: [ipaddress.ip_address("10.0.0.5")])
    monkeypatch.setattr(
        outbound,
        "_send",
        lambda url, addresses, *_, **__: (
            seen.append(addresses) or outbound.FetchedResponse(status=200, headers={}, body=b"")
        ),
    )
    LogoutMessage(None, "rebind", "https://rebind.example/x", "t", outside=True).send(now=clock.now())
    assert seen == []
