"""Lower the level of a root, and so of its descendants; those that become too weak are suspended.

Levels only ever fall here. `status.level` caps descendants at their next use; a descendant that then is below the floor
of its kind, or asserts a higher level in public, is suspended until a review (design.md, "What ends a root"). The
caller holds the account's lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from derived.changes import suspend
from derived.ledger import audit, status
from derived.models import Credential
from derived.rules.assurance import AAL
from derived.rules.kinds import Kind, policy_of
from derived.rules.lifecycle import LIVING, State

if TYPE_CHECKING:
    from datetime import datetime

    from derived.errors import Reason
    from derived.models import Account


def lower(  # noqa: PLR0913 - the credential, its new level, the reason, the time and the actor
    account: Account, credential: Credential, *, to: AAL, because: Reason, now: datetime, actor: str
) -> int:
    """Lower a credential's own level, and return the number of credentials that are suspended by that.

    to: NONE for a credential that is not trusted at all any more, which is suspended itself. A credential that is no
    stronger does not change.
    """
    row = Credential.objects.filter(id=credential.id, account=account, state__in=LIVING).first()
    if row is None:
        return 0
    # the level of a ledger row is at least AAL1; NONE is expressed by its state
    before, after = AAL(row.aal), max(to, AAL.AAL1)
    if after < before:
        Credential.objects.filter(id=row.id).update(aal=after)
        row.aal = after
        body = {"from": int(before), "to": int(after), "because": because.value}
        audit.record(account, "credential.lowered", now=now, actor=actor, credential=row, body=body)
    return sum(
        suspend.credential(account, one, because=because, now=now, actor=actor)
        for one in [row, *_grown(row)]
        if (to == AAL.NONE and one.id == row.id)
        or status.level(one) < policy_of(Kind(one.kind)).floor
        or status.overstates_level(one)
    )


def _grown(row: Credential) -> list[Credential]:
    """The active derived credentials of a root."""
    rows = Credential.objects.filter(root=row, state=State.ACTIVE).exclude(kind=Kind.TOKEN_FAMILY)
    return list(rows.select_related("root", "parent").order_by("created_at"))
