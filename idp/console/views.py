"""The console: waiting cases, one case with both sides, one person with provenance, decisions (ID-1, ruling 9, C29)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.core.files.uploadedfile import UploadedFile
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext, gettext_noop
from django.views.decorators.http import require_http_methods

from derived import clock
from derived.changes import by_person, identity_checks
from derived.changes.identity_checks import Biometric, Presence
from derived.errors import Reason, Refused
from derived.ledger import status
from derived.ledger.locking import under_lock
from derived.models import Credential
from derived.rules.assurance import AAL
from derived.rules.kinds import Kind, policy_of
from idp import pages
from idp.console import acts, recovery
from idp.console.guards import allows, name_of, require
from idp.console.refused import shown
from idp.keys import wrapper
from idp.login import asking
from scim.access import requests, roles, same_human
from scim.access.roles import Verb
from scim.models import Match, MatchState, Person, Record
from scim.people import cases, held, matching, refusals, returns, settle
from scim.people.cases import Case
from scim.protocol import aggregate, trust
from scim.protocol.aggregate import SelectionReason

if TYPE_CHECKING:
    from uuid import UUID

    from django.http import HttpRequest, HttpResponse

    from derived.models import Account

_MOST = 100
_PAIR = 2
_MOST_LOCKED_OUT = 20
_SECOND = gettext_noop("Your approval is recorded. A second manager must approve the same within 7 days.")
_WHY = {
    SelectionReason.ONLY: "nobody else says anything",
    SelectionReason.PRECEDENCE: "by the order of the sources",
    SelectionReason.FRESHNESS: "the newer word counts",
    SelectionReason.NAME: "by the order of the names",
    SelectionReason.NOT_TRUSTED: "not believed about this",
    SelectionReason.NOT_ADOPTED: "the record is not adopted",
}


@require_http_methods(["GET"])
@allows(Verb.SEE)
def console(request: HttpRequest, manager: Person) -> HttpResponse:
    """List everything that waits for a manager, the oldest first."""
    now, seen = clock.now(), {"notice": request.session.pop("notice", None)}
    if not roles.may(manager, Verb.READ, now=now):
        return pages.page(request, "console", {**seen, "reads": False})
    values = {
        **seen,
        "reads": True,
        "cases": [_whole_case(one) for one in cases.waiting()[:_MOST]],
        "returns": [
            {
                "person_id": one.person_id,
                "name": one.person.display_name(),
                "source": one.source.name,
                "since": one.returns_at,
            }
            for one in returns.waiting()[:_MOST]
        ],
        "requests": requests.waiting_for(now=now).count(),
        "held": held.waiting().count(),
        "alarms": refusals.alarms().count(),
        "locked_out": list(asking.waiting(now=now)[:_MOST_LOCKED_OUT]),
    }
    return pages.page(request, "console", values)


def _case(match: Match) -> dict[str, Any]:
    return {
        "id": match.id,
        "by": match.attribute.rpartition(":")[2],
        "why": match.why,
        "since": match.created_at,
        "record": match.record.resource["userName"],
        "source": match.record.source.name,
        "person": match.person.display_name(),
    }


def _whole_case(case: Case) -> dict[str, Any]:
    return {
        **_case(case.pairs[0]),
        "id": case.number,
        "records": ", ".join(f"{one.resource['userName']} ({one.source.name})" for one in case.records()),
        "people": len(case.people()),
    }


@require_http_methods(["GET", "POST"])
@allows(Verb.READ, post=Verb.JOIN)
def match(request: HttpRequest, manager: Person, number: int) -> HttpResponse:
    """Show one case, the record and the person's records side by side, and take the decision."""
    row = get_object_or_404(
        Match.objects.select_related("record__source", "record__person__account", "person__account"), id=number
    )
    if request.method == "POST":
        return _decide_match(request, manager, row)
    whole = cases.of(row)
    sides = [row.record, *(one for one in whole.records() if one.id != row.record_id)]
    if row.state != MatchState.WAITING:
        sides = [one for one in sides if one.id == row.record_id or one.person_id == row.person_id]
    keeps, people = whole.keeps(), whole.people()
    joining = [one.account_id for one in people if one.id != keeps.id]
    names = sorted(
        {name for one in sides for name in trust.assigned_attributes(one.resource)},
        key=lambda name: (":" in name, name),
    )
    values = {
        "case": _case(row),
        "state": row.state,
        "columns": [one.source.name for one in sides],
        "rows": [_compared(name, sides) for name in names],
        "person": row.person.display_name(),
        "person_id": row.person_id,
        "in_use": Credential.objects.filter(account__in=joining).exists(),
        "people": len(people),
        "keeps": keeps.display_name(),
        "pairs": [_case(one) for one in whole.pairs] if len(people) > _PAIR else [],
    }
    return pages.page(request, "console_match", values)


def _compared(name: str, sides: list[Record]) -> dict[str, Any]:
    """One attribute over all records: whether each source is trusted for it, and whether it agrees with the first."""
    said = [trust.assigned_attributes(one.resource).get(name) for one in sides]
    cells = [
        {
            "text": _text(value),
            "believed": name in one.source.trusted_for,
            "same": value == said[0] and value is not None,
        }
        for value, one in zip(said, sides, strict=True)
    ]
    return {
        "name": name.rpartition(":")[2],
        "cells": cells,
        "differs": any(value not in (None, said[0]) for value in said[1:]),
    }


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(_text(one.get("value", one) if isinstance(one, dict) else one) for one in value)
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(one)}" for name, one in value.items())
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


def _decide_match(request: HttpRequest, manager: Person, row: Match) -> HttpResponse:
    now, actor, decision = clock.now(), name_of(manager), request.POST.get("decision", "")
    whole = cases.of(row)
    about = {row.person, row.record.person, *whole.people()}
    require(manager, Verb.JOIN if decision.startswith("join") else Verb.SPLIT, *about)
    if decision == "split":
        done = matching.split(row, now=now, actor=actor) is not None
        words = gettext_noop("They are two people again.") if done else _SECOND
    elif row.state != MatchState.WAITING or decision not in {"join", "apart", "join-pair", "apart-pair"}:
        raise Refused(Reason.ILLEGAL_MOVE)
    elif decision.startswith("join"):
        case = Case((row,)) if decision == "join-pair" else whole
        done = cases.join(case, now=now, actor=actor)
        words = (
            gettext_noop("They are one person now. Nothing of a joined record counts until it is adopted.")
            if done
            else _SECOND
        )
    else:
        done = cases.keep_apart(Case((row,)) if decision == "apart-pair" else whole, now=now, actor=actor)
        words = gettext_noop("They stay different people, and it will not be asked again.") if done else _SECOND
    request.session["notice"] = words
    return redirect("console")


@require_http_methods(["GET"])
@allows(Verb.SEE)
def person(request: HttpRequest, manager: Person, person_id: UUID) -> HttpResponse:
    """Show a person: states and acts; to those who may read all, also every value with its source and the checks."""
    found, now = get_object_or_404(Person.objects.select_related("account"), id=person_id), clock.now()
    may = {
        name: bool(roles.may(manager, verb, about=found, now=now))
        for name, verb in {
            "read": Verb.READ, "adopt": Verb.ADOPT, "readmit": Verb.READMIT, "lift": Verb.LIFT, "check": Verb.CHECK,
            "vouch": Verb.VOUCH, "care": Verb.CARE,
        }.items()
    }  # fmt: skip
    values = {
        "found": found,
        "account": found.account,
        "name": found.display_name(),
        "may": may,
        "credentials": [
            {
                "name": one.name or gettext(policy_of(Kind(one.kind)).label),
                "kind": gettext(policy_of(Kind(one.kind)).label),
                "aal": int(status.level(one)),
                "state": one.state,
                "id": one.id,
                "is_disabled": status.is_disabled(one),
            }
            for one in status.living(found.account_id)
        ],
        "own": found.id == manager.id,
        "acts": acts.offered(found, manager, now=now),
        "notice": request.session.pop("notice", None),
        **(_whole(found, manager) if may["read"] or may["check"] else {}),
    }
    return pages.page(request, "console_person", values)


def _whole(found: Person, manager: Person) -> dict[str, Any]:
    """The rest of a person's page, for those who may read all, or see the person face to face."""
    said = settle.statements_about(found)
    return {
        "addresses": found.addresses(),
        "attributes": [
            {
                "name": name.rpartition(":")[2],
                "since": found.provenance.get(name, {}).get("since", "")[:10],
                "said": [
                    {"source": one.source, "text": _text(one.value), "stands": one.stands, "why": _WHY[one.why]}
                    for one in told
                ],
            }
            for name, told in aggregate.explain(said).items()
        ],
        "records": list(found.records.filter(deleted_at=None).select_related("source").order_by("source__precedence")),
        "joined": [
            _case(one)
            for one in found.matches.filter(state=MatchState.JOINED).select_related("record__source", "person")
        ],
        "waits": found.records.filter(returns_at__isnull=False, deleted_at=None).exists(),
        "obstacle": returns.obstacle(found),
        "checks": [
            {
                **identity_checks.fields_of(one),
                "officer": _named(one.officer),
                "confirmer": _named(str(identity_checks.fields_of(one)["confirmed_by"])),
                "of": one.credential.name if one.credential else "",
            }
            for one in found.account.identity_checks.defer("sample").select_related("credential").order_by("-at")
        ],
        "ways": list(Presence),
        "compared": list(Biometric),
        "alarms": [shown(one) for one in refusals.alarms(found)] if found.id != manager.id else [],
        "recovery": recovery.shown(found, manager, now=clock.now()),
        "most_sample": identity_checks.LARGEST_SAMPLE // 1024,
    }


def _named(officer: str) -> str:
    """The name of an officer, for people."""
    kind, _, own = officer.partition(":")
    found = Person.objects.filter(id=own).first() if kind == "manager" else None
    return f"{found.display_name()} ({found.login_name})" if found else officer


@require_http_methods(["POST"])
@allows(Verb.CHECK, least=AAL.AAL3)
def check(request: HttpRequest, manager: Person, person_id: UUID) -> HttpResponse:
    """Record that this manager has seen the person (X-9); never themselves (RQ-3)."""
    found = get_object_or_404(Person, id=person_id)
    require(manager, Verb.CHECK, found)
    given, sample = request.POST, request.FILES.get("sample")
    if (
        given.get("how") not in list(Presence)
        or given.get("compared") not in list(Biometric)
        or not isinstance(sample, UploadedFile)
    ):
        raise Refused(Reason.BAD_PROOF)
    said = identity_checks.CheckStatement(
        how=Presence(given["how"]),
        officer=name_of(manager),
        place=given.get("place", ""),
        compared=Biometric(given["compared"]),
        against=given.get("against", ""),
        sample=sample.read(identity_checks.LARGEST_SAMPLE + 1),
    )
    now = clock.now()
    under_lock(
        found.account_id,
        lambda account: identity_checks.record(account, said, wrapper(), now=now, actor=name_of(manager)),
    )
    request.session["notice"] = gettext_noop(
        "Recorded, for good. It serves once another manager, at AAL3, has confirmed it."
    )
    return redirect("console-person", person_id=found.id)


@require_http_methods(["POST"])
@allows(Verb.CHECK, least=AAL.AAL3)
def confirm_check(request: HttpRequest, manager: Person, person_id: UUID, check_id: UUID) -> HttpResponse:
    """Confirm another manager's identity check; never one's own, and never about oneself (X-9, RQ-3)."""
    found = get_object_or_404(Person, id=person_id)
    require(manager, Verb.CHECK, found)
    now, name = clock.now(), name_of(manager)

    def work(account: Account) -> None:
        roles.require_as(name, Verb.CHECK, about=found, now=now)
        row = account.identity_checks.filter(id=check_id).defer("sample").first()
        officer = same_human.of_actor(row.officer) if row else None
        if officer is not None and same_human.may_be_one(officer, manager):
            raise Refused(Reason.ILLEGAL_MOVE)
        identity_checks.confirm(account, check_id, by=name, now=now, actor=name)

    under_lock(found.account_id, work)
    request.session["notice"] = gettext_noop(
        "Confirmed. A certificate at AAL3 may be issued on it within 90 days, once."
    )
    return redirect("console-person", person_id=found.id)


@require_http_methods(["POST"])
@allows(Verb.READMIT)
def readmit(request: HttpRequest, manager: Person, person_id: UUID) -> HttpResponse:
    """Approve a person's return."""
    found = get_object_or_404(Person, id=person_id)
    require(manager, Verb.READMIT, found)
    words = returns.obstacle(found)
    if not words:
        done = returns.readmit(found, now=clock.now(), actor=name_of(manager))
        words = gettext_noop("They are back, and invited anew: no credential came back.") if done else _SECOND
    request.session["notice"] = words
    return redirect("console-person", person_id=found.id)


@require_http_methods(["POST"])
@allows(Verb.LIFT)
def enable(request: HttpRequest, manager: Person, person_id: UUID, credential_id: UUID) -> HttpResponse:
    """Enable an authenticator that wrong tries have disabled (TH-1, ruling 33); never one's own (RQ-3)."""
    found = get_object_or_404(Person, id=person_id)
    row = get_object_or_404(status.living(found.account_id), id=credential_id)
    now, name = clock.now(), name_of(manager)
    require(manager, Verb.LIFT, found)
    if not under_lock(found.account_id, lambda account: by_person.enable(account, row, now=now, actor=name)):
        raise Refused(Reason.ILLEGAL_MOVE)
    request.session["notice"] = gettext("%(name)s signs in again.") % {"name": row.name}
    return redirect("console-person", person_id=found.id)


@require_http_methods(["POST"])
@allows(Verb.ADOPT)
def adopt(request: HttpRequest, manager: Person, record_id: UUID) -> HttpResponse:
    """Let a joined record set login name, addresses and IAL."""
    record = get_object_or_404(Record.objects.select_related("person", "source"), id=record_id)
    require(manager, Verb.ADOPT, record.person)
    done = returns.adopt(record, now=clock.now(), actor=name_of(manager))
    words = gettext("The record of %(name)s counts from now on, for all that this source is trusted for.") % {
        "name": record.source.name
    }
    request.session["notice"] = words if done else _SECOND
    return redirect("console-person", person_id=record.person_id)
