"""Held people in the console: a manager lets them end or gives them back, one by one or all of a source (ruling 28)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Count
from django.shortcuts import redirect
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods

from derived import clock
from derived.errors import Reason, Refused
from idp import pages
from idp.console.guards import allows, name_of, require
from scim.access.roles import Verb
from scim.people import held

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from scim.models import Person

_MOST = 100
_ACTS = {"end": (held.end, "ended"), "give-back": (held.give_back, "given back")}


@require_http_methods(["GET", "POST"])
@allows(Verb.READ, post=Verb.END)
def waiting(request: HttpRequest, manager: Person) -> HttpResponse:
    """The held people by source, and the decision; nobody decides about themselves."""
    if request.method == "POST":
        return _decide(request, manager)
    rows = held.waiting()
    values = {
        "people": [
            {"id": one.id, "name": one.display_name(), "login_name": one.login_name, "since": one.held_at}
            | {"source": one.held_by.name if one.held_by else ""}
            for one in rows[:_MOST]
        ],
        "sources": list(rows.order_by().values("held_by__name").annotate(count=Count("id")).order_by("held_by__name")),
        "most": _MOST,
        "notice": request.session.pop("notice", None),
    }
    return pages.page(request, "console_held", values)


def _decide(request: HttpRequest, manager: Person) -> HttpResponse:
    """Decide about one person, or about everybody whom a source ended.

    Raises: Refused(ILLEGAL_MOVE).
    """
    person_id, source, decision = (request.POST.get(name, "")[:64] for name in ("person", "source", "decision"))
    if decision not in _ACTS or bool(person_id) == bool(source):
        raise Refused(Reason.ILLEGAL_MOVE)
    act, words = _ACTS[decision]
    rows = held.waiting(source) if source else held.waiting()
    people = [one for one in rows if not person_id or str(one.id) == person_id]
    verb = Verb.READMIT if decision == "give-back" else Verb.END
    for one in people:
        require(manager, verb, one)
    done = [act(one, now=clock.now(), actor=name_of(manager)) for one in people]
    waits = gettext("%(count)s recorded. A second manager must do the same within 7 days. Nothing was changed yet.") % {
        "count": len(people)
    }
    request.session["notice"] = waits if False in done else f"{len(people)} {words}."
    return redirect("console-held")
