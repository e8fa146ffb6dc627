"""Client credentials (RFC 6749 §4.4): a client's own token, without a person, userinfo or ID token (E9, P15)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authlib.oauth2.rfc6749 import InvalidScopeError, UnauthorizedClientError

from idp.clients import CLIENT_CREDENTIALS, SERVICE_SCOPES
from idp.oidc.issuing.grants.base import GrantBase
from idp.oidc.issuing.tokens import ServiceGranted
from idp.oidc.requests.target import audience, requested_resources

if TYPE_CHECKING:
    from datetime import datetime

    from idp.clients import RelyingParty
    from idp.oidc.proofs.bound import ProofBinding


class ClientCredentialsGrant(GrantBase):
    """`grant_type=client_credentials`: confidential clients that are registered for it."""

    GRANT_TYPE = CLIENT_CREDENTIALS

    def grant(self, party: RelyingParty, *, bound: ProofBinding, now: datetime) -> ServiceGranted:  # noqa: ARG002 - every grant's signature
        """The scopes that this client may use itself, or the requested part of them."""
        if party.is_public:
            raise UnauthorizedClientError("A public client has nothing to prove itself with.")
        form = self.request.form
        allowed = [one for one in party.policy.scopes.split() if one in SERVICE_SCOPES]
        wanted = list(dict.fromkeys(form.get("scope", "").split())) or allowed
        if not set(wanted) <= set(allowed):
            raise InvalidScopeError("A scope was asked for that this client has not, or that is about a person.")
        target = audience("", requested_resources(form.get("resource", ""), party), "")
        return ServiceGranted(party=party, scope=" ".join(wanted), audience=target, bound=bound)
