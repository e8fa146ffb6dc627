"""A root turns out to be worth less: its level falls, and everybody's that rests on it with it; what is left too weak waits.

Levels only ever fall here. What grew from it is capped by `status.level` at its next use; what then is below the floor of its
kind, or asserts more than that in public, is suspended until somebody has reviewed it (design.md, "What ends a root"). The caller holds the account's lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from derived.changes import suspend
from derived.ledger import audit, status
from derived.models import Credential
from derived.rules.assurance import AAL
from derived.rules.kinds import Kind, policy
from derived.rules.lifecycle import LIVING, State

if TYPE_CHECKING:
    from datetime import datetime

    from derived.errors import Reason
    from derived.models import Account


def lower(  # noqa: PLR0913 - which, to what, why, when, by whom
    account: Account, credential: Credential, *, to: AAL, because: Reason, now: datetime, actor: str
) -> int:
    """Let a credential's own level fall; how many credentials are suspended by that.

    to: NONE for one that is not trusted at all any more: it is suspended itself. Nothing happens to one that is no stronger.
    """
    row = Credential.objects.filter(id=credential.id, account=account, state__in=LIVING).first()
    if row is None:
        return 0
    before, after = AAL(row.aal), max(to, AAL.AAL1)  # a ledger row stands at a level; what says "none" is its state
    if after < before:
        Credential.objects.filter(id=row.id).update(aal=after)
        row.aal = after
        body = {"from": int(before), "to": int(after), "because": because.value}
        audit.record(account, "credential.lowered", now=now, actor=actor, credential=row, body=body)
    return sum(
        suspend.credential(account, one, because=because, now=now, actor=actor)
        for one in [row, *_grown(row)]
        if (to == AAL.NONE and one.id == row.id)
        or status.level(one) < policy(Kind(one.kind)).floor
        or status.says_too_much(one)
    )


def _grown(row: Credential) -> list[Credential]:
    """What rests on it and could be used now."""
    rows = Credential.objects.filter(root=row, state=State.ACTIVE).exclude(kind=Kind.TOKEN_FAMILY)
    return list(rows.select_related("root", "parent").order_by("created_at"))
