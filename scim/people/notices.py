"""Notices to everybody in a role, by mail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from derived.ledger import outbox
from scim.access import roles
from scim.models import RoleName

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from scim.models import Person


def tell_managers(kind: str, payload: dict[str, object], *, now: datetime) -> None:
    """Enqueue a notice for each identity manager, in the transaction of the caller."""
    tell(kind, payload, RoleName.MANAGER, now=now)


def tell(kind: str, payload: dict[str, object], *names: RoleName, now: datetime, also: Iterable[Person] = ()) -> None:
    """Enqueue a notice for everybody in one of these roles, and for `also`, in the transaction of the caller."""
    people = {one.id: one for one in (*roles.holders(*names, now=now), *also)}
    # In one order, since two transactions that tell the same may join their rows (`outbox.enqueue`).
    for _, one in sorted(people.items()):
        account = one.account
        outbox.enqueue(kind=kind, receiver=f"mail:{account.id}", account=account, payload=payload, now=now)
