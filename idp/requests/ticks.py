"""What time does to requests: deadlines, reminders and escalation, approvals by groups; by the worker, each once.

Every move compares the time itself, so nothing here is needed for a decision to be right (WF-14). Each request is
looked at under the locks of its people and read again there, so that two workers do each thing once.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from derived.changes import requests, revoke
from derived.errors import Reason, Refused
from derived.rules import rulebook
from derived.rules.assurance import AAL
from derived.rules.kinds import Kind, Label
from derived.rules.lifecycle import State
from derived.rules.requests import RequestState
from idp.policies import issuance
from scim.access import approving

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from derived.models import Request

logger = logging.getLogger(__name__)
_AT_ONCE = 200


def tick(*, now: datetime) -> None:
    """Do what is due, some requests at a time."""
    for request_id in list(requests.due(now=now).values_list("id", flat=True)[:_AT_ONCE]):
        _each(request_id, now=now)
    _approve_by_group(now=now)


def _each(request_id: UUID, *, now: datetime) -> None:
    """One request; a fault of one stops no other."""
    try:
        requests.under_locks_of(request_id, lambda row: look_after(row, now=now))
    except Refused as refused:
        logger.warning("request %s was not looked after: %s", request_id, refused.reason.value)


def look_after(row: Request, *, now: datetime) -> None:
    """End a request whose time is over, with its unused credential; else remind, or ask the next group."""
    was = row.state
    requests.end_if_over(row, now=now)
    if was == RequestState.ISSUED and row.state == RequestState.EXPIRED:
        credential = row.credential
        if credential is not None and credential.state == State.PENDING:
            revoke.credential(credential, account=row.account, because=Reason.EXPIRED, now=now, actor="worker")
    elif row.state == RequestState.WAITING and not approving.stands(row, now=now):
        requests.lapse(row, Reason.NOT_ENTITLED, now=now)
    elif row.state == RequestState.WAITING:
        requests.escalate(row, now=now)


def _approve_by_group(*, now: datetime) -> None:
    """Approve the waiting requests of people whom a source has put into the group that the rules name."""
    rules = issuance.rules()
    kinds = [kind for kind in Kind if any(one.approving_group for one in rules.approval_rules(kind).values())]
    rows = requests.waiting().filter(kind__in=kinds).select_related("account__person")
    for row in rows[:_AT_ONCE]:
        found = rules.approval_of(Kind(row.kind), Label(row.label), AAL(row.aal))
        if found.approving_group and found.approving_group in issuance.groups_of(row.account.person):
            requests.under_locks_of(row.id, lambda fresh: approve_by_group(fresh, now=now))


def approve_by_group(row: Request, *, now: datetime) -> None:
    """Approve one request by its group, if the person is a member of it now."""
    rules = issuance.rules()
    found = rules.approval_of(Kind(row.kind), Label(row.label), AAL(row.aal))
    if found.approving_group in issuance.groups_of(row.account.person):
        policy = rulebook.digest(rules, Kind(row.kind))
        requests.approve_by_rule(row, f"group:{found.approving_group}@{policy[:16]}", now=now)
