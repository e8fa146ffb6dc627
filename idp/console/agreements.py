"""Trust agreements and cases of redress in the console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext, gettext_lazy, gettext_noop
from django.views.decorators.http import require_http_methods

from derived import clock
from derived.errors import Reason, Refused
from idp import pages
from idp.agreements import redress, register
from idp.console.guards import managers_only, name_of
from idp.models import ClientPolicy, RedressCase
from idp.oidc.claims import claims

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest, HttpResponse

    from scim.models import Person

_MOST = 200
_WORDS = {
    Reason.BAD_PROOF: gettext_lazy("Write %(least_words)s to %(most_words)s characters. We kept what you typed.")
    % {"least_words": redress.LEAST_WORDS, "most_words": redress.MOST_WORDS},
    Reason.NOT_ENTITLED: gettext_noop("This case is about you, or is your own. Another manager answers it."),
    Reason.ILLEGAL_MOVE: gettext_noop("This case was answered before. We changed nothing."),
}


@require_http_methods(["GET"])
@managers_only
def agreements(request: HttpRequest, _manager: Person) -> HttpResponse:
    """List the applications, those without an agreement in force first, and how many cases wait."""
    now = clock.now()
    policies = ClientPolicy.objects.filter(disabled_at__isnull=True).select_related("client").order_by("client__name")
    rows = [_row(one, now=now) for one in policies[:_MOST]]
    values = {
        "rows": sorted(rows, key=lambda row: not row["fault"]),
        "most": _MOST,
        "waiting": redress.waiting().count(),
        "overdue": redress.overdue(now=now),
    }
    return pages.page(request, "console_agreements", values)


def _row(policy: ClientPolicy, *, now: datetime) -> dict[str, Any]:
    client_id, found = policy.client.client_id, register.current(policy.client.client_id)
    return {
        "name": policy.client.name or client_id,
        "client_id": client_id,
        "version": found.version if found else None,
        "review_on": found.review_on if found else None,
        "fault": register.fault(client_id, disclosed=claims.disclosed(policy.scopes), now=now),
    }


@require_http_methods(["GET"])
@managers_only
def cases(request: HttpRequest, manager: Person) -> HttpResponse:
    """List the cases that wait for an answer, those that are due first before the others."""
    now = clock.now()
    values = {
        "cases": [
            {**_case(one, now=now), "mine": redress.may_answer(one, manager)} for one in redress.waiting()[:_MOST]
        ],
        "notice": request.session.pop("notice", None),
    }
    return pages.page(request, "console_redress", values)


@require_http_methods(["GET", "POST"])
@managers_only
def case(request: HttpRequest, manager: Person, number: int) -> HttpResponse:
    """Show one case, and answer it, unless it is about this manager (63C-4 §3.5.3)."""
    row = get_object_or_404(RedressCase.objects.select_related("account__person", "event"), pk=number)
    now, status, error = clock.now(), 200, ""
    if request.method == "POST":
        try:
            redress.answer(row, request.POST.get("answer", ""), by=manager, actor=name_of(manager), now=now)
        except Refused as refused:
            if refused.reason not in _WORDS:
                raise
            status, error = (400 if refused.reason == Reason.BAD_PROOF else 409), _WORDS[refused.reason]
        else:
            request.session["notice"] = gettext("Case %(pk)s is answered, and its person is told.") % {"pk": row.pk}
            return redirect("console-redress")
    values = {
        **_case(row, now=now),
        "answer": row.answer or request.POST.get("answer", "")[: redress.MOST_WORDS],
        "answered": row.answered_at,
        "may_answer": row.answered_at is None and redress.may_answer(row, manager),
        "most": redress.MOST_WORDS,
        "error": error,
    }
    return pages.page(request, "console_redress_case", values, status=status)


def _case(row: RedressCase, *, now: datetime) -> dict[str, Any]:
    return {
        "number": row.pk,
        "person": row.account.person.display_name(),
        "person_id": row.account.person.id,
        "client_id": row.client_key,
        "event": row.event,
        "words": row.words,
        "opened": row.opened_at,
        "due": row.due_at,
        "overdue": row.answered_at is None and row.due_at < now,
    }
