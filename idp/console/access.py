"""Access to applications: a person's own access and requests, and the decisions of managers and owners (EN-1)."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext, gettext_noop
from django.views.decorators.http import require_http_methods

from derived import clock
from derived.errors import Reason, Refused
from idp import clients, pages
from idp.console.guards import deciders_only, name_of
from idp.errors import error_response
from idp.login.session import signed_in
from idp.login.views import fresh_login_needed
from scim.access import entitlements, requests, roles
from scim.models import Access, AccessRule, AccessState, RoleName

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse

    from scim.models import Person

_MOST_DIGITS = 3  # of days: a year at most
P = ParamSpec("P")
_MOST = 100
_MOST_PAST = 10
_SPANS = (1, 7, 30, 90, 180, 365)
_STATES = {
    AccessState.REQUESTED: "waits",
    AccessState.ASSIGNED: "yours",
    AccessState.REFUSED: "refused",
    AccessState.REMOVED: "over",
}


def _people(view: Callable[Concatenate[HttpRequest, Person, P], HttpResponse]) -> Callable[..., HttpResponse]:
    """Decorate a page for signed-in people."""

    @functools.wraps(view)
    def wrapped(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        session = signed_in(request)
        if session is None:
            return fresh_login_needed("", next_path="/access")
        try:
            return view(request, session.account.person, *args, **kwargs)
        except Refused as refused:
            words = error_response(refused.reason)
            return pages.problem(
                request,
                words.words,
                status=words.status,
                next_step=gettext_noop("Go back to My access and look at it again: it has changed meanwhile."),
            )

    return wrapped


@require_http_methods(["GET"])
@_people
def mine(request: HttpRequest, person: Person) -> HttpResponse:
    """List a person's access with its end, their requests and decisions, and the rules that they may ask for."""
    return _mine(request, person)


def _mine(request: HttpRequest, person: Person, *, wrong: int | None = None) -> HttpResponse:
    now = clock.now()
    rows = list(person.accesses.select_related("rule").order_by("-requested_at")[:_MOST])
    live = [one for one in rows if requests.still_holds(one, person, now=now)]
    offers = [_offer(one, person) for one in requests.requestable_rules(person)]
    values = {
        "has": [_shown(one) for one in live if one.state == AccessState.ASSIGNED],
        "waits": [_shown(one) for one in live if one.state == AccessState.REQUESTED],
        "past": [_shown(one) for one in rows if one not in live][:_MOST_PAST],
        "offers": offers,
        "wrong": wrong,
        "error": wrong is not None,
        "notice": request.session.pop("notice", None),
        "decides": roles.has(person, RoleName.MANAGER, RoleName.OWNER, now=now),
        "to_decide": requests.waiting_for(person, now=now).count(),
    }
    return pages.page(request, "access", values, status=400 if wrong else 200)


def _shown(access: Access) -> dict[str, Any]:
    over = access.state in {AccessState.REQUESTED, AccessState.ASSIGNED}
    return {
        "id": access.id,
        "client": _name(access.rule),
        "entitlement": access.rule.entitlement,
        "purpose": access.purpose,
        "since": access.requested_at,
        "until": access.expires_at,
        "decided_at": access.decided_at,
        "ended_at": access.ended_at or access.decided_at,
        "reason": access.reason,
        "state": _STATES[AccessState(access.state)],
        "counts": over,
    }


def _offer(rule: AccessRule, person: Person) -> dict[str, Any]:
    return {
        "id": rule.id,
        "client": _name(rule),
        "entitlement": rule.entitlement,
        "words": rule.words,
        "days": rule.most_days,
        "rule": entitlements.rule_result(rule, person).asks,
    }


def _name(rule: AccessRule) -> str:
    party = clients.find(rule.client_key)
    return party.name if party else rule.client_key


@require_http_methods(["POST"])
@_people
def ask(request: HttpRequest, person: Person, number: int) -> HttpResponse:
    """Request the access of a rule, with a reason."""
    rule = get_object_or_404(AccessRule, id=number, by_request=True, ended_at=None)
    purpose = request.POST.get("purpose", "")
    if not purpose.strip() or not purpose.isprintable():
        return _mine(request, person, wrong=rule.id)
    requests.request_access(person, rule, purpose=purpose, now=clock.now(), actor=requests.actor_of(person))
    request.session["notice"] = gettext("Asked for %(what)s. You are told by mail when somebody has decided.") % {
        "what": _name(rule)
    }
    return redirect("access")


@require_http_methods(["POST"])
@_people
def withdraw(request: HttpRequest, person: Person, number: int) -> HttpResponse:
    """Withdraw a request, or give up access."""
    row = get_object_or_404(Access.objects.select_related("person"), id=number, person=person)
    requests.withdraw(row, now=clock.now(), actor=requests.actor_of(person))
    request.session["notice"] = gettext_noop("Done: you no longer have it, and ask for it no longer.")
    return redirect("access")


# --- deciding ---------------------------------------------------------------------------------------------------------


@require_http_methods(["GET"])
@deciders_only
def review(request: HttpRequest, decider: Person) -> HttpResponse:
    """List the requests that wait for this manager or owner, each with the rule's evaluation of the person."""
    return _review(request, decider)


def _review(request: HttpRequest, decider: Person, *, wrong: int | None = None) -> HttpResponse:
    waiting = requests.waiting_for(decider, now=clock.now())
    values = {
        "requests": [_waiting(one, decider) for one in waiting[:_MOST]],
        "more": max(0, waiting.count() - _MOST),
        "wrong": wrong,
        "error": wrong is not None,
        "manages": entitlements.decides_all(decider, now=clock.now()),
        "notice": request.session.pop("notice", None),
    }
    return pages.page(request, "access_review", values, status=400 if wrong else 200)


def _waiting(access: Access, decider: Person) -> dict[str, Any]:
    person, most = access.person, access.rule.most_days
    return {
        **_shown(access),
        "person": person.display_name(),
        "person_id": person.id,
        "login_name": person.login_name,
        "words": access.rule.words,
        "title": person.profile.get("title", ""),
        "by_other": access.requested_by != requests.actor_of(person),
        "own": requests.is_own(access, decider),
        "verdict": entitlements.rule_result(access.rule, person),
        "spans": sorted({one for one in _SPANS if one < most} | {most}),
        "most": most,
    }


@require_http_methods(["POST"])
@deciders_only
def decide(request: HttpRequest, decider: Person, number: int) -> HttpResponse:
    """Approve for a limited time, or refuse with a reason."""
    row = get_object_or_404(Access.objects.select_related("person", "rule"), id=number)
    if not entitlements.may_decide(decider, row.rule, now=clock.now()):
        return pages.problem(request, gettext_noop("There is no such request."), status=404)
    now, reason = clock.now(), request.POST.get("reason", "")
    match request.POST.get("decision"):
        case "approve":
            requests.approve(row, by=decider, days=_days(request), now=now, actor=name_of(decider))
            request.session["notice"] = gettext("%(display_name)s may enter %(what)s now, and was told.") % {
                "display_name": row.person.display_name(),
                "what": _name(row.rule),
            }
        case "refuse":
            if not reason.strip() or not reason.isprintable():
                return _review(request, decider, wrong=row.id)
            requests.refuse(row, reason=reason, by=decider, now=now, actor=name_of(decider))
            request.session["notice"] = gettext("Refused. %(display_name)s is told your reason.") % {
                "display_name": row.person.display_name()
            }
        case _:
            raise Refused(Reason.ILLEGAL_MOVE)
    return redirect("access-review")


def _days(request: HttpRequest) -> int:
    given = request.POST.get("days", "")
    return int(given) if given.isascii() and given.isdigit() and len(given) <= _MOST_DIGITS else 0
