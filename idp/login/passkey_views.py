"""The pages and the options of signing in with a passkey or a security key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import JsonResponse
from django.shortcuts import redirect
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_http_methods

from derived import clock
from derived.errors import Reason, Refused
from idp import pages
from idp.clients import names
from idp.errors import answer_to
from idp.login import flow, passkey, purpose, throttle
from idp.models import AuthorizationRequest

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

_WRONG = gettext_noop(
    "This key was not accepted. If you took it off your account, or it belongs to another account, sign in another way."
)
_TOO_OLD = gettext_noop("That took too long, or was sent twice. Try again.")
_NOT_LIVE = gettext_noop("This key can no longer sign in. Sign in another way.")
WORDS = {
    Reason.BAD_PROOF: _WRONG,
    Reason.CREDENTIAL_UNKNOWN: _WRONG,
    Reason.ALREADY_SPENT: _TOO_OLD,
    Reason.CREDENTIAL_NOT_LIVE: _NOT_LIVE,
}


def message_for(refused: Refused) -> str:
    """The message for a person about a refused key."""
    return WORDS.get(refused.reason) or answer_to(refused).words


def page(request: HttpRequest, name: str, values: dict[str, object], *, status: int = 200) -> HttpResponse:
    """A login page with its purpose, whose form may lead to the waiting relying party (ruling 22)."""
    wanted = purpose.of_request(request)
    waiting = (
        AuthorizationRequest.objects.select_related("client").filter(id=wanted.flow).first() if wanted.flow else None
    )
    common = {"why": wanted.why or None, "client_name": names.display_name(waiting.client.name) if waiting else None}
    response = pages.page(request, name, {**common, **values}, status=status)
    return pages.permit_form_target(response, waiting.redirect_uri) if waiting else response


def _status(refused: Refused) -> int:
    return 429 if refused.reason == Reason.TRY_LATER else 400


@require_http_methods(["GET", "POST"])
def login_passkey(request: HttpRequest) -> HttpResponse:
    """A key as first and only step."""
    if purpose.is_fulfilled(request):
        return redirect(purpose.of_request(request).destination())
    if request.method == "GET":
        return page(request, "passkey_login", {"error": None})
    try:
        credential = passkey.sign_in(request, request.POST.get("response", ""), now=clock.now())
    except Refused as refused:
        return page(request, "passkey_login", {"error": message_for(refused)}, status=_status(refused))
    return flow.finish(request, credential)


@require_http_methods(["POST"])
def login_passkey_options(request: HttpRequest) -> HttpResponse:
    """A challenge, the same for every person (C61, C67)."""
    return _uncached(JsonResponse(passkey.options(request, now=clock.now())))


@require_http_methods(["GET", "POST"])
def second_passkey(request: HttpRequest) -> HttpResponse:
    """A key after the right password."""
    now = clock.now()
    half = flow.password_verified(request, now=now)
    if half is None:
        return flow.without_password(request)
    (beside, place), counted = half, flow.counted_password(request)
    has_keys = bool(passkey.keys_of(beside.account, now=now))
    if request.method == "GET":
        return page(request, "passkey_second", {"error": None, "has_keys": has_keys})
    try:
        credential = passkey.verify_second_factor(request, request.POST.get("response", ""), beside, place, now=now)
    except Refused as refused:
        values = {"error": message_for(refused), "has_keys": has_keys}
        return pages.with_wait(page(request, "passkey_second", values, status=_status(refused)), refused)
    throttle.uncount_password_attempt(counted)
    return flow.finish(request, credential)


@require_http_methods(["POST"])
def second_passkey_options(request: HttpRequest) -> HttpResponse:
    """A challenge for the keys of the account whose password was just right."""
    now = clock.now()
    half = flow.password_verified(request, now=now)
    if half is None:
        return JsonResponse({"error": "login_required"}, status=403)
    return _uncached(JsonResponse(passkey.second_options(request, half[0], now=now)))


def _uncached(response: HttpResponse) -> HttpResponse:
    response["Cache-Control"] = "no-store"
    return response
