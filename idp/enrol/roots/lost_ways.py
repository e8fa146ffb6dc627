"""The pages for people who cannot sign in: the ways back, and recovery by codes that are mailed to two addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from django.shortcuts import redirect
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_http_methods

from derived import clock
from derived.changes import temporary_passes
from derived.changes.issue import GivenBy, GivenPass, temporary
from derived.errors import Reason, Refused, TryLater
from derived.ledger.locking import under_lock
from idp import pages
from idp.config import config
from idp.enrol.roots import mailed_codes, recovery
from idp.enrol.roots.invitations import recovery_hash
from idp.errors import answer_to
from idp.login import asking, flow, password, purpose, session, throttle

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest, HttpResponse

    from derived.models import Account, Credential
    from idp.models import RecoveryAttempt

_KEY = "mailed_codes"
_WRONG = gettext_noop("These codes do not go together, or no longer work. Check both, or ask for new ones.")
_WRONG_SECRET = gettext_noop("That password or recovery code is not right. You can also leave both empty.")
_LONGEST_NAME = 320


@require_http_methods(["GET", "POST"])
def cannot_sign_in(request: HttpRequest) -> HttpResponse:
    """List the ways back; a POST asks the identity team."""
    values = {"contact": config().contact, "asked": False, "error": None, "username": ""}
    if request.method == "GET":
        return pages.page(request, "cannot_sign_in", values)
    username = request.POST.get("username", "").strip()[:_LONGEST_NAME]
    try:
        asking.ask(request, username, now=clock.now())
    except TryLater as refused:
        return _answered_later(request, "cannot_sign_in", refused, {**values, "username": username})
    return pages.page(request, "cannot_sign_in", {**values, "asked": True})


def _answered_later(request: HttpRequest, page: str, refused: TryLater, values: dict[str, object]) -> HttpResponse:
    response = pages.page(request, page, {**values, "error": answer_to(refused).words}, status=429)
    return pages.with_wait(response, refused)


@require_http_methods(["GET", "POST"])
def mail_codes(request: HttpRequest) -> HttpResponse:
    """Ask for codes: a user name in, and the same answer for every name."""
    if request.method == "GET":
        return pages.page(request, "mailed_begin", {"error": None, "username": ""})
    username = request.POST.get("username", "").strip()[:_LONGEST_NAME]
    try:
        row = mailed_codes.begin(request, username, now=clock.now())
    except TryLater as refused:
        return _answered_later(request, "mailed_begin", refused, {"username": username})
    request.session[_KEY] = {"attempt": str(row.id)}
    return redirect(purpose.of_request(request).url("login-mailed-codes"))


@require_http_methods(["GET", "POST"])
def mailed(request: HttpRequest) -> HttpResponse:
    """Take both codes: alone they sign in for an hour, with a second method they replace the lost root."""
    now = clock.now()
    row = mailed_codes.attempt_of(request, request.session.get(_KEY, {}).get("attempt", str(uuid4())), now=now)
    if row is None:
        if session.take_up_repeated(request, now=now) is not None:  # the same form, sent twice at once
            return redirect(purpose.of_request(request).destination())
        return redirect(purpose.of_request(request).url("login-mailed"))
    if request.method == "GET":
        return pages.page(request, "mailed_codes", {"error": None})
    try:
        account = mailed_codes.verify(row, [request.POST.get(name, "")[:64] for name in ("first", "second")], now=now)
    except Refused:
        return pages.page(request, "mailed_codes", {"error": _WRONG}, status=400)
    secret, saved = request.POST.get("password", ""), request.POST.get("saved", "")[:64].strip()
    if not secret and not saved:
        return _signed_in(request, row, account, now=now)
    credential = flow.credential_of(account.person.login_name or "", now=now)
    try:
        if credential is None:
            raise Refused(Reason.WRONG_FACTOR)
        throttle.count_attempt(throttle.backoff_key(request, f"recovery {credential.id}"), now=now)
        guess = throttle.count_guess(credential, request, now=now)
        knows = bool(secret) and password.matches(secret, credential.password_totp.password_hash)
        has = bool(saved) and recovery.is_saved(credential, recovery_hash(saved), now=now)
        if not knows and not has:
            throttle.record_last_guess(guess, now=now)
            raise Refused(Reason.WRONG_FACTOR)
        throttle.uncount_guess(guess)
    except Refused as refused:
        words = _WRONG_SECRET if refused.reason == Reason.WRONG_FACTOR else answer_to(refused).words
        response = pages.page(
            request, "mailed_codes", {"error": words}, status=429 if isinstance(refused, TryLater) else 400
        )
        return pages.with_wait(response, refused)
    code_hash = "" if knows else recovery_hash(saved)
    return recovery.begin(request, credential, code_hash=code_hash, attempt=str(row.id), forgotten=not knows)


def _signed_in(request: HttpRequest, row: RecoveryAttempt, account: Account, *, now: datetime) -> HttpResponse:
    """Sign in at AAL1, by a pass that is issued and used at once."""

    def work(locked: Account) -> Credential:
        mailed_codes.spend(row, locked, now=now)
        return temporary_passes.give(locked, GivenPass(by=GivenBy.TWO_ADDRESSES), now=now, actor="person")

    try:
        given = under_lock(account.id, work)
    except Refused:
        return pages.page(request, "mailed_codes", {"error": _WRONG}, status=400)
    request.session.pop(_KEY, None)
    session.establish(request, given, temporary.SHOWN, now=now, claim=lambda _: temporary.use(given), repeatable=True)
    return redirect(purpose.of_request(request).destination())
