"""Token introspection (RFC 7662), also as a signed response (RFC 9701; C40, P24, P27).

The caller's right to a token is checked before the ledger is read, so a foreign token gets the response of an unknown
token in the same time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc6749 import OAuth2Error
from django.http import HttpResponse, JsonResponse

from idp.clients import subject_of
from idp.config import config
from idp.keys import keyring
from idp.oidc.claims.claims import assemble
from idp.oidc.endpoints import resource
from idp.oidc.endpoints.resource import Unauthorized
from idp.oidc.issuing.provider import server
from idp.oidc.issuing.statements import REFRESH_TOKEN
from idp.oidc.issuing.tokens import login_claims
from idp.oidc.proofs.bound import ProofBinding
from idp.secrets import hash_secret
from scim.access import entitlements

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest

    from idp.clients import RelyingParty

MEDIA_TYPE = "application/token-introspection+jwt"
SCOPE = "introspect"
_INACTIVE = {"active": False}


def calling_client(request: HttpRequest, *, now: datetime) -> tuple[RelyingParty, dict[str, str]]:
    """The calling client and its parameters: authenticated, or by an access token of its own (RFC 7662 §2.1).

    Raises: OAuth2Error, Unauthorized.
    """
    scheme = request.headers.get("Authorization", "").partition(" ")[0].lower()
    if scheme in {"bearer", "dpop"}:
        live = resource.authenticate(request, now=now)
        if live.grant is not None or SCOPE not in live.claims["scope"].split():
            raise Unauthorized(
                "Bearer",
                "insufficient_scope",
                "Asking about tokens needs a token of your own with the scope introspect.",
            )
        return live.party, server().parameters(request)
    party, parameters = server().authenticated(request)
    if party.is_public:
        raise OAuth2Error(error="invalid_client")
    return party, parameters


def token_facts(value: str, party: RelyingParty, *, now: datetime) -> dict[str, Any]:
    """The facts of a token that this client may know."""
    live = resource.live_token(value, asked_by=party, now=now)
    if live is None:
        return _refresh_token(value, party, now=now) or _INACTIVE
    claims = {name: one for name, one in live.claims.items() if name != "grant_id"}
    if live.grant is not None:
        claims |= login_claims(live.grant, live.grant.family.account)
        if live.party.has_rules:
            claims |= entitlements.claims_for(live.grant.family.account.person, live.party.client_id, now=now)
    return {**claims, "active": True, "token_type": ProofBinding.of(claims.get("cnf")).token_type}


def introspection_response(
    request: HttpRequest, found: dict[str, Any], party: RelyingParty, *, now: datetime
) -> HttpResponse:
    """The response as JSON; or signed, if the client is registered so or requests it (RFC 9701 §4, §5)."""
    alg = party.policy.introspection_alg or ("ES256" if MEDIA_TYPE in request.headers.get("Accept", "") else "")
    if not alg:
        response: HttpResponse = JsonResponse(found)
    else:
        claims = {
            "iss": config().issuer,
            "aud": party.client_id,
            "iat": int(now.timestamp()),
            "token_introspection": found,
        }
        signed = keyring().sign(claims, typ="token-introspection+jwt", alg=alg, now=now)
        response = HttpResponse(signed, content_type=MEDIA_TYPE)
    response["Cache-Control"] = "no-store"
    return response


def _refresh_token(value: str, party: RelyingParty, *, now: datetime) -> dict[str, Any] | None:
    """The facts of a refresh token, for its owner only."""
    read = REFRESH_TOKEN.first(token_hash=hash_secret(value, kind="refresh-token"))
    if read is None:
        return None
    row = read.row
    if row.consumed_at is not None or row.expires_at <= now or row.grant.client_id != party.client.pk:
        return None
    found = resource.live_grant(row.grant, has_rules=read.has_rules, now=now)
    if found is None:
        return None
    grant, owner = found
    account = grant.family.account
    reserved = {
        **login_claims(grant, account),
        "active": True,
        "iss": config().issuer,
        "sub": subject_of(owner, account),
        "client_id": owner.client_id,
        "scope": grant.scope,
        "exp": int(row.expires_at.timestamp()),
        "iat": int(row.created_at.timestamp()),
        # that of a confidential client is bound to its authentication (ruling 26)
        "cnf": ProofBinding(jkt=grant.jkt, x5t=grant.x5t).cnf if owner.is_public else None,
    }
    return assemble({}, reserved)
