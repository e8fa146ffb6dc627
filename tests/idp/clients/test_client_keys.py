"""Keys at a client's own address: the one guarded fetcher, and what is kept of it (C45, P55)."""

from __future__ import annotations

import ipaddress
import json
import socket
import threading
import time
from datetime import timedelta
from typing import Any

import pytest
import time_machine

from idp import clients, outbound, wire
from idp.clients import keys
from idp.config import Config
from idp.models import ClientKeys
from idp.outbound import NotFetched
from tests.fixtures.client_registration import GOOD, initial, send
from tests.fixtures.served_keys import KeyServer, at, opened
from tests.fixtures.signing_client import jwks, new_key, signer
from tests.fixtures.world import World, http

NOON = "2026-11-23T12:00:00Z"


@pytest.fixture
def far_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in development: the issuer is on the internet."""
    real = Config(issuer="https://login.example.org", kek="A" * 43 + "=")  # type: ignore[arg-type]
    monkeypatch.setattr(outbound, "config", lambda: real)


def resolves(monkeypatch: pytest.MonkeyPatch, *answers: str) -> list[str]:
    """A name server that gives one answer after the other; what was asked."""
    asked: list[str] = []
    left = list(answers)

    def answer(host: str, *_: object, **__: object) -> list[tuple[Any, ...]]:
        asked.append(host)
        place = left.pop(0) if len(left) > 1 else left[0]
        family = socket.AF_INET6 if ":" in place else socket.AF_INET
        return [(family, socket.SOCK_STREAM, 6, "", (place, 0))]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    return asked


def get(url: str, *inside: str) -> outbound.FetchedResponse:
    return outbound.fetch_public(url, inside=frozenset(inside), most_bytes=1000, seconds=0.5)


# --- where to
# -----------------------------------------------------------------------------------------------------------


NOT_PUBLIC = [
    "127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.3.4", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.1",
    "224.0.0.1", "240.0.0.1",
    "255.255.255.255", "198.18.0.1", "192.0.2.1", "::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a00:1::1",
    "2001:0:53aa:64c:0:0:80ff:fffe", "2001:db8::1",
]  # fmt: skip


@pytest.mark.usefixtures("far_away")
@pytest.mark.parametrize("place", NOT_PUBLIC)
def test_internal_address_is_not_fetched(monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """P55: private, loopback, link-local, shared, multicast, reserved, and their disguises in IPv6."""
    assert not wire.is_public(ipaddress.ip_address(place))
    resolves(monkeypatch, place)
    with pytest.raises(NotFetched, match="not a public one"):
        get("https://rp.example.org/jwks")


@pytest.mark.parametrize("place", ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"])
def test_public_address_is_fetched(place: str) -> None:
    """The control: the rule admits public addresses."""
    assert wire.is_public(ipaddress.ip_address(place))


@pytest.mark.usefixtures("far_away")
def test_name_with_one_internal_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with two addresses is as bad as its worse one."""
    two = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 0)) for one in ("93.184.216.34", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: two)
    with pytest.raises(NotFetched, match="not a public one"):
        get("https://rp.example.org/jwks")


@pytest.mark.usefixtures("far_away")
@pytest.mark.parametrize(
    "url",
    [
        "http://rp.example.org/jwks", "ftp://rp.example.org/", "file:///etc/passwd", "https://",
        "https://u:p@rp.example.org/", "https://[::1", "//x/y",
        "https://rp.example.org:99999/", "gopher://rp.example.org/", "https://\udcff/",
    ],
)  # fmt: skip
def test_only_https_without_userinfo(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """C45."""
    resolves(monkeypatch, "93.184.216.34")
    with pytest.raises(NotFetched):
        get(url)


def test_connection_goes_to_the_checked_address(monkeypatch: pytest.MonkeyPatch, key_server: KeyServer) -> None:
    """C45: a name server that first answers a public address and then loopback (rebinding) is asked once."""
    tried: list[tuple[str, int]] = []

    def connect(place: tuple[str, int], *_: object, **__: object) -> socket.socket:
        tried.append(place)
        raise ConnectionRefusedError

    asked = resolves(monkeypatch, "93.184.216.34", "127.0.0.1")
    monkeypatch.setattr(socket, "create_connection", connect)
    real = Config(issuer="https://login.example.org", kek="A" * 43 + "=")  # type: ignore[arg-type]
    monkeypatch.setattr(outbound, "config", lambda: real)
    with pytest.raises(NotFetched):
        get(f"https://rebind.example.org:{key_server.port}/jwks")
    assert asked == ["rebind.example.org"]
    assert tried == [("93.184.216.34", key_server.port)]
    assert key_server.asked == 0


def test_operator_may_allow_an_internal_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """C45: by host and port, whole; and still not this machine itself."""
    real = Config(issuer="https://login.example.org", kek="A" * 43 + "=")  # type: ignore[arg-type]
    monkeypatch.setattr(outbound, "config", lambda: real)
    tried: list[tuple[str, int]] = []

    def connect(place: tuple[str, int], *_: object, **__: object) -> socket.socket:
        tried.append(place)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", connect)
    resolves(monkeypatch, "10.1.2.3")
    for url, inside in (
        ("https://rp.internal:8443/jwks", "rp.internal"), ("https://rp.internal/jwks", "rp.internal:8443"),
        ("https://x.rp.internal/jwks", "rp.internal"),
    ):  # fmt: skip
        with pytest.raises(NotFetched, match="not a public one"):
            get(url, inside)
    with pytest.raises(NotFetched, match="Connect"):
        get("https://rp.internal:8443/jwks", "rp.internal:8443")
    assert tried == [("10.1.2.3", 8443)]
    for place in ("127.0.0.1", "169.254.169.254", "::ffff:127.0.0.1", "::"):
        resolves(monkeypatch, place)
        with pytest.raises(NotFetched, match="not a public one"):
            get("https://rp.internal:8443/jwks", "rp.internal:8443")


def test_loopback_needs_a_loopback_issuer_and_metadata_services_are_refused(
    monkeypatch: pytest.MonkeyPatch, key_server: KeyServer
) -> None:
    """C45: the issuer of these tests is localhost."""
    key_server.show(new_key())
    assert get(key_server.url).status == 200
    resolves(monkeypatch, "169.254.169.254")
    with pytest.raises(NotFetched, match="not a public one"):
        get("http://metadata.example/latest")


def test_redirects_and_large_or_slow_responses_are_refused(key_server: KeyServer) -> None:
    """C45: no redirect is followed; 256 KB; two seconds for everything, however the answer drips."""
    key_server.status, key_server.headers = 302, {"Location": key_server.url}
    assert get(key_server.url).status == 302
    assert key_server.asked == 1
    key_server.status, key_server.headers, key_server.body = 200, {}, b"x" * 1001
    with pytest.raises(NotFetched, match="too large"):
        get(key_server.url)
    for wait, drip in ((2.0, 0.0), (0.0, 0.1)):
        key_server.body, key_server.wait, key_server.drip = b"x" * 900, wait, drip
        begun = time.monotonic()
        with pytest.raises(NotFetched):
            get(key_server.url)
        assert time.monotonic() - begun < 1.0
    key_server.wait = key_server.drip = 0.0


def test_endless_header_is_cut_off(key_server: KeyServer) -> None:
    """A peer that never ends its headers occupies a thread no longer than the timeout."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def speak() -> None:
            caller, _ = server.accept()
            try:
                caller.sendall(b"HTTP/1.1 200 OK\r\n")
                for number in range(40):
                    caller.sendall(f"X-{number}: 1\r\n".encode())
                    time.sleep(0.1)
            except OSError:
                return

        threading.Thread(target=speak, daemon=True).start()
        begun = time.monotonic()
        with pytest.raises(NotFetched):
            get(f"http://127.0.0.1:{server.getsockname()[1]}/")
        assert time.monotonic() - begun < 1.5
    assert key_server.asked == 0


def test_silent_name_server_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The two seconds hold for the name too."""
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(3) or [])
    begun = time.monotonic()
    with pytest.raises(NotFetched, match="not known"):
        get("https://slow.example.org/")
    assert time.monotonic() - begun < 1.5


# --- what is kept
# ---------------------------------------------------------------------------------------------------------


def test_client_with_jwks_uri_authenticates(world: World, key_server: KeyServer) -> None:
    """RFC 7591 §2: jwks_uri; one fetch serves many assertions."""
    signed = signer(world, jwks_uri=key_server.url)
    key_server.show(signed.key)
    for _ in range(3):
        assert signed.post("/oidc/introspect", {"token": "x"}).status_code == 200
    assert key_server.asked == 1


def test_key_rotation_at_jwks_uri(world: World, key_server: KeyServer) -> None:
    """C45: an unknown name asks again, once a minute at most; a withdrawn key lives five minutes."""
    old, new = new_key(kid="old"), new_key(kid="new")
    with time_machine.travel(NOON, tick=False) as travelled:
        signed = signer(world, jwks_uri=key_server.url, key=old)
        key_server.show(old)

        def accepted(key: Any) -> bool:
            with_it = signed.sign(signed.claims(), key=key, kid=key.kid)
            with http() as agent:
                return bool(
                    agent.post("/oidc/introspect", data={"token": "x", **signed.fields(with_it)}).status_code == 200
                )

        assert accepted(old)
        key_server.show(new)
        assert not accepted(new)
        assert key_server.asked == 1
        travelled.shift(timedelta(seconds=61))
        assert accepted(new)
        assert not accepted(old)
        assert key_server.asked == 2
        key_server.show(old)
        travelled.shift(timedelta(minutes=4, seconds=59))
        assert accepted(new)
        travelled.shift(timedelta(seconds=2))
        assert not accepted(new)


def test_unreachable_jwks_uri_is_retried_once_a_minute(world: World, key_server: KeyServer) -> None:
    """C45: negative cache; old keys kept, but not for ever."""
    signed = signer(world, jwks_uri=key_server.url)
    key_server.status = 500
    party = clients.find(signed.app.client_id)
    assert party is not None
    for second in (0, 1, 59):
        assert keys.keys_of(party, now=at(second)) == []
    assert key_server.asked == 1
    key_server.status = 200
    key_server.show(signed.key)
    assert len(keys.keys_of(party, now=at(61))) == 1
    key_server.status = 503
    assert len(keys.keys_of(party, now=at(61 + 3599))) == 1
    assert key_server.asked == 3
    assert keys.keys_of(party, now=at(61 + 3601)) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"<html>",
        b'{"keys": {}}',
        b"[" * 100_000,
        json.dumps({"keys": [{}] * 51}).encode(),
        b"x" * 300_000,
        b"\xff\xfe",
        json.dumps(
            {"keys": [1, None, "x", [], {"kty": []}, {"kty": "EC", "kid": 5}, {"kty": "oct", "k": "AA"}]}
        ).encode(),
    ],
    ids=range(10),
)
def test_malformed_key_set_yields_no_keys(world: World, key_server: KeyServer, body: bytes) -> None:
    """C45: not JSON, too deep, too many, too large, or nothing usable in it."""
    signed = signer(world, jwks_uri=key_server.url)
    key_server.body = body
    assert signed.post("/oidc/introspect", {"token": "x"}).status_code == 401


def test_published_private_key_is_ignored(world: World, key_server: KeyServer) -> None:
    """J3: the others in the set still serve, and the private member is not kept."""
    bad, good = new_key(kid="bad"), new_key(kid="good")
    signed = signer(world, jwks_uri=key_server.url, key=good)
    key_server.body = json.dumps({"keys": [bad.as_dict(private=True), good.as_dict(private=False)]}).encode()
    assert signed.post("/oidc/introspect", {"token": "x"}).status_code == 200
    kept = ClientKeys.objects.get().jwks
    assert [one["kid"] for one in kept["keys"]] == ["good"]
    assert '"d"' not in json.dumps(kept)


def test_kid_is_scoped_to_its_client(world: World, key_server: KeyServer) -> None:
    """C45: the same kid, or even the same address, at another client is another's."""
    one = signer(world, jwks_uri=key_server.url)
    key_server.show(one.key)
    other = signer(world)
    assert one.post("/oidc/introspect", {"token": "x"}).status_code == 200
    assert other.key.kid == one.key.kid
    with http() as agent:
        crossed = one.sign(one.claims(iss=other.app.client_id, sub=other.app.client_id))
        assert agent.post("/oidc/introspect", data={"token": "x", **one.fields(crossed)}).status_code == 401


@pytest.mark.database
def test_changed_jwks_uri_drops_the_old_keys(world: World, key_server: KeyServer) -> None:
    """P46: keys of the old address are no longer accepted."""
    signed = signer(world, jwks_uri=key_server.url)
    key_server.show(signed.key)
    assert signed.post("/oidc/introspect", {"token": "x"}).status_code == 200
    with opened() as elsewhere:
        changed, _ = clients.change(signed.app.party, now=at(0), jwks_uri=elsewhere.url)
        assert not ClientKeys.objects.exists()
        assert signed.post("/oidc/introspect", {"token": "x"}).status_code == 401
        assert changed.policy.version == signed.app.party.policy.version


@pytest.mark.django_db
@pytest.mark.database
@pytest.mark.parametrize("operations", [5, None, "verify", {}])
def test_malformed_key_is_refused_without_delay(world: World, operations: object) -> None:
    """C45: `key_ops` of any type, inline and at the client's own address; the next request is answered at once."""
    document = jwks(new_key())
    document["keys"][0]["key_ops"] = operations
    assert send("POST", "/oidc/register", initial(), {**GOOD, "jwks": document}).status_code == 400
    with opened() as place:
        place.body = json.dumps(document).encode()
        app = signer(world, jwks=None, jwks_uri=place.url)
        for _ in range(2):
            assert app.post("/oidc/introspect", {"token": "x"}).status_code == 401
    kept = ClientKeys.objects.get()
    assert kept.tries == kept.answered


@pytest.mark.django_db
def test_internal_address_is_not_fetched_for_an_intranet_issuer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """P55: only an issuer on loopback may reach loopback, whatever its domain is called."""
    far = Config(issuer="https://sso.agency.local", kek="A" * 43 + "=")
    monkeypatch.setattr("idp.clients.metadata.config", lambda: far)
    monkeypatch.setattr(outbound, "config", lambda: far)
    with opened() as place:
        refused = send("POST", "/oidc/register", initial(), {**GOOD, "sector_identifier_uri": place.url})
    assert refused.status_code == 400
    assert "list every" not in refused.text
