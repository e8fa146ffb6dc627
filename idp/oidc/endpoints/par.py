"""Pushed authorization requests (RFC 9126): validated and stored without the browser (C35, P50, A9; ruling 20).

The browser then carries an opaque id, valid for 90 seconds, for one client, until a decision is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Error
from django.http import HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from derived import clock
from idp.gate import Caller, Kind, gate
from idp.login import throttle
from idp.models import PushedRequest
from idp.oidc import lifetimes
from idp.oidc.endpoints.cors import readable_by_registered_origins
from idp.oidc.issuing.provider import server
from idp.oidc.proofs import dpop
from idp.oidc.requests.answers import DeclinedRequest
from idp.oidc.requests.intake import AdmittedRequest, UntrustedRequest, admit
from idp.oidc.requests.pushed import PREFIX
from idp.oidc.requests.refusals import logged
from idp.secrets import hash_secret, opaque

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest

    from idp.clients import RelyingParty

_OF_AUTHENTICATION = frozenset({"client_secret", "client_assertion", "client_assertion_type"})


@csrf_exempt
@logged
@readable_by_registered_origins
@require_http_methods(["POST"])
def push(request: HttpRequest) -> HttpResponse:
    """Accept a pushed request (RFC 9126 §2): the client authenticates, and every rule of a request already applies."""
    now = clock.now()
    try:
        caller = Caller(throttle.network(request))
        party, parameters = server().authenticated(request, count_unproven=lambda: gate(caller, Kind.PUSH))
        found = _admitted(request, party, parameters, now=now)
    except OAuth2Error as error:
        return dpop.with_nonce(request, server().refuse(error), now=now)
    secret = opaque()
    PushedRequest.objects.create(
        id_hash=hash_secret(secret, kind="request-uri"),
        client=party.client,
        redirect_uri=found.redirect_uri,
        ask=found.ask.stored(),
        created_at=now,
        loads_until=now + lifetimes.PUSHED,
        expires_at=now + lifetimes.PUSHED + lifetimes.REQUEST,
    )
    body = {"request_uri": PREFIX + secret, "expires_in": int(lifetimes.PUSHED.total_seconds())}
    response = JsonResponse(body, status=201)
    response["Cache-Control"] = "no-store"
    return dpop.with_nonce(request, response, now=now)


def _admitted(
    request: HttpRequest, party: RelyingParty, parameters: dict[str, str], *, now: datetime
) -> AdmittedRequest:
    """The request that this client pushes, with its code bound to the proven DPoP key (RFC 9449 §10.1; C20).

    Raises: OAuth2Error.
    """
    if "request_uri" in parameters:
        raise InvalidRequestError("A pushed request has no request_uri.")
    asked = {name: value for name, value in parameters.items() if name not in _OF_AUTHENTICATION}
    if asked.setdefault("client_id", party.client_id) != party.client_id:
        raise InvalidRequestError("client_id names another client than the one that pushes.")
    jkt = dpop.proven_key(request, party, now=now) if dpop.proof_header(request) is not None else ""
    try:
        return admit(request, asked, now=now, pushed=True, jkt=jkt)
    except UntrustedRequest as error:
        raise InvalidRequestError(str(error)) from error
    except DeclinedRequest as refusal:
        raise OAuth2Error(error=refusal.error, description=refusal.words) from refusal
