"""The yearly review of derived credentials: due people with today's policy, and orphans (MT-10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import Exists, OuterRef
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods

from derived import clock
from derived.changes import access_review
from derived.errors import Reason, Refused
from derived.ledger import status
from derived.ledger.locking import under_lock
from derived.models import AccountStatus
from derived.rules.kinds import Kind, policy_of
from idp import pages
from idp.console.guards import allows, name_of, require
from idp.policies import issuance as rulebook
from scim.access.roles import Verb
from scim.models import Person, Record

if TYPE_CHECKING:
    from uuid import UUID

    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse

    from derived.models import Account, Credential

_MOST = 100


@require_http_methods(["GET"])
@allows(Verb.READ)
def needs(request: HttpRequest, manager: Person) -> HttpResponse:
    """List the people whose review is due, the longest first, and the orphans."""
    due = access_review.due(now=clock.now())
    values = {
        "due": [_shown(one, manager) for one in due.select_related("person")[:_MOST]],
        "more": max(0, due.count() - _MOST),
        "orphans": [
            {"name": _name(one), "root": one.root.name if one.root else "", "person": one.account.person}
            for one in access_review.orphans().select_related("account__person")[:_MOST]
        ],
        "nobodys": list(without_source()[:_MOST]),
        "days": access_review.PERIOD.days,
        "notice": request.session.pop("notice", None),
    }
    return pages.page(request, "console_needs", values)


@require_http_methods(["POST"])
@allows(Verb.CARE)
def decide(request: HttpRequest, manager: Person, person_id: UUID) -> HttpResponse:
    """Record a review: keep, or end; never one's own."""
    person, decision = get_object_or_404(Person, id=person_id), request.POST.get("decision")
    if decision not in {"keep", "end"}:
        raise Refused(Reason.ILLEGAL_MOVE)
    require(manager, Verb.CARE if decision == "keep" else Verb.REVOKE, person)
    move = access_review.keep_all if decision == "keep" else access_review.end_all
    now = clock.now()
    many = under_lock(person.account_id, lambda account: move(account, now=now, actor=name_of(manager)))
    request.session["notice"] = (
        gettext("%(who)s: %(count)s stay. It is on record.")
        if decision == "keep"
        else gettext("%(who)s: %(count)s ended. It is on record.")
    ) % {"who": person.display_name(), "count": many}
    return redirect("console-needs")


def without_source() -> QuerySet[Person]:
    """Active people for whom no enabled source has a record."""
    said = Record.objects.filter(person=OuterRef("pk"), deleted_at__isnull=True, source__disabled_at__isnull=True)
    return Person.objects.filter(~Exists(said), account__status=AccountStatus.ACTIVE).order_by("user_name")


def objections(account: Account, row: Credential) -> list[str]:
    """The reasons why today's policy would not issue a credential to this person; the device is not judged again."""
    terms, found = rulebook.rules().of(Kind(row.kind)), []
    if not account.eligible:
        found.append("the person may not hold derived credentials")
    if not terms.offered:
        found.append("this kind is not issued any more")
    if terms.groups and not terms.groups & rulebook.groups_of(account.person):
        found.append("the person is in none of the groups that it is issued to")
    if not status.is_live(row, account, now=clock.now()):
        found.append("it does not sign in at present")
    return found


def _shown(account: Account, manager: Person) -> dict[str, Any]:
    rows = [
        {"name": _name(one), "since": one.created_at, "used": one.last_used_at, "objections": objections(account, one)}
        for one in access_review.derived_credentials(account)
    ]
    return {"person": account.person, "own": account.person.id == manager.id, "rows": rows}


def _name(row: Credential) -> str:
    return row.name or gettext(policy_of(Kind(row.kind)).label)
