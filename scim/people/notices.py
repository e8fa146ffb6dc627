"""Notices to every identity manager, by mail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from derived.ledger import outbox
from scim.access import roles
from scim.models import RoleName

if TYPE_CHECKING:
    from datetime import datetime


def tell_managers(kind: str, payload: dict[str, object], *, now: datetime) -> None:
    """Enqueue a notice for each identity manager, in the transaction of the caller."""
    # In one order, since two transactions that tell the same may join their rows (`outbox.enqueue`).
    for manager in roles.holders(RoleName.MANAGER, now=now):
        account = manager.account
        outbox.enqueue(kind=kind, receiver=f"mail:{account.id}", account=account, payload=payload, now=now)
