"""What an application gets to know of a person, in plain words with masked values (63C-4 §4.6.1), and objections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.shortcuts import redirect
from django.utils.formats import date_format
from django.utils.translation import gettext, gettext_lazy, gettext_noop
from django.views.decorators.http import require_http_methods

from derived import clock
from derived.errors import Reason, Refused
from idp import clients, pages
from idp.agreements import redress, register
from idp.agreements.terms import TEXTS
from idp.enrol.devices import apps
from idp.login.session import signed_in
from idp.login.views import fresh_login_needed
from idp.models import RedressCase
from idp.oidc.claims import claims
from scim.access import entitlements

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from derived.models import Event
    from idp.models import TrustAgreement
    from scim.models import Person

_SHOWN = 2  # characters at each end of a masked value
_MOST_DIGITS = 18
_WORDS = {
    Reason.BAD_PROOF: gettext_lazy("Write %(least_words)s to %(most_words)s characters. We kept what you typed.")
    % {"least_words": redress.LEAST_WORDS, "most_words": redress.MOST_WORDS},
    Reason.TRY_LATER: gettext_noop("You have five open cases. Wait for an answer to one of them."),
}


@require_http_methods(["GET"])
def app(request: HttpRequest, number: int) -> HttpResponse:
    """Show one application: what it gets, what for, and the terms on which it does."""
    session, now = signed_in(request), clock.now()
    if session is None:
        return fresh_login_needed("", next_path=f"/apps/{number}")
    person = session.account.person
    party = clients.find_by_number(number) if number < 10**_MOST_DIGITS else None
    mine = {one["client_id"] for one in apps.of_account(session.account, now=now)}
    if party is None or not (party.client_id in mine or entitlements.may_enter(person, party.client_id, now=now)):
        return pages.problem(request, gettext_noop("There is no page at this address."), status=404)
    agreement = register.current(party.client_id)
    values = {
        "name": party.name,
        "number": number,
        "agreement": agreement,
        "attributes": _attributes(person, party.policy.scopes, agreement),
        "terms": [(words, agreement.terms[name]) for name, words in TEXTS.items()] if agreement else [],
        "may_withdraw": party.client_id in mine,
    }
    return pages.page(request, "app", values)


def _attributes(person: Person, scopes: str, agreement: TrustAgreement | None) -> list[dict[str, Any]]:
    """The details that an application may get, each with a masked value and the purpose that was agreed."""
    purposes = {one["name"]: one["purpose"] for one in agreement.terms["attributes"]} if agreement else {}
    values = claims.attributes(person, scopes)
    return [
        {"name": name.replace("_", " "), "value": masked(values.get(name)), "purpose": purposes.get(name, "")}
        for name in sorted(claims.disclosed(scopes) - {"updated_at"})
    ]


def masked(value: object) -> str:
    """A value of which only the ends are shown; "" for none."""
    if value in (None, "", {}, []):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(masked(one) for one in value.values() if one)
    text = str(value)
    if "@" in text:
        local, _, host = text.rpartition("@")
        return f"{local[:1]}…@{host}"
    return f"{text[:_SHOWN]}…" if len(text) <= 4 * _SHOWN else f"{text[:_SHOWN]}…{text[-_SHOWN:]}"


@require_http_methods(["GET", "POST"])
def objections(request: HttpRequest) -> HttpResponse:
    """List the person's cases, and open one."""
    session, now = signed_in(request), clock.now()
    if session is None:
        return fresh_login_needed("", next_path="/redress")
    person = session.account.person
    mine, acts = apps.of_account(session.account, now=now), redress.acts_on(session.account)
    values: dict[str, Any] = {
        "cases": [_case(one) for one in RedressCase.objects.filter(account=session.account_id).order_by("-pk")],
        "apps": mine,
        "acts": [{"id": one.pk, "kind": in_words(one), "at": one.at} for one in acts],
        "words": request.POST.get("words", "")[: redress.MOST_WORDS],
        "about": request.POST.get("about", ""),
        "most": redress.MOST_WORDS,
        "days": redress.DEADLINE.days,
        "notice": request.session.pop("notice", None),
    }
    if request.method == "GET":
        return pages.page(request, "redress", values)
    kind, _, which = request.POST.get("about", "").partition(":")
    event = next((one for one in acts if kind == "act" and str(one.pk) == which), None)
    client = next((one["client_id"] for one in mine if kind == "app" and str(one["id"]) == which), "")
    try:
        made = redress.open_case(person, values["words"], client_key=client, event=event, now=now)
    except Refused as refused:
        if refused.reason not in _WORDS:
            raise
        return pages.page(request, "redress", {**values, "error": _WORDS[refused.reason]}, status=400)
    request.session["notice"] = gettext("Case %(pk)s is open. You get an answer by %(day)s.") % {
        "pk": made.pk,
        "day": date_format(made.due_at, "j F Y"),
    }
    return redirect("redress")


def _case(case: RedressCase) -> dict[str, Any]:
    return {
        "number": case.pk,
        "words": case.words,
        "opened": case.opened_at,
        "due": case.due_at,
        "answer": case.answer,
        "answered": case.answered_at,
    }


def in_words(event: Event) -> str:
    """An act of somebody else on an account, in words."""
    act = event.body.get("act") if isinstance(event.body, dict) else None
    known = {
        "suspend": gettext_noop("Somebody suspended your account"),
        "resume": gettext_noop("Somebody resumed your account"),
        "invite": gettext_noop("Somebody sent you a new invitation"),
        "revoke": gettext_noop("Somebody ended a device or a way to sign in"),
        "sign-out": gettext_noop("Somebody signed you out"),
        "end": gettext_noop("Somebody ended your account"),
    }
    return known.get(str(act), "Somebody refused or took back your access")
