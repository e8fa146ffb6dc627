"""The endpoints that relying parties call: token, userinfo, introspection, revocation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Error
from django.http import HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from derived import clock
from derived.changes import revoke
from derived.errors import Reason
from derived.ledger.locking import under_lock
from idp.clients import subject_of
from idp.config import config
from idp.keys import keyring
from idp.models import RefreshToken, ServiceToken
from idp.oidc.claims import assurance
from idp.oidc.claims.claims import assemble, attributes, by_name
from idp.oidc.endpoints import introspection, resource
from idp.oidc.endpoints.cors import readable_by_registered_origins
from idp.oidc.endpoints.resource import Unauthorized
from idp.oidc.issuing.provider import server
from idp.oidc.issuing.tokens import login_claims
from idp.oidc.proofs import dpop
from idp.oidc.requests.refusals import claim, logged
from idp.secrets import hash_secret
from scim.access import entitlements

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest

    from derived.models import Account
    from idp.clients import RelyingParty
    from idp.models import Grant


@csrf_exempt
@logged
@readable_by_registered_origins
@require_http_methods(["POST"])
def token(request: HttpRequest) -> HttpResponse:
    """RFC 6749 §3.2."""
    return dpop.with_nonce(request, server().respond_to_token_request(request), now=clock.now())


@csrf_exempt
@logged
@readable_by_registered_origins
@require_http_methods(["GET", "POST"])
def userinfo(request: HttpRequest) -> HttpResponse:
    """OpenID Connect Core §5.3; signed where the client is registered so (§5.3.2)."""
    now = clock.now()
    try:
        live = resource.authenticate(request, now=now)
        claim(request, live.party)
        if live.grant is None or "openid" not in live.claims["scope"].split():
            raise Unauthorized(
                "Bearer", "insufficient_scope", "The access token is about nobody, or has no openid scope."
            )
    except Unauthorized as refused:
        return dpop.with_nonce(request, _unauthorized(refused), now=now)
    return dpop.with_nonce(
        request,
        _userinfo_claims(
            _userinfo(live.grant, live.party.get_allowed_scope(live.claims["scope"]), live.party, now=now),
            live.party,
            now=now,
        ),
        now=now,
    )


def _userinfo(grant: Grant, scope: str, party: RelyingParty, *, now: datetime) -> dict[str, Any]:
    account = grant.family.account
    reserved: dict[str, Any] = {"sub": subject_of(party, account)}
    if assurance.SCOPE in scope.split():
        reserved |= login_claims(grant, account) | assurance.assurance_claims(grant, account)
    about_person = attributes(account.person, scope)
    about_person |= by_name(account.person, grant.claims.get("userinfo", ()), allowed=party.policy.scopes)
    if party.has_rules:
        about_person |= entitlements.claims_for(account.person, party.client_id, now=now)
    return assemble(about_person, reserved)


def _userinfo_claims(claims: dict[str, Any], party: RelyingParty, *, now: datetime) -> HttpResponse:
    """The userinfo response as JSON, or as a JWT with its own `typ` (J2)."""
    if not party.policy.userinfo_alg:
        response: HttpResponse = JsonResponse(claims)
    else:
        whole = {**claims, "iss": config().issuer, "aud": party.client_id, "iat": int(now.timestamp())}
        signed = keyring().sign(whole, typ="userinfo+jwt", alg=party.policy.userinfo_alg, now=now)
        response = HttpResponse(signed, content_type="application/jwt")
    response["Cache-Control"] = "no-store"
    return response


def _unauthorized(refused: Unauthorized) -> HttpResponse:
    status = 403 if refused.error == "insufficient_scope" else 401
    body = {"error": refused.error or "invalid_token", "error_description": refused.words or "Send an access token."}
    response = JsonResponse(body, status=status)
    response["WWW-Authenticate"] = refused.challenge()
    return response


@csrf_exempt
@logged
@require_http_methods(["POST"])
def introspect(request: HttpRequest) -> HttpResponse:
    """RFC 7662: for the owner of a token and its resource; any other token is inactive (C40)."""
    now = clock.now()
    try:
        party, parameters = introspection.calling_client(request, now=now)
        if "token" not in parameters:
            raise InvalidRequestError("Missing token in request.")
    except OAuth2Error as error:
        return server().refuse(error)
    except Unauthorized as refused:
        return dpop.with_nonce(request, _unauthorized(refused), now=now)
    return introspection.introspection_response(
        request, introspection.token_facts(parameters["token"], party, now=now), party, now=now
    )


@csrf_exempt
@logged
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
    now, value = clock.now(), parameters["token"]
    live = resource.live_token(value, asked_by=party, now=now)
    grant = live.grant if live is not None else _of_refresh_token(value) or resource.grant_of(value)
    if grant is not None and grant.client_id == party.client.pk:
        _end(grant, actor=f"client:{party.client_id}", now=now)
    if live is not None and grant is None:
        row = resource.service_row(str(live.claims["jti"]), now=now)
        ServiceToken.objects.filter(pk=row.pk if row else None, client=party.client).update(ended_at=now)
    return HttpResponse(status=200)


def _of_refresh_token(value: str) -> Grant | None:
    row = (
        RefreshToken.objects.select_related("grant__family")
        .filter(token_hash=hash_secret(value, kind="refresh-token"))
        .first()
    )
    return row.grant if row else None


def _end(grant: Grant, *, actor: str, now: datetime) -> None:
    def work(account: Account) -> bool:
        return revoke.credential(grant.family, account=account, because=Reason.REVOKED_BY_CLIENT, now=now, actor=actor)

    under_lock(grant.family.account_id, work)
