"""My requests: asking, for oneself or for others; where each request stands; withdrawing and collecting."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

from django.db.models import Q
from django.shortcuts import redirect
from django.urls import path
from django.utils.translation import gettext, gettext_noop
from django.views.decorators.http import require_http_methods

from derived import clock
from derived.errors import Reason, Refused
from derived.models import Request
from derived.rules.kinds import POLICIES, Label, policy_of
from derived.rules.requests import OPEN, RequestState
from idp import pages
from idp.errors import answer_to
from idp.login.session import signed_in
from idp.login.views import fresh_login_needed
from idp.requests import listing, steps, terms
from idp.requests.terms import FORM_FACTORS, Origin, WrongField
from scim.access import approving, roles
from scim.models import Person, RoleName
from scim.people import directory

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from django.http import HttpRequest, HttpResponse

P = ParamSpec("P")
_FIELDS = (
    "kind", "label", "aal", "form_factor", "model", "serial", "asset_tag", "managed", "purpose", "until", "ticket",
)  # fmt: skip
_LONGEST = 400
_FOR_WHOM = gettext_noop("There is nobody with this login name for whom you can ask.")
_WORDS = {
    Reason.ILLEGAL_MOVE: gettext_noop(
        "There is an open request of this kind. Withdraw it first, or wait for its decision."
    ),
    Reason.NOT_ENTITLED: _FOR_WHOM,
}


def people_only(view: Callable[Concatenate[HttpRequest, Person, P], HttpResponse]) -> Callable[..., HttpResponse]:
    """Decorate a page for signed-in people."""

    @functools.wraps(view)
    def wrapped(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        session = signed_in(request)
        if session is None:
            return fresh_login_needed("", next_path=request.path if request.method == "GET" else "/requests")
        try:
            return view(request, session.account.person, *args, **kwargs)
        except Refused as refused:
            found = answer_to(refused)
            return pages.problem(
                request,
                found.words,
                status=found.status,
                next_step=gettext_noop("Go back to My requests: it has changed meanwhile."),
            )

    return wrapped


@require_http_methods(["GET"])
@people_only
def mine(request: HttpRequest, person: Person) -> HttpResponse:
    """List the requests of a person and those that they made for others, the newest first."""
    rows = Request.objects.filter(Q(account=person.account_id) | Q(requester=person.account_id))
    found = listing.page(rows.select_related("account__person", "requester__person"), request.GET.get("after", ""))
    values = {
        "requests": [_shown(terms.look(one, now=clock.now()), person) for one in found.rows],
        "after": found.after,
        "notice": request.session.pop("notice", None),
        "decides": listing.may_enter(person, now=clock.now()),
    }
    return pages.page(request, "requests", values)


def _shown(row: Request, person: Person) -> dict[str, Any]:
    is_mine = row.account_id == person.account_id
    return {
        "id": row.id,
        "title": steps.title(row),
        "state": row.state,
        "state_words": steps.NAMES[RequestState(row.state)],
        "is_open": row.state in OPEN,
        "is_mine": is_mine,
        "of": "" if is_mine else row.account.person.display_name(),
        "by": steps.who(row.requested_by) if row.requester_id not in {None, row.account_id} else "",
        "purpose": row.purpose,
        "since": row.created_at,
        "until": row.expires_at,
        "collect": is_mine and row.state == RequestState.APPROVED,
        "reason": row.reason if row.state == RequestState.REFUSED else "",
    }


@require_http_methods(["GET", "POST"])
@people_only
def ask(request: HttpRequest, person: Person) -> HttpResponse:
    """Ask for a credential: for oneself, for a report, or as an identity manager for anybody."""
    if request.method == "GET":
        return _form(request, person, None)
    said = {name: request.POST.get(name, "")[:_LONGEST] for name in (*_FIELDS, "login_name")}
    now = clock.now()
    try:
        want, subject = terms.wanted(said, now=now), _subject(said["login_name"], person)
        row = terms.ask(subject, person, want, Origin(channel="page"), now=now)
    except WrongField as wrong:
        return _form(request, person, wrong)
    except Refused as refused:
        if refused.reason == Reason.NOT_ENTITLED:
            return _form(request, person, WrongField("login_name", _FOR_WHOM))
        return _form(request, person, WrongField("", _WORDS.get(refused.reason) or answer_to(refused).words))
    request.session["notice"] = (
        gettext_noop("Approved: you can collect it now.")
        if row.state == RequestState.APPROVED and row.account_id == person.account_id
        else gettext_noop("Your request is recorded. You get a mail when it is decided.")
    )
    return redirect("request", request_id=row.id)


def _subject(login_name: str, asker: Person) -> Person:
    """The person whom a request is for.

    Raises: WrongField, with the same words for somebody who does not exist and somebody for whom they may not ask.
    """
    if not login_name.strip():
        return asker
    found = directory.person_by_login_name(login_name.strip())
    if found is None:
        raise WrongField("login_name", _FOR_WHOM)
    return found


def _form(request: HttpRequest, person: Person, wrong: WrongField | None) -> HttpResponse:
    given = request.POST if request.method == "POST" else request.GET
    values = {
        "values": {name: given.get(name, "")[:_LONGEST] for name in (*_FIELDS, "login_name")},
        "kinds": [(kind.value, gettext(policy_of(kind).label)) for kind in POLICIES if policy_of(kind).is_derived],
        "labels": [(Label.GENERIC.value, "Generic"), (Label.DERIVED_PIV.value, gettext_noop("Derived PIV"))],
        "form_factors": FORM_FACTORS,
        "wrong": wrong,
        "error": wrong is not None,
        "for_others": _asks_for_others(person),
    }
    return pages.page(request, "request_ask", values, status=400 if wrong else 200)


def _asks_for_others(person: Person) -> bool:
    return roles.has(person, RoleName.MANAGER, now=clock.now()) or roles.reports_of(person).exists()


@require_http_methods(["GET"])
@people_only
def shown(request: HttpRequest, person: Person, request_id: UUID) -> HttpResponse:
    """Show where a request stands, and its terms."""
    row = terms.look(_own(request_id, person), now=clock.now())
    values = {
        "request_row": _shown(row, person),
        "steps": steps.steps(row),
        "terms": steps.shown_terms(row),
        "notice": request.session.pop("notice", None),
    }
    return pages.page(request, "request", values)


def _own(request_id: UUID, person: Person) -> Request:
    """A request of this person, or one that they made.

    Raises: NoRequest.
    """
    rows = Request.objects.filter(Q(account=person.account_id) | Q(requester=person.account_id), id=request_id)
    found = rows.select_related("account__person", "requester__person").first()
    if found is None:
        raise listing.NoRequest
    return found


@require_http_methods(["POST"])
@people_only
def withdraw(request: HttpRequest, person: Person, request_id: UUID) -> HttpResponse:
    """Withdraw a request before it is collected."""
    approving.withdraw(_own(request_id, person), person, now=clock.now())
    request.session["notice"] = gettext_noop("Withdrawn. Nothing was issued.")
    return redirect("requests")


@require_http_methods(["GET"])
@people_only
def collect(_request: HttpRequest, person: Person, request_id: UUID) -> HttpResponse:
    """Lead the subject, and nobody else, to the page of the kind; everything is checked again there."""
    row = terms.look(_own(request_id, person), now=clock.now())
    if row.account_id != person.account_id:
        raise listing.NoRequest
    if row.state != RequestState.APPROVED:
        return redirect("request", request_id=row.id)
    return redirect(terms.collect_page(row))


urlpatterns = [
    path("requests", mine, name="requests"),
    path("requests/new", ask, name="request-ask"),
    path("requests/<uuid:request_id>", shown, name="request"),
    path("requests/<uuid:request_id>/withdraw", withdraw, name="request-withdraw"),
    path("requests/<uuid:request_id>/collect", collect, name="request-collect"),
]
