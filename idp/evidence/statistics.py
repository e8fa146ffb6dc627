"""Issuance in numbers, and the access review as a report."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from derived.changes import access_review
from derived.models import Credential, Event, Request
from derived.rules.kinds import Kind
from scim.models import Person

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from uuid import UUID

    from django.db.models import QuerySet

_DECIDED = (access_review.LAPSED, access_review.REVIEWED)


def issuance(first: datetime, last: datetime) -> list[dict[str, Any]]:
    """Per kind and label: issued, ended by reason, and living at the end of the period; and how many were asked for."""
    rows = Credential.objects.exclude(kind=Kind.TOKEN_FAMILY)
    issued = _count(rows.filter(created_at__gte=first, created_at__lte=last))
    living = _count(rows.filter(created_at__lte=last).exclude(ended_at__lte=last))
    ended = rows.filter(ended_at__gte=first, ended_at__lte=last).values_list("kind", "label", "root_id", "end_reason")
    reasons: dict[tuple[str, str], Counter[str]] = {}
    for kind, label, root, reason in ended.iterator():
        reasons.setdefault((kind, label if root else ""), Counter())[reason] += 1
    asked = Request.objects.filter(created_at__gte=first, created_at__lte=last)
    states = Counter(asked.values_list("kind", "state"))
    names = sorted({*issued, *living, *reasons})
    return [
        {
            "kind": kind,
            "label": label,
            "issued": issued[kind, label],
            "ended": sum(reasons.get((kind, label), Counter()).values()),
            "ended_because": _told(reasons.get((kind, label), Counter())),
            "living": living[kind, label],
            "requests": _told(Counter({state: count for (of, state), count in states.items() if of == kind and label})),
        }
        for kind, label in names
    ]


def _count(rows: QuerySet[Credential]) -> Counter[tuple[str, str]]:
    found = rows.values_list("kind", "label", "root_id").iterator()
    return Counter((kind, label if root else "") for kind, label, root in found)


def _told(counted: Counter[str]) -> str:
    return " ".join(f"{name}:{count}" for name, count in sorted(counted.items()))


def access_reviews(first: datetime, last: datetime) -> list[dict[str, Any]]:
    """Each credential on the snapshot of a review that was opened in the period, with the decision and its proof."""
    opened = Event.objects.filter(kind=access_review.OPENED, at__gte=first, at__lte=last).order_by("at")
    return [row for event in opened.select_related("account") for row in _reviewed(event)]


def _reviewed(event: Event) -> Iterator[dict[str, Any]]:
    decided = event.account.events.filter(kind__in=_DECIDED, seq__gt=event.seq).order_by("seq").first()
    for one in event.body["rows"]:
        row = Credential.objects.filter(id=one["credential"]).first()
        yield {
            "person": _name(event.account_id),
            "credential": one["credential"],
            "kind": one["kind"],
            "aal": one["aal"],
            "opened": event.at.isoformat(),
            "opened_by": event.actor,
            "deadline": event.body["deadline"],
            "last_used": one["last_used"],
            "objections": "; ".join(one["objections"]),
            "decision": _decision(decided, one["credential"]),
            "decided_by": decided.actor if decided else "",
            "decided_at": decided.at.isoformat() if decided else "",
            "state_now": row.state if row else "",
            "proof": f"event {decided.seq} of account {event.account_id}" if decided else "",
        }


def _name(account_id: UUID) -> str:
    person = Person.objects.filter(account_id=account_id).first()
    return (person.login_name or str(person.id)) if person else str(account_id)


def _decision(decided: Event | None, credential: str) -> str:
    if decided is None:
        return "open"
    named = {name: decided.body.get(name, []) for name in ("kept", "ended", "suspended")}
    return next((name for name, ids in named.items() if credential in ids), "ended before")
