"""Dynamic client registration and management (RFC 7591, RFC 7592; A18, C31, C46, C47, P29, P40, P45).

Off until an operator creates an initial access token (`manage.py client token`), which is stored hashed, expires, and
has a limited number of uses. A registration yields a registration access token, also hashed, which ends with the
client.
"""

from __future__ import annotations

import json
import logging
import secrets
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import F
from django.http import HttpResponse, JsonResponse
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from derived import clock
from derived.ledger.prepared_sql import BoundValue, PreparedSelect, field_of
from idp import clients
from idp.clients import BadRegistration, Registration, keys, metadata
from idp.config import config
from idp.models import ClientPolicy, RegistrationToken
from idp.oidc.requests.refusals import claim, logged
from idp.outbound import NotFetched
from idp.secrets import hash_secret, opaque

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest

    from idp.clients import RelyingParty

_LONGEST_TOKEN = 128
_MOST_BYTES = 64 * 1024
_MOST_NESTED = 500
_KEPT_BY_THE_OPERATOR = frozenset(
    {
        "client_id",
        "hosts",
        "min_aal",
        "pkce_optional",
        "nonce_optional",
        "grants",
        "serves",
        "resources",
        "phishing_resistant",
        "most_idle",
        "most_session",
        "access_token_format",
        "access_token_life",
        "refresh_life",
        "dpop_nonce",
        "device_assertion",
        "consent",
        "subject_type",
        "claims_in_id_token",
    }
)
# settings that a client cannot turn off again
_NEVER_OFF = ("dpop_required", "par_required", "request_required", "certificate_bound")

logger = logging.getLogger(__name__)


_ANY_TOKEN = PreparedSelect(
    lambda: RegistrationToken.objects.filter(
        expires_at__gt=BoundValue("now", field_of(RegistrationToken, "expires_at")),
        uses_left__gt=0,
    ).only("token_hash")[:1]
)


class _NoToken(Exception):
    """No token that is good for this."""


def is_on(*, now: datetime) -> bool:
    """True if there is a usable initial access token."""
    return _ANY_TOKEN.first(now=now) is not None


@csrf_exempt
@logged
@require_http_methods(["POST"])
def register(request: HttpRequest) -> HttpResponse:
    """RFC 7591 §3."""
    now = clock.now()
    try:
        token_hash = hash_secret(_bearer(request), kind="initial-access-token")
        initial = RegistrationToken.objects.filter(token_hash=token_hash, expires_at__gt=now, uses_left__gt=0)
        if not initial.exists():
            raise _NoToken
        wanted = metadata.read(_body(request))
        metadata.require_own_logout_host(wanted, allowed=())
        if initial.update(uses_left=F("uses_left") - 1) != 1:  # counted before any URL of the client is fetched
            raise _NoToken
        _require_sector(wanted)
        access = opaque()
        with transaction.atomic():
            party, secret = clients.register(wanted, now=now)
            ClientPolicy.objects.filter(pk=party.policy.pk).update(
                registration_hash=hash_secret(access, kind="registration-access-token")
            )
    except _NoToken:
        return _unauthorized()
    except BadRegistration as bad:
        return _error_response(bad)
    return _registration_response(party, access, secret=secret, status=201)


@csrf_exempt
@logged
@require_http_methods(["GET", "PUT", "DELETE"])
def manage(request: HttpRequest, client_id: str) -> HttpResponse:
    """RFC 7592 §2: read, replace, end; by the client's own registration access token."""
    now = clock.now()
    try:
        access = _bearer(request)
        party = _client_of_token(client_id, access)
        claim(request, party)
        if request.method == "DELETE":
            ClientPolicy.objects.filter(pk=party.policy.pk).update(disabled_at=now, registration_hash="")
            return HttpResponse(status=204)
        if request.method == "GET":
            return _registration_response(party, access)
        party, secret = _replaced(party, _body(request), now=now)
    except _NoToken:
        return _unauthorized()
    except BadRegistration as bad:
        return _error_response(bad)
    return _registration_response(party, access, secret=secret)


def _replaced(party: RelyingParty, said: dict[str, Any], *, now: datetime) -> tuple[RelyingParty, str | None]:
    """Replace the client's metadata, except the operator's settings (RFC 7592 §2.2)."""
    if said.get("client_id") != party.client_id:
        raise BadRegistration("client_id is not this client's", about="client_id")
    secret = said.get("client_secret")
    if secret is not None and not (isinstance(secret, str) and party.check_client_secret(secret)):
        raise BadRegistration("client_secret is not this client's", about="client_secret")
    wanted = metadata.read(said)
    metadata.require_own_logout_host(wanted, allowed=clients.registration_of(party).hosts)
    _require_sector(wanted)
    changes = {
        one.name: getattr(wanted, one.name) for one in fields(Registration) if one.name not in _KEPT_BY_THE_OPERATOR
    }
    was = clients.registration_of(party)
    if (
        wanted.public and not was.public
    ):  # otherwise the holder of the registration token could act as the client without any other credential
        raise BadRegistration(
            "a client that proves itself does not stop doing so: register a public one beside it",
            about="token_endpoint_auth_method",
        )
    changes |= {name: True for name in _NEVER_OFF if getattr(was, name)}
    changes["scopes"] = [one for one in wanted.scopes if one in was.scopes]  # less, never more
    return clients.change(party, now=now, **changes)


def _client_of_token(client_id: str, access: str) -> RelyingParty:
    """The client of a token; a disabled one has none (P29)."""
    party = clients.find(client_id)
    kept = party.policy.registration_hash if party else ""
    shown = hash_secret(access, kind="registration-access-token")
    if not secrets.compare_digest(shown, kept or "0" * 64) or party is None or not kept:
        raise _NoToken
    return party


def _require_sector(wanted: Registration) -> None:
    """The document at sector_identifier_uri lists every redirect URI (Registration §5; C47).

    Raises: BadRegistration.
    """
    if not wanted.sector_identifier_uri:
        return
    try:
        listed = keys.json_at(wanted.sector_identifier_uri, frozenset())
    # the same message for every cause, so that nothing about internal names and networks leaks
    except NotFetched as error:
        logger.warning("sector_identifier_uri of a registration was not fetched: %s", error)
        raise BadRegistration("sector_identifier_uri could not be fetched", about="sector_identifier_uri") from error
    if not isinstance(listed, list) or not all(one in listed for one in wanted.redirect_uris):
        raise BadRegistration("sector_identifier_uri does not list every redirect URI", about="sector_identifier_uri")


def _bearer(request: HttpRequest) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.isascii() or not 0 < len(token) <= _LONGEST_TOKEN:
        raise _NoToken
    return token


def _body(request: HttpRequest) -> dict[str, Any]:
    """The document that was sent, bounded before it is parsed (J5).

    Raises: BadRegistration.
    """
    raw = request.body if request.content_type == "application/json" else b""
    try:
        if not 0 < len(raw) <= _MOST_BYTES or raw.count(b"{") + raw.count(b"[") > _MOST_NESTED:
            raise ValueError
        found = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError):
        raise BadRegistration("send one JSON object of at most 64 KB, as application/json") from None
    if not isinstance(found, dict):
        raise BadRegistration("send one JSON object of at most 64 KB, as application/json")
    return found


def _registration_response(
    party: RelyingParty, access: str, *, secret: str | None = None, status: int = 200
) -> HttpResponse:
    body = {
        **metadata.registered_metadata(clients.registration_of(party)), "client_id": party.client_id,
        "client_id_issued_at": int(party.policy.created_at.timestamp()), "registration_access_token": access,
        "registration_client_uri": config().issuer + reverse("registration", args=[party.client_id]),
    }  # fmt: skip
    if secret:
        body |= {"client_secret": secret, "client_secret_expires_at": 0}
    response = JsonResponse(body, status=status)
    response["Cache-Control"], response["Pragma"] = "no-store", "no-cache"
    return response


def _error_response(bad: BadRegistration) -> HttpResponse:
    """RFC 7591 §3.2.2."""
    errors = {"redirect_uris": "invalid_redirect_uri", "software_statement": "invalid_software_statement"}
    return JsonResponse(
        {"error": errors.get(bad.about, "invalid_client_metadata"), "error_description": str(bad)}, status=400
    )


def _unauthorized() -> HttpResponse:
    """The same response for a missing, foreign or spent token, and for a missing client (A13)."""
    response = JsonResponse(
        {"error": "invalid_token", "error_description": "Send a token that is good for this."}, status=401
    )
    response["WWW-Authenticate"] = f'Bearer realm="{config().issuer}", error="invalid_token"'
    return response
