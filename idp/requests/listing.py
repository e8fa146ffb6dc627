"""Pages of fifty requests by keyset, and the requests that somebody decides on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from django.db.models import Q
from django.http import Http404

from derived.changes import requests
from derived.rules.kinds import POLICIES
from derived.rules.rulebook import GROUP
from idp.policies import issuance
from scim.access import approving, roles
from scim.models import RoleName

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from derived.models import Request
    from scim.models import Person

PAGE = 50
_LOOKED_AT = 500


class NoRequest(Http404):
    """There is no such request for whoever asks."""


@dataclass(frozen=True)
class Page:
    """Rows, and the key after which the next page begins; "" for the last page."""

    rows: list[Request]
    after: str


def page(rows: QuerySet[Request], after: str) -> Page:
    """One page, the newest first; after: the key of an address, unverified."""
    key = _key(after)
    if key is not None:
        rows = rows.filter(Q(created_at__lt=key[0]) | Q(created_at=key[0], id__lt=key[1]))
    found = list(rows.order_by("-created_at", "-id")[: PAGE + 1])
    return Page(found[:PAGE], _mark(found[PAGE - 1]) if len(found) > PAGE else "")


def to_decide(person: Person, after: str, *, now: datetime) -> Page:
    """The waiting requests that a person decides on, the oldest first."""
    rows, key = requests.waiting().select_related("account__person", "requester__person"), _key(after)
    if key is not None:
        rows = rows.filter(Q(created_at__gt=key[0]) | Q(created_at=key[0], id__gt=key[1]))
    if not roles.has(person, RoleName.MANAGER, now=now):
        reports = roles.reports_of(person).values("account")
        rows = rows.filter(Q(account__in=reports) | ~Q(approvers=[]))
    found: list[Request] = []
    for row in rows[:_LOOKED_AT]:
        if len(found) == PAGE:
            return Page(found, _mark(found[-1]))
        if not requests.standing_of(row).is_over(now=now) and approving.refusal(person, row, now=now) is None:
            found.append(row)
    return Page(found, "")


def may_enter(person: Person, *, now: datetime) -> bool:
    """True for who may decide on some request, and for auditors, who read."""
    return (
        roles.has(person, RoleName.MANAGER, RoleName.AUDITOR, now=now)
        or roles.reports_of(person).exists()
        or approving.delegations(now=now).filter(to=person).exists()
        or bool(_groups_named() & issuance.groups_of(person))
    )


def _groups_named() -> set[str]:
    """The groups of approvers that the rules name."""
    rules = issuance.rules()
    named = [one for kind in POLICIES for found in rules.approval_rules(kind).values() for one in found.approvers]
    return {one.removeprefix(GROUP) for one in named if one.startswith(GROUP)}


def _mark(row: Request) -> str:
    return f"{row.created_at.isoformat()}_{row.id}"


def _key(unverified: str) -> tuple[datetime, UUID] | None:
    """The position that an address names, or None for the first page."""
    moment, _, own = unverified.partition("_")
    try:
        found = datetime.fromisoformat(moment), UUID(own)
    except ValueError:
        return None
    return found if found[0].tzinfo is not None else None
