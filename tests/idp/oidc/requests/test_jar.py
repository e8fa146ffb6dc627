"""Signed request objects (RFC 9101): only the object counts, and only one that its client signed as registered (C43,
C44, A10, A11, P42, P43).
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from demo.browser import Browser
from derived import clock
from idp.models import ClientPolicy, PushedRequest
from tests.fixtures.signing_client import Signer, jwks, new_key, signer
from tests.fixtures.world import AAL, CALLBACK, ISSUER, answer, claims, http

if TYPE_CHECKING:
    from tests.fixtures.world import World

pytestmark = pytest.mark.django_db


def requester(world: World, alg: str = "ES256", **terms: Any) -> Signer:
    """A client that signs its requests with this algorithm."""
    who = signer(world, alg)
    ClientPolicy.objects.filter(client__client_id=who.app.client_id).update(request_alg=alg, **terms)
    return who


def said(who: Signer, **changed: Any) -> dict[str, Any]:
    """The claims of a good request object; None leaves one out."""
    now = int(clock.now().timestamp())
    good = {
        **who.app.parameters(),
        "iss": who.app.client_id,
        "aud": ISSUER,
        "iat": now,
        "nbf": now,
        "exp": now + 300,
        "jti": "j",
    }
    return {name: value for name, value in {**good, **changed}.items() if value is not None}


def made(who: Signer, **changed: Any) -> str:
    """A request object."""
    return who.sign(said(who, **changed), typ="oauth-authz-req+jwt")


def start(who: Signer, request: str, **more: str) -> str:
    """Where the browser is sent; with an outer address, for errors about the object."""
    return f"{ISSUER}/oidc/authorize?{urlencode({'client_id': who.app.client_id, 'request': request, **more})}"


def refused(who: Signer, request: str) -> str:
    """What the front channel and the back channel say of an object: the same error."""
    found = answer(Browser(http()).get(start(who, request, redirect_uri=CALLBACK, state="outer"), stop_at=CALLBACK))
    assert (found["state"], found["iss"]) == ("outer", ISSUER)
    bare = Browser(http()).get(start(who, request), stop_at=CALLBACK)
    assert (bare.status, bare.stopped_at) == (400, "")
    pushed = who.post("/oidc/par", {"client_id": who.app.client_id, "request": request})
    assert (pushed.status_code, pushed.json()["error"]) == (400, found["error"])
    assert not PushedRequest.objects.exists()
    return found["error"]


@pytest.mark.parametrize("alg", ["ES256", "PS256", "EdDSA", "RS256"])
def test_signed_request_leads_to_a_login(world: World, alg: str) -> None:
    """By value in the address, and pushed; the outer parameters are not looked at (C43)."""
    _, desktop = world.enrolled()
    who = requester(world, alg)
    outer = {
        "scope": "openid email assurance",
        "state": "evil",
        "nonce": "evil",
        "redirect_uri": CALLBACK,
        "response_mode": "form_post",
        "acr_values": "phr",
    }
    request = made(
        who, scope="openid", claims={"id_token": {"acr": {"essential": True, "value": f"{AAL}2"}}}, max_age=3600
    )
    uri = who.post("/oidc/par", {"client_id": who.app.client_id, "request": request, "scope": "openid email"}).json()[
        "request_uri"
    ]
    pushed = f"{ISSUER}/oidc/authorize?{urlencode({'client_id': who.app.client_id, 'request_uri': uri})}"
    for target in (start(who, request, **outer), pushed):
        found = answer(desktop.get(target, stop_at=CALLBACK))
        assert found["state"] == "st&te=1"
        form = {
            "grant_type": "authorization_code",
            "code": found["code"],
            "redirect_uri": CALLBACK,
            "code_verifier": who.app.verifier,
        }
        tokens = who.post("/oidc/token", form).json()
        assert (tokens["scope"], claims(tokens["id_token"])["nonce"], claims(tokens["id_token"])["acr"]) == (
            "openid",
            "n-1",
            f"{AAL}2",
        )


@pytest.mark.parametrize("typ", ["oauth-authz-req+jwt", "JWT", None])
def test_both_typ_values_are_accepted(world: World, typ: str | None) -> None:
    """RFC 9101 §10.8 and OpenID Connect Core §6."""
    _, desktop = world.enrolled()
    who = requester(world)
    assert "code" in answer(desktop.get(start(who, who.sign(said(who), typ=typ)), stop_at=CALLBACK))


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": None}, {"iss": "other"}, {"client_id": None}, {"client_id": "other"}, {"aud": None},
        {"aud": "https://other.example"},
        {"aud": [f"{ISSUER}/oidc/token"]}, {"aud": {"a": 1}}, {"exp": None}, {"exp": -1}, {"exp": 400}, {"exp": 4200},
        {"exp": "soon"}, {"exp": True},
        {"nbf": 60}, {"nbf": -3700}, {"nbf": "x"}, {"iat": 60}, {"iat": [1]}, {"request": "x"},
        {"request_uri": "urn:x"},
        {"scope": ["openid"]}, {"response_type": 7}, {"redirect_uri": {"a": "b"}}, {"state": {"a": 1}}, {"claims": [1]},
        {"max_age": True},
        {"nonce": 7}, {"sub": "="},
    ],
)  # fmt: skip
def test_request_object_with_wrong_claims_is_refused(world: World, changed: dict[str, Any]) -> None:
    """C44, A11: `invalid_request_object`, and no 500; numbers are seconds from now."""
    who = requester(world)
    now = int(clock.now().timestamp())
    times = {
        name: now + value for name, value in changed.items() if name in {"exp", "nbf", "iat"} and type(value) is int
    }
    own = {"sub": who.app.client_id} if "sub" in changed else {}
    assert refused(who, made(who, **{**changed, **times, **own})) == "invalid_request_object"


@pytest.mark.parametrize(
    "changed",
    [
        {"nbf": 8},
        {"nbf": None},
        {"iat": None},
        {"aud": [ISSUER, "https://other.example"]},
        {"jti": None},
        {"nbf": -3000},
    ],
)
def test_values_that_the_profiles_allow_are_accepted(world: World, changed: dict[str, Any]) -> None:
    """FAPI 2.0 Message Signing: eight seconds ahead, an hour old, several audiences."""
    _, desktop = world.enrolled()
    who = requester(world)
    now = int(clock.now().timestamp())
    times = {name: now + value for name, value in changed.items() if isinstance(value, int)}
    assert "code" in answer(desktop.get(start(who, made(who, **{**changed, **times})), stop_at=CALLBACK))


def _segment(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def test_only_the_registered_algorithm_and_key_verify(world: World) -> None:
    """A10, P42, P43: none, HS256, another algorithm, another key, another client, a JWE around it, a key in the
    header.
    """
    who, other = requester(world), requester(world)
    good = made(who)
    header, payload, signature = good.split(".")
    stranger = new_key()
    encrypted = _segment({"alg": "dir", "enc": "A256GCM", "cty": "JWT"})
    bad = [
        f"{_segment({'alg': 'none'})}.{payload}.",
        f"{_segment({'alg': 'none'})}.{payload}.{signature}",
        f"{_segment({'alg': 'HS256'})}.{payload}.{signature}",
        f"{header}.{payload}.{signature[:-4]}AAAA",
        f"{header}.{_segment(said(who, scope='openid email'))}.{signature}",
        who.sign(said(who), key=stranger),
        who.sign(said(who), key=stranger, jwk=jwks(stranger)["keys"][0]),
        who.sign(said(who), typ="at+jwt"),
        who.sign(said(who), typ="client-authentication+jwt"),
        f"{_segment({'alg': 'ES256', 'crit': ['x'], 'x': 1})}.{payload}.{signature}",
        Signer(who.app, new_key("PS256"), "PS256").sign(said(who)),
        other.sign(said(who), kid=None),
        "x",
        "..",
        "a.b",
        f"{good}.x.y",
        good[:-1],
        ".".join([encrypted, "", _segment(b"x" * 12), _segment(good), _segment(b"y" * 16)]),
        f"{header}.{_segment(('[' * 1200 + ']' * 1200).encode())}.{signature}",
        f"{header}.{_segment(b'[]')}.{signature}",
        "a" * 8000,
    ]
    for request in bad:
        assert refused(who, request) == "invalid_request_object", request[:80]
    with http() as agent:
        assert agent.get(start(who, "a" * 9000)).status_code == 400


def test_errors_go_to_the_redirect_uri_of_the_object(world: World) -> None:
    """P41: and never to one that is not registered, inside or outside."""
    _, desktop = world.enrolled()
    who = requester(world)
    assert (
        answer(desktop.get(start(who, made(who, acr_values="phr")), stop_at=CALLBACK))["error"]
        == "unmet_authentication_requirements"
    )
    assert answer(desktop.get(start(who, made(who, nonce=None)), stop_at=CALLBACK))["error"] == "invalid_request"
    for changed in ({"redirect_uri": "https://evil.example/"}, {"redirect_uri": None}):
        page = desktop.get(start(who, made(who, **changed), redirect_uri=CALLBACK), stop_at="https://")
        assert (page.status, page.stopped_at) == (400, "")
    page = desktop.get(start(who, "x.y.z", redirect_uri="https://evil.example/"), stop_at="https://")
    assert (page.status, page.stopped_at) == (400, "")


def test_parameters_of_an_object(world: World) -> None:
    """Ruling 34, RFC 6749 §4.1.2.1: unknown members are ignored; the object's redirect URI is told of a long state."""
    _, desktop = world.enrolled()
    who = requester(world)
    more: dict[str, Any] = {"app_name": ["Caf\u00e9"], "foo[bar]": {"a": 1}, "\u00e4": 5}
    assert "code" in answer(desktop.get(start(who, made(who, **more)), stop_at=CALLBACK))
    found = answer(desktop.get(start(who, made(who, state="s" * 3000)), stop_at=CALLBACK))
    assert (found["error"], found["state"]) == ("invalid_request", "s" * 3000)


def test_client_may_be_required_to_sign(world: World) -> None:
    """C44: every unsigned way in is refused, here and pushed; then an object says when it began."""
    _, desktop = world.enrolled()
    who = requester(world, request_required=True)
    assert answer(desktop.get(who.app.url(), stop_at=CALLBACK))["error"] == "invalid_request"
    assert who.post("/oidc/par", who.app.parameters()).json()["error"] == "invalid_request"
    assert refused(who, made(who, nbf=None)) == "invalid_request_object"
    assert "code" in answer(desktop.get(start(who, made(who)), stop_at=CALLBACK))


def test_par_required_client_may_not_send_an_object_by_url(world: World) -> None:
    """C35: JAR is no way around PAR."""
    who = requester(world, par_required=True)
    assert answer(Browser(http()).get(start(who, made(who)), stop_at=CALLBACK))["error"] == "invalid_request"
    assert who.post("/oidc/par", {"client_id": who.app.client_id, "request": made(who)}).status_code == 201


def test_client_without_keys_gets_request_not_supported(world: World) -> None:
    """OpenID Connect Core §3.1.2.6."""
    who = signer(world)
    found = answer(Browser(http()).get(start(who, made(who), redirect_uri=CALLBACK), stop_at=CALLBACK))
    assert found["error"] == "request_not_supported"


def test_request_object_and_client_assertion_are_not_interchangeable(world: World) -> None:
    """J2, RFC 9101 §10.8."""
    who = requester(world)
    assertion = who.sign({**said(who), **who.claims()})
    assert refused(who, assertion) == "invalid_request_object"
    with http() as agent:
        response = agent.post(
            "/oidc/par",
            data={"client_id": who.app.client_id, "request": made(who), **who.fields(made(who, sub=who.app.client_id))},
        )
    assert response.status_code == 401


def test_discovery_lists_the_algorithms(world: World) -> None:
    """C55: from the same list that a client is registered from; never none."""
    found = http().get("/.well-known/openid-configuration").json()
    assert found["request_parameter_supported"] is True
    assert {"ES256", "PS256"} <= set(found["request_object_signing_alg_values_supported"])
    assert not {"none", "HS256"} & set(found["request_object_signing_alg_values_supported"])
