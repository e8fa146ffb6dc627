"""The requests that somebody decides on, with exactly the terms that they approve."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Concatenate, ParamSpec

from django.shortcuts import redirect
from django.urls import path
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_http_methods

from derived import clock
from derived.errors import Reason, Refused
from derived.models import Request
from derived.rules.assurance import AAL
from derived.rules.kinds import MINT_FRESHNESS
from derived.rules.requests import RequestState
from idp import pages
from idp.errors import answer_to
from idp.login.session import login_of, signed_in
from idp.login.views import fresh_login_needed
from idp.requests import listing, steps, terms
from scim.access import approving, roles
from scim.access.approving import Decision
from scim.models import RoleName

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from django.http import HttpRequest, HttpResponse

    from scim.models import Person

P = ParamSpec("P")
_STRONG = gettext_noop(
    "Deciding on requests needs a sign-in that fake sites cannot steal, in the last 20 minutes: with your card, a"
    " passkey or a security key."
)
_MOST_WORDS = 400


def approvers_only(view: Callable[Concatenate[HttpRequest, Person, P], HttpResponse]) -> Callable[..., HttpResponse]:
    """Decorate a page for approvers and auditors; with a phishing-resistant sign-in at AAL2, fresh for a change."""

    @functools.wraps(view)
    def wrapped(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        session, now = signed_in(request), clock.now()
        back = request.path
        if session is None:
            return fresh_login_needed("", next_path=back)
        person: Person = session.account.person
        if not listing.may_enter(person, now=now):
            return pages.not_found(request)
        login = login_of(session.event)
        if login.aal < AAL.AAL2 or not login.phishing_resistant:
            return fresh_login_needed(_STRONG, next_path=back)
        if request.method == "POST" and now - login.at > MINT_FRESHNESS:
            return fresh_login_needed(_STRONG, next_path=back)
        try:
            return view(request, person, *args, **kwargs)
        except Refused as refused:
            found = answer_to(refused)
            return pages.problem(
                request,
                found.words,
                status=found.status,
                next_step=gettext_noop("Go back to the request, and read it again."),
            )

    return wrapped


@require_http_methods(["GET"])
@approvers_only
def waiting(request: HttpRequest, person: Person) -> HttpResponse:
    """List the requests that wait for this person, the oldest first."""
    found = listing.to_decide(person, request.GET.get("after", ""), now=clock.now())
    rows = [
        {
            "id": row.id,
            "title": steps.title(row),
            "of": row.account.person.display_name(),
            "by": steps.who(row.requested_by),
            "purpose": row.purpose,
            "since": row.created_at,
            "until": row.expires_at,
        }
        for row in found.rows
    ]
    values = {
        "requests": rows,
        "after": found.after,
        "manages": roles.has(person, RoleName.MANAGER, now=clock.now()),
        "notice": request.session.pop("notice", None),
    }
    return pages.page(request, "console_requests", values)


@require_http_methods(["GET", "POST"])
@approvers_only
def request_page(request: HttpRequest, person: Person, request_id: UUID) -> HttpResponse:
    """Show a request with its terms, and decide on it."""
    row = _readable(request_id, person)
    if request.method == "GET":
        return _page(request, person, row, "")
    now, choice = clock.now(), request.POST.get("decision")
    if choice not in {"approve", "refuse"}:
        raise Refused(Reason.ILLEGAL_MOVE)
    decision = Decision(
        approves=choice == "approve",
        words=request.POST.get("words", "")[:_MOST_WORDS],
        shown=request.POST.get("terms", ""),
    )
    try:
        decided = approving.decide(row, person, decision, terms.present, now=now)
    except Refused as refused:
        if refused.reason not in {Reason.BAD_PROOF, Reason.TERMS_CHANGED}:
            raise
        error = (
            gettext_noop("Say why in 4 to 300 letters. The person reads it.")
            if refused.reason == Reason.BAD_PROOF
            else answer_to(refused).words
        )
        status = 400 if refused.reason == Reason.BAD_PROOF else 409
        return _page(request, person, _readable(request_id, person), error, status=status)
    said = {RequestState.APPROVED: "Approved.", RequestState.REFUSED: "Refused."}
    request.session["notice"] = said.get(RequestState(decided.state), "Your approval counts. Another one is needed.")
    return redirect("console-requests")


def _readable(request_id: UUID, person: Person) -> Request:
    """A request that this person decides on, has decided on, or may read.

    Raises: NoRequest.
    """
    rows = Request.objects.select_related("account__person", "requester__person")
    row = rows.filter(id=request_id).first()
    now = clock.now()
    if row is None or not (
        roles.has(person, RoleName.MANAGER, RoleName.AUDITOR, now=now)
        or approving.seat(person, row, now=now) is not None
        or row.decisions.filter(account=person.account_id).exists()
    ):
        raise listing.NoRequest
    return row


def _page(request: HttpRequest, person: Person, row: Request, error: str, *, status: int = 200) -> HttpResponse:
    now = clock.now()
    row = terms.look(row, now=now)
    reason = approving.refusal(person, row, now=now) if row.state == RequestState.WAITING else Reason.ILLEGAL_MOVE
    values = {
        "request_row": {"id": row.id, "title": steps.title(row), "terms_hash": row.terms_hash, "state": row.state},
        "steps": steps.steps(row),
        "terms": steps.shown_terms(row),
        "may_decide": reason is None,
        "is_own": reason == Reason.ILLEGAL_MOVE and row.state == RequestState.WAITING,
        "words": request.POST.get("words", "")[:_MOST_WORDS],
        "error": error,
    }
    return pages.page(request, "console_request", values, status=status)


urlpatterns = [
    path("console/requests", waiting, name="console-requests"),
    path("console/requests/<uuid:request_id>", request_page, name="console-request"),
]
