"""Give a person a temporary pass, which ends the one before. The caller holds the account's lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from derived.changes import issue, revoke
from derived.errors import Reason
from derived.rules.kinds import Kind
from derived.rules.lifecycle import LIVING

if TYPE_CHECKING:
    from datetime import datetime

    from derived.changes.issue import GivenPass
    from derived.models import Account, Credential


def give(account: Account, given: GivenPass, *, now: datetime, actor: str) -> Credential:
    """Issue a temporary pass; an earlier one ends. Every address of the person is notified.

    Raises: Refused(ACCOUNT_NOT_ACTIVE).
    """
    for earlier in account.credentials.filter(kind=Kind.TEMPORARY_PASS, state__in=LIVING):
        revoke.credential(earlier, account=account, because=Reason.REPLACED, now=now, actor=actor)
    return issue.temporary_pass(account, given, now=now, actor=actor)
