"""Create, vouch for and reopen identity accounts; the caller holds the lock (except for a new account)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from derived.errors import Reason, Refused
from derived.ledger import audit
from derived.models import Account, AccountStatus

if TYPE_CHECKING:
    from datetime import datetime


def create_account(*, ial: int, now: datetime, actor: str) -> Account:
    """Create an account in the caller's transaction; ial: 0 unless a source with authority vouches (ruling 3)."""
    account = Account.objects.create(ial=ial, created_at=now)
    audit.record(account, "account.opened", now=now, actor=actor, body={"ial": ial})
    return account


def vouch(account: Account, *, ial: int, now: datetime, actor: str) -> None:
    """Set the identity assurance level of an account; a lower level also lowers every later token (AS-1)."""
    if account.ial == ial:
        return
    before, account.ial = account.ial, ial
    account.save(update_fields=["ial"])
    audit.record(account, "account.vouched", now=now, actor=actor, body={"before": before, "after": ial})


def reopen(account: Account, *, now: datetime, actor: str) -> None:
    """Reopen a terminated account without any of its credentials (C30); the person is invited again.

    An account that was suspended when it was terminated is suspended again; only `suspend.resume` lifts that.
    Raises: Refused(ILLEGAL_MOVE) for an account that is not terminated.
    """
    if account.status != AccountStatus.TERMINATED:
        raise Refused(Reason.ILLEGAL_MOVE)
    moves = account.events.filter(kind__in=["account.suspended", "account.resumed"]).order_by("-seq")
    suspended = moves.values_list("kind", flat=True).first() == "account.suspended"
    account.status, account.epoch = AccountStatus.SUSPENDED if suspended else AccountStatus.ACTIVE, account.epoch + 1
    account.save(update_fields=["status", "epoch"])
    body = {"epoch": account.epoch, "status": str(account.status)}
    audit.record(account, "account.reopened", now=now, actor=actor, body=body)
