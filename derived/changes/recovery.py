"""A person who cannot sign in comes back after their identity was checked (RC-1, RC-2; SP 800-63B-4 §4.2).

Their lost roots end, what was derived from them follows the rules of a loss (IV-5, IV-7), and an invitation may bind a
first root again. No level rises by it: the new root stands where any invited root stands. The caller holds the
account's lock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from derived.changes import identity_checks, review_after_loss, revoke
from derived.errors import Reason, Refused
from derived.ledger import audit, outbox, status
from derived.models import VouchedRecovery

if TYPE_CHECKING:
    from datetime import datetime

    from derived.models import Account

LIVES = timedelta(days=7)
MOST_WORDS, _LEAST_WORDS = 300, 8


class CheckedBy(StrEnum):
    """The way in which the identity of the person was checked."""

    IN_PERSON = "in_person"
    VIDEO = "video"
    CALL_BACK = "call_back"


@dataclass(frozen=True, kw_only=True)
class RecoveryStatement:
    """A statement of the people who checked the identity of a person without a way in.

    words: what was compared with what. by, seconded_by: as the audit chain names them; the second one is empty where
    one person may act alone. invitation_to: the address to which the invitation goes.
    """

    checked: CheckedBy
    words: str
    by: str
    seconded_by: str
    invitation_to: str

    def __post_init__(self) -> None:
        """Raises: Refused(BAD_PROOF) for words that say too little or too much."""
        if not _LEAST_WORDS <= len(self.words.strip()) <= MOST_WORDS or not self.words.isprintable():
            raise Refused(Reason.BAD_PROOF)


def require_possible(account: Account, *, now: datetime) -> None:
    """Require an account whose person may come back by a vouched recovery.

    At AAL3 and IAL3 it takes a confirmed identity check in person (RC-2).
    Raises: Refused(ACCOUNT_NOT_ACTIVE); Refused(ILLEGAL_MOVE) for a person who never had a root, and needs only the
    invitation; Refused(RECOVERY_IN_PERSON).
    """
    if not account.is_active:
        raise Refused(Reason.ACCOUNT_NOT_ACTIVE)
    if not status.was_ever_enrolled(account):
        raise Refused(Reason.ILLEGAL_MOVE)
    if not status.may_recover(account) and identity_checks.unused(account, now=now) is None:
        raise Refused(Reason.RECOVERY_IN_PERSON)


def vouch(account: Account, statement: RecoveryStatement, *, now: datetime, actor: str) -> int:
    """End every living root of the account, and permit one invitation; returns the number of roots that ended.

    Raises: as `require_possible`.
    """
    require_possible(account, now=now)
    check = identity_checks.unused(account, now=now)
    lost = [row for row in status.living(account.id) if status.is_root(row)]
    for row in lost:
        revoke.credential(row, account=account, because=Reason.REPLACED_IN_RECOVERY, now=now, actor=actor)
        review_after_loss.mark(account, row, because=Reason.REPLACED_IN_RECOVERY, now=now, actor=actor)
    account.vouched_recoveries.filter(consumed_at__isnull=True).update(consumed_at=now)
    VouchedRecovery.objects.create(
        account=account,
        epoch=account.epoch,
        invitation_to=status.hashed_address(statement.invitation_to),
        by=statement.by,
        seconded_by=statement.seconded_by,
        at=now,
        expires_at=now + LIVES,
    )
    body = {"checked": statement.checked.value, "roots": len(lost), "check": str(check.id) if check else ""}
    personal = {"by": statement.by, "seconded_by": statement.seconded_by, "words": statement.words.strip()}
    audit.record(account, "account.recovery_vouched", now=now, actor=actor, body=body, personal=personal)
    outbox.enqueue(kind="account.recovery", receiver=f"mail:{account.id}", account=account, payload={}, now=now)
    return len(lost)
