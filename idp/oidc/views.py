"""The endpoints that relying parties call: token, userinfo, introspection, revocation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Error
from django.http import HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from derived import clock, revoke
from derived.errors import Reason
from derived.locking import under_lock
from idp.clients import subject
from idp.config import config
from idp.models import RefreshToken
from idp.oidc import dpop, resource
from idp.oidc.bound import Bound
from idp.oidc.claims import assembled, attributes, by_name
from idp.oidc.cors import readable_by_registered_origins
from idp.oidc.provider import server
from idp.oidc.resource import LiveToken, Unauthorized
from idp.oidc.tokens import about_login
from idp.secrets import stored

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from django.http import HttpRequest

    from derived.models import Account
    from idp.clients import RelyingParty
    from idp.models import Grant


@csrf_exempt
@readable_by_registered_origins
@require_http_methods(["POST"])
def token(request: HttpRequest) -> HttpResponse:
    """RFC 6749 §3.2."""
    return dpop.renewed(request, server().respond_to_token_request(request), now=clock.now())


@csrf_exempt
@readable_by_registered_origins
@require_http_methods(["GET", "POST"])
def userinfo(request: HttpRequest) -> HttpResponse:
    """OpenID Connect Core §5.3."""
    now = clock.now()
    try:
        live = resource.authenticate(request, now=now)
        if "openid" not in live.claims["scope"].split():
            raise Unauthorized("Bearer", "insufficient_scope", "The access token has no openid scope.")
    except Unauthorized as refused:
        status = 403 if refused.error == "insufficient_scope" else 401
        body = {"error": refused.error or "invalid_token", "error_description": refused.words or "Send an access token."}
        response = JsonResponse(body, status=status)
        response["WWW-Authenticate"] = refused.challenge()
        return dpop.renewed(request, response, now=now)
    return dpop.renewed(request, JsonResponse(_userinfo(live)), now=now)


def _userinfo(live: LiveToken) -> dict[str, Any]:
    scope = live.claims["scope"]
    account = live.grant.family.account
    reserved: dict[str, Any] = {"sub": subject(live.party, account)}
    if "assurance" in scope.split():
        reserved |= about_login(live.grant, account)
    about_person = attributes(account.person, scope)
    about_person |= by_name(account.person, live.grant.claims.get("userinfo", ()), allowed=live.party.policy.scopes)
    return assembled(about_person, reserved)


@csrf_exempt
@require_http_methods(["POST"])
def introspect(request: HttpRequest) -> HttpResponse:
    """RFC 7662: for the client that owns a token and the resource it is meant for; anything else is just not active (C40)."""
    try:
        party, parameters = server().authenticated(request)
        if party.is_public:
            raise OAuth2Error(error="invalid_client")
        if "token" not in parameters:
            raise InvalidRequestError("Missing token in request.")
    except OAuth2Error as error:
        return server().refuse(error)
    return JsonResponse(_introspection(party, parameters["token"], now=clock.now()))


def _introspection(party: RelyingParty, value: str, *, now: datetime) -> dict[str, Any]:
    inactive = {"active": False}
    live = resource.live_token(value, now=now)
    if live is not None:
        if live.party.client_id != party.client_id and live.claims.get("aud") not in party.policy.serves:
            return inactive
        claims = {name: one for name, one in live.claims.items() if name != "grant_id"}
        claims |= about_login(live.grant, live.grant.family.account)
        return {**claims, "active": True, "token_type": Bound.of(claims.get("cnf")).token_type}
    return _introspected_refresh_token(party, value, now=now) or inactive


def _introspected_refresh_token(party: RelyingParty, value: str, *, now: datetime) -> dict[str, Any] | None:
    row = RefreshToken.objects.filter(
        token_hash=stored(value, kind="refresh-token"), consumed_at__isnull=True, expires_at__gt=now
    ).first()
    found = resource.live_grant(str(row.grant_id), now=now) if row else None
    if row is None or found is None or found[1].client_id != party.client_id:
        return None
    grant, owner = found
    account = grant.family.account
    reserved = {
        **about_login(grant, account), "active": True, "iss": config().issuer, "sub": subject(owner, account),
        "client_id": owner.client_id, "scope": grant.scope, "exp": int(row.expires_at.timestamp()),
        "iat": int(row.created_at.timestamp()), "cnf": Bound(jkt=grant.jkt, x5t=grant.x5t).cnf,
    }
    return assembled({}, reserved)


@csrf_exempt
@readable_by_registered_origins
@require_http_methods(["POST"])
def revocation(request: HttpRequest) -> HttpResponse:
    """RFC 7009: any token of the client's own ends its family; an unknown one is a success too (C41)."""
    try:
        party, parameters = server().authenticated(request)
        if "token" not in parameters:
            raise InvalidRequestError("Missing token in request.")
    except OAuth2Error as error:
        return server().refuse(error)
    now = clock.now()
    grant = _grant_of(parameters["token"], now=now)
    if grant is not None and grant.client_id == party.client.pk:
        _end(grant.family.account_id, grant, actor=f"client:{party.client_id}", now=now)
    return HttpResponse(status=200)


def _grant_of(value: str, *, now: datetime) -> Grant | None:
    live = resource.live_token(value, now=now)
    if live is not None:
        return live.grant
    row = RefreshToken.objects.select_related("grant__family").filter(token_hash=stored(value, kind="refresh-token")).first()
    return row.grant if row else None


def _end(account_id: UUID, grant: Grant, *, actor: str, now: datetime) -> None:
    def work(account: Account) -> bool:
        return revoke.one(grant.family, account=account, because=Reason.REVOKED_BY_CLIENT, now=now, actor=actor)

    under_lock(account_id, work)
