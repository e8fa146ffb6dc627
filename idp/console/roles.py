"""Roles in the console: who has which, what waits for a second person, and giving and ending them by two (RL-5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.http import Http404
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from derived import clock
from derived.errors import Reason, Refused
from idp import clients, pages
from idp.console.guards import allows, name_of
from idp.errors import error_response
from scim.access import roles, same_human
from scim.access.roles import Verb
from scim.models import GIVEN_ROLES, Approval, Person, Role, RoleName
from scim.people import appointing
from scim.people.appointing import MOST_DAYS, Wish
from scim.people.directory import person_by_login_name

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest, HttpResponse

_PAGE = 50
_MOST_DIGITS = 18  # of a row number
_MOST_DAYS_DIGITS = 3
_OFFERED = [one for one in GIVEN_ROLES if one != RoleName.EMERGENCY]
_SECOND = "Recorded. A second person must agree within 7 days. Nothing was changed yet."
_TOO_LITTLE = "Say why, in 4 to 300 characters on one line. Nothing was changed."
_NOT_BY_YOU = "You cannot do this: it is about you, or you have asked for it yourself. Somebody else decides."
_FIELDS = ("name", "role", "client", "entitlement", "days", "because")


@require_http_methods(["GET", "POST"])
@allows(Verb.SEE, post=Verb.APPOINT)
def given(request: HttpRequest, person: Person) -> HttpResponse:
    """List the roles, 50 a page, and what waits for a second person; a POST gives, agrees or ends."""
    if request.method == "POST":
        return _act(request, person)
    return _page(request, person)


def _page(
    request: HttpRequest, person: Person, *, typed: dict[str, str] | None = None, error: str = ""
) -> HttpResponse:
    now, after = clock.now(), _number(request.GET.get("after", ""))
    rows = list(roles.live(now=now).filter(id__gt=after).select_related("person__account").order_by("id")[: _PAGE + 1])
    decides = bool(roles.may(person, Verb.APPOINT, now=now))
    values = {
        "roles": [_shown(one) | {"own": one.person_id == person.id} for one in rows[:_PAGE]],
        "after": rows[_PAGE - 1].id if len(rows) > _PAGE else None,
        "decides": decides,
        "waiting": [_waiting(one, person) for one in appointing.waiting(now=now)[:_PAGE]] if decides else [],
        "offered": [{"value": one.value, "label": one.label} for one in _OFFERED],
        "most_days": MOST_DAYS,
        "most_words": appointing.MOST_WORDS,
        "typed": typed or {"days": str(MOST_DAYS)},
        "error": error,
        "notice": request.session.pop("notice", None),
    }
    return pages.page(request, "console_roles", values, status=400 if error else 200)


def _shown(row: Role) -> dict[str, Any]:
    return {
        "id": row.id,
        "person": row.person.display_name(),
        "person_id": row.person_id,
        "login_name": row.person.get_username(),
        "role": RoleName(row.role).label,
        "scope": ", ".join(part for part in roles.parts_of(row.scope) if part),
        "since": row.since,
        "until": row.until,
        "given_by": named(row.given_by),
        "seconded_by": named(row.seconded_by),
        "reason": row.reason,
    }


def _waiting(row: Approval, person: Person) -> dict[str, Any]:
    """A wish that waits for a second person; own: this person is the first, or it is about them."""
    shown: dict[str, Any] = {"id": row.id, "by": named(row.by), "at": row.at, "ends": row.act == appointing.END}
    if row.act == appointing.END:
        role = Role.objects.select_related("person").filter(id=row.about).first()
        about = role.person if role is not None else None
        shown |= {"role": RoleName(role.role).label if role else "", "reason": row.said.get("because", "")}
    else:
        wish = Wish.of(row)
        about = wish.person
        shown |= {
            "role": wish.role.label,
            "scope": ", ".join(part for part in roles.parts_of(wish.scope) if part),
            "days": wish.days,
            "reason": wish.reason,
        }
    own = row.by == name_of(person) or (about is not None and about.id == person.id)
    return shown | {"person": about.display_name() if about else "", "own": own}


def named(actor: str) -> str:
    """An actor for people: the name of its person, or "an operator" without a name."""
    person = same_human.of_actor(actor)
    if person is not None:
        return f"{person.display_name()} ({person.get_username()})"
    return "an operator at a terminal" if actor == "operator" else actor


def _act(request: HttpRequest, person: Person) -> HttpResponse:
    now, act = clock.now(), request.POST.get("act", "")
    try:
        if act == "give":
            return _give(request, person, now=now)
        if act not in {"agree", "end"}:
            raise Refused(Reason.ILLEGAL_MOVE)
        done = _agree(request, person, now=now) if act == "agree" else _end(request, person, now=now)
    except Refused as refused:
        request.session["notice"] = _words(refused)
    else:
        request.session["notice"] = "Done. It is on record, and managers and auditors are told." if done else _SECOND
    return redirect("console-roles")


def _words(refused: Refused) -> str:
    said = {Reason.BAD_PROOF: _TOO_LITTLE, Reason.ILLEGAL_MOVE: _NOT_BY_YOU}
    return said.get(refused.reason, error_response(refused.reason).words)


def _give(request: HttpRequest, person: Person, *, now: datetime) -> HttpResponse:
    typed = {name: request.POST.get(name, "").strip()[:400] for name in _FIELDS}
    found, days = person_by_login_name(typed["name"]), typed["days"]
    wrong = ""
    if found is None:
        wrong = "Nobody has this login name."
    elif typed["role"] not in {one.value for one in _OFFERED}:
        wrong = "Choose a role."
    elif not (days.isascii() and days.isdecimal() and len(days) <= _MOST_DAYS_DIGITS and 1 <= int(days) <= MOST_DAYS):
        wrong = f"Give a number of days from 1 to {MOST_DAYS}."
    elif bool(typed["client"]) != (typed["role"] == RoleName.OWNER):
        wrong = "An owner takes the client_id of an application, and no other role does."
    elif typed["client"] and clients.find(typed["client"]) is None:
        wrong = "There is no application with this client_id."
    if found is None or wrong:
        return _page(request, person, typed=typed, error=wrong)
    scope = roles.scope_of(typed["client"], typed["entitlement"]) if typed["client"] else ""
    wish = Wish(person=found, role=RoleName(typed["role"]), scope=scope, days=int(days), reason=typed["because"])
    try:
        made = appointing.give(wish, actor=name_of(person), now=now)
    except Refused as refused:
        return _page(request, person, typed=typed, error=_words(refused))
    request.session["notice"] = _SECOND if made is None else "Given. Managers and auditors are told."
    return redirect("console-roles")


def _agree(request: HttpRequest, person: Person, *, now: datetime) -> bool:
    row = appointing.waiting(now=now).filter(id=_number(request.POST.get("number", ""))).first()
    if row is None or row.by == name_of(person):
        raise Refused(Reason.ILLEGAL_MOVE)
    if row.act == appointing.GIVE:
        return appointing.give(Wish.of(row), actor=name_of(person), now=now) is not None
    role = Role.objects.select_related("person__account").filter(id=row.about).first()
    if role is None:
        raise Refused(Reason.ILLEGAL_MOVE)
    return appointing.end(role, because=row.said.get("because", ""), actor=name_of(person), now=now)


def _end(request: HttpRequest, person: Person, *, now: datetime) -> bool:
    number = _number(request.POST.get("number", ""))
    row = roles.live(now=now).filter(id=number).select_related("person__account").first()
    if row is None:
        raise Http404
    return appointing.end(row, because=request.POST.get("because", ""), actor=name_of(person), now=now)


def _number(typed: str) -> int:
    return int(typed) if typed.isascii() and typed.isdecimal() and len(typed) <= _MOST_DIGITS else 0
