"""One gate in front of every anonymous look-up and every row that a stranger can cause (ruling 33; P54)."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx
import pytest
import time_machine
from django.contrib.sessions.models import Session
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver

from derived import clock
from derived.errors import TryLater
from idp import gate
from idp.edge import routes
from idp.gate import Caller, Gate, Kind, Limit
from idp.models import AuthorizationRequest, PushedRequest
from idp.signals import purging
from tests.fixtures.in_process import InProcess
from tests.fixtures.world import ISSUER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fixtures.world import World

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def at(address: str) -> httpx.Client:
    """A caller at an address, without cookies until it gets some."""
    return httpx.Client(transport=InProcess(address), base_url=ISSUER)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten requests of a network, and four of a browser."""
    monkeypatch.setattr(gate, "LIMITS", dict.fromkeys(Kind, Limit(network=10, browser=4)))


def test_a_strangers_authorization_requests_have_an_end(world: World, small: None) -> None:
    """The eleventh of a network writes nothing, says when to come back, and nobody else's network feels it."""
    app = world.app()
    with time_machine.travel("2026-11-23T12:01:00Z", tick=False):
        answers = [at(f"198.51.100.{number}").get(app.url()) for number in range(20)]
        assert [one.status_code for one in answers].count(429) == 10
        assert AuthorizationRequest.objects.count() == 10
        assert answers[-1].headers["Retry-After"] == "540"
        assert "Wait 540 seconds" in answers[-1].text
        assert at("203.0.113.1").get(app.url()).status_code == 302
    with time_machine.travel("2026-11-23T12:10:01Z", tick=False):
        assert at("198.51.100.7").get(app.url()).status_code == 302


def test_a_refused_request_costs_no_statement(world: World, small: None) -> None:
    """Counted before anything is read."""
    app = world.app()
    for number in range(10):
        at(f"198.51.100.{number}").get(app.url())
    with CaptureQueriesContext(connection) as seen:
        assert at("198.51.100.99").get(app.url()).status_code == 429
    assert seen.captured_queries == []


def test_a_browser_has_a_bound_of_its_own(world: World, small: None) -> None:
    """A page that reloads for ever does not use up its office's share."""
    app, browser = world.app(), at("198.51.100.1")
    statuses = [browser.get(app.url()).status_code for _ in range(8)]  # the first comes without a cookie
    assert statuses == [302] * 5 + [429] * 3
    assert at("198.51.100.2").get(app.url()).status_code == 302


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/devices"),
        ("GET", "/login?next=/devices"),
        ("GET", "/login/device"),
        ("POST", "/login/passkey/options"),
        ("GET", "/login/recover"),
        ("GET", "/nowhere"),
    ],
)
def test_pages_that_begin_a_browser_session_count_together(world: World, small: None, method: str, path: str) -> None:
    """Each of them may write a row for a stranger."""
    statuses = [at(f"198.51.100.{number}").request(method, path).status_code for number in range(12)]
    assert statuses[10:] == [429, 429]
    assert Session.objects.count() <= 10


def test_public_clients_push_within_the_bound(world: World, small: None) -> None:
    """PAR without a client's proof is a row that a stranger can cause; a confidential client's are its own."""
    public, confidential = world.app(public=True), world.app()
    statuses = [public.post("/oidc/par", dict(public.parameters())).status_code for _ in range(12)]
    assert statuses == [201] * 10 + [429] * 2
    assert confidential.post("/oidc/par", dict(confidential.parameters())).status_code == 201


@pytest.mark.parametrize("path", ["/oidc/par", "/oidc/device_authorization"])
@pytest.mark.parametrize("client_id", ["", "nobody"], ids=["a public client", "no client"])
def test_requests_without_a_clients_proof_are_counted_before_the_client_is_looked_up(
    world: World, small: None, path: str, client_id: str
) -> None:
    """The eleventh of a network costs no statement, and a client with its proof is not among them."""
    public, confidential = world.app(public=True), world.app()
    asked = {**dict(public.parameters()), **({"client_id": client_id} if client_id else {})}
    for number in range(10):
        assert at(f"198.51.100.{number}").post(path, data=asked).status_code != 429
    with CaptureQueriesContext(connection) as seen:
        assert at("198.51.100.99").post(path, data=asked).status_code == 429
    assert seen.captured_queries == []
    secret = {"client_id": confidential.client_id, "client_secret": confidential.secret}
    answer = at("198.51.100.99").post(path, data={**dict(confidential.parameters()), **secret})
    assert answer.status_code != 429


@pytest.mark.parametrize("path", ["/enrol/v1/challenges", "/enrol/v1/bindings", "/.well-known/est/simpleenroll"])
def test_codes_and_names_are_counted_before_they_are_looked_up(world: World, small: None, path: str) -> None:
    """EST and enrolment: the eleventh names nobody."""
    for number in range(10):
        at(f"198.51.100.{number}").post(path, json={})
    with CaptureQueriesContext(connection) as seen:
        assert at("198.51.100.99").post(path, json={}).status_code == 429
    assert seen.captured_queries == []


def shape(seen: CaptureQueriesContext) -> list[str]:
    """The statements without their values."""
    return [re.sub(r"\d+", "0", one["sql"].split(" WHERE ")[0].split(" VALUES ")[0]) for one in seen.captured_queries]


def test_a_name_that_nobody_has_costs_what_a_name_costs(world: World) -> None:
    """P54: the same statements, in the same order, for a person with a code, one without, and nobody; by EST and
    enrolment.
    """
    person, desktop = world.enrolled()
    world.enrolled("sam@example.org")
    world.begin_binding(desktop)
    shapes: dict[str, list[list[str]]] = {"enrol": [], "est": []}
    for number, name in enumerate((person.username, "sam@example.org", f"{uuid4()}@example.org")):
        key = {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43}
        with CaptureQueriesContext(connection) as seen:
            asked = {"code": "AAAA-AAAA", "username": name, "jwk": key}
            assert at(f"198.51.{number}.7").post("/enrol/v1/challenges", json=asked).status_code == 400
        shapes["enrol"].append(shape(seen))
        with CaptureQueriesContext(connection) as seen:
            answer = at(f"198.51.{number}.8").post("/.well-known/est/simpleenroll", auth=(name, "AAAA-AAAA"))
            assert answer.status_code == 401
        shapes["est"].append(shape(seen))
    for found in shapes.values():
        assert found[0] == found[1] == found[2]
        assert len(found[0]) > 3


def test_wrong_short_codes_are_slowed_before_they_are_looked_at(world: World) -> None:
    """In back-off the right code waits as well: whether it was right is not told. A long code is never slowed."""
    with time_machine.travel("2026-11-23T12:00:00Z", tick=False):
        person, desktop = world.enrolled()
        _, long, short = world.begin_binding(desktop)
        caller = at("198.51.100.7")
        key = {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43}
        for _ in range(6):
            caller.post("/enrol/v1/challenges", json={"code": "AAAA-AAAA", "username": person.username, "jwk": key})
        answer = caller.post("/enrol/v1/challenges", json={"code": short, "username": person.username, "jwk": key})
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "2")
        assert "Wait 2 seconds" in answer.json()["error_description"]
        assert (
            caller.post("/enrol/v1/challenges", json={"code": long, "jwk": key}).status_code == 400
        )  # the key is no point


def test_unanswered_requests_are_purged_when_they_expire(world: World) -> None:
    """A request that nobody answered, pushed or not, and an anonymous browser session: an hour at most, not a day."""
    with time_machine.travel("2026-11-23T12:00:00Z", tick=False) as now:
        app = world.app()
        caller = at("198.51.100.7")
        pushed = app.post("/oidc/par", dict(app.parameters())).json()["request_uri"]
        caller.get(app.url())
        caller.get(f"/oidc/authorize?client_id={app.client_id}&request_uri={pushed}")
        assert (AuthorizationRequest.objects.count(), PushedRequest.objects.count(), Session.objects.count()) == (
            2,
            1,
            1,
        )
        now.shift(timedelta(minutes=61))
        purging.purge(now=clock.now())
        assert (AuthorizationRequest.objects.count(), PushedRequest.objects.count(), Session.objects.count()) == (
            0,
            0,
            0,
        )


def test_a_signed_in_browser_is_remembered_longer(world: World) -> None:
    """The hour is a stranger's."""
    with time_machine.travel("2026-11-23T12:00:00Z", tick=False) as now:
        _, desktop = world.enrolled()
        now.shift(timedelta(minutes=50))
        desktop.get(f"{ISSUER}/devices")
        assert Session.objects.latest("expire_date").expire_date > clock.now() + timedelta(hours=12)
        now.shift(timedelta(minutes=50))
        purging.purge(now=clock.now())
        assert desktop.get(f"{ISSUER}/devices").path == "/devices"


def patterns(resolver: URLResolver, before: str = "/") -> Iterator[tuple[str, str]]:
    for entry in resolver.url_patterns:
        if isinstance(entry, URLResolver):
            yield from patterns(entry, before + str(entry.pattern))
        elif isinstance(entry, URLPattern):
            yield before + str(entry.pattern), entry.name or ""


# Their callers prove themselves first (a client, a source, a token, a certificate), or nothing is read or written for a
# stranger.
PROVEN = {
    "token", "certificate-token", "introspect", "certificate-introspect", "revoke", "certificate-revoke", "userinfo",
    "certificate-userinfo",
    "register", "registration", "jwks", "checkpoint-keys", "discovery", "discovery-oauth", "livez", "readyz", "ocsp",
    "ocsp-get", "pki-file", "est-cacerts",
    "est-csrattrs", "est-simplereenroll", "logout", "logout-confirmed", "undo", "session-end", "sessions-end-others",
    "par", "certificate-par", "device-authorization",  # counted in the view, for public clients
}  # fmt: skip


def test_every_route_is_gated_or_proven() -> None:
    """A new route of a stranger's is counted, or somebody says here why not."""
    open_ones = {
        name
        for path, name in patterns(get_resolver())
        if not path.startswith(routes.SCIM)
        and routes.kind(path.replace("<", "").replace(">", "").replace("uuid:", "").replace("str:", "")) is None
    }
    assert open_ones <= PROVEN, open_ones - PROVEN


def test_the_counters_of_a_process_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many networks cost no memory without end: those that come late are counted by the network around them."""
    monkeypatch.setattr(gate, "_MOST_NETWORKS", 50)
    monkeypatch.setattr(gate, "LIMITS", dict.fromkeys(Kind, Limit(network=2, browser=10)))
    made = Gate()
    refused = 0
    for number in range(100):
        try:
            made.admit(Caller(f"2001:db8:{number:x}::/48"), Kind.PAGE)
        except TryLater:
            refused += 1
    assert (len(made._networks), refused) == (50, 50 - 2 * gate._WIDE_SHARE)
    made.admit(Caller("203.0.113.0/24"), Kind.PAGE)


def test_random_cookies_lock_nobody_else_out() -> None:
    """A stranger with a new cookie for each request, from three networks: callers from all others are admitted."""
    made = Gate()
    for number in range(30_000):
        made.admit(Caller(f"198.51.{number % 3}.0/24", f"cookie {number}"), Kind.PAGE)
    for number in range(2_000):
        for kind in (Kind.PAGE, Kind.AUTHORIZE):
            made.admit(Caller(f"203.0.{number % 250}.0/24", f"own {number}"), kind)
    assert sum(len(counts) for counts in made._browsers.values()) <= (3 + 2 * 250) * gate._MOST_BROWSERS
    assert max(len(counts) for counts in made._browsers.values()) == gate._MOST_BROWSERS
