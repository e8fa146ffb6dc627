"""The modules of the FAPI 2.0 plans, security profile (private_key_jwt, DPoP) and message signing (JAR), by the
names that the suite gives them.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from demo.browser import Browser
from device.key import DeviceKey

if TYPE_CHECKING:
    from tests.conformance.suite import Suite, SuiteServer

FAPI = "fapi2-security-profile-final"


@pytest.fixture(params=["fapi", "signing"])
def plan(suite_server: SuiteServer, request: pytest.FixtureRequest) -> Suite:
    """The modules that both plans have: plain parameters in one, a request object in the other."""
    found = suite_server.plan(request.param)
    if request.param == "signing":
        found.fapi_form = found.object  # type: ignore[attr-defined]
    else:
        found.fapi_form = found.fapi  # type: ignore[attr-defined]
    return found


@pytest.fixture
def fapi(suite_server: SuiteServer) -> Suite:
    return suite_server.plan("fapi")


@pytest.fixture
def signing(suite_server: SuiteServer) -> Suite:
    return suite_server.plan("signing")


def form(suite: Suite, which: str = "client", **changed: str | None) -> dict[str, str]:
    """What this plan pushes."""
    made: dict[str, str] = suite.fapi_form(which, **changed)  # type: ignore[attr-defined]
    return made


def refused(response: Any, *errors: str, status: int = 400) -> None:
    assert response.status_code == status, response.text
    assert response.json()["error"] in errors


def test_discovery_end_point_verification(fapi: Suite) -> None:
    said = fapi.metadata
    assert "private_key_jwt" in said["token_endpoint_auth_methods_supported"]
    assert said["code_challenge_methods_supported"] == ["S256"]
    assert said["authorization_response_iss_parameter_supported"] is True
    assert {"PS256", "ES256"} <= set(said["request_object_signing_alg_values_supported"])
    assert {"PS256", "ES256"} <= set(said["token_endpoint_auth_signing_alg_values_supported"])
    assert {"PS256", "ES256"} <= set(said["dpop_signing_alg_values_supported"])
    assert said["pushed_authorization_request_endpoint"].startswith("https://")


def test_happy_flow(plan: Suite) -> None:
    """And -ensure-other-scope-order-succeeds, -access-token-type-header-case-sensitivity, the refresh token, for
    both clients.
    """
    for which in ("client", "client2"):
        response = plan.redeem(plan.pushed_code(form(plan, which), which), which)
        assert response.status_code == 200, response.text
        tokens = response.json()
        assert tokens["token_type"] == "DPoP"
        assert plan.claims(tokens["id_token"], "PS256")["aud"] == plan.client(which)["client_id"]
        url = plan.configuration["resource"]["resourceUrl"]
        for scheme in ("DPoP", "dpop"):
            with plan.suite_server.http() as http:
                proof = plan.proof(url, "GET", access_token=tokens["access_token"])
                assert (
                    http.get(url, headers={"Authorization": f"{scheme} {tokens['access_token']}", **proof}).status_code
                    == 200
                )


def test_user_rejects_authentication(plan: Suite) -> None:
    """The way back that stands on the login page, as the configuration's override presses it."""
    module = f"{FAPI}-user-rejects-authentication"
    _, came = plan.begin(plan.push(form(plan)).json()["request_uri"], module)
    assert (came["error"], came["iss"]) == ("access_denied", plan.suite_server.issuer)


def test_refresh_token(plan: Suite) -> None:
    """-refresh-token: a new DPoP key each time; consent is asked; refused without a proof, and for the other client."""
    asked = {"scope": plan.client()["scope"], "prompt": "consent"}
    tokens = {}
    for which in ("client", "client2"):
        uri = plan.push(form(plan, which, **asked), which).json()["request_uri"]
        _, came = plan.begin(uri, f"{FAPI}-refresh-token", which=which)
        tokens[which] = plan.redeem(came["code"], which).json()
        first = plan.claims(tokens[which]["id_token"], "PS256")
        for _ in range(2):
            scope = {"scope": plan.client()["scope"]} if which == "client" else {}
            again = plan.refresh(tokens[which]["refresh_token"], which, **scope)
            assert (again.status_code, again.json()["token_type"]) == (200, "DPoP"), again.text
            assert "no-store" in again.headers["Cache-Control"]
            assert again.json()["access_token"] != tokens[which]["access_token"]
            about = plan.claims(again.json()["id_token"], "PS256")
            same = ("iss", "sub", "aud", "auth_time")
            assert {name: about[name] for name in same} == {name: first[name] for name in same}
    assert "Consent" in plan.seen
    refused(plan.refresh(tokens["client"]["refresh_token"], headers={}), "invalid_request", "invalid_grant")
    refused(plan.refresh(tokens["client2"]["refresh_token"], "client"), "invalid_grant")


def test_claims_parameter_identity_claims(fapi: Suite) -> None:
    """-test-claims-parameter-identity-claims: each standard claim that is listed as supported comes back."""
    standard = {
        "name", "given_name", "family_name", "middle_name", "nickname", "preferred_username", "profile", "picture",
        "email", "email_verified", "phone_number", "phone_number_verified", "zoneinfo", "locale", "address",
        "updated_at",
    }  # fmt: skip
    listed = standard & set(fapi.metadata["claims_supported"])
    asked = json.dumps({place: dict.fromkeys(listed) for place in ("userinfo", "id_token")})
    tokens = fapi.redeem(fapi.pushed_code(fapi.fapi(claims=asked, scope=fapi.client()["scope"]))).json()
    proof = fapi.proof(fapi.resource_url, "GET", access_token=tokens["access_token"])
    said = fapi.resource(tokens["access_token"], proof).json()
    missing = listed - said.keys() - fapi.claims(tokens["id_token"], "PS256").keys()
    assert missing == set(), missing


def test_proofs_with_nbf_and_exp_are_accepted(fapi: Suite) -> None:
    """-check-dpop-proof-nbf-exp."""
    now, url = int(time.time()), fapi.metadata["token_endpoint"]
    more = {"nbf": now, "exp": now + 60}
    token = fapi.redeem(fapi.pushed_code(fapi.fapi()), proof=fapi.made_proof("POST", url, **more)).json()[
        "access_token"
    ]
    proof = fapi.made_proof("GET", fapi.resource_url, access_token=token, **more)
    assert fapi.resource(token, proof).status_code == 200


@pytest.mark.parametrize(
    "changed", [{"state": None}, {"nonce": None}, {"nonce": "n" * 64}, {"scope": "email openid"}, {"scope": "openid"}]
)
def test_requests_that_succeed(plan: Suite, changed: dict[str, str | None]) -> None:
    """-without-state-success, -without-nonce-success, -with-64-char-nonce-success."""
    assert plan.redeem(plan.pushed_code(form(plan, **changed))).status_code == 200


@pytest.mark.parametrize("changed", [{"nonce": "n" * 384}, {"state": "s" * 384}])
def test_long_values_work_or_are_refused(plan: Suite, changed: dict[str, str]) -> None:
    response = plan.push(form(plan, **changed))
    if response.status_code != 201:
        refused(response, "invalid_request", "invalid_request_object")


def test_dpop_code_binding(plan: Suite) -> None:
    """-ensure-mismatched-dpop-jkt-fails, -token-endpoint-fails-with-mismatched-dpop-proof-jkt and -dpop-jkt, both
    successes.
    """
    url, other = plan.metadata["pushed_authorization_request_endpoint"], DeviceKey.generate()
    refused(plan.push(form(plan, dpop_jkt=other.jkt), **plan.proof(url)), "invalid_request", "invalid_dpop_proof")
    refused(
        plan.redeem(plan.pushed_code(form(plan), **plan.proof(url)), key=other), "invalid_grant", "invalid_dpop_proof"
    )
    refused(
        plan.redeem(plan.pushed_code(form(plan, dpop_jkt=plan.key.jkt)), key=other),
        "invalid_grant",
        "invalid_dpop_proof",
    )
    assert plan.redeem(plan.pushed_code(form(plan), **plan.proof(url))).status_code == 200
    assert plan.redeem(plan.pushed_code(form(plan, dpop_jkt=plan.key.jkt))).status_code == 200


@pytest.mark.parametrize("seconds", [-10, 10])
def test_proof_ten_seconds_early_or_late_is_accepted(fapi: Suite, seconds: int) -> None:
    """-ensure-dpop-proof-with-iat-10seconds-before-succeeds, -after-succeeds, at the token endpoint and at the
    resource.
    """
    url, iat = fapi.metadata["token_endpoint"], int(time.time()) + seconds
    response = fapi.redeem(fapi.pushed_code(fapi.fapi()), proof=fapi.made_proof("POST", url, iat=iat))
    assert response.status_code == 200, response.text
    token = response.json()["access_token"]
    assert (
        fapi.resource(token, fapi.made_proof("GET", fapi.resource_url, iat=iat, access_token=token)).status_code == 200
    )


_SPOILT: list[dict[str, Any]] = [
    {"htm": "PUT"}, {"htu": "https://wrong.example/"}, {"iat": None}, {"iat": "now"}, {"iat": -3600}, {"iat": 3600},
    {"jti": None}, {"typ": "jwt"},
    {"jwk": None}, {"jwk": "private"}, {"jwk": "another"},
]  # fmt: skip


@pytest.mark.parametrize("spoilt", [*_SPOILT, {"ath": None}, {"ath": "another"}], ids=str)
def test_dpop_negatives(fapi: Suite, spoilt: dict[str, Any]) -> None:
    """-dpop-negative-tests: each is refused at the token endpoint, which leaves the code as it is, and at the
    resource.
    """
    spoilt = {
        name: int(time.time()) + value if name == "iat" and isinstance(value, int) else value
        for name, value in spoilt.items()
    }
    url, code = fapi.metadata["token_endpoint"], fapi.pushed_code(fapi.fapi())
    if "ath" not in spoilt:
        refused(fapi.redeem(code, proof=fapi.made_proof("POST", url, **spoilt)), "invalid_dpop_proof")
    token = fapi.redeem(code).json()["access_token"]
    answer = fapi.resource(token, fapi.made_proof("GET", fapi.resource_url, **{"access_token": token, **spoilt}))
    assert (answer.status_code, "DPoP" in answer.headers["www-authenticate"]) == (401, True)
    assert fapi.resource(token, fapi.made_proof("GET", fapi.resource_url, access_token=token)).status_code == 200


def test_dpop_algorithms_and_normalized_htu(fapi: Suite) -> None:
    """-dpop-negative-tests: RS256 and ES384 are refused; htu with scheme and host in capitals is this URL."""
    url, code = fapi.metadata["token_endpoint"], fapi.pushed_code(fapi.fapi())
    for alg in ("RS256", "ES384"):
        refused(fapi.redeem(code, proof=fapi.signed_proof(alg, "POST", url)), "invalid_dpop_proof")
    token = fapi.redeem(code).json()["access_token"]
    for alg in ("RS256", "ES384"):
        refusal = fapi.resource(token, fapi.signed_proof(alg, "GET", fapi.resource_url, access_token=token))
        assert (refusal.status_code, "invalid_dpop_proof" in refusal.headers["www-authenticate"]) == (401, True)
    scheme, rest = fapi.resource_url.split("://")
    host, path = rest.split("/", 1)
    for htu in (f"{scheme.upper()}://{host.upper()}/{path}", f"{fapi.resource_url}?a=b#c"):
        proof = fapi.made_proof("GET", htu, access_token=token)
        assert fapi.resource(token, proof).status_code == 200, htu


def test_proof_is_single_use(fapi: Suite) -> None:
    """-dpop-negative-tests: the same `jti` again."""
    token = fapi.redeem(fapi.pushed_code(fapi.fapi())).json()["access_token"]
    proof = fapi.made_proof("GET", fapi.resource_url, access_token=token)
    assert [fapi.resource(token, proof).status_code for _ in range(2)] == [200, 401]


def test_expired_request_uri_and_code_are_refused(plan: Suite) -> None:
    """-par-attempt-to-use-expired-request_uri, -ensure-expired-authorization-code-fails: the rows are aged, no test
    waits.
    """
    code = plan.pushed_code(form(plan))
    plan.suite_server.age("idp_code", "expires_at")
    refused(plan.redeem(code), "invalid_grant")
    uri = plan.push(form(plan)).json()["request_uri"]
    plan.suite_server.age("idp_pushedrequest", "loads_until", "expires_at")
    page, came = plan.begin(uri, f"{FAPI}-par-attempt-to-use-expired-request_uri")
    assert (page.status, came, plan.seen[-1]) == (400, {}, "The error page")


def test_token_endpoint_negatives(fapi: Suite) -> None:
    """-authorization-code-is-bound-to-client, -holder-of-key-required, -client-assertion-in-token-endpoint, code
    reuse.
    """
    refused(fapi.redeem(fapi.pushed_code(fapi.fapi()), "client2"), "invalid_grant")
    code = fapi.pushed_code(fapi.fapi())
    with fapi.suite_server.http() as http:
        sent = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": fapi.redirect_uri,
            "code_verifier": fapi.verifier,
        }
        bare = http.post(fapi.metadata["token_endpoint"], data={**sent, **fapi.assertion()})
        assert bare.json()["error"] in {"invalid_dpop_proof", "use_dpop_nonce", "invalid_request"}
        url = fapi.metadata["token_endpoint"]
        nobody = http.post(url, data={**sent, "client_id": fapi.client()["client_id"]}, headers=fapi.proof(url))
        assert nobody.json()["error"] == "invalid_client"
    tokens = fapi.redeem(code).json()
    time.sleep(1)
    refused(fapi.redeem(code), "invalid_grant")
    url = fapi.configuration["resource"]["resourceUrl"]
    with fapi.suite_server.http() as http:
        proof = fapi.proof(url, "GET", access_token=tokens["access_token"])
        assert http.get(url, headers={"Authorization": f"DPoP {tokens['access_token']}", **proof}).status_code == 401


@pytest.mark.parametrize(
    "changed",
    [
        {"alg": "RS256"}, {"exp": -300}, {"aud": "https://wrong.example"}, {"sub": None}, {"aud": "TOKEN"},
        {"aud": "PAR"},
        {"aud": ["PAR"]}, {"iat": 600, "nbf": 600},
    ],
)  # fmt: skip
def test_client_assertions_that_fail(fapi: Suite, changed: dict[str, Any]) -> None:
    """-signed-client-assertion-with-RS256-fails, -exp-is-5-minutes-in-past, -wrong-aud, -no-sub,
    par-…-as-audience-fails, -iat-nbf-over-60-seconds.
    """
    places = {"TOKEN": fapi.metadata["token_endpoint"], "PAR": fapi.metadata["pushed_authorization_request_endpoint"]}
    now = int(time.time())  # when the test runs, not when it is collected
    changed = {name: now + value if isinstance(value, int) else value for name, value in changed.items()}
    audience = changed.get("aud")
    if isinstance(audience, list):
        changed = {**changed, "aud": [places[one] for one in audience]}
    elif audience in places:
        changed = {**changed, "aud": places[audience]}
    response = fapi.push(fapi.fapi(), assertion=fapi.assertion(**changed))
    refused(response, "invalid_client", status=401)


def test_client_assertion_8_seconds_ahead_is_accepted(fapi: Suite) -> None:
    now = int(time.time())
    assert fapi.push(fapi.fapi(), assertion=fapi.assertion(iat=now + 8, nbf=now + 8)).status_code == 201


def test_par_request_uris(plan: Suite) -> None:
    """-par-ensure-reused-request-uri-prior-to-auth-completion-succeeds, -par-attempt-reuse-request_uri.

    Also -par-attempt-to-use-request_uri-for-different-client, -par-attempt-invalid-http-method,
    -par-authorization-request-containing-request_uri(-form-param); each by the tasks of its override.
    """
    module = f"{FAPI}-par-ensure-reused-request-uri-prior-to-auth-completion-succeeds"
    uri = plan.push(form(plan)).json()["request_uri"]
    page, came = plan.begin(uri, module)
    assert (page.path, came, plan.seen) == ("/login", {}, ["The login page"])
    page, came = plan.begin(uri, f"{FAPI}-par-attempt-to-use-request_uri-for-different-client", which="client2")
    assert (page.status, came, plan.seen[-1]) == (400, {}, "The error page")
    _, came = plan.begin(uri, module)
    assert "code" in came
    plan.browser = Browser(plan.suite_server.http())
    uri, module = plan.push(form(plan)).json()["request_uri"], f"{FAPI}-par-attempt-reuse-request_uri"
    _, came = plan.begin(uri, module)
    assert "code" in came
    page, came = plan.begin(uri, module)
    assert (page.status, came, plan.seen[-1]) == (400, {}, "The error page")
    refused(plan.push({**form(plan), "request_uri": uri}), "invalid_request", "invalid_request_object")
    with plan.suite_server.http() as http:
        assert http.get(plan.metadata["pushed_authorization_request_endpoint"]).status_code == 405
        assert http.put(plan.metadata["pushed_authorization_request_endpoint"]).status_code == 405


@pytest.mark.parametrize(
    ("changed", "errors"),
    [
        ({"redirect_uri": "https://unregistered.example/"}, {"invalid_request", "invalid_redirect_uri"}),
        ({"redirect_uri": None}, {"invalid_request"}),
        ({"response_type": "code id_token"}, {"unsupported_response_type", "invalid_request"}),
        ({"response_type": "token"}, {"unsupported_response_type", "invalid_request"}),
        ({"code_challenge": None, "code_challenge_method": None}, {"invalid_request"}),
        ({"code_challenge_method": "plain"}, {"invalid_request"}),
    ],
)  # fmt: skip
def test_pushed_requests_that_fail(plan: Suite, changed: dict[str, str | None], errors: set[str]) -> None:
    """-registered-redirect-uri, -redirect-uri-in-authorization-request, -response-type-…-fails,
    par-ensure-pkce-required, -plain-pkce-rejected.
    """
    refused(plan.push(form(plan, **changed)), *errors, "invalid_request_object")


@pytest.mark.parametrize("verifier", [None, "wrong" * 10])
def test_pkce_verifier(plan: Suite, verifier: str | None) -> None:
    """par-ensure-pkce-code-verifier-required, par-incorrect-pkce-code-verifier-rejected."""
    refused(plan.redeem(plan.pushed_code(form(plan)), code_verifier=verifier), "invalid_grant")


def test_unsigned_request_without_par_fails(plan: Suite) -> None:
    """-ensure-unsigned-authorization-request-without-using-par-fails."""
    import httpx

    _, came = plan.visit(f"{plan.metadata['authorization_endpoint']}?{httpx.QueryParams(plan.fapi())}")
    assert came["error"] in {"invalid_request", "access_denied"}


# --- message signing --------------------------------------------------------------------------------------------------


def test_request_objects_that_succeed(signing: Suite) -> None:
    """-multiple-aud, -nbf-8-seconds-in-the-future-is-accepted, -state-only-outside-request-object-not-used,
    -different-nonce and -state inside and outside.
    """
    now = int(time.time())
    for inside in ({"aud": [signing.suite_server.issuer, "https://other.example"]}, {"nbf": now + 8}):
        assert signing.redeem(signing.pushed_code(signing.object(inside=inside))).status_code == 200
    response = signing.push({**signing.object(state=None), "state": "outside"})
    _, came = signing.begin(response.json()["request_uri"])
    assert "state" not in came
    response = signing.push({**signing.object(state="inside", nonce="inside"), "state": "outside", "nonce": "outside"})
    _, came = signing.begin(response.json()["request_uri"])
    assert came["state"] == "inside"
    assert signing.claims(signing.redeem(came["code"]).json()["id_token"], "PS256")["nonce"] == "inside"


@pytest.mark.parametrize(
    "inside",
    [
        {"exp": None}, {"nbf": None}, {"exp": -60}, {"aud": "https://wrong.example"}, {"exp": 4200}, {"nbf": -4200},
        {"redirect_uri": None},
    ],
)  # fmt: skip
def test_request_objects_that_fail(signing: Suite, inside: dict[str, Any]) -> None:
    """-without-exp-fails, -without-nbf-fails, -expired-…, -bad-aud, -exp-over-60, -nbf-over-60,
    -without-redirect-uri-fails.
    """
    now = int(time.time())
    changed = {name: now + value if isinstance(value, int) else value for name, value in inside.items()}
    refused(signing.push(signing.object(inside=changed)), "invalid_request_object", "invalid_request")


def test_signatures_that_fail(signing: Suite) -> None:
    """-signed-request-object-with-RS256-fails, -signature-algorithm-is-not-none, -invalid-signature-fails,
    -matching-key-…, -unsigned-request-at-par-endpoint-fails.
    """
    refused(signing.push(signing.object(alg="RS256")), "invalid_request_object")
    good = signing.object()
    header, payload, signature = good["request"].split(".")
    refused(signing.push({**good, "request": f"eyJhbGciOiJub25lIn0.{payload}."}), "invalid_request_object")
    refused(signing.push({**good, "request": f"{header}.{payload}.{signature[:-8]}AAAAAAAA"}), "invalid_request_object")
    others = {**good, "request": signing.object("client2")["request"]}
    refused(signing.push(others), "invalid_request_object", "invalid_request")
    refused(signing.push(signing.fapi()), "invalid_request", "invalid_request_object")


# --- other profiles of the FAPI plan ----------------------------------------------------------------------------------


def test_client_credentials(suite_server: SuiteServer) -> None:
    """fapi_client_credentials_grant: a DPoP-bound token of each client's own, with SCIM as the resource."""
    plan = suite_server.plan("fapi-credentials")
    url = plan.metadata["token_endpoint"]
    for which in ("client", "client2"):
        sent = {"grant_type": "client_credentials", "scope": plan.client(which)["scope"], **plan.assertion(which)}
        with suite_server.http() as http:
            response = http.post(url, data=sent, headers=plan.proof(url))
        assert (response.status_code, response.json()["token_type"]) == (200, "DPoP"), response.text
        assert not {"id_token", "refresh_token"} & response.json().keys()
        token = response.json()["access_token"]
        assert plan.resource(token, plan.proof(plan.resource_url, "GET", access_token=token)).status_code == 200
        other = plan.proof(plan.resource_url, "GET", access_token=token, key=DeviceKey.generate())
        assert plan.resource(token, other).status_code == 401
        with suite_server.http() as http:
            bare = http.post(url, data={**sent, **plan.assertion(which)})
        refused(bare, "invalid_request", "invalid_grant", "invalid_dpop_proof")


def test_plain_oauth(suite_server: SuiteServer) -> None:
    """openid=plain_oauth: no ID token, and a resource that needs no openid scope."""
    plan = suite_server.plan("fapi-oauth")
    response = plan.redeem(plan.pushed_code(plan.fapi(scope=plan.client()["scope"], nonce=None)))
    assert response.status_code == 200, response.text
    assert "id_token" not in response.json()
    token = response.json()["access_token"]
    proof = plan.proof(plan.resource_url, "GET", access_token=token)
    assert plan.resource(token, proof).json()["scope"] == plan.client()["scope"]
    answer = plan.resource(token, plan.proof(plan.resource_url, "GET", access_token="another"))
    assert (answer.status_code, "invalid_dpop_proof" in answer.headers["www-authenticate"]) == (401, True)
