"""Acts on one person: suspend, resume, invite again, sign out, revoke or report a credential, end the account."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from django.http import Http404
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_http_methods

from derived import clock
from derived.errors import Reason, Refused
from derived.ledger import status
from derived.models import AccountStatus
from idp.console.guards import allows, name_of, require
from idp.errors import error_response
from idp.login import session
from scim.access.roles import Extent, Verb
from scim.models import Person
from scim.people import acting
from scim.people.acting import Act, Deed

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest, HttpResponse

_DONE = {
    Act.SUSPEND: gettext_noop("Suspended: nothing of this person works until somebody resumes them."),
    Act.RESUME: gettext_noop("Resumed: everything of this person works again."),
    Act.INVITE: gettext_noop("An invitation goes out; an earlier one no longer works."),
    Act.REVOKE: gettext_noop("It no longer works."),
    Act.LOST: gettext_noop(
        "It no longer works. This person looks through what was added with it in the last seven days."
    ),
    Act.SIGN_OUT: gettext_noop("Signed out. This person can sign in again."),
    Act.END: gettext_noop("Ended, for good: nothing of this person works any more."),
}
_SECOND = gettext_noop("Recorded. A second person must do the same within 7 days. Nothing was changed yet.")
_TOO_LITTLE = gettext_noop("Say why, in 4 to 300 characters on one line. Nothing was changed.")
_NOT_NOW = gettext_noop("That is not possible now: somebody may have done it already. Nothing was changed.")


def offered(found: Person, actor: Person, *, now: datetime) -> dict[str, object]:
    """The acts that are possible on a person and that a role of this actor allows, for the page of the person."""
    state, address = found.account.status, found.invitation_address()
    possible = {
        Act.SUSPEND: state == AccountStatus.ACTIVE,
        Act.SIGN_OUT: state == AccountStatus.ACTIVE,
        Act.RESUME: state == AccountStatus.SUSPENDED and found.held_at is None,
        Act.INVITE: bool(address) and status.may_be_invited(found.account, address or "", now=now),
        Act.REVOKE: True,
        Act.LOST: True,
        Act.END: state != AccountStatus.TERMINATED,
    }
    name = name_of(actor)
    may = {one: possible[one] and bool(acting.allowed(name, one, found, now=now)) for one in Act}
    may[Act.LOST] = may[Act.LOST] and not may[Act.REVOKE]
    return {
        **{one.value.replace("-", "_"): allowed for one, allowed in may.items()},
        "any": any(may.values()),
        "end_waits": acting.waiting_for_second(found, now=now),
        "most_words": acting.MOST_WORDS,
    }


@require_http_methods(["POST"])
@allows(Verb.SEE)
def act(request: HttpRequest, manager: Person, person_id: UUID) -> HttpResponse:
    """Do one act on another person, with a reason that stays in the record (RQ-3)."""
    found = get_object_or_404(Person.objects.select_related("account"), id=person_id)
    wanted, because = request.POST.get("act", ""), request.POST.get("because", "")
    if wanted not in list(Act):
        raise Refused(Reason.ILLEGAL_MOVE)
    answer = require(manager, acting.VERBS[Act(wanted)], found)
    if answer.extent == Extent.LOST and wanted != Act.LOST:
        raise Http404
    is_of_one = wanted in {Act.REVOKE, Act.LOST}
    about = _id(request.POST.get("credential", "")) if is_of_one else None
    if is_of_one and about is None:
        raise Refused(Reason.CREDENTIAL_NOT_LIVE)
    deed = Deed(act=Act(wanted), because=because, actor=name_of(manager), now=clock.now(), about=about)
    try:
        done = _done(found, deed)
    except Refused as refused:
        words = {Reason.BAD_PROOF: _TOO_LITTLE, Reason.ILLEGAL_MOVE: _NOT_NOW}
        request.session["notice"] = words.get(refused.reason, error_response(refused.reason).words)
    else:
        request.session["notice"] = _DONE[Act(wanted)] if done else _SECOND
    return redirect("console-person", person_id=found.id)


def _id(typed: str) -> UUID | None:
    try:
        return UUID(typed)
    except ValueError:
        return None


def _done(found: Person, deed: Deed) -> bool:
    """Do the act; False if a second manager must agree.

    Raises: Refused.
    """
    match deed.act:
        case Act.SUSPEND:
            return acting.suspend_person(found, deed)
        case Act.RESUME:
            return acting.resume_person(found, deed)
        case Act.INVITE:
            return acting.invite_again(found, deed)
        case Act.END:
            return acting.end_person(found, deed)
        case Act.REVOKE | Act.LOST:
            return acting.revoke_credential(found, deed)
        case Act.SIGN_OUT:
            return acting.perform(found, deed, lambda account: session.end_all(account, now=deed.now, actor=deed.actor))
