"""Its views, as the documentation writes them."""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64encode
from hashlib import sha256
from itertools import cycle, islice
from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model
from django.http import JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from bench.peers.authlib_site.models import AuthorizationCode, OAuth2Token
from bench.peers.authlib_site.server import ISSUER, KEY, about, protected, server
from bench.peers.site import CALLBACK, SCOPE, VERIFIER, maker

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

CLIENT_ID = "bench"
_CHALLENGE = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
_METADATA = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/authorize",
    "token_endpoint": f"{ISSUER}/token",
    "userinfo_endpoint": f"{ISSUER}/userinfo",
    "introspection_endpoint": f"{ISSUER}/introspect",
    "jwks_uri": f"{ISSUER}/jwks",
    "response_types_supported": ["code"],
    "subject_types_supported": ["public"],
    "id_token_signing_alg_values_supported": ["ES256"],
    "scopes_supported": SCOPE.split(),
    "token_endpoint_auth_methods_supported": ["client_secret_basic"],
    "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
    "code_challenge_methods_supported": ["S256"],
}


@csrf_exempt
@require_http_methods(["POST"])
def token(request: HttpRequest) -> HttpResponse:
    """RFC 6749 §3.2."""
    return server.create_token_response(request)


@csrf_exempt
@require_http_methods(["POST"])
def introspect(request: HttpRequest) -> HttpResponse:
    """RFC 7662."""
    return server.create_endpoint_response("introspection", request)


@protected("openid")
def userinfo(request: HttpRequest) -> HttpResponse:
    """OpenID Connect Core §5.3."""
    live: OAuth2Token = request.oauth_token  # type: ignore[attr-defined]
    return JsonResponse(about(live.user, live.scope))


def discovery(_request: HttpRequest) -> HttpResponse:
    """The metadata."""
    return JsonResponse(_METADATA)


def jwks(_request: HttpRequest) -> HttpResponse:
    """The key."""
    return JsonResponse({"keys": [KEY.as_dict(private=False)]})


def _codes(count: int) -> list[str]:
    users = list(get_user_model().objects.all())
    rows = [
        AuthorizationCode(
            user=user,
            client_id=CLIENT_ID,
            code=secrets.token_urlsafe(36),
            redirect_uri=CALLBACK,
            response_type="code",
            scope=SCOPE,
            nonce=secrets.token_urlsafe(8),
            code_challenge=_CHALLENGE,
            code_challenge_method="S256",
        )
        for user in islice(cycle(users), count)
    ]
    return [row.code for row in AuthorizationCode.objects.bulk_create(rows)]


def _tokens(count: int) -> list[OAuth2Token]:
    users = list(get_user_model().objects.all())
    rows = [
        OAuth2Token(
            user=user,
            client_id=CLIENT_ID,
            token_type="Bearer",  # noqa: S106
            access_token=secrets.token_urlsafe(32),
            refresh_token=secrets.token_urlsafe(36),
            scope=SCOPE,
            expires_in=86400,
        )
        for user in islice(cycle(users), count)
    ]
    return OAuth2Token.objects.bulk_create(rows)


urlpatterns = [
    path("token", token), path("introspect", introspect), path("userinfo", userinfo), path("jwks", jwks),
    path(".well-known/openid-configuration", discovery),
    path("__made", maker(CLIENT_ID, {
        "codes": _codes, "refresh_tokens": lambda count: [row.refresh_token for row in _tokens(count)],
        "access_token": lambda _: _tokens(1)[0].access_token,
    })),
]  # fmt: skip
