"""The device client against a server on a real port that is not always kind."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from joserfc import jws

from device.client import Answered, Code, DeviceClient
from device.errors import BindingFailed, ProtocolError, Unreachable, UntrustedIssuer
from device.keeping import Enrolment
from device.key import DeviceKey
from tests.fixtures.signing_provider import Provider, provider

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TOKENS: dict[str, Any] = {"access_token": "a", "token_type": "DPoP", "expires_in": 300}


@pytest.fixture
def server() -> Iterator[Provider]:
    """A provider of this test's own."""
    with provider() as found:
        yield found


def enrolled(server: Provider) -> DeviceClient:
    """A device that is bound there."""
    kept = Enrolment(key=DeviceKey.generate(), issuer=server.issuer, device_name="x", credential_id="c-1")
    return DeviceClient(kept)


def unverified_payload(proof: str) -> dict[str, Any]:
    """The claims of a proof, unverified: only to look at them."""
    return dict(json.loads(jws.extract_compact(proof.encode()).payload))


def test_dpop_nonce_is_used_with_a_fresh_assertion(server: Provider) -> None:
    """RFC 9449 §8: the nonce comes with the error; the assertion of the first try may be spent by then."""
    server.answers = [("400 Bad Request", {"error": "use_dpop_nonce"}, {"DPoP-Nonce": "n-1"}), ("200 OK", TOKENS, {})]
    tokens = enrolled(server).login("app", passphrase="a passphrase")
    assert tokens.access_token == "a"
    first, second = (unverified_payload(headers["HTTP_DPOP"]) for _, headers, _ in server.requests)
    assert "nonce" not in first
    assert second["nonce"] == "n-1"
    assertions = [unverified_payload(form["assertion"])["jti"] for form in server.forms()]
    assert assertions[0] != assertions[1]


def test_nonce_is_retried_once_only(server: Provider) -> None:
    """There is one more try, never a loop."""
    server.answers = [("400 Bad Request", {"error": "use_dpop_nonce"}, {"DPoP-Nonce": "n"})] * 3
    with pytest.raises(ProtocolError, match="use_dpop_nonce"):
        enrolled(server).login("app", passphrase=None)
    assert len(server.requests) == 2


def test_login_without_a_passphrase_sends_none(server: Provider) -> None:
    """One factor: the form has no passphrase at all, not an empty one."""
    server.answers = [("200 OK", TOKENS, {})]
    enrolled(server).login("app", passphrase=None)
    assert "passphrase" not in server.requests[0][2]


def test_unbound_token_is_refused(server: Provider) -> None:
    """A token that is not bound to the key could be stolen."""
    server.answers = [("200 OK", {**TOKENS, "token_type": "Bearer"}, {})]
    with pytest.raises(Unreachable, match="not bound"):
        enrolled(server).login("app", passphrase=None)


def test_server_error_reaches_the_caller(server: Provider) -> None:
    """`error`, `error_description`, status and Retry-After arrive as they were sent."""
    server.answers = [("429 X", {"error": "slow_down", "error_description": "wait"}, {"Retry-After": "7"})]
    with pytest.raises(ProtocolError) as caught:
        enrolled(server).login("app", passphrase=None)
    found = caught.value
    assert (found.error, found.error_description, found.status, found.retry_after) == ("slow_down", "wait", 429, 7)


def test_resource_error_is_read_from_www_authenticate(server: Provider) -> None:
    """RFC 6750 §3: userinfo says what is wrong in WWW-Authenticate."""
    said = {"WWW-Authenticate": 'DPoP error="invalid_token", error_description="gone"'}
    server.answers = [("401 Unauthorized", {}, said)]
    with pytest.raises(ProtocolError, match="invalid_token: gone"):
        enrolled(server).userinfo("a")


@pytest.mark.parametrize("issuer", ["http://login.example.org", "ftp://localhost", "http://localhost.example.org"])
def test_issuer_without_tls_is_refused(issuer: str) -> None:
    """BI-4: plain HTTP is for loopback only."""
    with pytest.raises(UntrustedIssuer, match="https"):
        DeviceClient().ask_challenge(issuer, Code(text="x"), key=DeviceKey.generate())


def test_metadata_of_another_issuer_is_refused(server: Provider) -> None:
    """RFC 8414 §3.3: else a stranger's metadata would lead the proofs elsewhere."""
    server.named_issuer = "https://other.example.org"
    with pytest.raises(UntrustedIssuer, match="another issuer"):
        enrolled(server).login("app", passphrase=None)


def test_polling_survives_503_and_429_and_ends_with_a_refusal(server: Provider) -> None:
    """503 and 429 are waited out; a refusal ends the polling."""
    server.answers = [
        ("503 X", {"error": "temporarily_unavailable"}, {}),
        ("429 X", {"error": "slow_down"}, {"Retry-After": "9"}),
        ("200 OK", {"status": "pending"}, {}),
        ("200 OK", {"status": "refused"}, {}),
    ]
    pauses: list[float] = []
    client = DeviceClient(sleep=pauses.append)
    with pytest.raises(BindingFailed, match="refused"):
        client.wait_for_desktop(server.issuer, _answered(), key=DeviceKey.generate())
    assert pauses == [2, 2, 9, 9]


def test_polling_ends_when_the_code_expires(server: Provider) -> None:
    """The lifetime of the code bounds the polling."""
    server.answers = [("200 OK", {"status": "pending"}, {})] * 400
    clock = [NOW]

    def sleep(seconds: float) -> None:
        clock[0] += timedelta(seconds=seconds)

    client = DeviceClient(clock=lambda: clock[0], sleep=sleep)
    with pytest.raises(BindingFailed, match="expired"):
        client.wait_for_desktop(server.issuer, _answered(), key=DeviceKey.generate())
    assert len(server.requests) == 5


def _answered() -> Answered:
    return Answered(
        binding_id="b-1",
        number="47",
        device_name="x",
        expires_in=timedelta(seconds=10),
        interval=timedelta(seconds=2),
    )
