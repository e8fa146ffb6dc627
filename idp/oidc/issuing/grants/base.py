"""The checks that every grant type shares: client, grant type, DPoP, scope."""

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
from idp.errors import answer_to
from idp.oidc.issuing import tokens
from idp.oidc.proofs import bound, dpop

if TYPE_CHECKING:
    from datetime import datetime

    from idp.clients import RelyingParty
    from idp.oidc.issuing.tokens import Granted, ServiceGranted
    from idp.oidc.proofs.bound import ProofBinding


class GrantBase(BaseGrant, TokenEndpointMixin):  # type: ignore[misc]  # Authlib is untyped
    """A grant type at the token endpoint; a subclass names its parameters, and returns a `Granted`.

    SPENDS_PROOF: the subclass calls `spend_proof` itself, in the transaction that the proof pays for, so that there is
    a single commit.
    """

    REQUIRED: tuple[str, ...] = ()
    SPENDS_PROOF = False
    _proof: dpop.UnspentProof | None = None

    def validate_token_request(self) -> None:
        """Authenticate the client, and require the parameters of this grant type."""
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
        signing = tokens.signing_keys(party, now=now)
        shown = bound.binding_of(self.request.http, party, now=now)
        self._proof = shown.proof
        if not self.SPENDS_PROOF:
            self.spend_proof()
        granted = self._granted(party, shown, now=now)
        return 200, tokens.token_response(granted, signing, now=now), self.TOKEN_RESPONSE_HEADER

    def _granted(self, party: RelyingParty, shown: ProofBinding, *, now: datetime) -> Granted | ServiceGranted:
        """The result of the grant.

        A refusal that was rolled back still spends the proof, and a replay is reported first. See C19.
        Raises: OAuth2Error.
        """
        try:
            return self.grant(party, bound=shown, now=now)
        except Refused as refused:
            if self.SPENDS_PROOF and not refused.spends:
                self.spend_proof()
            raise _as_oauth(refused) from refused
        except OAuth2Error:
            if self.SPENDS_PROOF:
                self.spend_proof()
            raise

    def spend_proof(self) -> None:
        """Record the request's DPoP proof as seen, if there is one.

        Raises: OAuth2Error of `invalid_dpop_proof` for one that was seen before.
        """
        if self._proof is not None:
            with dpop.as_oauth():
                self._proof.spend()

    def grant(self, party: RelyingParty, *, bound: ProofBinding, now: datetime) -> Granted | ServiceGranted:
        """Decide; bound: the key or the certificate of the request.

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
    """The OAuth error for a refusal; refusals about the grant are `invalid_grant` (RFC 6749 §5.2)."""
    found = answer_to(refused)
    if refused.reason == Reason.LEVEL_NOT_REACHED:
        return OAuth2Error(error=found.error, description=found.words)
    if refused.reason == Reason.TRY_LATER:
        return OAuth2Error(error=found.error, description=found.words, status_code=429)
    return InvalidGrantError(found.words)
