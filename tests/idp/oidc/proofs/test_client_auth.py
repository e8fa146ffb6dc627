"""How clients prove themselves, at every endpoint that asks (C36, C37, A13, A20, P15, P16, P43, P44, J3, J6)."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
import time_machine
from joserfc.jwk import ECKey, RSAKey

from derived import clock
from idp import clients
from idp.clients import BadRegistration
from idp.models import ClientPolicy
from idp.oidc.requests.refusals import HEADER
from tests.fixtures.signing_client import Signer, jwks, new_key, signer
from tests.fixtures.world import CALLBACK, ISSUER, World, http

FAILED = {"error": "invalid_client", "error_description": "Client authentication failed."}
# Endpoint, form, and what an authenticated client is told about it.
ENDPOINTS = [
    ("/oidc/introspect", {"token": "x"}, 200),
    ("/oidc/revoke", {"token": "x"}, 200),
    (
        "/oidc/token",
        {"grant_type": "authorization_code", "code": "x", "redirect_uri": CALLBACK, "code_verifier": "v" * 43},
        400,
    ),
    ("/oidc/token", {"grant_type": "refresh_token", "refresh_token": "x"}, 400),
]


def send(signed: Signer, assertion: str, **more: str) -> Any:
    """To introspection: 200 for a client that was recognised."""
    with http() as agent:
        return agent.post("/oidc/introspect", data={"token": "x", **signed.fields(assertion), **more})


def refused(response: Any) -> bool:
    """The one error of all failures."""
    return bool(response.status_code == 401 and response.json() == FAILED)


@pytest.mark.parametrize("alg", clients.CLIENT_ALGS)
def test_assertion_of_each_algorithm_is_accepted(world: World, alg: str) -> None:
    """RFC 7523 §2.2 with every algorithm that a client may be registered for."""
    assert signer(world, alg).post("/oidc/introspect", {"token": "x"}).status_code == 200


@pytest.mark.parametrize(("path", "form", "status"), ENDPOINTS)
def test_every_endpoint_authenticates_clients_alike(world: World, path: str, form: dict[str, str], status: int) -> None:
    """P15: a good assertion is let through to the endpoint's own checks, and none, or a bad one, to nothing."""
    signed = signer(world)
    good = signed.post(path, form)
    assert good.status_code == status
    assert good.status_code == 200 or good.json()["error"] == "invalid_grant"
    assert refused(signed.post(path, form, aud=ISSUER + path))
    with http() as agent:
        assert refused(agent.post(path, data={**form, "client_id": signed.app.client_id}))
        assert refused(agent.post(path, data=form))


def test_login_with_assertions(world: World) -> None:
    """Code, tokens, refresh."""
    _, desktop = world.enrolled()
    signed = signer(world)
    code = world.ask(signed.app, desktop)["code"]
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CALLBACK,
        "code_verifier": signed.app.verifier,
    }
    tokens = signed.post("/oidc/token", form).json()
    assert tokens["id_token"]
    again = signed.post("/oidc/token", {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]})
    assert again.status_code == 200


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": [ISSUER]}, {"aud": ISSUER + "/"}, {"aud": ISSUER + "/oidc/token"},
        {"aud": [ISSUER, "https://evil.example"]}, {"aud": None}, {"aud": {}},
        {"iss": "somebody"}, {"iss": None}, {"sub": None}, {"sub": ["x"]}, {"sub": "nobody", "iss": "nobody"},
        {"sub": "\x00", "iss": "\x00"},
        {"exp": None}, {"exp": "soon"}, {"exp": True}, {"exp": 1e300}, {"exp": -1}, {"exp": 2**63},
        {"exp": ("now", -1)}, {"exp": ("now", 321)}, {"exp": ("now", 3600)},
        {"iat": ("now", 60)}, {"iat": ("now", -3600)}, {"iat": "x"}, {"nbf": ("now", 60)}, {"nbf": []},
        {"jti": None}, {"jti": ""}, {"jti": 7}, {"jti": "x" * 300}, {"jti": "a\nb"},
    ],
    ids=repr,
)  # fmt: skip
def test_assertion_with_wrong_claims_is_refused(world: World, changed: dict[str, Any]) -> None:
    """C37, P44: aud is the issuer as one text; at most five minutes; jti; iss and sub the client."""
    signed = signer(world)
    now = int(clock.now().timestamp())
    values = {name: now + value[1] if isinstance(value, tuple) else value for name, value in changed.items()}
    assert refused(send(signed, signed.sign(signed.claims(**values))))
    assert send(signed, signed.sign(signed.claims())).status_code == 200


def test_clock_ten_seconds_ahead_is_accepted(world: World) -> None:
    """FAPI 2.0 §5.3.2.1: ten seconds into the future are accepted, and no iat is one too."""
    signed = signer(world)
    ahead = int(clock.now().timestamp()) + 10
    for changed in ({"iat": ahead, "nbf": ahead}, {"iat": None}, {"exp": ahead + 300}):
        assert send(signed, signed.sign(signed.claims(**changed))).status_code == 200


def test_assertion_is_single_use(world: World) -> None:
    """P16, C25: also at another endpoint, also just before its end; and another client's same jti is another's."""
    with time_machine.travel("2026-11-23T12:00:00Z", tick=False) as travelled:
        _serves_once(world, travelled)


def _serves_once(world: World, travelled: time_machine.Coordinates) -> None:
    signed, other = signer(world), signer(world)
    claims = signed.claims(jti="the-one", exp=int(clock.now().timestamp()) + 300)
    assertion = signed.sign(claims)
    assert send(signed, assertion).status_code == 200
    assert refused(send(signed, assertion))
    assert refused(send(signed, signed.sign({**claims, "exp": claims["exp"] - 1})))
    with http() as agent:
        assert refused(agent.post("/oidc/revoke", data={"token": "x", **signed.fields(assertion)}))
    assert other.post("/oidc/introspect", {"token": "x"}, jti="the-one").status_code == 200
    travelled.shift(timedelta(seconds=299))
    assert refused(send(signed, assertion))


def test_refused_assertion_spends_no_jti(world: World) -> None:
    """P49: a stranger cannot use up the jti of another's assertion."""
    signed = signer(world)
    claims = signed.claims(jti="mine")
    assert refused(send(signed, signed.sign(claims, key=new_key())))
    assert send(signed, signed.sign(claims)).status_code == 200


def forged(header: dict[str, Any], claims: dict[str, Any], signature: str = "") -> str:
    """A token as no library would make it."""
    parts = [base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=").decode() for one in (header, claims)]
    return ".".join([*parts, signature])


def test_algorithm_is_pinned_at_registration(world: World) -> None:
    """P43: whatever the header says, only the pinned algorithm is tried; none, HS256 by the public key, and RS256
    for PS256 are not.
    """
    signed = signer(world, "PS256")
    assert refused(send(signed, signed.sign(signed.claims(), alg="RS256")))
    for alg in ("none", "None", "nOnE", "", "HS256", "ES256", None, 5, ["PS256"]):
        header = {"alg": alg, "kid": "one"}
        assert refused(send(signed, forged(header, signed.claims(), "AA")))
        assert refused(send(signed, forged(header, signed.claims())))
    assert send(signed, signed.sign(signed.claims())).status_code == 200


def test_algorithm_that_is_not_registered(world: World) -> None:
    """Registration §2: that which the keys name, else any that a key can make; RS256 for no FAPI client."""
    key = new_key("PS256")
    named = jwks(RSAKey.import_key({**key.as_dict(private=False), "alg": "PS256"}))
    one = Signer(world.app(auth_method="private_key_jwt", jwks=named), key, "PS256")
    assert one.app.party.policy.auth_alg == "PS256"
    any_of_two = Signer(world.app(auth_method="private_key_jwt", jwks=jwks(key)), key)
    terms = {"par_required": True, "dpop_required": True}
    fapi = Signer(world.app(auth_method="private_key_jwt", jwks=jwks(key), **terms), key)

    def statuses(client: Signer) -> list[int]:
        algs = ("PS256", "RS256")
        return [send(client, client.sign(client.claims(), alg=alg)).status_code for alg in algs]

    assert [statuses(client) for client in (one, any_of_two, fapi)] == [[200, 401], [200, 200], [200, 401]]
    for alg in ("none", "", "HS256", "ES256", None, 5, ["PS256"]):
        header = {"alg": alg, "kid": "one"}
        assert refused(send(any_of_two, forged(header, any_of_two.claims(), "AA")))
        assert refused(send(any_of_two, forged(header, any_of_two.claims())))


@pytest.mark.parametrize(
    ("header", "good"),
    [
        ({}, True), ({"typ": None}, True), ({"typ": "JWT"}, True), ({"typ": "client-authentication+jwt"}, True),
        ({"kid": None}, True),
        ({"typ": "at+jwt"}, False), ({"typ": "dpop+jwt"}, False), ({"typ": "oauth-authz-req+jwt"}, False),
        ({"kid": "two"}, False), ({"kid": ""}, False),
    ],
    ids=repr,
)  # fmt: skip
def test_typ_and_kid(world: World, header: dict[str, Any], *, good: bool) -> None:
    """J2, J6: a token of another kind is no assertion; a name that is not in the set is no key."""
    signed = signer(world)
    response = send(signed, signed.sign(signed.claims(), **header))
    assert response.status_code == (200 if good else 401)


def test_keys_in_the_header_are_ignored(world: World) -> None:
    """CVE-2026-27962: an embedded jwk, jku, x5u or x5c is not looked at; crit, zip and b64 are refused."""
    signed, thief = signer(world), new_key()
    embedded = {
        "jwk": thief.as_dict(private=False),
        "jku": "https://evil.example/jwks",
        "x5u": "https://evil.example/x5c",
    }
    for name, value in embedded.items():
        assert refused(send(signed, signed.sign(signed.claims(), key=thief, **{name: value})))
    for name, value in {"crit": ["x"], "zip": "DEF", "b64": False}.items():
        token = forged({"alg": "ES256", "kid": "one", name: value}, signed.claims(), "A" * 86)
        assert refused(send(signed, token))


@pytest.mark.parametrize("depth", [70, 900, 1100])
def test_deep_or_large_assertion_is_refused_before_parsing(world: World, depth: int) -> None:
    """A20, J5: nesting and size."""
    signed = signer(world)
    deep = base64.urlsafe_b64encode(b'{"alg":"ES256","x":' + b"[" * depth + b"]" * depth + b"}").rstrip(b"=").decode()
    assert refused(send(signed, f"{deep}.{deep}.AA"))
    assert refused(send(signed, "a.b.c"))
    assert send(signed, "é").status_code == send(signed, "A" * 9000).status_code == 400
    twice = base64.urlsafe_b64encode(b'{"sub":"a","sub":"b"}').rstrip(b"=").decode()
    assert refused(send(signed, f"{twice}.{twice}.AA"))


def test_several_keys_need_a_kid(world: World) -> None:
    """J6: with several keys that fit, the header says which; with one, it need not."""
    first, second = new_key(), new_key(kid="two")
    signed = signer(world, key=first, jwks=jwks(first, second, new_key("RS256", "three")))
    assert refused(send(signed, signed.sign(signed.claims(), kid=None)))
    assert send(signed, signed.sign(signed.claims())).status_code == 200
    assert refused(send(signed, signed.sign(signed.claims(), kid="two")))
    assert send(signed, signed.sign(signed.claims(), key=second, kid="two")).status_code == 200


def test_one_registered_method_per_request(world: World) -> None:
    """RFC 6749 §2.3, C36: two at once are refused; a secret client cannot sign, a signing client has no secret, a
    public one is neither.
    """
    signed, secret = signer(world), world.app()
    public = world.app(public=True)
    with http() as agent:
        form = {"token": "x", **signed.fields(signed.sign(signed.claims()))}
        both = agent.post("/oidc/introspect", data=form, auth=(secret.client_id, secret.secret or ""))
        assert (both.status_code, both.json()["error"]) == (400, "invalid_request")
        two = agent.post(
            "/oidc/revoke",
            data={"token": "x", "client_id": secret.client_id, "client_secret": "x"},
            auth=(secret.client_id, "x"),
        )
        assert two.status_code == 400
        assert refused(agent.post("/oidc/revoke", data={"token": "x"}, auth=(signed.app.client_id, "")))
        assert refused(agent.post("/oidc/revoke", data={"token": "x"}, auth=(signed.app.client_id, "x")))
        assert refused(
            agent.post("/oidc/revoke", data={"token": "x", "client_id": public.client_id, "client_secret": "x"})
        )
        assert refused(agent.post("/oidc/revoke", data={"token": "x", "client_id": secret.client_id}))
        assert refused(agent.post("/oidc/revoke", data={"token": "x", "client_assertion": "x"}))
        assert refused(
            agent.post("/oidc/revoke", data={"token": "x", "client_assertion": "x", "client_assertion_type": "other"})
        )
        assert refused(
            agent.post(
                "/oidc/revoke",
                data={"token": "x", "client_id": public.client_id},
                auth=(secret.client_id, secret.secret or ""),
            )
        )
    ClientPolicy.objects.filter(client__client_id=secret.client_id).update(jwks=jwks(signed.key), auth_alg="ES256")
    assert refused(send(signed, signed.sign(signed.claims(iss=secret.client_id, sub=secret.client_id))))


def test_responses_do_not_reveal_registered_clients(world: World) -> None:
    """A13: unknown client, wrong method, disabled, wrong secret, wrong key: one answer, to the byte and the header."""
    secret, signed, gone = world.app(), signer(world), signer(world)
    ClientPolicy.objects.filter(client__client_id=gone.app.client_id).update(disabled_at=clock.now())
    with http() as agent:
        answers = [
            agent.post("/oidc/introspect", data={"token": "x"}, auth=("nobody", "x")),
            agent.post("/oidc/introspect", data={"token": "x"}, auth=(secret.client_id, "x")),
            agent.post("/oidc/introspect", data={"token": "x"}, auth=(signed.app.client_id, "x")),
            agent.post("/oidc/introspect", data={"token": "x", "client_id": "nobody"}),
            agent.post("/oidc/introspect", data={"token": "x", "client_id": "nobody", "client_secret": "x"}),
            send(signed, signed.sign(signed.claims(iss="nobody", sub="nobody"))),
            send(signed, signed.sign(signed.claims(), key=new_key())),
            send(gone, gone.sign(gone.claims())),
        ]
        ids = [one.headers.pop(HEADER) for one in answers]  # random, for the log
    assert len(set(ids)) == len(answers)
    assert len({(one.status_code, one.content, tuple(sorted(one.headers.items()))) for one in answers}) == 1


def test_client_id_must_match_the_assertion(world: World) -> None:
    """RFC 7521 §4.2."""
    signed = signer(world)
    assert send(signed, signed.sign(signed.claims()), client_id=signed.app.client_id).status_code == 200
    assert refused(send(signed, signed.sign(signed.claims()), client_id="another"))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"jwks": {"keys": [ECKey.generate_key("P-256").as_dict(private=True)]}}, "private"),
        ({"jwks": {"keys": [{"kty": "oct", "k": "AAAA"}]}}, "private"),
        ({"jwks": {"keys": [{"kty": "RSA", "e": "AQAB", "n": "w" * 171}]}, "auth_alg": "RS256"}, "2048"),
        ({"jwks": {"keys": [ECKey.generate_key("P-521").as_dict(private=False)]}}, "curve"),
        ({"jwks": {"keys": [ECKey.generate_key("secp256k1").as_dict(private=False)]}}, "curve"),
        ({"jwks": {"keys": [{"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43}]}}, "read"),
        ({"jwks": {"keys": [{**ECKey.generate_key("P-256").as_dict(private=False), "use": "enc"}]}}, "signatures"),
        ({"jwks": {"keys": []}}, "empty"), ({"jwks": []}, "key set"),
        ({"jwks": {"keys": [new_key().as_dict(private=False)] * 2}}, "kid"),
        ({"jwks": {"keys": [new_key().as_dict(private=False)] * 51}}, "50"), ({"auth_alg": "HS256"}, "pin one"),
        ({"auth_alg": "none"}, "pin one"),
        ({"auth_alg": "ES384"}, "no key"),
        ({"jwks_uri": "https://app.example/jwks"}, "not both"),
        ({"jwks": None}, "public keys"), ({"public": True}, "public client"),
        ({"application_type": "native"}, "native"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_weak_keys_are_not_registered(world: World, changed: dict[str, Any], words: str) -> None:
    """J3, C69: RSA of 2048 bits or more, P-256, P-384, Ed25519; nothing private; one algorithm."""
    good: dict[str, Any] = {"auth_method": "private_key_jwt", "auth_alg": "ES256", "jwks": jwks(new_key())}
    with pytest.raises(BadRegistration, match=words):
        world.app(**{**good, **changed})


def test_aal3_client_cannot_use_a_secret(world: World) -> None:
    """C36: the message names the methods to use instead."""
    with pytest.raises(BadRegistration, match="private_key_jwt"):
        world.app(min_aal=3)
    assert signer(world, min_aal=3).post("/oidc/introspect", {"token": "x"}).status_code == 200


def test_discovery_lists_the_methods(world: World) -> None:
    """C55."""
    with http() as agent:
        found = agent.get("/.well-known/openid-configuration").json()
    assert "private_key_jwt" in found["token_endpoint_auth_methods_supported"]
    assert found["token_endpoint_auth_signing_alg_values_supported"] == list(clients.CLIENT_ALGS)
    assert "none" not in found["introspection_endpoint_auth_methods_supported"]


@pytest.mark.parametrize("secret", ["a secret with spaces", "a+b/c=d%20e", "p%q", "colon:and&more"])
def test_basic_is_form_encoded(world: World, secret: str) -> None:
    """RFC 6749 §2.3.1: an imported secret with any character; a bare plus works too, as some clients send it."""
    app = world.app()
    ClientPolicy.objects.filter(pk=app.party.policy.pk).update(secret_hash=clients.hashed_secret(secret))

    def status(sent: str) -> int:
        header = base64.b64encode(f"{app.client_id}:{sent}".encode()).decode()
        with http() as agent:
            call = agent.post("/oidc/introspect", data={"token": "x"}, headers={"Authorization": f"Basic {header}"})
        return call.status_code

    assert status(quote_plus(secret)) == 200
    assert status(quote(secret, safe="")) == 200
    assert status(quote_plus(secret + "x")) == 401
    if "%" not in secret:
        assert status(secret) == 200
