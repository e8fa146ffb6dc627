"""Codes, refresh tokens, access tokens: bound, spent once, and dead with what they grew from (C3, C18–C21, C25, C26,
C38–C41).
"""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import time_machine

from derived import clock
from derived.changes import suspend
from derived.ledger import audit
from derived.ledger.locking import under_lock
from derived.models import Account, Credential, Event
from device.key import DeviceKey
from idp.models import ClientPolicy, Code, RefreshToken
from idp.oidc.endpoints import resource
from scim.models import Person as Directory
from tests.fixtures.dpop import dpop
from tests.fixtures.world import AAL, CALLBACK, ISSUER, App, claims, http, userinfo

if TYPE_CHECKING:
    from demo.browser import Browser
    from demo.person import Person
    from tests.fixtures.world import World

pytestmark = pytest.mark.django_db
NOON = "2026-11-23T12:00:00Z"


@pytest.fixture
def person_and_browser(world: World) -> tuple[Person, Browser]:
    """Somebody who has just enrolled, which signed them in."""
    return world.enrolled()


def family_of(tokens: dict[str, Any]) -> Credential:
    return Credential.objects.get(id=claims(tokens["access_token"])["grant_id"])


# --- codes ------------------------------------------------------------------------------------------------------------


@pytest.mark.database
def test_code_reuse_ends_the_family(world: World, person_and_browser: tuple[Person, Browser]) -> None:
    """C26, E3, A15: in this order; the family is dead, and the record says why."""
    app = world.app()
    code = world.ask(app, person_and_browser[1], scope="openid offline_access")["code"]
    found = app.redeem(code).json()
    assert app.redeem(code).json()["error"] == "invalid_grant"
    assert app.introspect(found["access_token"]) == {"active": False}
    assert userinfo(found["access_token"]).status_code == 401
    assert app.refresh(found["refresh_token"]).json()["error"] == "invalid_grant"
    assert family_of(found).end_reason == "replay_detected"


@pytest.mark.parametrize(
    "changed",
    [
        {"redirect_uri": CALLBACK + "/"}, {"redirect_uri": "https://other.example/cb"}, {"code_verifier": "x" * 43},
        {"code_verifier": "short"},
        {"code_verifier": "é" * 43}, {"code_verifier": "x" * 129},
    ],
)  # fmt: skip
def test_wrong_redemption_burns_the_code(
    world: World, person_and_browser: tuple[Person, Browser], changed: dict[str, str]
) -> None:
    """P13, P20, E5, E6: redirect_uri and PKCE are compared, and there is no second try after one that got that far."""
    app = world.app()
    code = world.ask(app, person_and_browser[1])["code"]
    first = app.redeem(code, **changed)
    assert first.status_code == 400
    assert first.json()["error"] in {"invalid_grant", "invalid_request"}
    second = app.redeem(code)
    assert second.status_code == (400 if first.json()["error"] == "invalid_grant" else 200)


@pytest.mark.parametrize("missing", ["code_verifier", "redirect_uri", "code"])
def test_missing_parameter_is_refused(world: World, person_and_browser: tuple[Person, Browser], missing: str) -> None:
    """A3, C33."""
    app = world.app()
    code = world.ask(app, person_and_browser[1])["code"]
    whole: dict[str, str | None] = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": app.redirect_uri,
        "code_verifier": app.verifier,
    }
    error = app.post("/oidc/token", {**whole, missing: None}).json()["error"]
    assert error == ("invalid_grant" if missing == "code_verifier" else "invalid_request")  # RFC 7636 §4.6
    assert app.post("/oidc/token", whole).status_code == 200


def test_code_belongs_to_its_client(world: World, person_and_browser: tuple[Person, Browser]) -> None:
    """P13."""
    app, other = world.app(), world.app(name="Other")
    other.verifier = app.verifier
    code = world.ask(app, person_and_browser[1])["code"]
    assert other.redeem(code).json()["error"] == "invalid_grant"
    assert app.redeem(code).json()["error"] == "invalid_grant"


def test_code_expires_after_a_minute(world: World) -> None:
    """FA-6, P19: enforced at use, with no worker."""
    with time_machine.travel(NOON, tick=False) as now:
        _, browser = world.enrolled()
        app = world.app()
        codes = [world.ask(app, browser)["code"] for _ in range(2)]
        now.shift(59)
        assert app.redeem(codes[0]).status_code == 200
        now.shift(1)
        assert app.redeem(codes[1]).json()["error"] == "invalid_grant"


def test_code_is_bound_to_dpop_jkt(world: World, person_and_browser: tuple[Person, Browser]) -> None:
    """C20: dpop_jkt."""
    app, key = world.app(), DeviceKey.generate()
    browser = person_and_browser[1]
    good = world.ask(app, browser, dpop_jkt=key.jkt)["code"]
    assert app.redeem(good, dpop=dpop(key)).json()["token_type"] == "DPoP"
    for proof in (dpop(DeviceKey.generate()), None):
        code = world.ask(app, browser, dpop_jkt=key.jkt)["code"]
        assert app.redeem(code, dpop=proof).json()["error"] == "invalid_grant"


def test_code_ends_with_its_session(world: World, person_and_browser: tuple[Person, Browser]) -> None:
    """C1: the gates are asked again when it is redeemed."""
    app, browser = world.app(), person_and_browser[1]
    code = world.ask(app, browser)["code"]
    page = browser.get(f"{ISSUER}/oidc/logout")
    browser.submit(page, page.form_to("confirmed"))
    assert app.redeem(code).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("kind", ["refresh_token", "authorization_code"])
def test_secrets_of_one_kind_are_not_accepted_as_another(
    world: World, person_and_browser: tuple[Person, Browser], kind: str
) -> None:
    """P14."""
    app, browser = world.app(), person_and_browser[1]
    code = world.ask(app, browser)["code"]
    refresh = world.tokens(app, browser)["refresh_token"]
    answer = app.refresh(code) if kind == "refresh_token" else app.redeem(refresh)
    assert answer.json()["error"] == "invalid_grant"


# --- refresh ----------------------------------------------------------------------------------------------------------


def test_refresh_keeps_auth_time_and_acr(world: World) -> None:
    """C3, TK-5, A4."""
    with time_machine.travel(NOON, tick=False) as now:
        person, _ = world.enrolled()
        app = world.app(public=True)
        now.shift(60)
        browser = world.signed_in(person)
        first = world.tokens(app, browser, scope="openid offline_access")
        before = claims(first["id_token"])
        now.shift(1200)
        world.signed_in(person)
        second = app.refresh(first["refresh_token"]).json()
        after = claims(second["id_token"])
        for name in ("auth_time", "acr", "amr", "aal", "sub", "sid"):
            assert after[name] == before[name], name
        assert after["iat"] > before["iat"]


def test_refresh_token_reuse_ends_the_family(world: World, person_and_browser: tuple[Person, Browser]) -> None:
    """C26, E4, A16: rotation, and reuse of the first one kills the second."""
    app = world.app(public=True)
    first = world.tokens(app, person_and_browser[1], scope="openid offline_access")
    second = app.refresh(first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert app.refresh(first["refresh_token"]).json()["error"] == "invalid_grant"
    assert app.refresh(second["refresh_token"]).json()["error"] == "invalid_grant"
    assert family_of(first).end_reason == "replay_detected"
    assert Event.objects.filter(kind="credential.revoked", body__because="replay_detected").count() == 1


def test_refresh_token_belongs_to_its_client(world: World, person_and_browser: tuple[Person, Browser]) -> None:
    """I6, P15: another client, no secret, a wrong secret."""
    app, other = world.app(), world.app(name="Other")
    refresh = world.tokens(app, person_and_browser[1])["refresh_token"]
    assert other.refresh(refresh).json()["error"] == "invalid_grant"
    for impostor in (App(app.party, None), App(app.party, "wrong")):
        assert impostor.refresh(refresh).status_code == 401
    assert app.refresh(refresh).status_code == 200


def test_refresh_narrows_the_scope_only(world: World, person_and_browser: tuple[Person, Browser]) -> None:
    """C52."""
    app = world.app()
    found = world.tokens(app, person_and_browser[1], scope="openid email offline_access")
    narrow = app.refresh(found["refresh_token"], scope="email").json()
    assert narrow["scope"] == "email"
    assert "id_token" not in narrow
    assert app.refresh(narrow["refresh_token"], scope="openid profile").json()["error"] == "invalid_scope"


def test_family_ends_with_its_session_without_offline_access(
    world: World, person_and_browser: tuple[Person, Browser]
) -> None:
    """Ruling 17."""
    app, browser = world.app(), person_and_browser[1]
    online = world.tokens(app, browser, scope="openid")
    offline = world.tokens(app, browser, scope="openid offline_access")
    page = browser.get(f"{ISSUER}/oidc/logout")
    browser.submit(page, page.form_to("confirmed"))
    assert app.refresh(online["refresh_token"]).json()["error"] == "invalid_grant"
    assert app.introspect(online["access_token"]) == {"active": False}
    assert app.refresh(offline["refresh_token"]).status_code == 200


def test_offline_family_has_an_absolute_lifetime(world: World) -> None:
    """E18: no refresh moves its end."""
    with time_machine.travel(NOON, tick=False) as now:
        _, browser = world.enrolled()
        app = world.app()
        found = world.tokens(app, browser, scope="openid offline_access")
        for _ in range(3):
            now.shift(timedelta(days=9))
            found = app.refresh(found["refresh_token"]).json()
        now.shift(timedelta(days=4))
        assert app.refresh(found["refresh_token"]).json()["error"] == "invalid_grant"


def test_sender_constrained_confidential_client_keeps_its_refresh_token(
    world: World, person_and_browser: tuple[Person, Browser]
) -> None:
    """Rulings 17, 26 (RFC 9449 §5, FAPI 2.0): no rotation, and each access token has the key of its own request."""
    app, key, new = world.app(dpop_required=True), DeviceKey.generate(), DeviceKey.generate()
    code = world.ask(app, person_and_browser[1], scope="openid offline_access")["code"]
    found = app.redeem(code, dpop=dpop(key)).json()
    for held in (key, new, key):
        again = app.refresh(found["refresh_token"], dpop=dpop(held)).json()
        assert "refresh_token" not in again
        assert (again["token_type"], claims(again["access_token"])["cnf"]) == ("DPoP", {"jkt": held.jkt})
        assert "cnf" not in claims(again["id_token"])  # FAL3: that is for a key of the person
    token = app.refresh(found["refresh_token"], dpop=dpop(new)).json()["access_token"]
    calls = {one: dpop(one, "/oidc/userinfo", "GET", token) for one in (key, new)}
    assert [userinfo(token, "DPoP", DPoP=calls[one]).status_code for one in (key, new)] == [401, 200]
    assert "cnf" not in app.introspect(found["refresh_token"])
    assert app.refresh(found["refresh_token"]).json()["error"] == "invalid_request"


def test_bound_grant_of_a_confidential_client_yields_no_bearer_token(
    world: World, person_and_browser: tuple[Person, Browser]
) -> None:
    """C21: the key may change, the kind of binding not; also where the client may use both kinds of token."""
    app, key = world.app(), DeviceKey.generate()
    code = world.ask(app, person_and_browser[1], scope="openid offline_access")["code"]
    found = app.redeem(code, dpop=dpop(key)).json()
    assert app.refresh(found["refresh_token"]).json()["error"] == "invalid_grant"
    assert app.refresh(found["refresh_token"], dpop=dpop(key)).status_code == 200


@pytest.mark.database
def test_first_proof_at_refresh_binds_a_public_client(world: World, person_and_browser: tuple[Person, Browser]) -> None:
    """RFC 9449 §5: the access token, and the refresh token of a public client from then on; DK-4."""
    app, web, key = world.app(public=True), world.app(), DeviceKey.generate()
    found = world.tokens(app, person_and_browser[1], scope="openid offline_access")
    bound = app.refresh(found["refresh_token"], dpop=dpop(key, nonce=app.nonce())).json()
    assert (bound["token_type"], claims(bound["access_token"])["cnf"]) == ("DPoP", {"jkt": key.jkt})
    other = dpop(DeviceKey.generate(), nonce=app.nonce())
    assert app.refresh(bound["refresh_token"], dpop=other).json()["error"] == "invalid_grant"
    assert app.refresh(bound["refresh_token"]).json()["error"] == "invalid_grant"
    assert app.refresh(bound["refresh_token"], dpop=dpop(key, nonce=app.nonce())).status_code == 200
    found = world.tokens(web, person_and_browser[1], scope="openid offline_access")
    once = web.refresh(found["refresh_token"], dpop=dpop(key)).json()
    assert claims(once["access_token"])["cnf"] == {"jkt": key.jkt}
    assert web.refresh(once["refresh_token"]).json()["token_type"] == "Bearer"


# --- DPoP -------------------------------------------------------------------------------------------------------------


def mutated(key: DeviceKey, **changed: Any) -> str:
    now = int(clock.now().timestamp())
    whole = {"htm": "POST", "htu": f"{ISSUER}/oidc/token", "iat": now, "jti": "j" * 24, **changed}
    header = {"typ": whole.pop("typ", "dpop+jwt"), "jwk": whole.pop("jwk", key.public_jwk)}
    return key.sign(header, {name: value for name, value in whole.items() if value is not None})


@pytest.mark.parametrize(
    "changed",
    [
        {"typ": "JWT"}, {"typ": "ramet-login+jwt"}, {"htm": "GET"}, {"htm": None}, {"htu": f"{ISSUER}/oidc/userinfo"},
        {"htu": "https://evil.example/oidc/token"},
        {"htu": None}, {"iat": 1}, {"iat": None}, {"iat": "x"}, {"jti": None}, {"jti": ""}, {"jti": 5},
        {"jwk": {"kty": "oct", "k": "AAAA"}},
        {"jwk": DeviceKey.generate().public_jwk},
    ],
)  # fmt: skip
def test_mutated_proof_is_refused(
    world: World, person_and_browser: tuple[Person, Browser], changed: dict[str, Any]
) -> None:
    """DK-3, ruling 19: 400 invalid_dpop_proof, and the code is not spent by it."""
    app, key = world.app(), DeviceKey.generate()
    code = world.ask(app, person_and_browser[1])["code"]
    response = app.redeem(code, dpop=mutated(key, **changed))
    assert (response.status_code, response.json()["error"]) == (400, "invalid_dpop_proof")
    assert app.redeem(code, dpop=mutated(key, jti="k" * 24)).status_code == 200


def test_proof_with_a_private_key_is_refused(world: World, person_and_browser: tuple[Person, Browser]) -> None:
    """J3."""
    app, key = world.app(), DeviceKey.generate()
    code = world.ask(app, person_and_browser[1])["code"]
    assert (
        app.redeem(code, dpop=mutated(key, jwk={**key.public_jwk, "d": "AAAA"})).json()["error"] == "invalid_dpop_proof"
    )


def test_proof_is_single_use(world: World, person_and_browser: tuple[Person, Browser]) -> None:
    """C19, P49; query and fragment do not count, and another key may use the same jti."""
    app, key, browser = world.app(), DeviceKey.generate(), person_and_browser[1]
    proof = mutated(key, htu=f"{ISSUER}/oidc/token?x#y")
    assert app.redeem(world.ask(app, browser)["code"], dpop=proof).status_code == 200
    assert app.redeem(world.ask(app, browser)["code"], dpop=proof).json()["error"] == "invalid_dpop_proof"
    assert app.redeem(world.ask(app, browser)["code"], dpop=mutated(DeviceKey.generate())).status_code == 200


def test_bound_token_needs_its_key(world: World, person_and_browser: tuple[Person, Browser]) -> None:
    """C18, C21: as a bearer token, with another key, without ath, with another token's ath, replayed."""
    app, key, browser = world.app(), DeviceKey.generate(), person_and_browser[1]
    token = app.redeem(world.ask(app, browser)["code"], dpop=dpop(key)).json()["access_token"]

    def call(proof: str | None, scheme: str = "DPoP") -> int:
        return userinfo(token, scheme, **({"DPoP": proof} if proof else {})).status_code

    good = dpop(key, "/oidc/userinfo", "GET", token)
    assert call(None, "Bearer") == 401
    assert call(None) == 401
    assert call(dpop(DeviceKey.generate(), "/oidc/userinfo", "GET", token)) == 401
    assert call(dpop(key, "/oidc/userinfo", "GET")) == 401
    assert call(dpop(key, "/oidc/userinfo", "GET", token + "x")) == 401
    assert call(good) == 200
    assert call(good) == 401
    assert "DPoP" in userinfo(token, "DPoP").headers["WWW-Authenticate"]


def test_dpop_required_client_gets_no_bearer_token(world: World, person_and_browser: tuple[Person, Browser]) -> None:
    """C21, P48."""
    app = world.app(dpop_required=True)
    code = world.ask(app, person_and_browser[1])["code"]
    assert app.redeem(code).json()["error"] == "invalid_request"


def test_unbound_token_is_not_upgraded_by_a_proof(world: World, person_and_browser: tuple[Person, Browser]) -> None:
    """C21."""
    token = world.tokens(world.app(), person_and_browser[1])["access_token"]
    key = DeviceKey.generate()
    assert userinfo(token, "DPoP", DPoP=dpop(key, "/oidc/userinfo", "GET", token)).status_code == 401
    assert userinfo(token).status_code == 200


# --- access tokens, introspection, revocation -------------------------------------------------------------------------


def test_access_token_follows_rfc_9068(world: World, person_and_browser: tuple[Person, Browser]) -> None:
    """C38, TK-4: typ, one audience (the issuer, ruling 18), 300 s, no personal data."""
    app = world.app()
    found = world.tokens(app, person_and_browser[1])
    header = json.loads(base64.urlsafe_b64decode(found["access_token"].split(".")[0] + "=="))
    about = claims(found["access_token"])
    assert (header["typ"], header["alg"]) == ("at+jwt", "ES256")
    assert about["exp"] - about["iat"] == found["expires_in"] == 300
    assert (about["aud"], about["client_id"]) == (ISSUER, app.client_id)
    assert {"acr", "auth_time", "jti", "iss", "sub", "scope"} <= about.keys()
    assert not {"email", "name", "preferred_username"} & about.keys()
    digest = hashlib.sha256(found["access_token"].encode()).digest()[:16]
    assert claims(found["id_token"])["at_hash"] == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def test_id_token_is_refused_as_access_token(world: World, person_and_browser: tuple[Person, Browser]) -> None:
    """J2: typ is pinned."""
    app = world.app()
    found = world.tokens(app, person_and_browser[1])
    assert userinfo(found["id_token"]).status_code == 401
    assert app.introspect(found["id_token"]) == {"active": False}


@pytest.mark.parametrize("spoil", ["prefix", "suffix", "none", "signature", "key"])
def test_forged_access_token_is_refused(world: World, person_and_browser: tuple[Person, Browser], spoil: str) -> None:
    """P18, C69."""
    from joserfc import jwt
    from joserfc.jwk import ECKey

    token = world.tokens(world.app(), person_and_browser[1])["access_token"]
    head, body, signature = token.split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"at+jwt"}').rstrip(b"=").decode()
    forged = {
        "prefix": token[:-1], "suffix": token + "A", "none": f"{none}.{body}.",
        "signature": f"{head}.{body}.{signature[::-1]}",
        "key": jwt.encode({"alg": "ES256", "typ": "at+jwt"}, claims(token), ECKey.generate_key("P-256")),
    }[spoil]  # fmt: skip
    assert userinfo(forged).status_code == 401


def test_access_token_is_read_from_the_header_only(world: World, person_and_browser: tuple[Person, Browser]) -> None:
    """E14."""
    token = world.tokens(world.app(), person_and_browser[1])["access_token"]
    assert http().get(f"/oidc/userinfo?access_token={token}").status_code == 401
    assert http().post("/oidc/userinfo", data={"access_token": token}).status_code == 401
    assert http().post("/oidc/userinfo", headers={"Authorization": f"Bearer {token}"}).status_code == 200


def test_introspection_answers_the_owner_only(world: World, person_and_browser: tuple[Person, Browser]) -> None:
    """C40: the same body for a foreign token as for none; a public client is not asked."""
    app, other, public = world.app(), world.app(name="Other"), world.app(name="Public", public=True)
    found = world.tokens(app, person_and_browser[1], scope="openid email offline_access")
    about = app.introspect(found["access_token"])
    assert about["active"]
    assert (about["acr"], about["aal"], about["client_id"]) == (f"{AAL}2", 2, app.client_id)
    assert app.introspect(found["refresh_token"])["active"]
    assert (
        other.introspect(found["access_token"])
        == other.introspect(found["refresh_token"])
        == other.introspect("x")
        == {"active": False}
    )
    assert public.post("/oidc/introspect", {"token": found["access_token"]}).status_code == 401
    assert App(app.party, "wrong").post("/oidc/introspect", {"token": "x"}).status_code == 401


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
def test_revoking_any_token_ends_its_family(
    world: World, person_and_browser: tuple[Person, Browser], which: str
) -> None:
    """C41, RFC 7009; only by its owner, and an unknown one is a success."""
    app, other = world.app(), world.app(name="Other")
    found = world.tokens(app, person_and_browser[1], scope="openid offline_access")
    assert other.post("/oidc/revoke", {"token": found[which]}).status_code == 200
    assert app.introspect(found["access_token"])["active"]
    assert app.post("/oidc/revoke", {"token": "unknown"}).status_code == 200
    assert app.post("/oidc/revoke", {"token": found[which]}).status_code == 200
    assert app.introspect(found["access_token"]) == {"active": False}
    assert app.refresh(found["refresh_token"]).json()["error"] == "invalid_grant"


def test_tokens_of_a_disabled_client_are_refused(world: World, person_and_browser: tuple[Person, Browser]) -> None:
    """P29."""
    from idp.models import ClientPolicy

    app = world.app()
    found = world.tokens(app, person_and_browser[1])
    ClientPolicy.objects.filter(client__client_id=app.client_id).update(disabled_at=clock.now())
    assert userinfo(found["access_token"]).status_code == 401
    assert app.refresh(found["refresh_token"]).status_code == 401
    assert http().get(app.url()).status_code == 400


@pytest.mark.parametrize("path", ["/oidc/token", "/oidc/introspect", "/oidc/revoke"])
def test_back_channel_endpoints_take_a_form_body_only(world: World, path: str) -> None:
    """A9, A12, C43, E14: the URL, repeats, other methods and types, Basic that is not clean."""
    app = world.app()
    good = {"grant_type": "refresh_token", "refresh_token": "x", "token": "x"}
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert http().post(path + "?grant_type=refresh_token", data=good).json()["error"] == "invalid_request"
    assert http().post(path, content="token=a&token=b", headers=form).json()["error"] == "invalid_request"
    assert http().post(path, json=good).json()["error"] == "invalid_request"
    assert http().get(path).status_code == 405
    for basic in (b"\xff\xfe:\x00", b"nocolon", "ü:ü".encode()):
        header = {"Authorization": "Basic " + base64.b64encode(basic).decode(), **form}
        assert (
            http().post(path, content="token=a&grant_type=refresh_token", headers=header).json()["error"]
            == "invalid_request"
        )
    assert http().post(path, data=good, auth=(app.client_id, "wrong")).status_code == 401
    assert (
        http().post(path, data=good, auth=("nobody", "wrong")).text
        == http().post(path, data=good, auth=(app.client_id, "wrong")).text
    )


def test_secrets_are_stored_hashed(world: World, person_and_browser: tuple[Person, Browser]) -> None:
    """I10, E19: neither code nor refresh token nor client secret stands in a table."""
    from idp.models import ClientPolicy

    app = world.app()
    code = world.ask(app, person_and_browser[1])["code"]
    refresh = app.redeem(code).json()["refresh_token"]
    kept = [
        *Code.objects.values_list("code_hash", flat=True),
        *RefreshToken.objects.values_list("token_hash", flat=True),
    ]
    kept += ClientPolicy.objects.values_list("secret_hash", flat=True)
    assert not {code, refresh, app.secret} & set(kept)
    assert app.party.client.client_secret == ""


def test_cors_is_for_registered_origins(world: World) -> None:
    """Ruling 18, E14, P47: its origin only, never with credentials; metadata are for everybody."""
    spa = world.app(name="SPA", application_type="browser", public=True, redirect_uris=["https://spa.example/cb"])
    assert spa.party.is_public
    for origin, allowed in (
        ("https://spa.example", True),
        ("https://evil.example", False),
        ("null", False),
        ("https://spa.example.evil", False),
    ):
        preflight = http().options("/oidc/token", headers={"Origin": origin, "Access-Control-Request-Method": "POST"})
        answer = http().post("/oidc/token", data={"grant_type": "x"}, headers={"Origin": origin})
        for response in (preflight, answer):
            assert (response.headers.get("Access-Control-Allow-Origin") == origin) == allowed
            assert "Access-Control-Allow-Credentials" not in response.headers
    assert http().get("/oidc/jwks").headers["Access-Control-Allow-Origin"] == "*"


def test_native_apps_use_any_loopback_port(world: World, person_and_browser: tuple[Person, Browser]) -> None:
    """RFC 8252 §7.3; the code is bound to the very URI that was used."""
    app = world.app(name="CLI", application_type="native", public=True, redirect_uris=["http://127.0.0.1/cb"])
    app.redirect_uri = "http://127.0.0.1:49999/cb"
    assert world.tokens(app, person_and_browser[1])["token_type"] == "Bearer"
    code = world.ask(app, person_and_browser[1])["code"]
    assert app.redeem(code, redirect_uri="http://127.0.0.1:50000/cb").json()["error"] == "invalid_grant"


def test_subjects_are_opaque_stable_and_pairwise_where_registered(
    world: World, person_and_browser: tuple[Person, Browser]
) -> None:
    """FA-4, C53, ruling 21."""
    person, browser = person_and_browser
    one, two = world.app(), world.app(name="Two")
    private = world.app(name="Private", subject_type="pairwise", redirect_uris=["https://private.example/cb"])
    sector = world.app(name="Same sector", subject_type="pairwise", redirect_uris=["https://private.example/other"])
    subs = [claims(world.tokens(app, browser)["id_token"])["sub"] for app in (one, two, private, sector)]
    assert subs[0] == subs[1]
    assert subs[2] == subs[3] != subs[0]
    assert person.username not in "".join(subs)
    world.patch(person.username, {"userName": "new@example.org"})
    assert claims(world.tokens(one, browser)["id_token"])["sub"] == subs[0]


@pytest.mark.parametrize("alg", ["RS256", "PS256", "EdDSA", "ES256"])
def test_id_token_algorithm_is_the_registered_one(
    world: World, person_and_browser: tuple[Person, Browser], alg: str
) -> None:
    """C39, C69: the server's list; the header is never asked."""
    app = world.app(id_token_alg=alg)
    token = world.tokens(app, person_and_browser[1])["id_token"]
    assert json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))["alg"] == alg
    assert claims(token)["aud"] == app.client_id


def test_audit_chain_verifies_after_grants(world: World, person_and_browser: tuple[Person, Browser]) -> None:
    """Promise 5: every grant is an Event of a whole chain; a refresh is not (design.md)."""
    app = world.app()
    found = world.tokens(app, person_and_browser[1])
    before = Event.objects.count()
    app.refresh(found["refresh_token"])
    assert Event.objects.count() == before
    account = Account.objects.get()
    assert audit.verify(account) is None
    kinds = list(account.events.order_by("seq").values_list("kind", flat=True))
    assert {"account.opened", "credential.issued", "session.started", "tokens.granted"} <= set(kinds)


def test_login_that_is_too_old_for_its_client_does_not_refresh(world: World) -> None:
    """C16, P1: `most_session` is asked again at every use of a family, offline or not, also where it was set after."""
    with time_machine.travel("2026-11-23T12:00:00Z", tick=False) as travelled:
        _, desktop = world.enrolled()
        app = world.app()
        held = world.tokens(app, desktop, scope="openid offline_access")
        travelled.shift(240)
        ClientPolicy.objects.update(most_session=timedelta(minutes=4))
        held = app.refresh(held["refresh_token"]).json()
        assert userinfo(held["access_token"]).status_code == 200
        travelled.shift(1)
        assert userinfo(held["access_token"]).status_code == 401
        assert app.introspect(held["access_token"]) == {"active": False}
        assert app.refresh(held["refresh_token"]).json()["error"] == "invalid_grant"


def test_dpop_requirement_ends_earlier_bearer_tokens(world: World) -> None:
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


@pytest.mark.database
def test_revocation_during_a_suspension_is_final(world: World) -> None:
    """C41: a 200 means that the family ended, whether or not it was live at that moment."""
    person, browser = world.enrolled()
    app = world.app()
    tokens = world.tokens(app, browser, scope="openid offline_access")
    account = Directory.objects.get(login_name=person.username).account
    under_lock(account.id, lambda locked: suspend.suspend(locked, now=clock.now(), actor="operator"))
    assert app.post("/oidc/revoke", {"token": tokens["access_token"]}).status_code == 200
    under_lock(account.id, lambda locked: suspend.resume(locked, now=clock.now(), actor="operator"))
    assert app.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert resource.grant_of("no token") is None
