"""A protected resource for plain OAuth: userinfo needs the scope openid (OpenID Connect Core §5.3), this needs none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import HttpResponse, JsonResponse
from django.views.decorators.http import require_http_methods

from derived import clock
from idp.oidc.endpoints.resource import Unauthorized, authenticate
from idp.oidc.proofs import dpop

if TYPE_CHECKING:
    from django.http import HttpRequest


@require_http_methods(["GET"])
def resource(request: HttpRequest) -> HttpResponse:
    """The subject and scope of a live access token, in the header with its own scheme."""
    now = clock.now()
    try:
        live = authenticate(request, now=now)
    except Unauthorized as refused:
        response = HttpResponse(status=401)
        response["WWW-Authenticate"] = refused.challenge()
    else:
        response = JsonResponse({"sub": live.claims["sub"], "scope": live.claims["scope"]})
    response["Cache-Control"] = "no-store"
    return dpop.with_nonce(request, response, now=now)
