"""Suspending an account and bringing it back: nothing ends, and nothing works meanwhile (MT-7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from derived import audit, outbox
from derived.errors import Reason, Refused
from derived.models import Account, AccountStatus

if TYPE_CHECKING:
    from datetime import datetime


def suspend(account: Account, *, now: datetime, actor: str) -> None:
    """Stop an account for a while; every read of what hangs on it refuses until `resume`.

    Raises: Refused(ILLEGAL_MOVE) unless it is active.
    """
    _move(account, AccountStatus.ACTIVE, AccountStatus.SUSPENDED, kind="account.suspended", now=now, actor=actor)
    outbox.fan_out(account, {"because": "suspended"}, now=now)


def resume(account: Account, *, now: datetime, actor: str) -> None:
    """Bring a suspended account back, with the credentials that it had.

    Raises: Refused(ILLEGAL_MOVE) unless it is suspended.
    """
    _move(account, AccountStatus.SUSPENDED, AccountStatus.ACTIVE, kind="account.resumed", now=now, actor=actor)


def _move(  # noqa: PLR0913 - one move, all of whose parts differ
    account: Account, before: str, after: str, *, kind: str, now: datetime, actor: str
) -> None:
    if account.status != before:
        raise Refused(Reason.ILLEGAL_MOVE)
    account.status = after
    account.save(update_fields=["status"])
    audit.record(account, kind, now=now, actor=actor)
