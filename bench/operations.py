"""The measured operations: for each, requests that do real work, prepared before the clock starts."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlencode

from bench.load import http
from device import proofs
from device.key import DeviceKey

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Server(Protocol):
    """A measured provider."""

    name: str
    port: int
    issuer: str
    client: dict[str, str]
    lacks: frozenset[str]

    def made(self, what: str, count: int) -> Any:  # noqa: ANN401 - JSON
        """Codes, refresh tokens or an access token."""

    def paths(self) -> dict[str, str]:
        """The paths of its endpoints."""

    def megabytes(self) -> float:
        """The memory of its worker, in megabytes."""

    def stop(self) -> None:
        """Stop the provider."""


def _basic(server: Server) -> dict[str, str]:
    pair = f"{server.client['client_id']}:{server.client['client_secret']}".encode()
    return {"Authorization": "Basic " + base64.b64encode(pair).decode()}


def _token(server: Server, headers: dict[str, str] | None = None, **form: str) -> bytes:
    return http(
        "POST", server.paths()["token"], server.port, {**_basic(server), **(headers or {})}, urlencode(form).encode()
    )


def _code_form(server: Server, code: str) -> dict[str, str]:
    client = server.client
    return {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": client["redirect_uri"],
        "code_verifier": client["code_verifier"],
    }


def code_exchange(server: Server, count: int) -> list[bytes]:
    """Exchange a new code per request: access token, ID token, refresh token."""
    return [_token(server, **_code_form(server, code)) for code in server.made("codes", count)]


def code_exchange_dpop(server: Server, count: int) -> list[bytes]:
    """As `code_exchange`, with a DPoP proof."""
    key, url = DeviceKey.generate(), server.issuer + server.paths()["token"]
    codes, now = server.made("codes", count), datetime.now(UTC)
    return [
        _token(server, {"DPoP": proofs.dpop(key, "POST", url=url, now=now)}, **_code_form(server, code))
        for code in codes
    ]


def refresh(server: Server, count: int) -> list[bytes]:
    """Rotate a new refresh token per request."""
    tokens = server.made("refresh_tokens", count)
    return [_token(server, grant_type="refresh_token", refresh_token=token) for token in tokens]


def client_credentials(server: Server, count: int) -> list[bytes]:
    """A client's own token."""
    return [_token(server, grant_type="client_credentials")] * count


def introspection(server: Server, count: int) -> list[bytes]:
    """Introspect one access token as its client."""
    token = server.made("access_token", 1)
    body = urlencode({"token": token}).encode()
    return [http("POST", server.paths()["introspection"], server.port, _basic(server), body)] * count


def userinfo(server: Server, count: int) -> list[bytes]:
    """Userinfo with one bearer token."""
    token = server.made("access_token", 1)
    return [http("GET", server.paths()["userinfo"], server.port, {"Authorization": f"Bearer {token}"})] * count


def discovery(server: Server, count: int) -> list[bytes]:
    """The provider's metadata."""
    return [http("GET", server.paths()["discovery"], server.port, {})] * count


def jwks(server: Server, count: int) -> list[bytes]:
    """The public keys."""
    return [http("GET", server.paths()["jwks"], server.port, {})] * count


OPERATIONS: dict[str, Callable[[Server, int], list[bytes]]] = {
    one.__name__: one
    for one in (
        code_exchange,
        code_exchange_dpop,
        refresh,
        client_credentials,
        introspection,
        userinfo,
        discovery,
        jwks,
    )
}
TO_BE_MADE = frozenset(
    {"code_exchange", "code_exchange_dpop", "refresh"}
)  # each request consumes a code or token of its own
# performance.md: floor and aim, as a multiple of node-oidc-provider on PostgreSQL (discovery and JWKS: in memory).
TARGETS = {
    "code_exchange": (0.85, 1.0),
    "code_exchange_dpop": (0.85, 1.0),
    "refresh": (0.8, 1.0),
    "client_credentials": (0.35, 0.55),
    "introspection": (0.6, 1.0),
    "userinfo": (0.5, 0.8),
    "discovery": (0.5, 0.8),
    "jwks": (0.5, 0.8),
}
