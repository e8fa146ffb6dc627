"""Authlib's grammar of authorization requests and PKCE, over bounded requests."""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from authlib.oauth2.rfc6749 import AuthorizationServer, InvalidRequestError, OAuth2Payload, OAuth2Request
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant as AuthlibCodeGrant
from authlib.oauth2.rfc7636 import CodeChallenge

from idp import clients
from idp.oidc.requests import gate
from idp.oidc.requests.target import Resources

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpRequest

    from idp.clients import RelyingParty


AuthlibGrant: TypeAlias = Any  # Authlib is untyped
SHA256_LENGTH = 43  # base64url


class _Payload(OAuth2Payload):  # type: ignore[misc]  # Authlib is untyped
    """Parameters that passed the gate: single-valued, bounded."""

    def __init__(self, parameters: Mapping[str, str]) -> None:
        self._parameters = dict(parameters)

    @property
    def data(self) -> dict[str, str]:
        return self._parameters

    @property
    def datalist(self) -> defaultdict[str, list[str]]:
        return defaultdict(list, {name: [value] for name, value in self._parameters.items()})


class OAuthRequest(OAuth2Request):  # type: ignore[misc]  # Authlib is untyped
    """A request in Authlib's form; transport (http on loopback, proxies) was checked before."""

    def __init__(self, request: HttpRequest, parameters: Mapping[str, str]) -> None:
        # Authlib insists on https in the URI; `idp.checks.configuration` decides whether plain http is allowed (ruling
        # 22).
        super().__init__(
            request.method or "GET", "https://issuer.invalid" + request.path, headers=gate.headers(request)
        )
        self.payload = _Payload(parameters)
        self.http = request

    @property
    def args(self) -> dict[str, str]:
        """The query parameters."""
        return {} if self.method == "POST" else self.payload.data

    @property
    def form(self) -> dict[str, str]:
        """The body parameters."""
        return self.payload.data if self.method == "POST" else {}


class _S256(CodeChallenge):  # type: ignore[misc]  # Authlib is untyped
    """PKCE with S256 only, required at the authorization request, not at redemption (A5, C33).

    A confidential client may be excused; a request with a part of PKCE must have all of it.
    """

    SUPPORTED_CODE_CHALLENGE_METHOD: ClassVar = ["S256"]

    def validate_code_challenge(self, grant: AuthlibGrant, redirect_uri: str) -> None:
        """RFC 7636 §4.4.1."""
        data = grant.request.payload.data
        party = clients.find(data.get("client_id", ""))
        if party is not None and not party.needs_pkce and not {"code_challenge", "code_challenge_method"} & data.keys():
            return
        if "code_challenge" not in data or data.get("code_challenge_method") != "S256":
            raise InvalidRequestError("PKCE is required: send code_challenge with code_challenge_method=S256.")
        if len(data["code_challenge"]) != SHA256_LENGTH:
            raise InvalidRequestError("code_challenge is a base64url SHA-256: 43 characters.")
        super().validate_code_challenge(grant, redirect_uri)


class _CodeRequest(AuthlibCodeGrant):  # type: ignore[misc]  # Authlib is untyped
    """The authorization endpoint's half of the code grant; the token endpoint's half is `grants.authorization_code`."""

    @classmethod
    def check_token_endpoint(cls, _request: OAuth2Request) -> bool:
        """Always False: codes are redeemed in `issuing.grants`."""
        return False


class Engine(AuthorizationServer):  # type: ignore[misc]  # Authlib is untyped
    """Authlib's server over Ramet's registry of clients."""

    def query_client(self, client_id: str) -> RelyingParty | None:
        """From the registry."""
        return clients.find(client_id)

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """No signals for business flow."""

    def create_oauth2_request(self, request: OAuthRequest) -> OAuthRequest:
        """The request, which has Authlib's form already."""
        return request


@lru_cache(maxsize=1)
def engine() -> Engine:
    """Return the process's server of authorization requests, built on first use, when the apps are ready."""
    found = Engine()
    found.register_grant(_CodeRequest, [_S256(required=True), Resources()])
    return found
