"""Clients that register themselves (RFC 7591, RFC 7592; A13, A18, C31, C46, C47, P29, P40, P45; ruling 21)."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
import time_machine
from django.core.management import call_command

from idp import clients
from idp.clients import metadata
from idp.config import Config
from idp.models import ClientPolicy, RegisteredUri, RegistrationToken
from scim.models import Person as Directory
from tests.fixtures.bad_uris import BAD, NEAR
from tests.fixtures.client_registration import GOOD, initial, registered, send
from tests.fixtures.served_keys import opened
from tests.fixtures.signing_client import jwks, new_key
from tests.fixtures.world import CALLBACK, ISSUER, App, World, claims, http

FAR = Config(issuer="https://login.example.org", kek="A" * 43 + "=")  # type: ignore[arg-type]


def test_registration_is_off_without_a_token(world: World) -> None:
    """Off by default: no token is valid, and discovery does not list it; a token serves a number of times, until its
    expiry.
    """
    assert world
    with http() as agent:
        assert "registration_endpoint" not in agent.get("/.well-known/openid-configuration").json()
    for token in (None, "", "x", "x" * 200):
        response = send("POST", "/oidc/register", token, GOOD)
        assert (response.status_code, response.json()["error"]) == (401, "invalid_token")
        assert "Bearer" in response.headers["WWW-Authenticate"]
    with time_machine.travel("2026-11-23T12:00:00Z", tick=False) as travelled:
        token = initial("--uses", "2", "--life", "1h")
        assert token not in str(list(RegistrationToken.objects.values()))
        with http() as agent:
            assert (
                agent.get("/.well-known/openid-configuration").json()["registration_endpoint"]
                == f"{ISSUER}/oidc/register"
            )
        assert [send("POST", "/oidc/register", token, GOOD).status_code for _ in range(3)] == [201, 201, 401]
        late = initial("--life", "1h")
        travelled.shift(timedelta(hours=1, seconds=1))
        assert send("POST", "/oidc/register", late, GOOD).status_code == 401


@pytest.mark.database
def test_registered_client_gets_a_pairwise_subject(world: World) -> None:
    """Ruling 21: pairwise; the person is asked; the answer echoes everything (RFC 7591 §3.2.1)."""
    _, desktop = world.enrolled()
    one, two = (
        registered(),
        registered(
            redirect_uris=["https://other.example/cb"],
            contacts=["ops@app.example"],
            policy_uri="https://app.example/policy",
        ),
    )
    assert (one["subject_type"], one["redirect_uris"], one["client_name"]) == ("pairwise", [CALLBACK], "Dynamic desk")
    assert (two["contacts"], two["policy_uri"]) == (["ops@app.example"], "https://app.example/policy")
    assert len(one["client_id"]) == 32
    assert one["client_secret_expires_at"] == 0
    found = clients.find(one["client_id"])
    assert found is not None
    assert found.client.require_consent
    app = App(found, one["client_secret"])
    page = desktop.get(app.url(), stop_at=CALLBACK)
    assert "Dynamic desk" in page.words()
    page = desktop.submit(page, page.forms()[-1], values={"decision": "allow"}, stop_at=CALLBACK)
    code = page.stopped_at.partition("code=")[2].partition("&")[0]
    subject = claims(app.redeem(code).json()["id_token"])["sub"]
    plain = world.app(redirect_uris=["https://plain.example/cb"])
    assert claims(world.tokens(plain, desktop)["id_token"])["sub"] != subject


@pytest.mark.database
def test_client_reads_replaces_and_deletes_itself(world: World) -> None:
    """RFC 7592: with its own token; the whole of it; what the operator set stays (P45)."""
    assert world
    made = registered()
    where, token = made["registration_client_uri"], made["registration_access_token"]
    assert token not in str(list(ClientPolicy.objects.values()))
    seen = send("GET", where, token).json()
    assert seen["client_id"] == made["client_id"]
    assert "client_secret" not in seen
    ClientPolicy.objects.filter(client__client_id=made["client_id"]).update(min_aal=2)
    changed = send("PUT", where, token, {**GOOD, "client_id": made["client_id"], "client_name": "Another name"})
    assert changed.json()["client_name"] == "Another name"
    policy = ClientPolicy.objects.get(client__client_id=made["client_id"])
    assert (policy.min_aal, policy.version) == (2, 2)
    for document in (
        GOOD,
        {**GOOD, "client_id": "x"},
        {**GOOD, "client_id": made["client_id"], "client_secret": "x"},
        {"client_id": made["client_id"]},
    ):
        assert send("PUT", where, token, document).status_code == 400
    assert send("DELETE", where, token).status_code == 204
    assert clients.find(made["client_id"]) is None
    assert send("GET", where, token).status_code == 401


def test_removed_scopes_do_not_come_back(world: World) -> None:
    """C52: a client that replaces itself keeps the scopes that were left to it, and no more."""
    made = registered(scope="openid profile email")
    ClientPolicy.objects.filter(client__client_id=made["client_id"]).update(scopes="openid profile")
    where, token = made["registration_client_uri"], made["registration_access_token"]
    changed = send("PUT", where, token, {**GOOD, "client_id": made["client_id"], "scope": "openid profile email phone"})
    assert changed.status_code == 200, changed.text
    assert changed.json()["scope"] == "openid profile"


def test_disabled_client_cannot_enable_itself(world: World) -> None:
    """P29, A13: its token is good for nothing; and one answer for all who have none."""
    assert world
    made, other = registered(), registered()
    where, token = made["registration_client_uri"], made["registration_access_token"]
    call_command("client", "disable", made["client_id"], stdout=StringIO())
    answers = [
        send(method, where, token, {**GOOD, "client_id": made["client_id"]} if method == "PUT" else None)
        for method in ("GET", "PUT", "DELETE")
    ]
    answers += [
        send("GET", where, other["registration_access_token"]),
        send("GET", f"{ISSUER}/oidc/register/nobody", token),
        send("GET", where, None),
    ]
    assert len({(one.status_code, one.content) for one in answers}) == 1
    assert answers[0].status_code == 401
    assert ClientPolicy.objects.get(client__client_id=made["client_id"]).disabled_at is not None


def test_two_hundred_bad_uris_are_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """P40, A18, C31, C46: as redirect URIs, and as every other address; nothing is spent, nothing is left behind."""
    assert world
    assert len(BAD) >= 200
    token = initial()
    monkeypatch.setattr(metadata, "config", lambda: FAR)
    for uri in BAD:
        response = send("POST", "/oidc/register", token, {**GOOD, "redirect_uris": [uri]})
        assert (response.status_code, response.json()["error"]) == (400, "invalid_redirect_uri"), uri
        for name in ("jwks_uri", "policy_uri", "logo_uri"):
            if uri:
                response = send("POST", "/oidc/register", token, {**GOOD, name: uri})
                assert (response.status_code, response.json()["error"]) == (400, "invalid_client_metadata"), (name, uri)
    assert not ClientPolicy.objects.exists()
    assert RegistrationToken.objects.get().uses_left == 1


def test_bad_uris_are_refused_at_authorize(world: World) -> None:
    """P40, P41, C31: at authorize: a page, and no redirect; nor for what is almost the registered one."""
    app, native = (
        world.app(),
        world.app(name="Native", application_type="native", public=True, redirect_uris=["http://127.0.0.1/cb"]),
    )
    with http() as agent:
        for uri in [*BAD, *NEAR]:
            for one in (app, native):
                response = agent.get("/oidc/authorize", params=one.parameters(redirect_uri=uri))
                assert (response.status_code, "location" in response.headers) == (400, False), uri


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({"redirect_uris": []}, "invalid_redirect_uri"), ({"redirect_uris": "x"}, "invalid_redirect_uri"),
        ({"redirect_uris": [5]}, "invalid_redirect_uri"),
        ({"redirect_uris": None}, "invalid_redirect_uri"),
        ({"id_token_signed_response_alg": "none"}, "invalid_client_metadata"),
        ({"id_token_signed_response_alg": "HS256"}, "invalid_client_metadata"),
        ({"grant_types": ["implicit"]}, "invalid_client_metadata"),
        ({"grant_types": ["client_credentials"]}, "invalid_client_metadata"),
        ({"grant_types": ["password"]}, "invalid_client_metadata"),
        ({"response_types": ["code", "token"]}, "invalid_client_metadata"),
        ({"scope": "openid admin"}, "invalid_client_metadata"), ({"scope": 5}, "invalid_client_metadata"),
        ({"software_statement": "x.y.z"}, "invalid_software_statement"),
        ({"client_name": "x" * 81}, "invalid_client_metadata"), ({"client_name": "\u202e"}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": "client_secret_jwt"}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": "private_key_jwt"}, "invalid_client_metadata"),
        ({"jwks": {"keys": [new_key().as_dict(private=True)]}}, "invalid_client_metadata"),
        ({"jwks": jwks(new_key()), "jwks_uri": "https://app.example/j"}, "invalid_client_metadata"),
        ({"application_type": "x"}, "invalid_client_metadata"),
        ({"dpop_bound_access_tokens": "yes"}, "invalid_client_metadata"),
        ({"contacts": ["x"] * 6}, "invalid_client_metadata"),
        ({"redirect_uris": [CALLBACK, "https://other.example/cb"]}, "invalid_client_metadata"),
        ({"logo_uri": ["x"]}, "invalid_client_metadata"),
    ],
    ids=lambda value: re.sub(r'"([xyd])": "[^"]*', r'"\1": "random', json.dumps(value, default=str))[:60],
)  # fmt: skip
def test_bad_metadata_gets_the_rfcs_error(world: World, said: dict[str, Any], error: str) -> None:
    """RFC 7591 §3.2.2; A6, A19, C32, C52."""
    assert world
    response = send("POST", "/oidc/register", initial(), {**GOOD, **said})
    assert (response.status_code, response.json()["error"]) == (400, error), response.text


def test_private_key_jwt_without_an_algorithm_is_registered(world: World) -> None:
    """Registration §2: token_endpoint_auth_signing_alg is optional; the one that the keys name is answered."""
    assert world
    key = new_key()
    said = registered(token_endpoint_auth_method="private_key_jwt", jwks=jwks(key))
    assert said["token_endpoint_auth_signing_alg"] == "ES256"
    rsa = new_key("PS256")
    said = registered(token_endpoint_auth_method="private_key_jwt", jwks=jwks(rsa))
    assert "token_endpoint_auth_signing_alg" not in said
    changed = {
        **GOOD,
        "client_id": said["client_id"],
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": jwks(key),
    }
    again = send("PUT", said["registration_client_uri"], said["registration_access_token"], changed)
    assert again.json()["token_endpoint_auth_signing_alg"] == "ES256", again.text


def test_operator_settings_cannot_be_registered(world: World) -> None:
    """P38's like: excuses, levels and hosts that a stranger sends are not heard."""
    assert world
    made = registered(
        pkce_optional=True,
        nonce_optional=True,
        min_aal=0,
        hosts=["10.0.0.1"],
        require_consent=False,
        consent=False,
        client_id="mine",
        version=9,
    )
    policy = ClientPolicy.objects.get(client__client_id=made["client_id"])
    assert (
        policy.pkce_optional,
        policy.nonce_optional,
        policy.min_aal,
        policy.hosts,
        policy.client.require_consent,
    ) == (False, False, 1, [], True)
    assert made["client_id"] != "mine"


def test_sector_document_must_list_every_redirect_uri(world: World) -> None:
    """C47: fetched through the guarded way out."""
    assert world
    uris = [CALLBACK, "https://other.example/cb"]
    with opened() as house:
        for body, status in ((json.dumps([uris[0]]), 400), ("{}", 400), ("nonsense", 400), (json.dumps(uris), 201)):
            house.body = body.encode()
            said = {**GOOD, "redirect_uris": uris, "sector_identifier_uri": house.url}
            assert send("POST", "/oidc/register", initial(), said).status_code == status, body


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b"{", b"[" * 5000, b'{"x":' * 5000, b"\xff", b'{"x": "' + b"y" * 70_000 + b'"}'],
    ids=range(8),
)
def test_malformed_body_is_refused(world: World, body: bytes) -> None:
    """J5, A11."""
    assert world
    with http() as agent:
        headers = {"Authorization": f"Bearer {initial()}", "Content-Type": "application/json"}
        response = agent.post("/oidc/register", content=body, headers=headers)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_client_metadata")


def test_confidential_client_cannot_become_public(world: World) -> None:
    """P45, C36: its registration token alone must not make it one that anybody can speak for."""
    assert world
    made = registered()
    where, token = made["registration_client_uri"], made["registration_access_token"]
    refused = send("PUT", where, token, {**GOOD, "client_id": made["client_id"], "token_endpoint_auth_method": "none"})
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_client_metadata")
    assert ClientPolicy.objects.get().auth_method == "client_secret_basic"
    other = send(
        "PUT",
        where,
        token,
        {**GOOD, "client_id": made["client_id"], "token_endpoint_auth_method": "client_secret_post"},
    )
    assert other.status_code == 200


@pytest.mark.parametrize("said", [
    {"token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_subject_dn": "CN=x"},
    {"token_endpoint_auth_method": "self_signed_tls_client_auth"}, {"tls_client_certificate_bound_access_tokens": True},
])  # fmt: skip
def test_mutual_tls_registration_needs_a_certificate_host(world: World, said: dict[str, Any]) -> None:
    """RFC 8705 §5: a client that could never prove itself here is not registered; discovery does not offer it
    either.
    """
    assert world
    keys = {"jwks": jwks(new_key("ES256"))} if "self_signed" in str(said) else {}
    response = send("POST", "/oidc/register", initial(), {**GOOD, **said, **keys})
    assert (response.status_code, response.json()["error"]) == (400, "invalid_client_metadata")
    assert "certificate" in response.json()["error_description"]
    assert ClientPolicy.objects.count() == 0


@pytest.mark.django_db
def test_pairwise_sector_is_the_first_registered_uri(world: World) -> None:
    """C53, ruling 21: the sector is that of the URI registered first, whatever the database gives first."""
    person, browser = world.enrolled()
    app = world.app(subject_type="pairwise")
    RegisteredUri.objects.create(
        policy=app.party.policy, use="redirect", uri="https://other.example/cb"
    )  # as older registrations may have
    before = claims(world.tokens(app, browser)["id_token"])["sub"]
    first = RegisteredUri.objects.get(uri=CALLBACK)
    RegisteredUri.objects.filter(uri=CALLBACK).delete()
    RegisteredUri.objects.bulk_create([first])  # the same row, physically last
    assert claims(world.tokens(app, browser, person)["id_token"])["sub"] == before


@pytest.mark.django_db
def test_replacement_keeps_operator_settings(world: World) -> None:
    """RFC 7592 §2.2, P29, C52: a PUT names none of it, so it stays."""
    made_ = registered()
    tightened = {
        "most_session": timedelta(minutes=15), "most_idle": timedelta(minutes=5),
        "access_token_life": timedelta(seconds=60),
        "refresh_life": timedelta(hours=1), "dpop_required": True, "par_required": True, "scopes": "openid",
        "access_token_format": "opaque", "dpop_nonce": True,
    }  # fmt: skip
    ClientPolicy.objects.update(**tightened)
    changed = send(
        "PUT",
        made_["registration_client_uri"],
        made_["registration_access_token"],
        {**GOOD, "client_id": made_["client_id"]},
    )
    assert changed.status_code == 200, changed.text
    assert ClientPolicy.objects.values(*tightened).get() == tightened


@pytest.mark.django_db
def test_self_registered_client_gets_pairwise_subjects(world: World) -> None:
    """Ruling 21: it cannot ask for public ones."""
    refused = send("POST", "/oidc/register", initial(), {**GOOD, "subject_type": "public"})
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_client_metadata")
    assert registered()["subject_type"] == "pairwise"


@pytest.mark.django_db
def test_loopback_redirects_do_not_share_a_sector(world: World) -> None:
    """C53, ruling 21: everybody may register that address, so it joins nobody."""
    here = {"application_type": "native", "token_endpoint_auth_method": "none"}
    first = registered(redirect_uris=["http://127.0.0.1/cb"], **here)
    second = registered(redirect_uris=["http://127.0.0.1/other"], client_name="Other", **here)
    person, _ = world.enrolled()
    account = Directory.objects.get(login_name=person.username).account
    parties = [clients.find(one["client_id"]) for one in (first, second)]
    assert len({clients.subject_of(party, account) for party in parties if party}) == 2
