"""The only module that uses Authlib's server: its grammar of token requests, and PKCE, over bounded requests.

Stateful steps (claim a code, rotate a refresh token, end a family, build claims) are in `grants` and `tokens`; nothing
of Authlib stores, generates or signs a token.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from authlib.oauth2.rfc6749 import OAuth2Error
from django.http import HttpResponse, JsonResponse

from derived.errors import Refused, Unavailable
from idp.config import config
from idp.errors import answer_to, retry_after
from idp.oidc.proofs import client_auth
from idp.oidc.requests import gate
from idp.oidc.requests.engine import Engine, OAuthRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest

    from idp.clients import RelyingParty


class Server(Engine):
    """The token endpoint's half of Authlib's server, answering through Django."""

    def handle_response(self, status: int, body: object, headers: object) -> HttpResponse:  # noqa: ARG002
        """JSON, never cached (RFC 6749 §5.1)."""
        response = JsonResponse(body, status=status)
        response["Cache-Control"], response["Pragma"] = "no-store", "no-cache"
        if status == HTTPStatus.UNAUTHORIZED:
            response["WWW-Authenticate"] = f'Basic realm="{config().issuer}"'
        return response

    def handle_error_response(self, request: OAuthRequest, error: OAuth2Error) -> HttpResponse:  # noqa: ARG002
        """Answer an error; a hook of Authlib's."""
        return self.refuse(error)

    def respond_to_token_request(self, request: HttpRequest) -> HttpResponse:
        """RFC 6749 §3.2: every grant, every refusal, one form of answer."""
        try:
            return self.create_token_response(OAuthRequest(request, gate.form(request)))  # type: ignore[no-any-return]
        except OAuth2Error as error:
            return self.refuse(error)
        except (Refused, Unavailable) as refused:
            found = answer_to(refused)
            response = self.handle_response(found.status, {"error": found.error, "error_description": found.words}, [])
            if found.status in {429, 503}:
                response["Retry-After"] = str(retry_after(refused))
            return response

    def parameters(self, request: HttpRequest) -> dict[str, str]:
        """The form of a back-channel call that proves itself by an access token.

        Raises: OAuth2Error.
        """
        return gate.form(request)

    def authenticated(
        self, request: HttpRequest, *, count_unproven: Callable[[], None] | None = None
    ) -> tuple[RelyingParty, dict[str, str]]:
        """The client that calls a back-channel endpoint, and its parameters.

        count_unproven: called for a public client or none, before anything is read where no proof is presented.
        Raises: OAuth2Error.
        """
        parameters = gate.form(request)
        asked = OAuthRequest(request, parameters)
        if count_unproven is None:
            return self.authenticate_client(asked), parameters
        proves = client_auth.presents_proof(asked.http, asked.form, asked.headers)
        if not proves:
            count_unproven()
        party = self.authenticate_client(asked)
        if proves and party.is_public:
            count_unproven()
        return party, parameters

    def authenticate_client(self, request: OAuthRequest, methods: object = (), endpoint: str = "") -> RelyingParty:  # noqa: ARG002
        """Authenticate the client; a hook of Authlib's. The method follows from the client's registration only."""
        return client_auth.authenticate(request.http, request.form, request.headers)

    def refuse(self, error: OAuth2Error) -> HttpResponse:
        """An OAuth error as JSON, without saying which client or which part failed (A13)."""
        if error.error == "invalid_client":
            body = {"error": "invalid_client", "error_description": "Client authentication failed."}
            return self.handle_response(401, body, [])
        status = error.status_code or 400
        body = {"error": error.error, **({"error_description": error.description} if error.description else {})}
        return self.handle_response(status, body, [])
