"""The effect of identity changes on the ledger: eligibility, identity assurance, name.

The caller holds the account's lock. `scim.people.consequences` decides which changes have which effect, and when.
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


def set_eligible(account: Account, *, is_eligible: bool, now: datetime, actor: str) -> int:
    """Set whether a person may hold derived credentials; if not, the existing ones end (EL-4, IV-1).

    Roots stay. Returns the number of ended credentials.
    """
    if account.eligible == is_eligible:
        return 0
    account.eligible = is_eligible
    account.save(update_fields=["eligible"])
    ended = 0
    if not is_eligible:
        for row in _derived(account):
            ended += revoke.credential(row, account=account, because=Reason.NOT_ELIGIBLE, now=now, actor=actor)
    kind = "account.eligible" if is_eligible else "account.ineligible"
    audit.record(account, kind, now=now, actor=actor, body={"credentials": ended})
    return ended


def would_end(account: Account, *, is_eligible: bool, ial: int) -> bool:
    """True if `set_eligible` or `set_ial` with these values would end a credential."""
    if not is_eligible and account.eligible and _derived(account).exists():
        return True
    return ial < account.ial and bool(_outranked(account, ial))


def set_ial(account: Account, *, ial: int, now: datetime, actor: str) -> None:
    """Set the identity assurance level; a lower level also lowers every credential (AS-1, promise 2).

    Relying parties accept a certificate without asking Ramet, and a derived PIV policy in a certificate asserts IAL3
    (AS-3), so such a certificate ends when the level falls below IAL3.
    """
    if ial < account.ial:
        Credential.objects.filter(account=account, state__in=LIVING, ial__gt=ial).update(ial=ial)
    accounts.vouch(account, ial=ial, now=now, actor=actor)
    for row in _outranked(account, ial):
        revoke.credential(row, account=account, because=Reason.IDENTITY_LOWERED, now=now, actor=actor)


def name_changed(account: Account, *, now: datetime, actor: str) -> int:
    """Suspend every derived credential that shows the person's old name (MT-4); keys and passkeys show none.

    A suspended certificate ends when its holder has it reissued for the same key (`renew.reissue`), or after the
    longest hold. A credential that cannot be suspended ends now. A credential shows a name if its evidence lists
    `names`. Returns the number of changed credentials.
    """
    changed = 0
    for row in _derived(account):
        if not row.evidence.get("names") or (row.state == State.SUSPENDED and row.end_reason == Reason.NAME_CHANGED):
            continue
        if suspend.credential(account, row, because=Reason.NAME_CHANGED, now=now, actor=actor):
            Credential.objects.filter(id=row.id, state=State.SUSPENDED).update(end_reason=Reason.NAME_CHANGED.value)
            changed += 1
        else:
            changed += revoke.credential(row, account=account, because=Reason.NAME_CHANGED, now=now, actor=actor)
    return changed


def labelled_piv(account: Account) -> list[Credential]:
    """The living credentials with the label *derived PIV*."""
    return list(_derived(account).filter(label=Label.DERIVED_PIV))


def home_agency_changed(account: Account, *, now: datetime, actor: str) -> int:
    """End the *derived PIV* credentials of somebody whose home agency is another now (EL-3, IV-1, LC-5).

    Only the home agency issues that label. Generic ones stay. Returns the number of ended credentials.
    """
    return sum(
        revoke.credential(row, account=account, because=Reason.HOME_AGENCY_CHANGED, now=now, actor=actor)
        for row in labelled_piv(account)
    )


def _outranked(account: Account, ial: int) -> list[Credential]:
    """The certificates whose policy asserts more than this identity assurance level."""
    if ial >= IAL.IAL3:
        return []
    rows = _derived(account).filter(issued__isnull=False, label=Label.DERIVED_PIV).select_related("issued")
    return [row for row in rows if not PIV_POLICIES.isdisjoint(row.issued.policies)]


def _derived(account: Account) -> QuerySet[Credential]:
    rows = account.credentials.filter(state__in=LIVING, root__isnull=False).exclude(kind=Kind.TOKEN_FAMILY)
    return rows.order_by("created_at")
