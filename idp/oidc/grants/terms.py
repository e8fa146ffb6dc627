"""What every grant checks in the same way, so that none can forget it: client, grant type, DPoP, scope (dex's table of hooks)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc6749 import (
    BaseGrant,
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
    OAuth2Error,
    TokenEndpointMixin,
    UnauthorizedClientError,
)

from derived import clock
from derived.errors import Reason, Refused
from idp.errors import answer
from idp.oidc import bound, tokens

if TYPE_CHECKING:
    from datetime import datetime

    from idp.clients import RelyingParty
    from idp.oidc.bound import Bound
    from idp.oidc.tokens import Granted, ServiceGranted


class Terms(BaseGrant, TokenEndpointMixin):  # type: ignore[misc]  # Authlib is untyped
    """A grant at the token endpoint. A subclass names its type and its parameters, and turns them into a `Granted`."""

    REQUIRED: tuple[str, ...] = ()

    def validate_token_request(self) -> None:
        """Authenticate the client, and see that what this grant needs is there."""
        party: RelyingParty = self.authenticate_token_endpoint_client()
        if not party.check_grant_type(self.GRANT_TYPE):
            raise UnauthorizedClientError("This client may not use this grant type.")
        for name in self.REQUIRED:
            if not self.request.form.get(name):
                raise InvalidRequestError(f"Missing {name} in request.")
        self.request.client = party

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        """Check the proof, prepare the keys, let the grant decide under the lock, then sign."""
        now = clock.now()
        party: RelyingParty = self.request.client
        tokens.ready(party, now=now)
        shown = bound.shown(self.request.http, party, now=now)
        try:
            granted = self.grant(party, bound=shown, now=now)
        except Refused as refused:
            raise _as_oauth(refused) from refused
        return 200, tokens.response(granted, now=now), self.TOKEN_RESPONSE_HEADER

    def grant(self, party: RelyingParty, *, bound: Bound, now: datetime) -> Granted | ServiceGranted:
        """Decide; bound: the key or the certificate that the request shows.

        Raises: Refused.
        """
        raise NotImplementedError


def narrowed(requested: str | None, granted: str) -> str:
    """The scope of a new access token: the grant's, or less (RFC 6749 §6, C52).

    Raises: InvalidScopeError.
    """
    if not requested:
        return granted
    wanted = list(dict.fromkeys(requested.split()))
    if not set(wanted) <= set(granted.split()):
        raise InvalidScopeError("The requested scope is more than what was granted.")
    return " ".join(wanted)


def _as_oauth(refused: Refused) -> OAuth2Error:
    """A refusal as the token endpoint says it: what is about the grant is `invalid_grant` (RFC 6749 §5.2)."""
    found = answer(refused.reason)
    if refused.reason == Reason.LEVEL_NOT_REACHED:
        return OAuth2Error(error=found.error, description=found.words)
    if refused.reason == Reason.TRY_LATER:
        return OAuth2Error(error=found.error, description=found.words, status_code=429)
    return InvalidGrantError(found.words)
