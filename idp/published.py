"""Public documents: discovery, keys, and the files of Ramet's own authority (C55, C92)."""

from __future__ import annotations

import binascii
import hashlib
import json
from base64 import b64decode
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.http import HttpResponse, JsonResponse
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods
from joserfc.jwk import KeySet

from derived import clock
from derived.authority import answers, lists
from derived.keyring import JWKS_MAX_AGE, KeyPurpose
from idp.clients import (
    CLIENT_ALGS,
    CLIENT_CREDENTIALS,
    DEVICE_CODE,
    DEVICE_GRANT,
    ID_TOKEN_ALGS,
    MORE_SCOPES,
    SCOPES,
    SERVICE_SCOPES,
)
from idp.config import config
from idp.keys import keyring, wrapper
from idp.oidc.claims import acr
from idp.oidc.endpoints import registration
from idp.oidc.proofs import client_auth, dpop
from idp.oidc.requests.ask import MODES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpRequest

_DISCOVERY_MAX_AGE = 3600
_LIST_MAX_AGE = 60
_TYPES = {"crl": "application/pkix-crl", "cer": "application/pkix-cert", "pem": "application/x-pem-file"}


def _at(name: str, *args: str) -> str:
    return config().issuer + reverse(name, args=args)


def metadata(*, registers: bool) -> dict[str, Any]:
    """OpenID Connect Discovery 1.0 §3 and RFC 8414 §2; registers: whether registration is possible now."""
    confidential = client_auth.methods()
    methods = [*confidential, "none"]
    return {
        "issuer": config().issuer,
        "authorization_endpoint": _at("authorize"),
        "pushed_authorization_request_endpoint": _at("par"),
        "token_endpoint": _at("token"),
        "device_authorization_endpoint": _at("device-authorization"),
        "userinfo_endpoint": _at("userinfo"),
        "jwks_uri": _at("jwks"),
        "introspection_endpoint": _at("introspect"),
        "revocation_endpoint": _at("revoke"),
        "end_session_endpoint": _at("logout"),
        "ramet_challenge_endpoint": _at("enrol-challenge"),
        "ramet_binding_endpoint": _at("enrol-bind"),
        "scopes_supported": [*SCOPES, *MORE_SCOPES, *SERVICE_SCOPES],
        "response_types_supported": ["code"],
        "response_modes_supported": list(MODES),
        "grant_types_supported": ["authorization_code", "refresh_token", DEVICE_GRANT, DEVICE_CODE, CLIENT_CREDENTIALS],
        "subject_types_supported": ["public", "pairwise"],
        "id_token_signing_alg_values_supported": list(ID_TOKEN_ALGS),
        "userinfo_signing_alg_values_supported": list(ID_TOKEN_ALGS),
        "introspection_signing_alg_values_supported": list(ID_TOKEN_ALGS),
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": list(CLIENT_ALGS),
        "introspection_endpoint_auth_methods_supported": confidential,
        "introspection_endpoint_auth_signing_alg_values_supported": list(CLIENT_ALGS),
        "revocation_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_signing_alg_values_supported": list(CLIENT_ALGS),
        **_by_certificate(),
        **({"registration_endpoint": _at("register")} if registers else {}),
        "code_challenge_methods_supported": ["S256"],
        "dpop_signing_alg_values_supported": list(dpop.ALGS),
        "acr_values_supported": list(acr.SUPPORTED),
        "authorization_response_iss_parameter_supported": True,
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        "claims_parameter_supported": True,
        "request_parameter_supported": True,
        "request_object_signing_alg_values_supported": list(CLIENT_ALGS),
        "require_signed_request_object": False,  # of all clients; it is required per client
        "request_uri_parameter_supported": False,  # by reference to elsewhere; a pushed request's is always
        "require_pushed_authorization_requests": False,  # of all clients; it is required per client
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "claims_supported": [
            "iss",
            "sub",
            "aud",
            "exp",
            "iat",
            "auth_time",
            "nonce",
            "acr",
            "amr",
            "sid",
            "at_hash",
            "aal",
            "ial",
            "fal",
            "idp",
            "credential_label",
            "name",
            "given_name",
            "family_name",
            "middle_name",
            "nickname",
            "preferred_username",
            "locale",
            "zoneinfo",
            "updated_at",
            "profile",
            "picture",
            "email",
            "email_verified",
            "phone_number",
            "phone_number_verified",
            "address",
            "credential_origin",
            "credential_kind",
            "home_organization",
            "piv_federation",
            "entitlements",
            "groups",
            "roles",
        ],
    }


def _by_certificate() -> dict[str, Any]:
    """RFC 8705 §5, where there is a certificate host."""
    if not config().certificate_url:
        return {}
    names = {
        "token_endpoint": "token",
        "userinfo_endpoint": "userinfo",
        "introspection_endpoint": "introspect",
        "revocation_endpoint": "revoke",
        "pushed_authorization_request_endpoint": "par",
    }
    aliases = {name: config().certificate_url + reverse(f"certificate-{route}") for name, route in names.items()}
    return {"mtls_endpoint_aliases": aliases, "tls_client_certificate_bound_access_tokens": True}


def _public(response: HttpResponse, max_age: int) -> HttpResponse:
    response["Cache-Control"] = f"public, max-age={max_age}"
    response["Access-Control-Allow-Origin"] = "*"
    return response


@dataclass(frozen=True)
class _Document:
    """A JSON document in its served form, with its entity tag (RFC 9110 §8.8.3)."""

    body: bytes
    tag: str

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> _Document:
        body = json.dumps(content, separators=(",", ":")).encode()
        return cls(body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')

    def sent(self, request: HttpRequest, max_age: int) -> HttpResponse:
        """Whole, or "as you have it"."""
        has_it = self.tag in (
            one.strip().removeprefix("W/") for one in request.headers.get("If-None-Match", "").split(",")
        )
        response = HttpResponse(status=304) if has_it else HttpResponse(self.body, content_type="application/json")
        response["ETag"] = self.tag
        return _public(response, max_age)


@lru_cache(maxsize=8)
# the values on which the document depends
def _metadata_of(registers: bool, *settings: object) -> _Document:  # noqa: ARG001, FBT001
    return _Document.of(metadata(registers=registers))


@lru_cache(maxsize=8)
def _keys_of(kids: tuple[str, ...]) -> _Document | None:
    """The public keys of these kids; None if one has been retired since they were listed."""
    found = [keyring().public(kid) for kid in kids]
    return (
        None
        if None in found
        else _Document.of(KeySet([one for one in found if one is not None]).as_dict(private=False))
    )


@require_http_methods(["GET", "HEAD"])
def discovery(request: HttpRequest) -> HttpResponse:
    """`/.well-known/openid-configuration` and `/.well-known/oauth-authorization-server`, cached by their inputs."""
    made = _metadata_of(
        registration.is_on(now=clock.now()), config().issuer, config().certificate_url, *client_auth.methods()
    )
    return made.sent(request, _DISCOVERY_MAX_AGE)


@require_http_methods(["GET", "HEAD"])
def jwks(request: HttpRequest) -> HttpResponse:
    """The public keys, with a cache lifetime below the time of publication before use (C73).

    The list of keys is read each time, so a revoked key disappears at once; the bytes are cached.
    """
    kids = keyring().published_kids()
    if not kids:  # no key exists before the first signature
        keyring().ensure(KeyPurpose.TOKENS, "ES256", now=clock.now())
        kids = keyring().published_kids()
    made = _keys_of(kids) or _Document.of(keyring().published().as_dict(private=False))
    return made.sent(request, int(JWKS_MAX_AGE.total_seconds()))


@lru_cache(maxsize=2)
def _files(_version: tuple[tuple[str, int], ...]) -> dict[str, bytes]:
    """The published files, made once for each version of them."""
    return lists.files(now=clock.now())


@require_http_methods(["GET", "HEAD"])
def checkpoint_keys(_request: HttpRequest) -> HttpResponse:
    """The public keys that have signed checkpoints of the audit chain, also those that sign no more, as a JWK Set."""
    return JsonResponse(keyring().of_checkpoints().as_dict(private=False))


@require_http_methods(["GET", "HEAD"])
def certificate_file(_request: HttpRequest, name: str) -> HttpResponse:
    """`/pki/…`: revocation lists and authorities' certificates; the worker lays the same files for a static server."""
    found = _files(lists.version()).get(name)
    if found is None:
        return HttpResponse("nothing here", status=404, content_type="text/plain; charset=utf-8")
    return _public(HttpResponse(found, content_type=_TYPES[name.rpartition(".")[2]]), _LIST_MAX_AGE)


@csrf_exempt
@require_http_methods(["GET", "POST"])
def certificate_status(request: HttpRequest, encoded: str = "") -> HttpResponse:
    """OCSP over HTTP (RFC 6960 appendix A): a question in the body, or in the address."""
    if request.method == "POST":
        raw = request.read(answers.MOST_BYTES + 1) if not encoded else b""
    else:
        try:
            raw = b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
        except (binascii.Error, ValueError):
            raw = b""
    return HttpResponse(answers.respond(raw, wrapper(), now=clock.now()), content_type="application/ocsp-response")
