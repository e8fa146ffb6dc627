"""The quarterly review of roles in the console, and the review of emergency access (EV-9, RL-8)."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from derived import clock
from derived.errors import Reason, Refused
from idp import pages
from idp.console.guards import allows, name_of
from idp.console.roles import named
from idp.errors import error_response
from scim.access import roles
from scim.access.roles import Verb
from scim.models import EmergencyAccess, ReviewedRole, RoleName
from scim.people import opening, reviewing

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from scim.models import Person

_PAGE = 50
_MOST_DIGITS = 18  # of a row number
_TOO_LITTLE = "Say why, in 4 to 300 characters on one line; of an emergency access, what you found, in 8 at least."
_NOT_BY_YOU = "You cannot decide this: it is about you, or somebody has decided it already."


@require_http_methods(["GET", "POST"])
@allows(Verb.READ)
def reviews(request: HttpRequest, person: Person) -> HttpResponse:
    """List the roles that wait for a decision, 50 a page, and the emergency accesses that nobody has reviewed."""
    if request.method == "POST":
        return _decide(request, person)
    after, now = _number(request.GET.get("after", "")), clock.now()
    rows = list(reviewing.waiting().filter(id__gt=after).order_by("id")[: _PAGE + 1])
    values = {
        "roles": [_shown(one, person) for one in rows[:_PAGE]],
        "after": rows[_PAGE - 1].pk if len(rows) > _PAGE else None,
        "decides": bool(roles.may(person, Verb.APPOINT, now=now)),
        "emergencies": [
            {
                "id": one.pk,
                "first": one.first.display_name(),
                "second": one.second.display_name(),
                "because": one.because,
                "opened_at": one.opened_at,
                "until": one.until,
                "late": one.opened_at <= now - opening.REVIEWED_WITHIN,
                "own": person.id in {one.first_id, one.second_id},
            }
            for one in opening.unreviewed()[:_PAGE]
        ],
        "notice": request.session.pop("notice", None),
    }
    return pages.page(request, "console_reviews", values)


def _shown(row: ReviewedRole, person: Person) -> dict[str, Any]:
    said = row.snapshot
    return {
        "id": row.pk,
        "person": row.role.person.display_name(),
        "person_id": row.role.person_id,
        "login_name": said["login_name"],
        "role": RoleName(said["role"]).label,
        "scope": ", ".join(part for part in roles.parts_of(said["scope"]) if part),
        "since": _time(said["since"]),
        "last_used": _time(said["last_used_at"]),
        "given_by": named(said["given_by"]),
        "excluded_by": ", ".join(RoleName(one).label for one in said["excluded_by"]),
        "due": row.review.due_at,
        "suspended": row.decision == reviewing.SUSPENDED,
        "own": row.role.person_id == person.id,
    }


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _decide(request: HttpRequest, person: Person) -> HttpResponse:
    """Keep or end a role, or record what an emergency access was found to be."""
    number, decision = _number(request.POST.get("number", "")), request.POST.get("decision", "")
    words, now = request.POST.get("because", ""), clock.now()
    try:
        if decision == "reviewed":
            access = EmergencyAccess.objects.select_related("first", "second").filter(pk=number).first()
            if access is None:
                raise Refused(Reason.ILLEGAL_MOVE)
            opening.review(access, findings=words, actor=name_of(person), now=now)
        else:
            row = reviewing.waiting().filter(pk=number).first()
            if row is None:
                raise Refused(Reason.ILLEGAL_MOVE)
            reviewing.decide(row, decision, because=words, actor=name_of(person), now=now)
    except Refused as refused:
        said = {Reason.BAD_PROOF: _TOO_LITTLE, Reason.ILLEGAL_MOVE: _NOT_BY_YOU}
        request.session["notice"] = said.get(refused.reason, error_response(refused.reason).words)
    else:
        request.session["notice"] = "It is on record."
    return redirect("console-reviews")


def _number(typed: str) -> int:
    return int(typed) if typed.isascii() and typed.isdecimal() and len(typed) <= _MOST_DIGITS else 0
