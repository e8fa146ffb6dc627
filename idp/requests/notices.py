"""Tell the approvers of a request that waits, from the worker: by mail, and systems by webhook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from derived.ledger import outbox
from derived.models import Request
from derived.rules.requests import RequestState
from scim.access import approving

if TYPE_CHECKING:
    from datetime import datetime

    from derived.models import OutboxRow

WAITS, DECIDE = "request.waits", "request.decide"


def tell_approvers(row: OutboxRow, *, now: datetime) -> None:
    """Enqueue a mail for everybody who decides on the request now; nothing if it waits no more."""
    found = Request.objects.select_related("account__person").filter(id=row.payload.get("request")).first()
    if found is None or found.state != RequestState.WAITING:
        return
    payload: dict[str, object] = {"request": str(found.id), "reminded": row.payload.get("reminded", 0)}
    for approver in sorted(approving.approvers(found, now=now), key=lambda one: one.id):
        account = approver.account
        outbox.enqueue(kind=DECIDE, receiver=f"mail:{account.id}", account=account, payload=payload, now=now)
