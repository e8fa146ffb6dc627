"""The login pages: a password and then a code, or this device and its passphrase; and the way out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_http_methods

from derived import clock
from derived.errors import Reason, Refused
from derived.ledger.locking import transacted
from derived.ledger.single_use import spend
from derived.rules.assurance import Factor, VerifiedFactors
from idp import pages
from idp.clients import names
from idp.config import config
from idp.errors import answer_to
from idp.login import choices, device, flow, purpose, session, throttle, totp
from idp.models import AuthorizationRequest
from idp.secrets import opaque

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from django.http import HttpRequest, HttpResponse

    from derived.models import Account, Credential
    from idp.login.need import Need

_WRONG_PASSWORD = gettext_noop("That user name and password do not go together. Check both and try again.")
_WRONG_CODE = gettext_noop("That code is not right, or was used already. Wait for the next one and try again.")
_WRONG_DEVICE = gettext_noop("Check the passphrase of this device and try again.")
_ENDED_DEVICE = gettext_noop("This device can no longer sign in. Sign in another way and add it again in My devices.")
_CHALLENGES, _MOST_CHALLENGES = "device_challenges", 5
LOGIN_TYP = "ramet-login+jwt"
PASSWORD_AND_TOTP = VerifiedFactors(factors=frozenset({Factor.PASSWORD, Factor.TOTP}))


@require_http_methods(["GET", "POST"])
def login(request: HttpRequest) -> HttpResponse:
    """User name and password."""
    if purpose.is_fulfilled(request):
        return redirect(purpose.of_request(request).destination())
    if request.method == "GET":
        return _password_page(request, None)
    username, secret = request.POST.get("username", "").strip(), request.POST.get("password", "")
    try:
        flow.first_factor(request, username, secret, now=clock.now())
    except Refused as refused:
        words = _WRONG_PASSWORD if refused.reason == Reason.WRONG_FACTOR else answer_to(refused).words
        status = 429 if refused.reason == Reason.TRY_LATER else 400
        return pages.with_wait(_password_page(request, words, status=status), refused)
    return redirect(purpose.of_request(request).url("login-totp"))


def _page(request: HttpRequest, name: str, values: dict[str, object], *, status: int = 200) -> HttpResponse:
    """A login page with its purpose, whose form may lead to the waiting relying party."""
    waiting = _waiting(request)
    common = {
        "why": purpose.of_request(request).why or None,
        "client_name": names.display_name(waiting.client.name) if waiting else None,
    }
    response = pages.page(request, name, {**common, **values}, status=status)
    return pages.permit_form_target(response, waiting.redirect_uri) if waiting else response


def _waiting(request: HttpRequest) -> AuthorizationRequest | None:
    flow_id = purpose.of_request(request).flow
    return AuthorizationRequest.objects.select_related("client").filter(id=flow_id).first() if flow_id else None


def _password_page(request: HttpRequest, error: str | None, *, status: int = 200) -> HttpResponse:
    waiting = _waiting(request)
    hint = waiting.ask.get("login_hint", "") if waiting else ""
    mine = session.signed_in(request)
    known = mine.account.person.login_name if mine is not None else ""  # known, and asked for again
    username = request.POST.get("username", "")[:320] or hint or known or ""
    values = {
        "error": error,
        "username": username,
        "device_url": reverse("login-device"),
        **choices.login_choices(request),
    }
    return _page(request, "login_password", values, status=status if error else 200)


@require_http_methods(["GET", "POST"])
def login_totp(request: HttpRequest) -> HttpResponse:
    """The code of the authenticator app, which completes the login that the password began."""
    now = clock.now()
    half = flow.password_verified(request, now=now)
    if half is None:
        return flow.without_password(request)
    if request.method == "GET":
        return _page(request, "login_totp", {"error": None})
    credential, place = half
    try:
        _finish(request, credential, place, now=now)
    except Refused as refused:
        words = _WRONG_CODE if refused.reason == Reason.WRONG_FACTOR else answer_to(refused).words
        status = 429 if refused.reason == Reason.TRY_LATER else 400
        return pages.with_wait(_page(request, "login_totp", {"error": words}, status=status), refused)
    return flow.finish(request, credential)


def _finish(request: HttpRequest, credential: Credential, place: str, *, now: datetime) -> None:
    """Verify the code, counted first, and establish the session on both factors.

    Raises: Refused.
    """
    throttle.count_attempt(place, now=now)
    guess, counted = throttle.count_guess(credential, request, now=now), flow.counted_password(request)
    verifier = credential.password_totp
    seed = totp.unwrap(bytes(verifier.totp_seed), owner=credential.id)
    typed = request.POST.get("totp", "").strip()
    step = totp.matching_step(seed, typed, now=now)
    if step is None:
        step = totp.fixed_step(credential, typed)
    if step is None:
        throttle.record_last_guess(guess, now=now)
        raise Refused(Reason.WRONG_FACTOR)
    throttle.uncount_guess(guess)  # before the login tells how many wrong ones there were

    def claim(_account: Account) -> None:
        if not totp.claim_step(verifier, step):
            raise Refused(Reason.WRONG_FACTOR)

    try:
        session.establish(request, credential, PASSWORD_AND_TOTP, now=now, claim=claim, repeatable=True)
    except Refused:
        if session.take_up_repeated(request, now=now) is None:
            raise
        return
    throttle.reset_backoff(place)
    throttle.uncount_password_attempt(counted)


@require_http_methods(["GET", "POST"])
def login_device(request: HttpRequest) -> HttpResponse:
    """A device's key over a one-time challenge of this browser, and its passphrase (docs/device-protocol.md §5)."""
    if purpose.is_fulfilled(request):
        return redirect(purpose.of_request(request).destination())
    if request.method == "GET":
        return _device_page(request, None)
    now = clock.now()
    try:
        proven = _proven(request, now=now)
        device.check_passphrase(proven, request.POST.get("passphrase", ""), now=now)
        session.establish(
            request,
            proven.credential,
            device.factors_of(proven.credential, passphrase=True),
            now=now,
            claim=lambda account: device.claim_login(proven, account, now=now),
        )
    except Refused as refused:
        known = {Reason.TRY_LATER, Reason.CREDENTIAL_DISABLED, Reason.ACCOUNT_NOT_ACTIVE}
        words = answer_to(refused).words if refused.reason in known else _WRONG_DEVICE
        if refused.reason == Reason.CREDENTIAL_NOT_LIVE:
            words = _ENDED_DEVICE
        status = 429 if refused.reason == Reason.TRY_LATER else 400
        return pages.with_wait(_device_page(request, words, status=status), refused)
    return flow.finish(request, proven.credential)


def _proven(request: HttpRequest, *, now: datetime) -> device.ProvenDevice:
    """The device that signed this browser's challenge, which is spent in any case.

    Raises: Refused.
    """
    challenges = request.session.get(_CHALLENGES, [])
    challenge = request.POST.get("challenge", "")
    if challenge not in challenges:
        raise Refused(Reason.BAD_PROOF)
    request.session[_CHALLENGES] = [one for one in challenges if one != challenge]
    if not transacted(lambda: spend("login-challenge", challenge, expires_at=now + flow.LASTS)):
        raise Refused(Reason.BAD_PROOF)
    expected = {"aud": config().issuer, "nonce": challenge}
    return device.prove(request.POST.get("proof", ""), typ=LOGIN_TYP, expected=expected, now=now)


def _device_page(request: HttpRequest, error: str | None, *, status: int = 200) -> HttpResponse:
    challenge = opaque()
    # Each tab has its own.
    request.session[_CHALLENGES] = [*request.session.get(_CHALLENGES, [])[-_MOST_CHALLENGES + 1 :], challenge]
    return _page(request, "login_device", {"error": error, "challenge": challenge}, status=status)


def fresh_login_needed(why: str, *, next_path: str, need: Need | None = None) -> HttpResponse:
    """Send a person to sign in again, saying why, and back to the page afterwards."""
    return redirect(purpose.asked(next_path=next_path, why=why, need=need).url())


@require_http_methods(["POST"])
def end_session(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """End one of my sessions, this one or another (C66)."""
    mine = session.signed_in(request)
    if mine is None:
        return redirect("login")
    found = mine.account.sessions.filter(id=session_id).select_related("account").first()
    if found is None:
        return pages.problem(request, gettext_noop("There is no such session of yours."), status=404)
    session.end(found, now=clock.now(), actor="person")
    if found.id == mine.id:
        request.session.flush()
        request.ramet_session = None  # type: ignore[attr-defined]
        return pages.page(request, "logged_out", {})
    return redirect("devices")


@require_http_methods(["POST"])
def end_other_sessions(request: HttpRequest) -> HttpResponse:
    """Sign out everywhere else."""
    mine = session.signed_in(request)
    if mine is None:
        return redirect("login")
    for other in mine.account.sessions.filter(ended_at__isnull=True).exclude(id=mine.id).select_related("account"):
        session.end(other, now=clock.now(), actor="person")
    return redirect("devices")
