"""How many SQL statements a token costs: the budget of performance.md, which no change may exceed unseen.

BEGIN, COMMIT and savepoints apart; a client with rules about who may enter also pays for those rules. Ramet is
warm: what a process reads once (keys, the text of statements) was read.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection

from derived import clock
from device import proofs
from device.key import DeviceKey
from idp.oidc.proofs import nonce
from tests.fixtures.world import ISSUER, App, http, userinfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.fixtures.world import World

pytestmark = [pytest.mark.django_db, pytest.mark.database]

POSTGRESQL = connection.vendor == "postgresql"
_FRAME = ("SAVEPOINT", "RELEASE", "ROLLBACK", "BEGIN", "COMMIT")


@contextmanager
def counted() -> Iterator[list[str]]:
    """The statements that run inside."""
    said: list[str] = []

    def listen(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001
        if not sql.lstrip().upper().startswith(_FRAME):
            said.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(listen):
        yield said


def told(said: list[str]) -> str:
    """What ran, for a message."""
    return "\n".join(f"{number}. {sql[:110]}" for number, sql in enumerate(said, 1))


def assert_locked_first(said: list[str]) -> None:
    """Lock, then read, then claim, then write (design.md); on SQLite BEGIN IMMEDIATE is the lock, and nothing is
    claimed before it.
    """
    verbs = [sql.split()[0] for sql in said]
    assert verbs[1:].index("INSERT") > verbs[1:].index("SELECT"), told(said)
    assert verbs.index("INSERT") < verbs.index("UPDATE"), told(said)  # the proof, then what it pays for
    if POSTGRESQL:
        lock, read = said[1], said[2]
        assert lock.endswith("FOR UPDATE")
        assert lock.count('FROM "derived_account"') == 1
        assert "JOIN" not in lock.partition("WHERE")[0]
        assert read.startswith("SELECT")
        assert sum("FOR UPDATE" in sql for sql in said) == 1


class Party:
    """A relying party with a person behind it, and a key for proofs where it binds tokens."""

    def __init__(self, world: World, *, bound: bool, **wanted: Any) -> None:
        self.world, self.app = world, world.app(**wanted)
        self.browser = world.enrolled()[1]
        self.key = DeviceKey.generate() if bound else None

    def proof(self, path: str, method: str = "POST", access_token: str | None = None) -> dict[str, str]:
        if self.key is None:
            return {}
        now = clock.now()
        made = proofs.dpop(
            self.key, method, url=ISSUER + path, now=now, access_token=access_token, nonce=nonce.current(now=now)
        )
        return {"dpop": made}

    def code(self) -> str:
        return self.world.ask(self.app, self.browser, scope="openid profile offline_access")["code"]

    def redeemed(self) -> dict[str, Any]:
        response = self.app.redeem(self.code(), **self.proof("/oidc/token"))
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found


@pytest.fixture
def bound(world: World) -> Party:
    """A public client with DPoP: everything that a request can cost."""
    return Party(world, bound=True, public=True)


@pytest.fixture
def plain(world: World) -> Party:
    """A confidential client with bearer tokens."""
    return Party(world, bound=False)


def test_statements_of_a_code_exchange_with_dpop(bound: Party) -> None:
    """At most 8: client, (lock), code, proof, claim, family, event, grant, refresh token; one statement writes four
    on PostgreSQL.
    """
    bound.redeemed()
    code, proof = bound.code(), bound.proof("/oidc/token")
    with counted() as said:
        assert bound.app.redeem(code, **proof).status_code == 200
    assert len(said) <= (6 if POSTGRESQL else 8), told(said)
    assert_locked_first(said)


def test_statements_of_a_code_exchange(plain: Party) -> None:
    """One less without a proof."""
    plain.redeemed()
    code = plain.code()
    with counted() as said:
        assert plain.app.redeem(code).status_code == 200
    assert len(said) <= (5 if POSTGRESQL else 7), told(said)


def test_statements_of_a_refresh_with_dpop(bound: Party) -> None:
    """At most 6: client, lock, token, proof, claim, successor."""
    first = bound.redeemed()["refresh_token"]
    proof = bound.proof("/oidc/token")
    with counted() as said:
        assert bound.app.refresh(first, **proof).status_code == 200
    assert len(said) <= (6 if POSTGRESQL else 5), told(said)
    assert_locked_first(said)


def test_statements_of_a_refresh(plain: Party) -> None:
    """One less without a proof."""
    first = plain.redeemed()["refresh_token"]
    with counted() as said:
        assert plain.app.refresh(first).status_code == 200
    assert len(said) <= (5 if POSTGRESQL else 4), told(said)


@pytest.mark.parametrize("form", ["jwt", "opaque"])
def test_statements_of_client_credentials(world: World, form: str) -> None:
    """The client, and the row that is its token's life."""
    app = world.app(redirect_uris=[], grants=["client_credentials"], scopes=["introspect"], access_token_format=form)
    asked = {"grant_type": "client_credentials"}
    app.post("/oidc/token", asked)
    with counted() as said:
        assert app.post("/oidc/token", asked).json()["scope"] == "introspect"
    assert len(said) <= 2, told(said)


@pytest.mark.parametrize(("which", "most"), [("access_token", 2), ("refresh_token", 4)])
def test_statements_of_an_introspection(plain: Party, which: str, most: int) -> None:
    """The client that asks, and one join: account, credentials, ancestors, login, session, owner, and the key that
    signed.

    What has no dots is sought among opaque access tokens and services' first.
    """
    token = plain.redeemed()[which]
    plain.app.introspect(token)
    with counted() as said:
        assert plain.app.introspect(token)["active"]
    assert len(said) <= most, told(said)


def test_statements_of_userinfo(plain: Party) -> None:
    """One join."""
    token = plain.redeemed()["access_token"]
    userinfo(token)
    with counted() as said:
        assert userinfo(token).status_code == 200
    assert len(said) <= 1, told(said)


def test_statements_of_userinfo_with_dpop(bound: Party) -> None:
    """One join, and the proof."""
    token = bound.redeemed()["access_token"]
    assert userinfo(token, "DPoP", DPoP=bound.proof("/oidc/userinfo", "GET", token)["dpop"]).status_code == 200
    proof = bound.proof("/oidc/userinfo", "GET", token)["dpop"]
    with counted() as said:
        assert userinfo(token, "DPoP", DPoP=proof).status_code == 200
    assert len(said) <= 2, told(said)


@pytest.mark.parametrize(("path", "most"), [("/.well-known/openid-configuration", 1), ("/oidc/jwks", 1)])
def test_statements_of_public_documents(plain: Party, path: str, most: int) -> None:
    """Whether registration is open, and which keys are good: either may have changed a moment ago."""
    http().get(path)
    with counted() as said:
        assert http().get(path).status_code == 200
    assert len(said) <= most, told(said)


def test_wrong_client_costs_one_statement(plain: Party) -> None:
    """A stranger who knows a client_id buys one statement."""
    with counted() as said:
        assert App(plain.app.party, "wrong").refresh("x").status_code == 401
    assert len(said) <= 1, told(said)
