"""The modules of the plans basic, form-post basic, config, RP-initiated and back-channel logout, by the names that
the suite gives them.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from idp.conformance import PERSON

if TYPE_CHECKING:
    from tests.conformance.suite import Suite, SuiteServer

SCOPES = {
    "profile": {
        "name", "given_name", "family_name", "middle_name", "nickname", "preferred_username", "profile", "picture",
        "website", "gender", "birthdate",
        "zoneinfo", "locale", "updated_at",
    },
    "email": {"email", "email_verified"}, "phone": {"phone_number", "phone_number_verified"}, "address": {"address"},
}  # fmt: skip


@pytest.fixture(params=["basic", "form-post"])
def plan(suite_server: SuiteServer, request: pytest.FixtureRequest) -> Suite:
    """The two plans have the same modules; in the second every answer is a form."""
    found = suite_server.plan(request.param)
    if request.param == "form-post":
        plain = found.parameters
        found.parameters = lambda which="client", **changed: plain(which, **{"response_mode": "form_post", **changed})  # type: ignore[method-assign]
    return found


@pytest.fixture
def basic(suite_server: SuiteServer) -> Suite:
    """For what does not depend on the response mode."""
    return suite_server.plan("basic")


def test_oidcc_discovery_endpoint_verification(basic: Suite) -> None:
    """The config plan."""
    said = basic.metadata
    assert said["issuer"] == basic.suite_server.issuer
    for name in ("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "end_session_endpoint"):
        assert said[name].startswith("https://")
    assert said["response_types_supported"] == ["code"]
    assert {"public", "pairwise"} >= set(said["subject_types_supported"])
    assert "RS256" in said["id_token_signing_alg_values_supported"]
    assert {"openid", "profile", "email", "phone", "address"} <= set(said["scopes_supported"])
    assert {"query", "form_post"} <= set(said["response_modes_supported"])
    assert (
        said["claims_parameter_supported"],
        said["backchannel_logout_supported"],
        said["backchannel_logout_session_supported"],
    ) == (True, True, True)
    with basic.suite_server.http() as http:
        keys = http.get(said["jwks_uri"]).json()["keys"]
    assert keys
    assert not any({"d", "k", "p"} & one.keys() for one in keys)


def test_oidcc_server(plan: Suite) -> None:
    """oidcc-server, -idtoken-signature, -userinfo-get, -userinfo-post-header, -userinfo-post-body; the login is
    typed by the configuration's tasks.
    """
    tokens, about = plan.login()
    assert {"User name and password", "The fixed second factor"} <= set(plan.seen)
    assert about["fal"] == 1, "the basic plan sends no PKCE, and the login says so"
    for how in ("get", "post"):
        said = plan.userinfo(tokens["access_token"], how)
        assert (said.status_code, said.json()["sub"]) == (200, about["sub"])
    assert plan.userinfo(tokens["access_token"], "body").status_code in {200, 400, 401}
    assert tokens["token_type"] == "Bearer"


def test_oidcc_server_client_secret_post(basic: Suite) -> None:
    """The variant of it."""
    code = basic.ask(which="client_secret_post")["code"]
    assert basic.token(code, "client_secret_post", post=True).status_code == 200


def test_oidcc_response_type_missing(plan: Suite) -> None:
    assert plan.ask(response_type=None)["error"] in {"invalid_request", "unsupported_response_type"}


def test_oidcc_idtoken_unsigned(basic: Suite) -> None:
    """Not offered."""
    assert "none" not in basic.metadata["id_token_signing_alg_values_supported"]


def test_oidcc_ensure_request_without_nonce_succeeds_for_code_flow(plan: Suite) -> None:
    _, about = plan.login(nonce=None)
    assert about["fal"] == 1


@pytest.mark.parametrize("scope", [*SCOPES, "profile email address phone", "email openid"])
def test_oidcc_scope(basic: Suite, scope: str) -> None:
    """oidcc-scope-profile, -email, -address, -phone, -all, oidcc-ensure-other-scope-order-succeeds: in userinfo,
    each, and the ID token has none (FA-5).
    """
    tokens, about = basic.login(scope=scope if "openid" in scope else f"openid {scope}")
    said = basic.userinfo(tokens["access_token"]).json()
    wanted: set[str] = set().union(*(SCOPES[one] for one in scope.split() if one != "openid"))
    assert wanted <= said.keys(), wanted - said.keys()
    assert not wanted & about.keys()
    if "address" in scope:
        assert said["address"].keys() == {"formatted", "street_address", "locality", "region", "postal_code", "country"}
    if "profile" in scope:
        assert isinstance(said["updated_at"], int)


@pytest.mark.parametrize(
    ("module", "changed"),
    [
        ("oidcc-display-page", {"display": "page"}), ("oidcc-display-popup", {"display": "popup"}),
        ("oidcc-ui-locales", {"ui_locales": "se"}),
        ("oidcc-claims-locales", {"claims_locales": "se"}),
        ("oidcc-ensure-request-with-unknown-parameter-succeeds", {"extra": "foobar"}),
        ("oidcc-login-hint", {"login_hint": PERSON}),
        ("oidcc-ensure-request-with-acr-values-succeeds", {"acr_values": "1 2"}),
        ("oidcc-max-age-10000", {"max_age": "10000"}),
    ],
)  # fmt: skip
def test_oidcc_parameters_that_succeed(basic: Suite, module: str, changed: dict[str, str]) -> None:
    _, about = basic.login(module, **changed)
    assert about["auth_time"] <= time.time()


def test_oidcc_prompt_login(plan: Suite) -> None:
    """The second login is typed again, and its time is its own; the picture that the module wants is of the page
    that asks.
    """
    _, first = plan.login("oidcc-prompt-login")
    time.sleep(1.1)
    plan.seen.clear()
    _, second = plan.login("oidcc-prompt-login", prompt="login")
    assert "User name and password" in plan.seen
    assert second["auth_time"] > first["auth_time"]


def test_oidcc_prompt_none_not_logged_in(plan: Suite) -> None:
    assert plan.ask(prompt="none")["error"] in {"login_required", "interaction_required"}


def test_oidcc_prompt_none_logged_in(plan: Suite) -> None:
    _, first = plan.login()
    plan.seen.clear()
    _, second = plan.login(prompt="none")
    assert "User name and password" not in plan.seen
    assert (first["sub"], first["auth_time"]) == (second["sub"], second["auth_time"])


def test_oidcc_max_age_1(basic: Suite) -> None:
    _, first = basic.login()
    time.sleep(2.1)
    _, second = basic.login("oidcc-max-age-1", max_age="1")
    assert second["auth_time"] > first["auth_time"]


def test_oidcc_id_token_hint(basic: Suite) -> None:
    tokens, first = basic.login()
    _, second = basic.login(prompt="none", id_token_hint=tokens["id_token"])
    assert first["sub"] == second["sub"]


@pytest.mark.parametrize("after", [0, 2])
def test_oidcc_codereuse(basic: Suite, after: int) -> None:
    """oidcc-codereuse, -codereuse-30seconds: invalid_grant, and the tokens of the first exchange are revoked."""
    code = basic.ask()["code"]
    tokens = basic.token(code).json()
    time.sleep(after)
    assert basic.token(code).json()["error"] == "invalid_grant"
    assert basic.userinfo(tokens["access_token"]).status_code == 401


def test_oidcc_ensure_registered_redirect_uri(plan: Suite) -> None:
    """The page that the suite takes a picture of, and nobody is sent anywhere."""
    asked = plan.parameters(redirect_uri=plan.redirect_uri + "/unregistered")
    page, came = plan.visit(
        f"{plan.metadata['authorization_endpoint']}?{httpx_query(asked)}", "oidcc-ensure-registered-redirect-uri"
    )
    assert (page.status, came) == (400, {})
    assert plan.seen == ["The error page"]


def httpx_query(asked: dict[str, str]) -> str:
    """As the suite encodes it."""
    import httpx

    return str(httpx.QueryParams(asked))


def test_oidcc_ensure_post_request_succeeds(basic: Suite) -> None:
    """The authorization request as a form from another site: without a cookie at first."""
    basic.login()
    with basic.suite_server.http() as http:
        response = http.post(basic.metadata["authorization_endpoint"], data=basic.parameters())
    assert response.status_code == 303
    _, came = basic.visit(basic.suite_server.issuer + response.headers["Location"])
    assert "code" in came


@pytest.mark.parametrize(
    ("name", "error"), [("request", "request_not_supported"), ("request_uri", "request_uri_not_supported")]
)
def test_oidcc_unsigned_request_rejected_as_unsupported(plan: Suite, name: str, error: str) -> None:
    """oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported, the same for request_uri;
    oidcc-ensure-request-object-with-redirect-uri.
    """
    value = {"request": "eyJhbGciOiJub25lIn0.e30.", "request_uri": "https://suite.example/requests/1"}[name]
    assert plan.ask(**{name: value})["error"] == error


def test_oidcc_claims_essential(basic: Suite) -> None:
    tokens, about = basic.login(claims=json.dumps({"userinfo": {"name": {"essential": True}}}))
    assert basic.userinfo(tokens["access_token"]).json()["name"]
    assert "name" not in about


def test_oidcc_refresh_token(basic: Suite) -> None:
    """Works for its client and for no other; the ID token keeps sub and auth_time."""
    code = basic.ask("oidcc-refresh-token", scope="openid offline_access", prompt="consent")["code"]
    tokens = basic.token(code).json()
    first = basic.claims(tokens["id_token"])
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    with basic.suite_server.http() as http:
        other = basic.client("client2")
        refused = http.post(
            basic.metadata["token_endpoint"], data=form, auth=(other["client_id"], other["client_secret"])
        )
        assert refused.json()["error"] in {"invalid_grant", "invalid_client"}
        mine = basic.client()
        again = http.post(basic.metadata["token_endpoint"], data=form, auth=(mine["client_id"], mine["client_secret"]))
    about = basic.claims(again.json()["id_token"])
    assert {name: about[name] for name in ("sub", "auth_time", "aud")} == {
        name: first[name] for name in ("sub", "auth_time", "aud")
    }


def test_oidcc_ensure_request_with_valid_pkce_succeeds(basic: Suite) -> None:
    asked = basic.fapi()
    _, came = basic.visit(f"{basic.metadata['authorization_endpoint']}?{httpx_query(asked)}")
    response = basic.token(came["code"], code_verifier=basic.verifier)
    assert response.status_code == 200
    assert basic.claims(response.json()["id_token"])["fal"] == 2


# --- logout -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def leaving(suite_server: SuiteServer) -> tuple[Suite, str]:
    """Signed in, with an ID token."""
    suite = suite_server.plan("logout")
    return suite, suite.login()[0]["id_token"]


def gone(suite: Suite) -> bool:
    """What the modules look at last: a silent login fails."""
    return suite.ask(prompt="none").get("error") == "login_required"


@pytest.mark.parametrize("state", ["s" * 128, ""])
def test_oidcc_rp_initiated_logout(leaving: tuple[Suite, str], state: str) -> None:
    """And -no-state."""
    suite, hint = leaving
    query: dict[str, Any] = {
        "id_token_hint": hint,
        "post_logout_redirect_uri": f"{suite.base}/post_logout_redirect",
        **({"state": state} if state else {}),
    }
    page, came = suite.leave(**query)
    assert page.stopped_at.startswith(query["post_logout_redirect_uri"])
    assert came == ({"state": state} if state else {})
    assert gone(suite)


@pytest.mark.parametrize(
    "module",
    [
        "bad-post-logout-redirect-uri",
        "query-added-to-post-logout-redirect-uri",
        "no-id-token-hint",
        "modified-id-token-hint",
        "bad-id-token-hint",
    ],
)
def test_oidcc_rp_initiated_logout_with_unregistered_address(leaving: tuple[Suite, str], module: str) -> None:
    """A page, and no redirect to the registered address."""
    suite, hint = leaving
    uri = f"{suite.base}/post_logout_redirect"
    query = {
        "bad-post-logout-redirect-uri": {"id_token_hint": hint, "post_logout_redirect_uri": f"{uri}/bad"},
        "query-added-to-post-logout-redirect-uri": {
            "id_token_hint": hint,
            "post_logout_redirect_uri": f"{uri}?foo=bar",
        },
        "no-id-token-hint": {"post_logout_redirect_uri": uri},
        "modified-id-token-hint": {
            "id_token_hint": "eyJhbGciOiJub25lIn0." + hint.split(".")[1] + ".",
            "post_logout_redirect_uri": uri,
        },
        "bad-id-token-hint": {"id_token_hint": "not.a.token", "post_logout_redirect_uri": uri},
    }[module]
    page, _ = suite.leave(f"oidcc-rp-initiated-logout-{module}", state="x", **query)
    assert page.stopped_at == ""
    assert suite.seen[-1] == ("The error page" if module.startswith(("bad-post", "query")) else "The question")
    assert not gone(suite)


@pytest.mark.parametrize(
    ("module", "query"),
    [
        ("no-params", {}),
        ("only-state", {"state": "x"}),
        ("no-post-logout-redirect-uri", {"id_token_hint": "hint", "state": "x"}),
    ],
)
def test_oidcc_rp_initiated_logout_without_an_address(
    leaving: tuple[Suite, str], module: str, query: dict[str, str]
) -> None:
    """The question is answered by the configuration's browser."""
    suite, hint = leaving
    page, _ = suite.leave(
        f"oidcc-rp-initiated-logout-{module}",
        **{name: hint if value == "hint" else value for name, value in query.items()},
    )
    assert (page.status, page.stopped_at) == (200, "")
    shot = "Signed out at once" if module.startswith("no-post") else "Signed out"
    assert suite.seen[-1] == shot, "the picture is of the page that confirms"
    assert gone(suite)


def test_oidcc_backchannel_rp_initiated_logout(suite_server: SuiteServer) -> None:
    """A logout token for the session arrives at the suite; a silent login fails afterwards."""
    suite = suite_server.plan("backchannel")
    tokens, about = suite.login()
    suite.leave(
        id_token_hint=tokens["id_token"], post_logout_redirect_uri=f"{suite.base}/post_logout_redirect", state="s"
    )
    until = time.monotonic() + 30
    while not (
        posted := [form for path, form in suite_server.callbacks.posted if path.endswith("/backchannel_logout")]
    ):
        assert time.monotonic() < until, suite_server.ramet.log_end("worker")
        time.sleep(0.2)
    said = suite.claims(posted[-1]["logout_token"])
    assert {name: said[name] for name in ("iss", "aud", "sub", "sid")} == {
        name: about[name] for name in ("iss", "aud", "sub", "sid")
    }
    assert said["events"] == {"http://schemas.openid.net/event/backchannel-logout": {}}
    assert "nonce" not in said
    assert {"jti", "iat", "exp"} <= said.keys()
    assert gone(suite)
