"""Bind a card: under a login, in place of an old one (ruling 8), or as the first root of an invitation.

A card's level is known only after it was presented. So eligibility is checked before the visit to the certificate host
for the highest level of a card, and again under the lock for the actual one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.shortcuts import redirect
from django.utils.translation import gettext, gettext_noop
from django.views.decorators.http import require_http_methods

from derived import clock
from derived.changes import issue, renew
from derived.errors import AlreadySpent, Reason, Refused, Unavailable
from derived.ledger import status
from derived.ledger.locking import under_lock
from derived.rules.assurance import AAL
from derived.rules.eligibility import BoundBy, BoundVia, refusal_to_add
from derived.rules.lifecycle import LIVING
from idp import pages
from idp.config import config
from idp.enrol.roots import invitations as invitation
from idp.errors import error_response
from idp.login import card, flow, hop
from idp.login.card_views import refusal, to_the_card
from idp.login.session import establish, is_live, login_of, session_under_lock, signed_in
from idp.login.views import fresh_login_needed
from idp.models import Invitation

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest, HttpResponse

    from derived.changes.issue import VerifiedCertificate
    from derived.models import Account, Credential
    from idp.models import CertificateLogin, LoginSession

_ADD = "/devices/roots/card/add"
_NAME = "PIV or CAC card"
_WORDS = {
    Reason.STEP_UP_NEEDED: (
        gettext_noop(
            "This account can reach AAL3, and so can a card. Sign in with your strongest way of signing in first."
        )
    ),
    Reason.LOGIN_TOO_OLD: gettext_noop("Adding a card needs a sign-in with two factors in the last 20 minutes."),
    Reason.LOGIN_TOO_WEAK: gettext_noop("Adding a card needs a sign-in with two factors in the last 20 minutes."),
    Reason.LOGIN_ENDED: gettext_noop("Sign in again, and then add the card."),
    Reason.NOT_A_ROOT: error_response(Reason.NOT_A_ROOT).words,
}


def _why_not(session: LoginSession, *, now: datetime, replaces: Credential | None = None) -> Reason | None:
    strongest = _strongest(session.account, replaces, now=now)
    return refusal_to_add(login_of(session.event), reaches=AAL.AAL3, strongest=strongest, now=now)


def _strongest(account: Account, replaces: Credential | None, *, now: datetime) -> AAL:
    """The account's highest level; a card that is being replaced does not count (AU-1)."""
    others = [one for one in status.live_roots(account, now=now) if replaces is None or one.id != replaces.id]
    return max((status.level(one) for one in others), default=AAL.NONE)


@require_http_methods(["GET", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    """Explain the level, then go to the certificate host."""
    session, now = signed_in(request), clock.now()
    if session is None:
        return fresh_login_needed("", next_path=_ADD)
    olds = card.cards_of(session.account)
    chosen = next((one for one in olds if str(one.id) == request.POST.get("replaces", "")), None)
    if reason := _why_not(session, now=now, replaces=chosen or (olds[0] if olds else None)):
        return fresh_login_needed(_WORDS.get(reason) or error_response(reason).words, next_path=_ADD)
    try:
        card.require_on(now=now)
        if request.method == "POST":
            subject = f"{session.account_id.hex}{chosen.id.hex if chosen else ''}"
            return to_the_card(card.begin(request, card.CardPurpose.ADD, subject=subject, now=now))
    except Refused as refused:
        return refusal(request, refused)
    values = {
        "reaches": int(login_of(session.event).aal),
        "certificate_host": hop.netloc(),
        "olds": [
            {"id": one.id, "name": one.name, "added": one.created_at, "living": one.state in LIVING} for one in olds
        ],
    }
    return pages.permit_form_target(pages.page(request, "card_add", values), config().certificate_url)


@require_http_methods(["GET"])
def added(request: HttpRequest) -> HttpResponse:
    """Back from the certificate host: bind the card, if the same person is still signed in."""
    session, now = signed_in(request), clock.now()
    try:
        row, verified = card.take_result(request, card.CardPurpose.ADD, now=now)
        if session is None or session.account_id.hex != row.subject[:32]:
            raise AlreadySpent
        new = bind(session, row, verified, now=now)
        if row.subject[32:]:
            # The old card may have carried this session; the new one has just been shown, PIN and all.
            establish(request, new, verified.shown, now=now)
    except (Refused, Unavailable) as refused:
        if refused.reason in _WORDS:
            return fresh_login_needed(_WORDS[refused.reason], next_path=_ADD)
        return refusal(request, refused)
    request.session["notice"] = gettext("Your card was added. It is worth AAL%(aal)s here.") % {"aal": new.aal}
    return redirect("devices")


def bind(session: LoginSession, row: CertificateLogin, verified: VerifiedCertificate, *, now: datetime) -> Credential:
    """Record a presented card under the login of a session, checked again under the lock (AU-1, rulings 5 and 8).

    Raises: AlreadySpent, Refused with the reason of eligibility, Refused(HELD_BY_ANOTHER), Refused(ALREADY_ENROLLED).
    """
    replaced = row.subject[32:]

    def work(account: Account) -> Credential:
        fresh = session_under_lock(session.id, account)
        if not is_live(fresh, now=now):
            raise Refused(Reason.LOGIN_ENDED)
        card.spend_result(row, now=now)
        bound_by = BoundBy(how=BoundVia.LOGIN, login=login_of(fresh.event))
        if not replaced:
            return issue.certificate(account, verified, bound_by=bound_by, name=_NAME, now=now, actor="person")
        old = next((one for one in card.cards_of(account) if one.id.hex == replaced), None)
        if old is None:
            raise Refused(Reason.ILLEGAL_MOVE)
        return renew.card(account, old, verified, bound_by=bound_by, name=_NAME, now=now, actor="person")

    return under_lock(session.account_id, work)


# --- as the first root ------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
def invited(request: HttpRequest, token: str) -> HttpResponse:
    """Use a card instead of a password. Opening the page spends nothing."""
    now = clock.now()
    row = invitation.valid(token, now=now)
    if row is None:
        return _no_invitation(request)
    try:
        card.require_on(now=now)
        if request.method == "POST":
            request.session.cycle_key()
            return to_the_card(card.begin(request, card.CardPurpose.INVITATION, subject=row.token_hash, now=now))
    except Refused as refused:
        return refusal(request, refused)
    person = row.account.person
    values = {
        "address_hint": row.address,
        "display_name": person.display_name(),
        "certificate_host": hop.netloc(),
        "password_url": f"/invitation/{token}",
    }
    return pages.permit_form_target(pages.page(request, "card_invited", values), config().certificate_url)


def _no_invitation(request: HttpRequest) -> HttpResponse:
    reason = gettext_noop("This invitation was used, replaced by a newer one, or is older than 24 hours.")
    return pages.page(request, "invitation_invalid", {"reason": reason}, status=410)


@require_http_methods(["GET"])
def invited_done(request: HttpRequest) -> HttpResponse:
    """Back from the certificate host: spend the invitation, record the card, and sign in; its key was just proven."""
    now = clock.now()
    try:
        row, verified = card.take_result(request, card.CardPurpose.INVITATION, now=now)
        invited_row = Invitation.objects.select_related("account__person").filter(token_hash=row.subject).first()
        if invited_row is None:
            raise AlreadySpent
        new = accept(invited_row, row, verified, now=now)
        establish(request, new, verified.shown, now=now)
    except (Refused, Unavailable) as refused:
        return _no_invitation(request) if refused.reason == Reason.BAD_CODE else refusal(request, refused)
    request.session["notice"] = gettext(
        "Welcome. Your card is worth AAL%(aal)s here; add a second way of signing in when you can."
    ) % {"aal": new.aal}
    return flow.finish(request, new)


def accept(row: Invitation, shown: CertificateLogin, verified: VerifiedCertificate, *, now: datetime) -> Credential:
    """Spend the invitation and record the card, in one transaction.

    Raises: Refused(BAD_CODE), Refused(ALREADY_ENROLLED), Refused(HELD_BY_ANOTHER), Refused(NOT_A_ROOT), AlreadySpent.
    """
    if verified.derived:
        raise Refused(Reason.NOT_A_ROOT)

    def work(account: Account) -> Credential:
        invitation.spend(row, account, now=now)
        card.spend_result(shown, now=now)
        return issue.certificate(
            account, verified, bound_by=invitation.bound_by(account), name=_NAME, now=now, actor="person"
        )

    return under_lock(row.account_id, work)
