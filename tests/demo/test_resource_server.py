"""The resource server asks its provider rarely, sends its secret nowhere else, and decides nothing without it."""

from __future__ import annotations

import base64
import hashlib
import time
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from device.key import DeviceKey
from resource_server import Api, Call, Challenge, Introspected, Need, Verified
from resource_server.proofs import BadProof, Seen, key_of
from resource_server.tokens import REFETCH_SECONDS

ISSUER, API = "https://login.example.org", "https://api.example.org"
_WELL_KNOWN = "/.well-known/oauth-authorization-server"


class Provider:
    """A provider behind httpx's transport: it counts its requests, and can be down, lie, or rotate its key."""

    def __init__(self) -> None:
        self.keys = [ECKey.generate_key("P-256", {"kid": "k1", "alg": "ES256", "use": "sig"})]
        self.metadata: dict[str, Any] = {
            "issuer": ISSUER,
            "jwks_uri": f"{ISSUER}/jwks",
            "introspection_endpoint": f"{ISSUER}/introspect",
        }
        self.answer: tuple[int, Any] = (200, {"active": False})
        self.down = False
        self.asked: list[httpx.Request] = []
        self.client = httpx.Client(transport=httpx.MockTransport(self._handle))

    def _handle(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if self.down:
            raise httpx.ConnectError("down")
        if request.url.path == _WELL_KNOWN:
            return httpx.Response(200, json=self.metadata)
        if request.url.path == "/jwks":
            return httpx.Response(200, json={"keys": [key.as_dict(private=False) for key in self.keys]})
        return httpx.Response(self.answer[0], json=self.answer[1])

    def token(self, **changed: Any) -> str:
        key = changed.pop("key", self.keys[0])
        claims = {"iss": ISSUER, "aud": API, "exp": int(time.time()) + 300, "sub": "x", **changed}
        return jwt.encode({"alg": "ES256", "typ": "at+jwt", "kid": key.kid}, claims, key)


class Clock:
    """A time that a test moves."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def api(provider: Provider, clock: Clock) -> Api:
    return Api(Verified(ISSUER, API, provider.client), clock=clock)


def _answer(api: Api, token: str) -> int:
    call = Call(method="GET", url=f"{API}/x", headers={"authorization": f"Bearer {token}"})
    try:
        api.admit(call, Need())
    except Challenge as refused:
        assert ("Retry-After" in refused.headers) == (refused.status == 503)
        return refused.status
    return 200


def test_garbage_causes_no_request(api: Api, provider: Provider) -> None:
    """A hundred tokens that nobody signed: the provider is asked for its keys once, for the first real one."""
    stranger = ECKey.generate_key("P-256", {"kid": "k1"})
    garbage = ["x", "a.b.c", "e30.e30.e30", "." * 5000, provider.token(key=stranger), "é", "e30=.e30.x"]
    assert {_answer(api, one) for one in garbage * 15} == {401}
    assert len(provider.asked) <= 2, "metadata and keys, once"
    assert _answer(api, provider.token()) == 200


def test_an_unknown_kid_is_looked_for_once_a_minute(api: Api, provider: Provider, clock: Clock) -> None:
    """A rotated key is found; strangers who invent key ids cause one request a minute."""
    assert _answer(api, provider.token()) == 200
    before = len(provider.asked)
    strangers = [ECKey.generate_key("P-256", {"kid": f"s{number}"}) for number in range(20)]
    assert {_answer(api, provider.token(key=one)) for one in strangers} == {401}
    assert len(provider.asked) == before
    fresh = ECKey.generate_key("P-256", {"kid": "k2", "alg": "ES256", "use": "sig"})
    provider.keys = [fresh, *provider.keys]
    clock.now += REFETCH_SECONDS
    assert _answer(api, provider.token(exp=int(clock.now) + 300)) == 200
    assert {_answer(api, provider.token(key=one, exp=int(clock.now) + 300)) for one in strangers} == {401}
    assert len(provider.asked) == before + 1
    assert _answer(api, provider.token(exp=int(clock.now) + 300)) == 200


def test_a_provider_that_is_down_is_a_503(api: Api, provider: Provider, clock: Clock) -> None:
    """Nothing is admitted, nothing crashes, and the provider is not asked for every call."""
    provider.down = True
    assert {_answer(api, provider.token()) for _ in range(10)} == {503}
    assert len(provider.asked) == 1
    provider.down = False
    clock.now += 2
    assert _answer(api, provider.token()) == 200
    provider.down = True
    clock.now += 30
    assert _answer(api, provider.token()) == 200, "known keys need no provider"


@pytest.mark.parametrize(
    "changed",
    [
        {"issuer": "https://evil.example"},
        {"jwks_uri": "https://evil.example/jwks"},
        {"jwks_uri": "http://login.example.org/jwks"},
        {"jwks_uri": "https://login.example.org:444/jwks"},
        {"jwks_uri": None},
    ],
)
def test_metadata_that_point_elsewhere_are_not_followed(api: Api, provider: Provider, changed: dict[str, Any]) -> None:
    """The issuer, https and the origin are compared before anything is asked there."""
    provider.metadata.update(changed)
    assert _answer(api, provider.token()) == 503
    assert {request.url.path for request in provider.asked} == {_WELL_KNOWN}


@pytest.mark.parametrize("where", ["https://evil.example/introspect", "http://login.example.org/introspect"])
def test_the_secret_goes_to_the_issuer_only(provider: Provider, where: str) -> None:
    """No credentials of this API leave for another origin, or in plain text."""
    provider.metadata["introspection_endpoint"] = where
    api = Api(Introspected(ISSUER, API, provider.client, "api", "secret"))
    assert _answer(api, "opaque") == 503
    assert not any("authorization" in request.headers for request in provider.asked)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ((200, {"active": True, "aud": API, "exp": 2**40}), 200),
        ((200, {"active": True, "aud": API, "exp": "soon"}), 401),
        ((200, {"active": True, "aud": API}), 401),
        ((200, {"active": "true", "aud": API, "exp": 2**40}), 401),
        ((200, {"active": False}), 401),
        ((200, []), 503),
        ((401, {"error": "invalid_client"}), 503),
        ((500, {}), 503),
    ],
)
def test_each_failure_of_introspection_is_its_own(provider: Provider, answer: tuple[int, Any], status: int) -> None:
    """What the provider says of the token is a 401; what it says of this API, or nothing, is a 503."""
    provider.answer = answer
    assert _answer(Api(Introspected(ISSUER, API, provider.client, "api", "secret")), "opaque") == status


def test_http_is_for_loopback_only(provider: Provider) -> None:
    """An issuer without https off loopback is never asked."""
    plain = "http://login.example.org"
    assert _answer(Api(Verified(plain, API, provider.client)), provider.token(iss=plain)) == 503
    assert provider.asked == []


def test_remembered_proofs_expire_one_by_one() -> None:
    """A replay is refused until its end, and the store neither scans nor grows without bound."""
    seen = Seen(most=1000)
    assert seen.first("a", until=100, now=0)
    assert not seen.first("a", until=100, now=99)
    assert seen.first("a", until=200, now=100)
    for number in range(999):
        assert seen.first(f"k{number}", until=150, now=100)
    assert not seen.first("one too many", until=150, now=100), "fail closed"
    assert seen.first("later", until=300, now=150)
    assert len(seen._known) == 2


@pytest.mark.parametrize(
    ("url", "htu", "accepted"),
    [
        (f"{API}/a", "HTTPS://API.EXAMPLE.ORG:443/a", True),
        (f"{API}:443/a", f"{API}/a", True),
        (f"{API}/a-b", f"{API}/%61%2db", True),
        (f"{API}/a", f"{API}/./x/../a?q#f", True),
        (API, f"{API}/", True),
        (f"{API}/a%2fb", f"{API}/a%2Fb", True),
        (f"{API}/a", f"{API}:8443/a", False),
        (f"{API}/a", f"{API}:80/a", False),
        (f"{API}/a", "http://api.example.org/a", False),
        (f"{API}/a", f"{API}/A", False),
        (f"{API}/a/b", f"{API}/a%2Fb", False),
        (f"{API}/a", f"{API}/a/", False),
        (f"{API}/a", "https://u@api.example.org/a", False),
        (f"{API}/a", f"{API}:x/a", False),
        (f"{API}/ä", f"{API}/ä", False),
        (f"{API}/a", "/a", False),
    ],
)
def test_htu_is_compared_after_normalization(url: str, htu: str, *, accepted: bool) -> None:
    """RFC 9449 §4.3, RFC 3986 §6.2.2, §6.2.3."""
    key, now = DeviceKey.generate(), int(time.time())
    ath = base64.urlsafe_b64encode(hashlib.sha256(b"t").digest()).rstrip(b"=").decode()
    claims = {"htm": "GET", "htu": htu, "iat": now, "jti": "j", "ath": ath}
    proof = key.sign({"typ": "dpop+jwt", "jwk": key.public_jwk}, claims)
    call = Call(method="GET", url=url, headers={"dpop": proof})
    if accepted:
        assert key_of(call, "t", seen=Seen(), now=now) == key.jkt
    else:
        with pytest.raises(BadProof, match="another request"):
            key_of(call, "t", seen=Seen(), now=now)
