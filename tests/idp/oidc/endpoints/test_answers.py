"""What relying parties are told: by userinfo, by introspection, signed or plain, and by the metadata (FA-1 to FA-8,
C40, C55, C73).
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from derived.keyring import JWKS_MAX_AGE, PUBLISHED_BEFORE_USE
from derived.models import Account, Credential
from idp.clients import MORE_SCOPES, SCOPES
from idp.models import ClientPolicy
from tests.fixtures.world import ISSUER, claims, http, userinfo

if TYPE_CHECKING:
    from demo.browser import Browser
    from tests.fixtures.world import App, World

pytestmark = pytest.mark.django_db
JWT_ANSWER = "application/token-introspection+jwt"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
HR: dict[str, Any] = {
    "phoneNumbers": [
        {"value": "tel:+49-30-1", "type": "work"},
        {"value": "tel:+49-30-2", "type": "mobile", "primary": True},
    ],
    "addresses": [{"streetAddress": "1 Fern Road", "locality": "Moss", "country": "DE", "type": "work"}],
    ENTERPRISE: {"organization": "Agency 9700"},
}


@pytest.fixture
def browser(world: World) -> Browser:
    world.push("alex@example.org", **HR, schemas=["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE])
    return world.enrolled()[1]


def header(token: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(token.split(".", maxsplit=1)[0] + "=="))
    return found


def with_terms(world: World, **terms: Any) -> App:
    app = world.app(scopes=[*SCOPES, *MORE_SCOPES])
    ClientPolicy.objects.filter(pk=app.party.policy.pk).update(**terms)
    return app


# --- claims -----------------------------------------------------------------------------------------------------------


def test_phone_and_address_need_their_scopes(world: World, browser: Browser) -> None:
    """Core §5.4: from SCIM, unverified, in userinfo only; not among a new client's scopes unless it is registered
    for them.
    """
    tokens = world.tokens(with_terms(world), browser, scope="openid phone address")
    said = userinfo(tokens["access_token"]).json()
    assert (said["phone_number"], said["phone_number_verified"]) == ("+49-30-2", False)
    assert said["address"] == {"street_address": "1 Fern Road", "locality": "Moss", "country": "DE"}
    assert not {"phone_number", "address", "email"} & claims(tokens["id_token"]).keys()
    plain = userinfo(world.tokens(world.app(), browser, scope="openid phone address")["access_token"]).json()
    assert set(plain) == {"sub"}


def test_assurance_claims_describe_the_login(world: World, browser: Browser) -> None:
    """FA-2, FA-3, FA-5: a root of ours; the same in the ID token and at userinfo; and nothing without the scope."""
    app = world.app()
    tokens = world.tokens(app, browser, scope="openid assurance")
    about, said = claims(tokens["id_token"]), userinfo(tokens["access_token"]).json()
    expected = {
        "fal": 2,
        "aal": 2,
        "ial": 2,
        "credential_origin": "root",
        "credential_kind": "password_totp",
        "home_organization": "Agency 9700",
    }
    for found in (about, said):
        assert {name: found[name] for name in expected} == expected
        assert isinstance(found["updated_at"], int)
        assert "piv_federation" not in found
    assert (
        not {"credential_kind", "home_organization"}
        & claims(world.tokens(app, browser, scope="openid")["id_token"]).keys()
    )


def test_piv_flag_is_true_only_for_piv_at_ial3(world: World, browser: Browser) -> None:
    """FA-3: of a PIV card, of a person at IAL3."""
    app = world.app()
    for kind, ial, expected in (("piv_card", 3, True), ("piv_card", 2, None), ("certificate", 3, None)):
        Credential.objects.filter(root=None).update(kind=kind)
        Account.objects.update(ial=ial)
        found = claims(world.tokens(app, browser, scope="openid assurance")["id_token"])
        assert found.get("piv_federation") is expected, (kind, ial)


def test_derived_credential_is_marked(world: World, browser: Browser) -> None:
    """FA-3: card-or-derived, by what signed in."""
    app = world.phone_app()
    phone = world.device(browser)
    tokens = phone.login(app.client_id, passphrase="seven mossy stones", scope="openid assurance")
    about = claims(str(tokens.id_token))
    assert (about["credential_origin"], about["credential_kind"], about["fal"]) == ("derived", "device_key", 1)


# --- signed answers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alg", ["ES256", "RS256", "EdDSA"])
def test_userinfo_is_signed_where_registered(world: World, browser: Browser, alg: str) -> None:
    """Core §5.3.2: iss, aud and sub, of a type of its own; it is no ID token, no access token and no hint (J2)."""
    app = with_terms(world, userinfo_alg=alg)
    token = world.tokens(app, browser, scope="openid profile")["access_token"]
    answer = userinfo(token)
    about = claims(answer.text)
    assert (answer.headers["Content-Type"], header(answer.text)["alg"], header(answer.text)["typ"]) == (
        "application/jwt",
        alg,
        "userinfo+jwt",
    )
    assert (about["iss"], about["aud"], about["preferred_username"]) == (ISSUER, app.client_id, "alex@example.org")
    assert userinfo(answer.text).status_code == 401
    assert app.introspect(answer.text) == {"active": False}


def test_introspection_is_signed_where_requested(world: World, browser: Browser) -> None:
    """RFC 9701: by Accept, or by registration; for the asker; an inactive one is signed in the same form."""
    app, strict = world.app(), with_terms(world, introspection_alg="PS256")
    token = world.tokens(app, browser)["access_token"]
    for asker, accept, alg in ((app, JWT_ANSWER, "ES256"), (strict, "application/json", "PS256")):
        answer = asker.post("/oidc/introspect", {"token": token}, Accept=accept)
        assert answer.headers["Content-Type"] == JWT_ANSWER
        assert (header(answer.text)["typ"], header(answer.text)["alg"]) == ("token-introspection+jwt", alg)
        about = claims(answer.text)
        assert (about["iss"], about["aud"]) == (ISSUER, asker.client_id)
        assert about["token_introspection"]["active"] is (asker is app)
        assert not {"sub", "exp", "scope"} & about.keys()
    assert app.post("/oidc/introspect", {"token": token}).json()["active"]


def test_foreign_token_costs_as_much_as_an_unknown_one(world: World, browser: Browser) -> None:
    """C40: the same body, and the ledger is not read for a foreign token: a live one and an ended one cost the same."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    app, other = world.app(), world.app(name="Other")
    alive, ended = (world.tokens(app, browser)["access_token"] for _ in range(2))
    app.post("/oidc/revoke", {"token": ended})
    seen = []
    for token in (alive, ended):
        with CaptureQueriesContext(connection) as queries:
            answer = other.post("/oidc/introspect", {"token": token})
        seen.append((len(queries), answer.content, dict(answer.headers)))
    assert seen[0] == seen[1]
    assert seen[0][1] == other.post("/oidc/introspect", {"token": "unknown"}).content


# --- metadata ---------------------------------------------------------------------------------------------------------


def test_metadata_lists_what_is_enabled(world: World) -> None:
    """C55: every endpoint answers as one, every grant is known, and both documents are one."""
    found = http().get("/.well-known/openid-configuration").json()
    assert found == http().get("/.well-known/oauth-authorization-server").json()
    for name, url in found.items():
        if name.endswith("_endpoint") or name == "jwks_uri":
            assert http().get(url.removeprefix(ISSUER)).status_code != 404, name
    app = world.app()
    for grant in found["grant_types_supported"]:
        assert app.post("/oidc/token", {"grant_type": grant}).json()["error"] != "unsupported_grant_type", grant
    assert app.post("/oidc/token", {"grant_type": "password"}).json()["error"] == "unsupported_grant_type"


def test_jwks_cache_time_is_shorter_than_key_publication(world: World) -> None:
    """C55, C73: how long the keys may be cached is less than how long a key is published before it signs; never a
    private part.
    """
    answer = http().get("/oidc/jwks")
    age = int(JWKS_MAX_AGE.total_seconds())
    assert answer.headers["Cache-Control"] == f"public, max-age={age}"
    assert JWKS_MAX_AGE < PUBLISHED_BEFORE_USE
    assert not {"d", "p", "q", "k", "dp", "dq", "qi"} & {name for key in answer.json()["keys"] for name in key}
