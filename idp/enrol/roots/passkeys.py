"""Bind a passkey or security key as a root: under a login, or as the first root of an invitation (PK-1, PK-2, AU-1).

A key's level is known only after its answer. So eligibility is checked before the ceremony for the lowest level of a
key, and again under the lock for the actual one. A registration without attestation proves nothing about the holder,
so an invitation ends in a login with the key and signs nobody in by itself (BI-5, PK-4).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_http_methods

from derived import clock
from derived.changes import issue
from derived.errors import Reason, Refused
from derived.ledger import status
from derived.ledger.locking import under_lock
from derived.rules.assurance import AAL
from derived.rules.eligibility import BoundBy, BoundVia, refusal_to_add
from derived.rules.kinds import Kind
from idp import pages
from idp.enrol.passkey_ceremony import named, options, reasons, registered
from idp.enrol.roots import invitations as invitation
from idp.errors import error_response
from idp.login import purpose
from idp.login.passkey import spend_challenge
from idp.login.passkey_views import message_for
from idp.login.session import is_live, login_of, session_under_lock, signed_in
from idp.login.views import fresh_login_needed

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from derived.minting.passkey import RegisteredPasskey
    from derived.models import Account, Credential
    from idp.models import Ceremony, Invitation, LoginSession

REGISTER, INVITED = "register", "invitation"
_ADD = "/devices/roots/passkey/add"
_STEP_UP = gettext_noop(
    "This account can reach AAL3, and so could this key. Sign in with your strongest way of "
    "signing in first, then add the key again."
)
_AGAIN = gettext_noop("Adding a way of signing in needs a sign-in with two factors in the last 20 minutes.")
_TRY_IT = gettext_noop("Your key is set up. Sign in with it now, to see that it works.")
_WORDS = {
    Reason.KEY_SEEN_BEFORE: gettext_noop("This key is registered here already."),
    Reason.LOGIN_TOO_OLD: _AGAIN,
    Reason.LOGIN_TOO_WEAK: _AGAIN,
    Reason.STEP_UP_NEEDED: _STEP_UP,
    Reason.BAD_PROOF: gettext_noop("The key's answer could not be verified, so nothing was added. Try again."),
    Reason.BAD_CODE: gettext_noop("This invitation was used, replaced by a newer one, or is older than 24 hours."),
}
_FOR_A_LOGIN = frozenset(
    {Reason.STEP_UP_NEEDED, Reason.LOGIN_TOO_OLD, Reason.LOGIN_TOO_WEAK, Reason.LOGIN_ENDED, Reason.NOT_A_ROOT}
)


def _words(refused: Refused) -> str:
    return _WORDS.get(refused.reason) or message_for(refused)


def _may_begin(session: LoginSession, *, now: datetime) -> Reason | None:
    """True if this login may add any key: the lowest level of a key is AAL2."""
    strongest = status.highest_root_level(session.account, now=now)
    return refusal_to_add(login_of(session.event), reaches=AAL.AAL2, strongest=strongest, now=now)


# --- under a login ----------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    """Name a key and register it."""
    session = signed_in(request)
    if session is None:
        return fresh_login_needed("", next_path=_ADD)
    now = clock.now()
    if reason := _may_begin(session, now=now):
        return _login_again(reason)
    values = {
        "error": None,
        "reaches": int(login_of(session.event).aal),
        "strongest": int(status.highest_root_level(session.account, now=now)),
    }
    if request.method == "GET":
        return pages.page(request, "passkey_add", values)
    try:
        ceremony, verified = registered(request, session.account, REGISTER, now=now)
        row = bind(session, ceremony, verified, name=named(request, verified), now=now)
    except Refused as refused:
        if refused.reason in _FOR_A_LOGIN:
            return _login_again(refused.reason)
        return pages.page(
            request,
            "passkey_add",
            {**values, "error": _words(refused)},
            status=409 if refused.reason == Reason.KEY_SEEN_BEFORE else 400,
        )
    return redirect("root-passkey", credential_id=row.id)


def _login_again(reason: Reason) -> HttpResponse:
    return fresh_login_needed(_WORDS.get(reason) or error_response(reason).words, next_path=_ADD)


@require_http_methods(["POST"])
def add_options(request: HttpRequest) -> HttpResponse:
    """A registration challenge, excluding every key of the account."""
    session, now = signed_in(request), clock.now()
    if session is None or _may_begin(session, now=now) is not None:
        return JsonResponse({"error": "login_required"}, status=403)
    return options(request, session.account, REGISTER, now=now, user_verification=False)


def bind(
    session: LoginSession, ceremony: Ceremony, verified: RegisteredPasskey, *, name: str, now: datetime
) -> Credential:
    """Record a verified key under the login of a session, checked again under the lock (AU-1, ruling 5).

    Raises: Refused with the reason of eligibility, Refused(KEY_SEEN_BEFORE), AlreadySpent.
    """

    def work(account: Account) -> Credential:
        fresh = session_under_lock(session.id, account)
        if not is_live(fresh, now=now):
            raise Refused(Reason.LOGIN_ENDED)
        spend_challenge(ceremony, now=now)
        bound_by = BoundBy(how=BoundVia.LOGIN, login=login_of(fresh.event))
        return issue.passkey(account, verified, bound_by=bound_by, name=name, now=now, actor="person")

    return under_lock(session.account_id, work)


# --- as the first root ------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
def invited(request: HttpRequest, token: str) -> HttpResponse:
    """Use a key with user verification instead of a password; it spends the invitation, and a login follows."""
    now = clock.now()
    row = invitation.valid(token, now=now)
    if row is None:
        return _no_invitation(request)
    person = row.account.person
    values = {
        "error": None,
        "address_hint": row.address,
        "display_name": person.display_name(),
        "token": token,
        "password_url": reverse("invitation", args=[token]),
    }
    if request.method == "GET":
        return pages.page(request, "passkey_invited", values)
    try:
        ceremony, verified = registered(request, row.account, INVITED, now=now)
        accept(row, ceremony, verified, name=named(request, verified), now=now)
    except Refused as refused:
        return pages.page(request, "passkey_invited", {**values, "error": _words(refused)}, status=400)
    request.session.pop("enrolling", None)
    return redirect(purpose.asked(next_path=reverse("devices"), why=_TRY_IT).url("login-passkey"))


def _no_invitation(request: HttpRequest) -> HttpResponse:
    return pages.page(request, "invitation_invalid", {"reason": _WORDS[Reason.BAD_CODE]}, status=410)


@require_http_methods(["POST"])
def invited_options(request: HttpRequest, token: str) -> HttpResponse:
    """A registration challenge for the holder of the link; opening it spends nothing."""
    now = clock.now()
    row = invitation.valid(token, now=now)
    if row is None:
        return JsonResponse({"error": "invalid_request"}, status=410)
    return options(request, row.account, INVITED, now=now, user_verification=True)


def accept(row: Invitation, ceremony: Ceremony, verified: RegisteredPasskey, *, name: str, now: datetime) -> Credential:
    """Spend the invitation and record the key, in one transaction.

    Raises: Refused(BAD_CODE), Refused(ALREADY_ENROLLED), Refused(KEY_SEEN_BEFORE), AlreadySpent.
    """

    def work(account: Account) -> Credential:
        invitation.spend(row, account, now=now)
        spend_challenge(ceremony, now=now)
        return issue.passkey(
            account, verified, bound_by=invitation.bound_by(account), name=name, now=now, actor="person"
        )

    return under_lock(row.account_id, work)


# --- what it is worth -------------------------------------------------------------------------------------------------


@require_http_methods(["GET"])
def worth(request: HttpRequest, credential_id: UUID) -> HttpResponse:
    """Show the level of a key, and why (BI-6)."""
    session = signed_in(request)
    if session is None:
        return fresh_login_needed("", next_path=f"/devices/roots/passkey/{credential_id}")
    rows = status.living(session.account_id).filter(id=credential_id, kind=Kind.PASSKEY).select_related("passkey")
    row = rows.first()
    if row is None:
        return pages.problem(
            request, gettext_noop("There is no such key of yours, or it was removed already."), status=404
        )
    values = {
        "name": row.name,
        "aal": int(status.level(row)),
        "model": row.passkey.model,
        "why": reasons(row, row.passkey),
    }
    return pages.page(request, "passkey_worth", values)
