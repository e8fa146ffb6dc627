"""The pages of signing in with a card, and the two addresses of the certificate host."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.utils.translation import gettext_noop
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from derived import clock
from derived.errors import AlreadySpent, Reason, Refused, Unavailable
from idp import pages
from idp.config import config
from idp.errors import answer_to
from idp.login import card, device, flow, hop, probe, purpose, session
from idp.login.passkey_views import page

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest

    from derived.models import Account, Credential

_TOO_OLD = gettext_noop("This card sign-in took too long, was used already, or began in another browser.")
_AGAIN = gettext_noop("Go back to the sign-in page and start again in this browser.")
_UNKNOWN = gettext_noop("Your card is in order, but no account here knows it.")
_UNKNOWN_NEXT = gettext_noop(
    "Sign in another way, then add the card in My devices. A new card can take the place of your old one there."
)


@require_http_methods(["GET", "POST"])
def login_card(request: HttpRequest) -> HttpResponse:
    """The explanation page, and the step to the certificate host."""
    now = clock.now()
    try:
        card.require_on(now=now)
        if request.method == "POST":
            url = card.begin(request, card.CardPurpose.LOGIN, now=now)
            purpose.keep(request, card.stored_ticket(url))
            return to_the_card(url)
    except Refused as refused:
        return refusal(request, refused)
    response = page(request, "card_login", {"error": None, "certificate_host": hop.netloc()})
    return pages.permit_form_target(response, config().certificate_url)


def to_the_card(url: str) -> HttpResponse:
    """Leave for the certificate host; 303, so that the form is not sent along."""
    response = HttpResponse(status=303)
    response["Location"] = url
    return response


@require_http_methods(["GET"])
def present(request: HttpRequest, ticket: str) -> HttpResponse:
    """Check the card on the certificate host, and return to the main host."""
    try:
        back = card.present(request, ticket, now=clock.now())
    except AlreadySpent:
        return HttpResponse(f"{_TOO_OLD} {_AGAIN}", status=410, content_type="text/plain; charset=utf-8")
    response = redirect(back)
    response["Connection"] = "close"
    response["Referrer-Policy"] = "no-referrer"
    return response


@csrf_exempt  # nothing changes by it but what the probe that was just sent has shown
@require_http_methods(["GET", "POST"])
def probed(request: HttpRequest, nonce: str) -> HttpResponse:
    """Answer the probe on the certificate host: what a forged header became (H4)."""
    found = probe.result_of(request, nonce, now=clock.now())
    return (
        JsonResponse({"passed": found}) if found is not None else JsonResponse({"error": "unknown probe"}, status=404)
    )


@require_http_methods(["GET", "POST"])
def done(request: HttpRequest) -> HttpResponse:
    """Complete the login on the main host; a certificate issued here also takes its passphrase."""
    now = clock.now()
    purpose.recall(request, card.ticket_of_result(request))
    try:
        row, verified = card.take_result(request, card.CardPurpose.LOGIN, now=now)
        credential = card.credential_of(verified, now=now)
        if credential is None:
            raise Refused(Reason.CREDENTIAL_UNKNOWN)
        shown = verified.shown
        if verified.ours:
            if asked := _passphrase_wrong(request, credential, now=now):
                return asked
            shown = card.factors_with_passphrase(credential)

        def claim(account: Account) -> None:
            card.spend_result(row, now=now)
            card.record_certificate(credential, verified, account, now=now)

        session.establish(request, credential, shown, now=now, claim=claim)
    except (Refused, Unavailable) as refused:
        return refusal(request, refused)
    return flow.finish(request, credential)


def _passphrase_wrong(request: HttpRequest, credential: Credential, *, now: datetime) -> HttpResponse | None:
    """The page for the passphrase, again after a wrong one; None after the correct one (ruling 1).

    A certificate's key is a single factor, because the local activation of its key is unknown.
    """
    error, status = None, 200
    if request.method == "POST":
        try:
            device.check_secret(
                credential, credential.issued.passphrase_hash, request.POST.get("passphrase", ""), now=now
            )
        except Refused as refused:
            if refused.reason not in {Reason.WRONG_FACTOR, Reason.TRY_LATER}:
                raise
            error, status = answer_to(refused).words, answer_to(refused).status
        else:
            return None
    values: dict[str, object] = {"error": error, "name": credential.name, "result": request.GET.get("result", "")[:64]}
    return page(request, "certificate_login", values, status=status)


def refusal(request: HttpRequest, refused: Refused | Unavailable) -> HttpResponse:
    """The reason why a card was refused, and the next step; nothing about its owner."""
    found = answer_to(refused)
    words, next_step, status = (
        found.words,
        gettext_noop("Sign in another way, or start again with the right card."),
        found.status,
    )
    if refused.reason == Reason.ALREADY_SPENT:
        words, next_step, status = _TOO_OLD, _AGAIN, 410
    elif refused.reason == Reason.CREDENTIAL_UNKNOWN:
        words, next_step = _UNKNOWN, _UNKNOWN_NEXT
    values: dict[str, object] = {"message": words, "next_step": next_step, "reason": refused.reason.value}
    response = page(request, "card_refused", values, status=status)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        response["Retry-After"] = "5"
    return response
