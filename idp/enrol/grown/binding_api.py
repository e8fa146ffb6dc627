"""The device's side of a binding, as JSON (docs/device-protocol.md §1 to §3)."""

from __future__ import annotations

import json
from functools import wraps
from typing import TYPE_CHECKING, Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from derived import clock
from derived.errors import Refused, Unavailable
from derived.minting.device_key import public_key
from idp import clients
from idp.config import config
from idp.enrol.grown import binding, codes
from idp.errors import answer_to, retry_after
from idp.login import throttle
from idp.oidc.requests.refusals import logged

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from idp.models import Binding

_MOST_BODY = 32 * 1024
_MOST_BRACKETS = 64
_MOST_TEXT = {"code": 64, "request": 24_000, "username": 320, "device_name": 200, "passphrase": 256, "proof": 4096}
INTERVAL = 2


class Malformed(Exception):
    """The request does not have the protocol's form; the text names the place."""


def document_of(request: HttpRequest) -> dict[str, Any]:
    """Parse the JSON object in the body.

    Raises: Malformed.
    """
    if request.content_type != "application/json":
        message = "Send application/json."
        raise Malformed(message)
    raw = request.body
    if len(raw) > _MOST_BODY or raw.count(b"{") + raw.count(b"[") > _MOST_BRACKETS:
        message = "The body is too large or nested."
        raise Malformed(message)
    try:
        value = json.loads(raw.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        message = "The body is not JSON."
        raise Malformed(message) from None
    if not isinstance(value, dict):
        message = "The body is not a JSON object."
        raise Malformed(message)
    return value


def _no_constant(name: str) -> None:
    raise ValueError(name)


def text_of(document: dict[str, Any], name: str, *, required: bool = True) -> str:
    """A member of bounded length.

    Raises: Malformed.
    """
    value = document.get(name, "" if not required else None)
    if not isinstance(value, str) or len(value) > _MOST_TEXT[name]:
        message = f"{name} is a string of at most {_MOST_TEXT[name]} characters."
        raise Malformed(message)
    if "\x00" in value or any("\ud800" <= c <= "\udfff" for c in value) or (required and not value):
        message = f"{name} is missing or has characters that it may not have."
        raise Malformed(message)
    return value


def json_api(view: Callable[..., dict[str, Any] | tuple[int, dict[str, Any]]]) -> Callable[..., HttpResponse]:
    """Decorate a POST of JSON that is answered with JSON, refusals included."""

    @csrf_exempt
    @logged
    @require_http_methods(["POST"])
    @wraps(view)
    def wrapped(request: HttpRequest, **kwargs: UUID) -> HttpResponse:
        try:
            found = view(request, document_of(request), **kwargs)
        except Malformed as malformed:
            return JsonResponse({"error": "invalid_request", "error_description": str(malformed)}, status=400)
        except (Refused, Unavailable) as refused:
            said = answer_to(refused)
            response = JsonResponse({"error": said.error, "error_description": said.words}, status=said.status)
            if said.status in {429, 503}:
                response["Retry-After"] = str(retry_after(refused))
            return response
        status, body = found if isinstance(found, tuple) else (200, found)
        return JsonResponse(body, status=status)

    return wrapped


def _located(request: HttpRequest, document: dict[str, Any]) -> Binding:
    code, username = text_of(document, "code"), text_of(document, "username", required=False)
    now = clock.now()
    return throttle.counting_names(
        request, "enrol", codes.name_of_short(code, username), lambda: binding.locate(code, username, now=now), now=now
    )


@json_api
def challenge(request: HttpRequest, document: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Step 1: pin the key to the code."""
    found = _located(request, document)
    value = binding.challenge(found, public_key(document.get("jwk")), now=clock.now())
    offered = [{"client_id": party.client_id, "name": party.name} for party in clients.parties_for_devices()]
    body = {
        "challenge": value,
        "expires_in": int(binding.CHALLENGE_LIVES.total_seconds()),
        "issuer": config().issuer,
        "clients": offered,
    }
    return 201, body


@json_api
def bind(request: HttpRequest, document: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Step 2: the proof, the passphrase, the name."""
    wanted = document.get("clients")
    if wanted is not None and not (isinstance(wanted, list) and all(isinstance(one, str) for one in wanted)):
        message = "clients is a list of client_ids."
        raise Malformed(message)
    given = binding.DeviceResponse(
        proof=text_of(document, "proof"),
        device_name=text_of(document, "device_name"),
        passphrase=text_of(document, "passphrase", required=False),
        clients=wanted,
        attestation=document.get("attestation"),
        code=text_of(document, "code"),
    )
    now = clock.now()
    row = binding.accept_response(_located(request, document), given, now=now)
    body = {
        "binding_id": str(row.id),
        "number": row.number,
        "device_name": row.device_name,
        "interval": INTERVAL,
        "expires_in": int((row.expires_at + codes.DECISION_LIVES - now).total_seconds()),
    }
    return 202, body


@json_api
def status(_request: HttpRequest, document: dict[str, Any], *, binding_id: UUID) -> dict[str, Any]:
    """Step 3: the desktop's decision."""
    now = clock.now()
    row = binding.binding_state(binding_id, text_of(document, "proof"), now=now)
    word = {"answered": "pending", "waiting": "pending", "locked": "refused"}.get(
        found := binding.state(row, now=now), found
    )
    body: dict[str, Any] = {"status": word, "interval": INTERVAL}
    if row.credential_id and word == "bound":
        body["credential_id"] = str(row.credential_id)
    return body
