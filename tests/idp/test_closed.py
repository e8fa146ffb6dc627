"""When the house cannot decide, the answer is a refusal (I9): no database, no key, no clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.db import OperationalError, connection

from derived.models import SigningKey
from tests.fixtures.world import http

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.fixtures.world import World

pytestmark = pytest.mark.django_db


@pytest.fixture
def no_database() -> Iterator[None]:
    """Every statement fails, as when the server is away."""

    def away(*_: object) -> None:
        raise OperationalError("the server is away")

    with connection.execute_wrapper(away):
        yield


def calls(token: str) -> dict[str, Callable[[], object]]:
    agent, scim = http(), {"Authorization": f"Bearer {token}"}
    form = {
        "grant_type": "authorization_code",
        "code": "x",
        "redirect_uri": "https://a/",
        "code_verifier": "x" * 43,
        "token": "x",
    }
    return {
        "login": lambda: agent.post("/login", data={"username": "a", "password": "b"}),
        "login page": lambda: agent.get("/login", headers={"Cookie": "ramet_session=" + "a" * 32}),
        "devices": lambda: agent.get("/devices", headers={"Cookie": "ramet_session=" + "a" * 32}),
        "authorize": lambda: agent.get("/oidc/authorize?client_id=x&redirect_uri=https://a/"),
        "par": lambda: agent.post("/oidc/par", data=form, auth=("a", "b")),
        "token": lambda: agent.post("/oidc/token", data=form, auth=("a", "b")),
        "introspect": lambda: agent.post("/oidc/introspect", data=form, auth=("a", "b")),
        "revoke": lambda: agent.post("/oidc/revoke", data=form, auth=("a", "b")),
        "userinfo": lambda: agent.get("/oidc/userinfo", headers={"Authorization": "Bearer a.b.c"}),
        "jwks": lambda: agent.get("/oidc/jwks"),
        "scim": lambda: agent.get("/scim/v2/Users", headers=scim),
        "scim write": lambda: agent.post("/scim/v2/Users", json={"userName": "x"}, headers=scim),
        "challenge": lambda: agent.post("/enrol/v1/challenges", json={"code": "A" * 24, "jwk": {}}),
        "invitation": lambda: agent.get("/invitation/" + "x" * 43),
        "undo": lambda: agent.get("/undo/" + "x" * 43),
        "readyz": lambda: agent.get("/readyz"),
    }


@pytest.mark.database
@pytest.mark.parametrize("name", sorted(calls("")))
def test_without_a_database_requests_are_refused(world: World, no_database: None, name: str) -> None:
    """503 with Retry-After (or a refusal before the database is asked), never a success, never a 500."""
    response = calls(world.token)[name]()
    assert response.status_code in ({400, 401, 403} if name in {"login", "userinfo"} else set()) | {503}, response.text  # type: ignore[attr-defined]
    assert "server is away" not in response.text  # type: ignore[attr-defined]


def test_without_the_key_encryption_key_requests_get_503(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signing key that cannot be unwrapped is a 503, and the code stays valid."""
    from idp import keys

    _, desktop = world.enrolled()
    app = world.app()
    code = world.ask(app, desktop)["code"]
    good = {row.kid: bytes(row.wrapped) for row in SigningKey.objects.all()}
    SigningKey.objects.update(wrapped=b"x" * 64)
    monkeypatch.setattr(keys.keyring(), "_private", {})
    refused = app.redeem(code)
    assert (refused.status_code, refused.json()["error"]) == (503, "temporarily_unavailable")
    assert refused.headers["Retry-After"]
    assert http().get("/readyz").json()["status"] == "keys"
    for kid, wrapped in good.items():
        SigningKey.objects.filter(kid=kid).update(wrapped=wrapped)
    assert app.redeem(code).status_code == 200
