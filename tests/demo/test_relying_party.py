"""The demo relying party believes only what was signed for it, now, in answer to its own request."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from demo.openid import LOGOUT_EVENT, Login, OpenIdClient, Refused, Untrustworthy
from demo.relying_party import RelyingParty
from demo.server import free_port
from demo.web import serving
from tests.fixtures.signing_provider import CLIENT_ID, Provider, provider

if TYPE_CHECKING:
    from collections.abc import Iterator

CALLBACK = "http://localhost/callback"


@pytest.fixture
def server() -> Iterator[Provider]:
    """A provider of this test's own."""
    with provider() as found:
        yield found


@pytest.fixture
def client(server: Provider) -> OpenIdClient:
    """Its client."""
    return OpenIdClient(server.issuer, CLIENT_ID, client_secret="s", redirect_uri=CALLBACK)


def test_authorization_request_has_pkce_state_and_nonce(client: OpenIdClient) -> None:
    """OIDC Core §3.1.2.1 with RFC 7636: S256, and the level in acr_values."""
    pending = client.request(acr_values="aal/2")
    query = {name: values[0] for name, values in parse_qs(urlsplit(pending.url).query).items()}
    assert query["response_type"] == "code"
    assert query["code_challenge_method"] == "S256"
    assert (query["state"], query["nonce"], query["acr_values"]) == (pending.state, pending.nonce, "aal/2")
    assert pending.verifier not in pending.url
    assert pending.verifier not in repr(pending)


@pytest.mark.parametrize("change", [{"state": "x"}, {"iss": "https://other.example.org"}, {"iss": ""}, {"code": ""}])
def test_callback_for_another_request_is_refused(client: OpenIdClient, change: dict[str, str]) -> None:
    """Wrong state, another or no issuer (RFC 9207), or no code: nothing is exchanged."""
    pending = client.request()
    answer = {"state": pending.state, "iss": client.issuer, "code": "c", **change}
    with pytest.raises(Untrustworthy):
        client.code(f"{CALLBACK}?{urlencode(answer)}", pending=pending)


def test_provider_error_is_shown(client: OpenIdClient) -> None:
    """An error in the callback is an error for the person, with its words."""
    pending = client.request()
    answer = {"state": pending.state, "iss": client.issuer, "error": "unmet_authentication_requirements"}
    with pytest.raises(Refused, match="unmet_authentication_requirements"):
        client.code(f"{CALLBACK}?{urlencode(answer)}", pending=pending)


def test_valid_id_token_is_accepted(server: Provider, client: OpenIdClient) -> None:
    """The control for the next test: signature, issuer, audience, time and nonce all hold."""
    claims = client.id_token_claims(server.signed({"nonce": "n"}), nonce="n", access_token="a")
    assert claims["sub"] == "alex"


@pytest.mark.parametrize(
    "lie",
    [
        {"nonce": "other"},
        {"iss": "https://other.example.org"},
        {"aud": "other-app"},
        {"aud": None},
        {"exp": int(time.time()) - 60},
        {"exp": None},
        {"sub": None},
        {"at_hash": "AAAA"},
    ],
)
def test_id_token_with_a_wrong_claim_is_refused(server: Provider, client: OpenIdClient, lie: dict[str, Any]) -> None:
    """OIDC Core §3.1.3.7, claim by claim."""
    with pytest.raises(Untrustworthy):
        client.id_token_claims(server.signed({"nonce": "n", **lie}), nonce="n", access_token="a")


def test_id_token_of_another_type_or_key_is_refused(server: Provider, client: OpenIdClient) -> None:
    """No HMAC with the client's secret, no token of another type, no changed signature."""
    honest = server.signed({"nonce": "n"})
    tokens = [
        server.signed({"nonce": "n"}, alg="HS256"),
        server.signed({"nonce": "n"}, typ="at+jwt"),
        honest[:-6] + "AAAAAA",
        "not a token",
    ]
    for token in tokens:
        with pytest.raises(Untrustworthy):
            client.id_token_claims(token, nonce="n", access_token="a")


def test_refreshed_id_token_of_another_login_is_refused(server: Provider, client: OpenIdClient) -> None:
    """OIDC Core §12.2: same person, same auth_time."""
    login = _login(server, client)
    moved = server.signed({"auth_time": 2})
    answer = {"access_token": "b", "token_type": "Bearer", "expires_in": 300, "id_token": moved}
    server.answers = [("200 OK", answer, {})]
    with pytest.raises(Untrustworthy, match="another login"):
        client.refresh(replace(login, refresh_token="r"))


def test_app_logs_in_and_accepts_a_logout_token_once(server: Provider) -> None:
    """Login over the app's own pages, then back-channel logout: the session ends, a replay is refused."""
    port = free_port()
    base_url = f"http://localhost:{port}"
    client = OpenIdClient(server.issuer, CLIENT_ID, client_secret="s", redirect_uri=f"{base_url}/callback")
    app = RelyingParty(client, base_url=base_url)
    with serving(app, host="localhost", port=port), httpx.Client(base_url=base_url) as browser:
        away = parse_qs(urlsplit(browser.get("/login").headers["Location"]).query)
        token = server.signed({"nonce": away["nonce"][0], "sid": "s-1"})
        server.answers = [
            ("200 OK", {"access_token": "a", "token_type": "Bearer", "id_token": token}, {}),
            ("200 OK", {"sub": "alex", "name": "<b>Alex</b>"}, {}),
        ]
        answer = {"state": away["state"][0], "iss": server.issuer, "code": "c"}
        assert browser.get("/callback", params=answer).headers["Location"] == "/"
        page = browser.get("/")
        assert "&lt;b&gt;Alex" in page.text
        assert "<b>Alex" not in page.text
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        assert browser.get("/callback", params=answer).status_code == 400
        more = parse_qs(urlsplit(browser.get("/login?aal=3").headers["Location"]).query)
        refusal = {"state": more["state"][0], "iss": server.issuer, "error": "unmet_authentication_requirements"}
        assert "cannot honestly reach" in browser.get("/callback", params=refusal).text
        assert len(app.logins()) == 1  # a refused step-up does not end what was there
        logout = server.signed({"jti": "j", "sid": "s-1", "events": {LOGOUT_EVENT: {}}}, typ="logout+jwt")
        assert browser.post("/backchannel-logout", data={"logout_token": logout}).status_code == 200
        assert app.logins() == []
        assert "back-channel logout" in browser.get("/").text
        assert browser.post("/backchannel-logout", data={"logout_token": logout}).status_code == 400


@pytest.mark.parametrize(
    ("claims", "header"),
    [
        ({"jti": "j", "events": {LOGOUT_EVENT: {}}}, {}),
        ({"jti": "j", "events": {}}, {"typ": "logout+jwt"}),
        ({"jti": "j", "events": {LOGOUT_EVENT: {}}, "nonce": "n"}, {"typ": "logout+jwt"}),
        ({"events": {LOGOUT_EVENT: {}}}, {"typ": "logout+jwt"}),
        ({"jti": "j", "events": {LOGOUT_EVENT: {}}, "sub": None}, {"typ": "logout+jwt"}),
        ({"jti": "j", "events": {LOGOUT_EVENT: {}}, "aud": "other"}, {"typ": "logout+jwt"}),
    ],
)
def test_invalid_logout_token_ends_nothing(
    server: Provider, client: OpenIdClient, claims: dict[str, Any], header: dict[str, str]
) -> None:
    """Back-Channel Logout §2.6: typ, events, no nonce, jti, subject and audience."""
    with pytest.raises(Untrustworthy):
        client.logout_claims(server.signed(claims, **header))


def test_userinfo_with_another_sub_is_refused(server: Provider) -> None:
    """OIDC Core §5.3.2: a userinfo response whose `sub` is another's must not be used."""
    port = free_port()
    base_url = f"http://localhost:{port}"
    client = OpenIdClient(server.issuer, CLIENT_ID, client_secret="s", redirect_uri=f"{base_url}/callback")
    app = RelyingParty(client, base_url=base_url)
    with serving(app, host="localhost", port=port), httpx.Client(base_url=base_url) as browser:
        away = parse_qs(urlsplit(browser.get("/login").headers["Location"]).query)
        token = server.signed({"nonce": away["nonce"][0]})
        server.answers = [
            ("200 OK", {"access_token": "a", "token_type": "Bearer", "id_token": token}, {}),
            ("200 OK", {"sub": "mallory", "name": "Mallory"}, {}),
        ]
        browser.get("/callback", params={"state": away["state"][0], "iss": server.issuer, "code": "c"})
        page = browser.get("/").text
    assert "Hello, " in page
    assert "Mallory" not in page


def test_form_without_csrf_token_is_refused(server: Provider) -> None:
    """The app's own forms are protected against cross-site requests."""
    app = RelyingParty(
        OpenIdClient(server.issuer, CLIENT_ID, client_secret="s", redirect_uri=CALLBACK), base_url="http://localhost"
    )
    port = free_port()
    with serving(app, host="localhost", port=port):
        answer = httpx.post(f"http://localhost:{port}/refresh", data={"csrf": ""})
    assert answer.status_code == 400


def _login(server: Provider, client: OpenIdClient) -> Login:
    pending = client.request()
    token = server.signed({"nonce": pending.nonce, "auth_time": 1})
    server.answers = [("200 OK", {"access_token": "a", "token_type": "Bearer", "id_token": token}, {})]
    return client.exchange("c", pending=pending)
