"""The configurations that `manage.py conformance load` writes, as far as no server is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from django.test import override_settings

from demo.pki import Card
from derived import clock
from idp.conformance import fixtures, suite
from tests.fixtures.card_reader import PLACE
from tests.fixtures.client_certificates import call

if TYPE_CHECKING:
    from tests.fixtures.world import World

SUITE = "https://suite.example:8443/"


@pytest.fixture
def loaded(certificate_world: World) -> dict[str, fixtures.Static]:
    """The static clients, where there is a certificate host."""
    assert certificate_world
    now = clock.now()
    fixtures.person(now=now)
    return fixtures.load(SUITE, "ramet", keys={}, now=now)


@override_settings(ROOT_URLCONF="idp.conformance.urls")
def test_fapi_with_mutual_tls(loaded: dict[str, fixtures.Static]) -> None:
    """FAPI 2.0, mtls and mtls: each client authenticates with the certificate of its configuration, and pushes."""
    made = suite.configurations(SUITE, "ramet", loaded)["fapi-mtls"]
    assert made["resource"]["resourceUrl"] == f"https://{PLACE}/certificate/oidc/userinfo"
    cards = {}
    for number in ("", "2"):
        held = made[f"mtls{number}"]
        key = serialization.load_pem_private_key(held["key"].encode(), None)
        cards[number] = Card(x509.load_pem_x509_certificate(held["cert"].encode()), key, "parties")
    for number, other in (("", "2"), ("2", "")):
        client_id = made[f"client{number}"]["client_id"]
        form = {
            "client_id": client_id,
            "response_type": "code",
            "redirect_uri": "https://suite.example:8443/test/a/ramet/callback",
            "scope": made[f"client{number}"]["scope"],
            "state": "s",
            "code_challenge": "c" * 43,
            "code_challenge_method": "S256",
        }
        assert call(cards[number], "/oidc/par", form).status_code == 201
        assert call(cards[other], "/oidc/par", form).status_code == 401
        assert call(None, "/oidc/par", form).status_code == 401


@override_settings(ROOT_URLCONF="idp.conformance.urls")
def test_tasks_end_at_the_whole_url_of_the_suite(loaded: dict[str, fixtures.Static]) -> None:
    """The query of an authorization request holds the redirect URI, so a pattern for any host matches that page too."""
    for name, made in suite.configurations(SUITE, "ramet", loaded).items():
        browsers = [made.get("browser", []), *(one["browser"] for one in made.get("override", {}).values())]
        matches = [task["match"] for browser in browsers for entry in browser for task in entry["tasks"]]
        assert all("://" in one and not one.startswith("*") for one in matches), name
        assert made["server"]["allow_unexpected_metadata_fields"]


@pytest.mark.database
def test_loading_again_keeps_the_clients(loaded: dict[str, fixtures.Static]) -> None:
    """Secrets and certificates are new each time; the client_ids stay."""
    again = fixtures.load(SUITE, "ramet", keys={}, now=clock.now())
    assert {name: one.client_id for name, one in again.items()} == {name: one.client_id for name, one in loaded.items()}
    assert again["mtls"].certificate != loaded["mtls"].certificate
    assert again["basic"].secret != loaded["basic"].secret
