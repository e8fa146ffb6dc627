"""The only door to Authlib: its grammar of OAuth requests, client authentication and PKCE, over requests that we gated.

Stateful steps (claim a code, rotate a refresh token, kill a family, build claims) are ours, in `grants/` and `tokens`;
nothing of Authlib's stores, generates or signs a token here.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc6749 import AuthorizationServer, InvalidRequestError, OAuth2Error, OAuth2Payload, OAuth2Request
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant as AuthlibCodeGrant
from authlib.oauth2.rfc7636 import CodeChallenge
from django.http import HttpResponse, JsonResponse

from derived.errors import Refused, Unavailable
from idp import clients
from idp.config import config
from idp.errors import answer
from idp.oidc.proofs import client_auth
from idp.oidc.requests import gate
from idp.oidc.requests.target import Resources

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpRequest

    from idp.clients import RelyingParty


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
    """A request as Authlib sees it; what is transport (http on loopback, proxies) was decided before."""

    def __init__(self, request: HttpRequest, parameters: Mapping[str, str]) -> None:
        # Authlib insists on https in the URI; whether plain http is allowed is `idp.checks.configuration`' business (ruling 22).
        super().__init__(
            request.method or "GET", "https://issuer.invalid" + request.path, headers=gate.headers(request)
        )
        self.payload = _Payload(parameters)
        self.http = request

    @property
    def args(self) -> dict[str, str]:
        """What stood in the URL."""
        return {} if self.method == "POST" else self.payload.data

    @property
    def form(self) -> dict[str, str]:
        """What stood in the body."""
        return self.payload.data if self.method == "POST" else {}


class _S256(CodeChallenge):  # type: ignore[misc]  # Authlib is untyped
    """PKCE with S256 and nothing else, and required when the code is asked for, not when it is redeemed (A5, C33).

    A confidential client may be excused from it; a request that has a part of it must have all of it.
    """

    SUPPORTED_CODE_CHALLENGE_METHOD = ["S256"]  # noqa: RUF012 - Authlib's attribute

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:  # noqa: ANN401
        """RFC 7636 §4.4.1."""
        data = grant.request.payload.data
        party = clients.find(data.get("client_id", ""))
        if party is not None and not party.needs_pkce and not {"code_challenge", "code_challenge_method"} & data.keys():
            return
        if "code_challenge" not in data or data.get("code_challenge_method") != "S256":
            raise InvalidRequestError("PKCE is required: send code_challenge with code_challenge_method=S256.")
        if len(data["code_challenge"]) != 43:  # noqa: PLR2004 - SHA-256, base64url
            raise InvalidRequestError("code_challenge is a base64url SHA-256: 43 characters.")
        super().validate_code_challenge(grant, redirect_uri)


class _CodeRequest(AuthlibCodeGrant):  # type: ignore[misc]  # Authlib is untyped
    """The authorization endpoint's half of the code grant; the token endpoint's half is `grants.authorization_code`."""

    @classmethod
    def check_token_endpoint(cls, request: OAuth2Request) -> bool:  # noqa: ARG003
        """Never: redeeming is ours."""
        return False


class Server(AuthorizationServer):  # type: ignore[misc]  # Authlib is untyped
    """Authlib's server, answering through Django."""

    def query_client(self, client_id: str) -> RelyingParty | None:
        """From the registry."""
        return clients.find(client_id)

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """No signals for business flow."""

    def create_oauth2_request(self, request: OAuthRequest) -> OAuthRequest:
        """It is one already."""
        return request

    def handle_response(self, status: int, body: object, headers: object) -> HttpResponse:  # noqa: ARG002
        """JSON, never cached (RFC 6749 §5.1)."""
        response = JsonResponse(body, status=status)
        response["Cache-Control"], response["Pragma"] = "no-store", "no-cache"
        if status == 401:  # noqa: PLR2004
            response["WWW-Authenticate"] = f'Basic realm="{config().issuer}"'
        return response

    def handle_error_response(self, request: OAuthRequest, error: OAuth2Error) -> HttpResponse:  # noqa: ARG002
        """Authlib's way to answer an error is ours."""
        return self.refuse(error)

    def respond_to_token_request(self, request: HttpRequest) -> HttpResponse:
        """RFC 6749 §3.2: every grant, every refusal, one form of answer."""
        try:
            return self.create_token_response(OAuthRequest(request, gate.form(request)))  # type: ignore[no-any-return]
        except OAuth2Error as error:
            return self.refuse(error)
        except (Refused, Unavailable) as refused:
            found = answer(refused.reason)
            response = self.handle_response(found.status, {"error": found.error, "error_description": found.words}, [])
            if found.status in {429, 503}:
                response["Retry-After"] = "5"
            return response

    def parameters(self, request: HttpRequest) -> dict[str, str]:
        """The form of a back-channel call that proves itself by an access token.

        Raises: OAuth2Error.
        """
        return gate.form(request)

    def authenticated(self, request: HttpRequest) -> tuple[RelyingParty, dict[str, str]]:
        """The client that calls a back-channel endpoint, and its parameters.

        Raises: OAuth2Error.
        """
        parameters = gate.form(request)
        return self.authenticate_client(OAuthRequest(request, parameters)), parameters

    def authenticate_client(self, request: OAuthRequest, methods: object = (), endpoint: str = "") -> RelyingParty:  # noqa: ARG002
        """Authlib's way to ask who calls; which method a client may use is in its registration, for all endpoints."""
        return client_auth.authenticate(request.http, request.form, request.headers)

    def refuse(self, error: OAuth2Error) -> HttpResponse:
        """An OAuth error as JSON; which client or what about it was wrong is not said (A13)."""
        if error.error == "invalid_client":
            body = {"error": "invalid_client", "error_description": "Client authentication failed."}
            return self.handle_response(401, body, [])
        status = error.status_code or 400
        body = {"error": error.error, **({"error_description": error.description} if error.description else {})}
        return self.handle_response(status, body, [])


def build() -> Server:
    """The server with its grants; a grant type is on if it is registered here (discovery reads the same list)."""
    from idp.oidc.issuing.grants import authorization_code, client_credentials, device_code, device_key, refresh_token  # noqa: PLC0415 - they import this door

    server = Server()
    server.register_grant(_CodeRequest, [_S256(required=True), Resources()])
    for module in (authorization_code, refresh_token, device_key, device_code, client_credentials):
        server.register_grant(module.Grant)
    return server
