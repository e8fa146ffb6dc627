"""What a change in a person's standing does to the ledger: no longer eligible, vouched for less, another name.

The caller holds the account's lock. What the changes are, and when they come, is `scim.people.consequences`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from derived.changes import revoke, suspend
from derived.errors import Reason
from derived.ledger import accounts, audit
from derived.minting.certificate import PIV_POLICIES
from derived.models import Account, Credential
from derived.rules.assurance import IAL
from derived.rules.kinds import Kind, Label
from derived.rules.lifecycle import LIVING, State

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet


def eligible(account: Account, *, is_eligible: bool, now: datetime, actor: str) -> int:
    """Whether a person may hold derived credentials: if not, those that they have end, and none is minted (EL-4, IV-1).

    What they had before stays, and so does what they sign in with. How many ended.
    """
    if account.eligible == is_eligible:
        return 0
    account.eligible = is_eligible
    account.save(update_fields=["eligible"])
    ended = 0
    if not is_eligible:
        for row in _derived(account):
            ended += revoke.one(row, account=account, because=Reason.NOT_ELIGIBLE, now=now, actor=actor)
    kind = "account.eligible" if is_eligible else "account.ineligible"
    audit.record(account, kind, now=now, actor=actor, body={"credentials": ended})
    return ended


def vouched(account: Account, *, ial: int, now: datetime, actor: str) -> None:
    """The identity assurance that is vouched for now; a lower one lowers all that was minted on it (AS-1, promise 2).

    A certificate speaks for itself at places that never ask us. What says derived PIV in one says IAL3 (AS-3), so it ends.
    """
    if ial < account.ial:
        Credential.objects.filter(account=account, state__in=LIVING, ial__gt=ial).update(ial=ial)
    accounts.vouch(account, ial=ial, now=now, actor=actor)
    if ial < IAL.IAL3:
        for row in _derived(account).filter(issued__isnull=False, label=Label.DERIVED_PIV).select_related("issued"):
            if not PIV_POLICIES.isdisjoint(row.issued.policies):
                revoke.one(row, account=account, because=Reason.IDENTITY_LOWERED, now=now, actor=actor)


def renamed(account: Account, *, now: datetime, actor: str) -> int:
    """The person has another name: what shows the old one is good for nothing from now on; keys and passkeys show none (MT-4).

    It is on hold, for its holder to have it issued anew for the same key (`renew.reissued`), which ends it; or it ends after the
    longest hold. What cannot wait ends now. A credential shows a name where its evidence lists `names`. How many that were.
    """
    changed = 0
    for row in _derived(account):
        if not row.evidence.get("names") or (row.state == State.SUSPENDED and row.end_reason == Reason.NAME_CHANGED):
            continue
        if suspend.credential(account, row, because=Reason.NAME_CHANGED, now=now, actor=actor):
            Credential.objects.filter(id=row.id, state=State.SUSPENDED).update(end_reason=Reason.NAME_CHANGED.value)
            changed += 1
        else:
            changed += revoke.one(row, account=account, because=Reason.NAME_CHANGED, now=now, actor=actor)
    return changed


def _derived(account: Account) -> QuerySet[Credential]:
    rows = account.credentials.filter(state__in=LIVING, root__isnull=False).exclude(kind=Kind.TOKEN_FAMILY)
    return rows.order_by("created_at")
