"""Derived passkeys: made in this browser, or on a phone that scans a code (PK-1 to PK-4, EL-2, C12, C14).

By code the phone's *browser* takes the place of a device's key: the code belongs to the first browser that shows it,
and a second one burns it. Number matching and the desktop's confirmation are those of every binding.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import asdict
from functools import wraps
from typing import TYPE_CHECKING, Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import path
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_http_methods

from derived import clock
from derived.changes import issue
from derived.changes.requests import under_locks_to_collect
from derived.errors import AlreadySpent, Reason, Refused
from derived.ledger import status
from derived.ledger.locking import under_lock
from derived.ledger.single_use import claim_once
from derived.minting import derived_passkey
from derived.minting import passkey as webauthn
from derived.minting.passkey import RegisteredPasskey
from derived.rules.eligibility import refusal
from derived.rules.kinds import Kind
from idp import pages
from idp.enrol import passkey_ceremony as passkeys
from idp.enrol.device_names import clean_name
from idp.enrol.grown import binding, codes
from idp.enrol.grown.registry import Offer
from idp.enrol.grown.request import request_of
from idp.errors import answer_to, error_response
from idp.login import purpose, throttle
from idp.login.passkey import begin, spend_challenge
from idp.login.session import browser_hash, is_live, login_of, session_under_lock, signed_in
from idp.login.views import fresh_login_needed
from idp.models import Binding
from idp.secrets import hash_secret

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from uuid import UUID

    from derived.minting.proven import VerifiedProof
    from derived.models import Account, Credential
    from idp.models import Ceremony, LoginSession

ADD = "/devices/passkey/add"
OFFER = Offer(label=gettext_noop("Passkey on another device"), url=ADD)
CODE_PAGE = "/enrol/passkey"
HERE, BY_CODE = "grow", "binding"  # purposes of a ceremony
_BYTES = ("raw_id", "public_key")
_MOST_CODE, _MOST_NAME = 64, 320
_AGAIN = gettext_noop("Adding a passkey needs a sign-in with two factors in the last 20 minutes.")
_TRY_IT = gettext_noop("Your passkey is added. Sign in with it once now: that makes it active.")
_WORDS = {
    Reason.KEY_TOO_WEAK: (
        gettext_noop(
            "This passkey did not ask for a PIN, a face or a finger, so alone it is one "
            "factor. Set one up on the device, then try again."
        )
    ),
    Reason.KEY_SEEN_BEFORE: gettext_noop("This passkey is registered here already."),
    Reason.BAD_PROOF: gettext_noop("The passkey's answer could not be verified, so nothing was added. Try again."),
}
_FOR_A_LOGIN = frozenset({Reason.LOGIN_TOO_OLD, Reason.LOGIN_TOO_WEAK, Reason.LOGIN_ENDED, Reason.NOT_A_ROOT})


def _words(refused: Refused) -> str:
    return _WORDS.get(refused.reason) or answer_to(refused).words


# --- in this browser --------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    """Choose the passkey's device; this browser makes it at once, possibly with a phone nearby (WebAuthn hybrid)."""
    session, now = signed_in(request), clock.now()
    if session is None:
        return fresh_login_needed("", next_path=ADD)
    if reason := refusal(login_of(session.event), now=now):
        return _login_again(reason)
    if request.method == "GET":
        return pages.page(request, "derived_passkey_add", {"error": None})
    try:
        ceremony, verified = passkeys.registered(request, session.account, HERE, now=now)
        bind(session, ceremony, verified, name=passkeys.named(request, verified), now=now)
    except Refused as refused:
        if refused.reason in _FOR_A_LOGIN:
            return _login_again(refused.reason)
        return pages.page(request, "derived_passkey_add", {"error": _words(refused)}, status=answer_to(refused).status)
    return redirect(purpose.asked(next_path="/devices", why=_TRY_IT).url("login-passkey"))


def _login_again(reason: Reason) -> HttpResponse:
    words = _AGAIN if reason in {Reason.LOGIN_TOO_OLD, Reason.LOGIN_TOO_WEAK} else error_response(reason).words
    return fresh_login_needed(words, next_path=ADD)


@require_http_methods(["POST"])
def add_options(request: HttpRequest) -> HttpResponse:
    """A registration challenge for this browser, with user verification."""
    session, now = signed_in(request), clock.now()
    if session is None or refusal(login_of(session.event), now=now) is not None:
        return JsonResponse({"error": "login_required"}, status=403)
    return passkeys.options(request, session.account, HERE, now=now, user_verification=True)


def bind(
    session: LoginSession, ceremony: Ceremony, verified: RegisteredPasskey, *, name: str, now: datetime
) -> Credential:
    """Derive it from the session's login, checked again under the lock; it is pending until its first use (PK-4).

    Raises: Refused with the reason of eligibility or of the rulebook, Refused(KEY_SEEN_BEFORE), AlreadySpent.
    """

    def work(account: Account) -> Credential:
        fresh = session_under_lock(session.id, account)
        if not is_live(fresh, now=now):
            raise Refused(Reason.LOGIN_ENDED)
        spend_challenge(ceremony, now=now)
        return issue.derive(
            account, derived_passkey.proof_of(verified, relayed=False), request_of(fresh, name=name), now=now
        )

    return under_locks_to_collect(session.account_id, Kind.DERIVED_PASSKEY, work)


# --- on a phone, by code ----------------------------------------------------------------------------------------------


def _as_json(view: Callable[..., JsonResponse]) -> Callable[..., HttpResponse]:
    """Decorate a POST of the phone's page that is answered with JSON, refusals included."""

    @require_http_methods(["POST"])
    @wraps(view)
    def wrapped(request: HttpRequest, **kwargs: UUID) -> HttpResponse:
        try:
            response = view(request, **kwargs)
        except Refused as refused:
            said = answer_to(refused)
            response = JsonResponse({"error": said.error, "error_description": _words(refused)}, status=said.status)
        response["Cache-Control"] = "no-store"
        return response

    return wrapped


@require_http_methods(["GET"])
def phone(request: HttpRequest) -> HttpResponse:
    """The page that the phone opens; its code is in the fragment, which is never sent."""
    return pages.page(request, "enrol_passkey", {})


def _located(request: HttpRequest, *, now: datetime) -> Binding:
    code, username = request.POST.get("code", "")[:_MOST_CODE], request.POST.get("username", "")[:_MOST_NAME]
    return throttle.counting_names(
        request,
        "enrol",
        codes.name_of_short(code, username),
        lambda: binding.locate(code, username, kind=Kind.DERIVED_PASSKEY, now=now),
        now=now,
    )


@_as_json
def phone_options(request: HttpRequest) -> JsonResponse:
    """Step 1: the code belongs to this browser from now on, and the browser gets a challenge (C12)."""
    now = clock.now()
    found, mine = _located(request, now=now), browser_hash(request)

    def work(account: Account) -> None:
        row = binding.still_open(found.id, account, now=now)
        if row.browser and not hmac.compare_digest(row.browser, mine):
            Binding.objects.filter(id=row.id).update(status="burnt", consumed_at=now)
            raise Refused(Reason.BAD_CODE, spends=True)
        Binding.objects.filter(id=row.id).update(browser=mine)

    under_lock(found.account_id, work)
    challenge = begin(request, BY_CODE, account=found.account, now=now, user_verification=True)
    hashed = hash_secret(webauthn.encoded(challenge.challenge), kind="binding-challenge")
    Binding.objects.filter(id=found.id, browser=mine, status="waiting").update(
        challenge_hash=hashed, challenge_expires_at=now + binding.CHALLENGE_LIVES
    )
    return JsonResponse(passkeys.creation_options(found.account, challenge))


@_as_json
def phone_answer(request: HttpRequest) -> JsonResponse:
    """Step 2: the phone has made its passkey; both screens show a number, and the desktop decides (C14)."""
    now = clock.now()
    row = receive(request, _located(request, now=now), now=now)
    seconds = int((row.expires_at + codes.DECISION_LIVES - now).total_seconds())
    return JsonResponse(
        {"binding_id": str(row.id), "number": row.number, "device_name": row.device_name, "expires_in": seconds},
        status=202,
    )


def receive(request: HttpRequest, found: Binding, *, now: datetime) -> Binding:
    """Verify the phone's answer, and spend challenge and code.

    Raises: Refused(BAD_PROOF), Refused(BAD_CODE), Refused(KEY_TOO_WEAK), AlreadySpent.
    """
    ceremony, verified = passkeys.registered(request, found.account, BY_CODE, now=now)
    if not verified.user_verified:
        raise Refused(Reason.KEY_TOO_WEAK)
    name, number = clean_name(request.POST.get("name", "")[:200]), f"{secrets.randbelow(90) + 10}"
    hashed = hash_secret(ceremony.challenge, kind="binding-challenge")

    def work(account: Account) -> Binding:
        row = binding.still_open(found.id, account, now=now)
        if (
            not row.browser
            or row.browser != browser_hash(request)
            or not hmac.compare_digest(row.challenge_hash, hashed)
        ):
            raise Refused(Reason.BAD_PROOF)
        spend_challenge(ceremony, now=now)
        if not claim_once(Binding.objects.filter(id=row.id), now=now):
            raise AlreadySpent
        Binding.objects.filter(id=row.id).update(
            status="answered",
            number=number,
            device_name=name,
            answered=_kept(verified),
            challenge_hash="",
        )
        return Binding.objects.get(id=row.id)

    return under_lock(found.account_id, work)


def _kept(verified: RegisteredPasskey) -> dict[str, Any]:
    said = asdict(verified)
    return {**said, **{name: webauthn.encoded(said[name]) for name in _BYTES}}


def proven(row: Binding) -> VerifiedProof:
    """The phone's answer as a verified proof.

    Raises: Refused(BAD_CODE) where nothing was answered.
    """
    if row.answered is None:
        raise Refused(Reason.BAD_CODE)
    said = {**row.answered, **{name: webauthn.decoded(row.answered[name]) for name in _BYTES}}
    return derived_passkey.proof_of(
        RegisteredPasskey(**{**said, "transports": tuple(said["transports"])}), relayed=True
    )


@_as_json
def phone_status(request: HttpRequest, binding_id: UUID) -> JsonResponse:
    """Step 3: the desktop's decision, for the browser that the code belongs to."""
    row = Binding.objects.select_related("account").filter(id=binding_id, kind=Kind.DERIVED_PASSKEY).first()
    if row is None or not row.browser or row.browser != browser_hash(request):
        raise Refused(Reason.BAD_CODE)
    word = {"answered": "pending", "waiting": "pending", "locked": "refused"}
    found = binding.state(row, now=clock.now())
    return JsonResponse({"status": word.get(found, found)})


# --- what it is worth -------------------------------------------------------------------------------------------------


@require_http_methods(["GET"])
def worth(request: HttpRequest, credential_id: UUID) -> HttpResponse:
    """Show the level of a derived passkey, and why (BI-6)."""
    session = signed_in(request)
    if session is None:
        return fresh_login_needed("", next_path=request.path)
    rows = (
        status.living(session.account_id).filter(id=credential_id, kind=Kind.DERIVED_PASSKEY).select_related("passkey")
    )
    row = rows.first()
    if row is None:
        return redirect("devices")
    why = passkeys.reasons(row, row.passkey)
    if row.evidence.get("relayed"):
        why.append("It was added by a code on another screen, so it is worth AAL2 at most.")
    why.append("It grew from another way of signing in: nothing can be added from a sign-in with it.")
    return pages.page(
        request,
        "passkey_worth",
        {"name": row.name, "aal": int(status.level(row)), "model": row.passkey.model, "why": why},
    )


urlpatterns = [
    path("devices/passkey/add", add, name="derived-passkey-add"),
    path("devices/passkey/options", add_options, name="derived-passkey-options"),
    path("devices/passkey/<uuid:credential_id>", worth, name="derived-passkey"),
    path("enrol/passkey", phone, name="enrol-passkey"),
    path("enrol/passkey/options", phone_options, name="enrol-passkey-options"),
    path("enrol/passkey/answer", phone_answer, name="enrol-passkey-answer"),
    path("enrol/passkey/<uuid:binding_id>", phone_status, name="enrol-passkey-status"),
]
