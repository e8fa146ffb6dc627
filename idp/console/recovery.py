"""The console's way back in for a person who cannot sign in: two managers vouch, and an invitation goes out (RC-1)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext, gettext_noop
from django.views.decorators.http import require_http_methods

from derived import clock
from derived.changes import recovery, temporary_passes
from derived.changes.issue import GivenBy, GivenPass
from derived.changes.recovery import CheckedBy
from derived.errors import Reason, Refused
from derived.ledger.locking import under_lock
from derived.rules.assurance import AAL
from idp import pages
from idp.console.guards import allows, name_of, require
from idp.errors import error_response
from idp.login import temporary_pass
from idp.secrets import grouped
from scim.access.roles import Verb
from scim.models import Person
from scim.people import recovering

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from django.http import HttpRequest, HttpResponse

WAYS = {
    CheckedBy.IN_PERSON: gettext_noop("Face to face, with a photo document"),
    CheckedBy.VIDEO: gettext_noop("In a video call, with a photo document"),
    CheckedBy.CALL_BACK: "I called a number that was known before, and asked what only this person knows",
}
LEAST_PLACE, MOST_PLACE = 2, 120
_NEW_ADDRESS = timedelta(days=30)
_TOO_LITTLE = gettext_noop("Say how you checked who it is, in 8 to 300 characters on one line. Nothing was changed.")


def shown(found: Person, manager: Person, *, now: datetime) -> dict[str, object]:
    """The recovery of one person, for their page: what waits for a second manager, or why nothing can be done."""
    first, obstacle = recovering.waiting(found, now=now, but=name_of(manager)), ""
    try:
        recovery.require_possible(found.account, now=now)
    except Refused as refused:
        obstacle = _obstacle(refused)
    address = found.invitation_address()
    return {
        "address": address,
        "address_changed": found.contact_changed_at
        if found.contact_changed_at and found.contact_changed_at > now - _NEW_ADDRESS
        else None,
        "obstacle": obstacle if address else gettext_noop("No source gave an address, so no invitation can be sent."),
        "ways": [{"value": way.value, "label": label} for way, label in WAYS.items()],
        "first": first,
        "first_way": WAYS.get(CheckedBy(first.said["checked"])) if first is not None else "",
        "most_words": recovery.MOST_WORDS,
    }


def _obstacle(refused: Refused) -> str:
    if refused.reason == Reason.ILLEGAL_MOVE:
        return gettext_noop("This person has never had a way to sign in. Send the invitation again instead.")
    if refused.reason == Reason.RECOVERY_IN_PERSON:
        return gettext_noop("At this person's level it takes a confirmed check in person first: see above.")
    return error_response(refused.reason).words


@require_http_methods(["POST"])
@allows(Verb.VOUCH)
def recover(request: HttpRequest, manager: Person, person_id: UUID) -> HttpResponse:
    """State how the person was checked, or agree to another manager's statement; never about oneself (RQ-3)."""
    found = get_object_or_404(Person.objects.select_related("account"), id=person_id)
    require(manager, Verb.VOUCH, found)
    now, actor = clock.now(), name_of(manager)
    first = recovering.waiting(found, now=now, but=actor)
    given = request.POST
    agrees = given.get("agree") == "yes" and first is not None
    checked, words = (first.said["checked"], first.said["words"]) if agrees and first else ("", "")
    if not agrees:
        checked, words = given.get("checked", ""), given.get("words", "").strip()
    if checked not in list(CheckedBy):
        raise Refused(Reason.BAD_PROOF)
    try:
        done = recovering.recover(found, checked=CheckedBy(checked), words=words, now=now, actor=actor)
    except Refused as refused:
        said = _TOO_LITTLE if refused.reason == Reason.BAD_PROOF else _obstacle(refused)
    else:
        said = (
            gettext("An invitation goes to %(invitation_address)s. All earlier ways to sign in have ended.")
            % {"invitation_address": found.invitation_address()}
            if done
            else gettext_noop("Recorded. A second manager must agree within 7 days. Nothing was changed yet.")
        )
    request.session["notice"] = said
    return redirect("console-person", person_id=found.id)


@require_http_methods(["POST"])
@allows(Verb.CHECK, least=AAL.AAL3)
def give_pass(request: HttpRequest, manager: Person, person_id: UUID) -> HttpResponse:
    """Give a temporary pass to a person who stands before this officer; its code is shown once; never to oneself."""
    found = get_object_or_404(Person.objects.select_related("account"), id=person_id)
    words = request.POST.get("place", "").strip()
    require(manager, Verb.CHECK, found)
    if not found.login_name:
        raise Refused(Reason.ILLEGAL_MOVE)
    if not LEAST_PLACE <= len(words) <= MOST_PLACE or not words.isprintable():
        raise Refused(Reason.BAD_PROOF)
    now, (code, code_hash) = clock.now(), temporary_pass.make()
    row = under_lock(
        found.account_id,
        lambda account: temporary_passes.give(
            account,
            GivenPass(by=GivenBy.OFFICER, code_hash=code_hash, words=words),
            now=now,
            actor=name_of(manager),
        ),
    )
    values = {
        "name": found.display_name(),
        "username": found.login_name,
        "code": grouped(code),
        "until": row.expires_at,
        "person_id": found.id,
    }
    return pages.page(request, "console_pass", values)
