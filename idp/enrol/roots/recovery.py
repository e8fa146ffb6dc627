"""A lost authenticator app: password and one recovery code connect a new one (RC-1, RC-3, C65).

Nobody is signed in by it, the old root ends, and every address is notified.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from django.shortcuts import redirect
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_http_methods

from derived import clock
from derived.changes import renew
from derived.errors import Reason, Refused, TryLater
from derived.ledger import status
from derived.ledger.locking import under_lock
from derived.ledger.single_use import claim_once
from derived.models import Credential, RecoveryCode
from idp import pages
from idp.enrol.roots import mailed_codes, saved_codes
from idp.enrol.roots.invitation_pages import WRONG_CODE, AppWords, connect_an_app
from idp.enrol.roots.invitations import recovery_codes, recovery_hash
from idp.errors import answer_to, error_response
from idp.login import flow, password, purpose, throttle, totp
from idp.models import RecoveryAttempt

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse

    from derived.models import Account

_WRONG = gettext_noop("That code is not one of your recovery codes, or was used already.")
_WRONG_OF_THREE = gettext_noop(
    "These three do not go together. Check the user name, the password and the code, and try again."
)
_STOPS = AppWords(stops=gettext_noop("The app that you lost stops working as soon as this one is connected."))
_KEY = "recovering"


def _saved(credential: Credential, code_hash: str) -> QuerySet[RecoveryCode]:
    return RecoveryCode.objects.filter(credential=credential, code_hash=code_hash)


@require_http_methods(["GET", "POST"])
def recover(request: HttpRequest) -> HttpResponse:
    """After the password: one recovery code, counted before it is compared (TH-3)."""
    now = clock.now()
    half = flow.password_verified(request, now=now)
    if half is None:
        return _from_outside(request, now=now)
    credential, place = half
    if not status.may_recover(credential.account):
        return _in_person(request)
    if request.method == "GET":
        return pages.page(request, "recover", {"error": None})
    try:
        code_hash = _looked_at(request, credential, place, now=now)
    except Refused as refused:
        return _again(request, "recover", refused, _WRONG)
    return begin(request, credential, code_hash=code_hash)


def _again(request: HttpRequest, page: str, refused: Refused, wrong: str) -> HttpResponse:
    words = wrong if refused.reason == Reason.WRONG_FACTOR else answer_to(refused).words
    values = {"error": words, "username": request.POST.get("username", "")[:320]}
    response = pages.page(request, page, values, status=429 if isinstance(refused, TryLater) else 400)
    return pages.with_wait(response, refused)


def begin(
    request: HttpRequest, credential: Credential, *, code_hash: str = "", attempt: str = "", forgotten: bool = False
) -> HttpResponse:
    """Go on to a new authenticator app, and before it to a new password if the old one is forgotten.

    code_hash: of the saved recovery code that is to be spent; attempt: the id of mailed codes that are to be spent.
    """
    fresh = uuid4()
    request.session.cycle_key()
    request.session[_KEY] = {
        "at": clock.now().timestamp(),
        "code": code_hash,
        "attempt": attempt,
        "old": str(credential.id),
        "new": str(fresh),
        "seed": b64encode(totp.wrap(totp.new_seed(), owner=fresh)).decode(),
        "password_hash": "",
        "forgotten": forgotten,
    }
    return redirect(purpose.of_request(request).url("login-recover-password" if forgotten else "login-recover-totp"))


def _from_outside(request: HttpRequest, *, now: datetime) -> HttpResponse:
    """User name, password and recovery code on one page, also for a disabled password (ruling 33).

    A recovery code has 80 random bits and cannot be guessed: whoever shows one is not put off by the wrong guesses of
    strangers in the same network. The password is checked together with it, and the answer does not say which of the
    three was wrong.
    """
    if request.method == "GET":
        return pages.page(request, "recover_from_outside", {"error": None})
    username = request.POST.get("username", "").strip()
    credential = flow.credential_of(username, now=now)
    place = flow.place_of(request, credential, username)
    code_hash = recovery_hash(request.POST.get("code", "")[:64])
    has_code = credential is not None and is_saved(credential, code_hash, now=now)
    try:
        if has_code and credential is not None:
            tried = throttle.count_attempt(throttle.backoff_key(request, f"recovery {credential.id}"), now=now)
        else:
            throttle.count_password_attempt(request, str(credential.account_id) if credential else "", now=now)
            tried = throttle.count_attempt(place, now=now)
        stored_hash = credential.password_totp.password_hash if credential else ""
        right = password.matches(request.POST.get("password", ""), stored_hash)
        if credential is None or not right or not has_code:
            raise Refused(Reason.WRONG_FACTOR)
    except Refused as refused:
        return _again(request, "recover_from_outside", refused, _WRONG_OF_THREE)
    if not status.may_recover(credential.account):
        return _in_person(request)
    throttle.take_back(tried, now=now)
    return begin(request, credential, code_hash=code_hash)


def _in_person(request: HttpRequest) -> HttpResponse:
    """The page for a recovery that needs a manager: at AAL3 and IAL3 (RC-2)."""
    found = error_response(Reason.RECOVERY_IN_PERSON)
    return pages.problem(
        request,
        found.words,
        status=found.status,
        next_step=gettext_noop(
            "Your identity team checks in person that it is you, and sets up a new way of signing in."
        ),
    )


def _looked_at(request: HttpRequest, credential: Credential, place: str, *, now: datetime) -> str:
    tried = throttle.count_attempt(place, now=now)
    guess = throttle.count_guess(credential, request, now=now)
    code_hash = recovery_hash(request.POST.get("code", "")[:64])
    if not is_saved(credential, code_hash, now=now):
        throttle.record_last_guess(guess, now=now)
        raise Refused(Reason.WRONG_FACTOR)
    throttle.uncount_guess(guess)
    throttle.take_back(tried, now=now)
    return code_hash


def is_saved(credential: Credential, code_hash: str, *, now: datetime) -> bool:
    """True for one of the credential's recovery codes that serves still."""
    return _saved(credential, code_hash).filter(consumed_at__isnull=True, expires_at__gt=now).exists()


def _subject(request: HttpRequest, *, now: datetime) -> tuple[Credential | None, dict[str, Any]]:
    """The live credential that this browser is about to replace, for ten minutes, and what it has shown for that.

    It is no login: nothing of it counts for `idp.login.flow`.
    """
    begun: dict[str, Any] = request.session.get(_KEY, {})
    if not begun or now.timestamp() - begun.get("at", 0) > flow.LASTS.total_seconds():
        return None, {}
    row = Credential.objects.filter(id=begun["old"]).select_related("account__person", "password_totp").first()
    return (row, begun) if row is not None and status.is_live(row, row.account, now=now) else (None, {})


@require_http_methods(["GET", "POST"])
def recover_password(request: HttpRequest) -> HttpResponse:
    """Choose a new password, where the old one is forgotten; nothing is changed before the new app is connected."""
    old, begun = _subject(request, now=clock.now())
    if old is None or not begun.get("forgotten"):
        return redirect(purpose.of_request(request).url())
    person = old.account.person
    values = {"error": None, "username": person.login_name}
    if request.method == "GET":
        return pages.page(request, "recover_password", values)
    secret = request.POST.get("password", "")
    context = (person.login_name or "", *person.addresses(), person.display_name(), "ramet")
    error = password.objection(secret, context=context)
    if not error and secret != request.POST.get("password_again", ""):
        error = gettext_noop("The two passwords are not the same.")
    if error:
        return pages.page(request, "recover_password", {**values, "error": error}, status=400)
    request.session[_KEY] = {**begun, "password_hash": password.hashed(secret)}
    return redirect(purpose.of_request(request).url("login-recover-totp"))


@require_http_methods(["GET", "POST"])
def recover_totp(request: HttpRequest) -> HttpResponse:
    """Connect a new authenticator app and prove it, which spends the code and ends the old root."""
    now = clock.now()
    old, begun = _subject(request, now=now)
    if old is None:
        return redirect(purpose.of_request(request).url())
    if begun.get("forgotten") and not begun["password_hash"]:
        return redirect(purpose.of_request(request).url("login-recover-password"))
    fresh, wrapped = UUID(begun["new"]), b64decode(begun["seed"])
    seed = totp.unwrap(wrapped, owner=fresh)
    name = old.account.person.login_name or ""
    if request.method == "GET":
        return connect_an_app(request, seed, name=name, error=None, words=_STOPS)
    step = totp.matching_step(seed, request.POST.get("totp", "").strip(), now=now)
    if step is None:
        return connect_an_app(request, seed, name=name, error=WRONG_CODE, words=_STOPS)
    codes = recovery_codes()

    def work(account: Account) -> None:
        _spend(begun, old, account, now=now)
        row = Credential.objects.select_related("root", "parent", "password_totp").get(id=old.id)
        renew.password_totp(
            account,
            row,
            credential_id=fresh,
            totp_seed=wrapped,
            totp_step=step,
            recovery_code_hashes=[recovery_hash(code) for code in codes],
            now=now,
            actor="person",
            password_hash=begun.get("password_hash", ""),
        )

    under_lock(old.account_id, work)
    request.session.flush()
    return saved_codes.shown(request, codes, continue_url=purpose.of_request(request).url(), button="sign in")


def _spend(begun: dict[str, Any], old: Credential, account: Account, *, now: datetime) -> None:
    """Spend what this recovery was begun with: a saved code, mailed codes, or both.

    Raises: Refused(BAD_CODE).
    """
    if begun["code"] and not claim_once(_saved(old, begun["code"]), now=now):
        raise Refused(Reason.BAD_CODE)
    if attempt := begun.get("attempt"):
        mailed_codes.spend(RecoveryAttempt.objects.get(id=attempt), account, now=now)
    if not begun["code"] and not attempt:
        raise Refused(Reason.BAD_CODE)
