"""Tell the approvers of a request that waits, from the worker: by mail, and systems by webhook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from derived.ledger import outbox
from derived.models import Request
from derived.rules.requests import RequestState
from idp.requests import systems
from scim.access import approving

if TYPE_CHECKING:
    from datetime import datetime

    from derived.models import OutboxRow

MOVED, DECIDE = "request.moved", "request.decide"


def tell_approvers(row: OutboxRow, *, now: datetime) -> None:
    """Enqueue a webhook for each system, and a mail for everybody who decides on the request while it waits."""
    found = Request.objects.select_related("account__person").filter(id=row.payload.get("request")).first()
    if found is None:
        return
    if not row.payload.get("reminded"):
        systems.tell(found, str(row.payload["state"]), now=now)
    if found.state != RequestState.WAITING or row.payload["state"] != found.state:
        return
    payload: dict[str, object] = {"request": str(found.id), "reminded": row.payload.get("reminded", 0)}
    for approver in sorted(approving.approvers(found, now=now), key=lambda one: one.id):
        account = approver.account
        outbox.enqueue(kind=DECIDE, receiver=f"mail:{account.id}", account=account, payload=payload, now=now)
