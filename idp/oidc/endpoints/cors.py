"""Answers that a registered browser app may read cross-site; never with credentials (E14, P47, ruling 18)."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING

from django.http import HttpResponse

from idp import clients
from idp.oidc.requests.refusals import HEADER

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest


def readable_by_registered_origins(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Answer preflights, and let the origins of registered browser apps read the answers."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        origin = request.headers.get("Origin", "")
        listed = bool(origin) and origin in clients.registered_origins()
        if request.method == "OPTIONS":
            response = HttpResponse(status=204)
            if listed:
                response["Access-Control-Allow-Methods"] = "GET, POST"
                response["Access-Control-Allow-Headers"] = "Authorization, Content-Type, DPoP"
                response["Access-Control-Max-Age"] = "600"
        else:
            response = view(request, *args, **kwargs)
        response["Vary"] = "Origin"
        if listed:
            response["Access-Control-Allow-Origin"] = origin
            response["Access-Control-Expose-Headers"] = f"WWW-Authenticate, DPoP-Nonce, {HEADER}"
        return response

    return wrapped
