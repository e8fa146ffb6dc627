"""Refused pushes in the console; one that would have ended somebody is suspended or dismissed with a click."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.shortcuts import redirect
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_http_methods

from derived import clock
from derived.errors import Reason, Refused
from idp import pages
from idp.console.guards import allows, name_of, require
from scim.access.roles import Verb
from scim.people import refusals

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from scim.models import Person, RefusedPush

_MOST = 100
_ACTS = {
    "suspend": (
        refusals.suspend_person,
        gettext_noop("Suspended: nothing of this person works until somebody resumes them."),
    ),
    "dismiss": (refusals.dismiss, gettext_noop("Dismissed: this person stays active.")),
}


@require_http_methods(["GET", "POST"])
@allows(Verb.READ, post=Verb.CARE)
def refused(request: HttpRequest, manager: Person) -> HttpResponse:
    """The alarms, then all refused pushes; a POST decides about an alarm, and nobody about themselves."""
    if request.method == "POST":
        return _decide(request, manager)
    values = {
        "alarms": [shown(one) for one in refusals.alarms()[:_MOST]],
        "others": [shown(one) for one in refusals.latest()[:_MOST]],
        "most": _MOST,
        "notice": request.session.pop("notice", None),
    }
    return pages.page(request, "console_refused", values)


def shown(row: RefusedPush) -> dict[str, Any]:
    """A refused push, for a page."""
    return {
        "id": row.id,
        "person_id": row.person_id,
        "name": row.person.display_name() if row.person else "",
        "source": row.source.name,
        "request": row.request,
        "status": row.status,
        "detail": row.detail,
        "count": row.count,
        "at": row.last_at,
        "ends": row.ends,
    }


def _decide(request: HttpRequest, manager: Person) -> HttpResponse:
    """Suspend the person of an alarm, or dismiss it.

    Raises: Refused(ILLEGAL_MOVE).
    """
    number, decision = (request.POST.get(name, "")[:20] for name in ("push", "decision"))  # 20 digits at most
    row = refusals.alarms().filter(id=int(number)).first() if number.isascii() and number.isdecimal() else None
    if row is None or decision not in _ACTS:
        raise Refused(Reason.ILLEGAL_MOVE)
    if row.person is not None:
        require(manager, Verb.CARE if decision == "dismiss" else Verb.SUSPEND, row.person)
    act, words = _ACTS[decision]
    act(row, now=clock.now(), actor=name_of(manager))
    request.session["notice"] = words
    return redirect("console-refused")
