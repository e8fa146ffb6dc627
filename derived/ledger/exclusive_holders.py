"""Exclusive holders: a card, or an identity at another provider, belongs to a single account at a time.

The caller holds its account's lock, and the holder's row is locked after it, so the order of locks is always the same
and two accounts that claim one card are serialised here.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from derived.errors import Reason, Refused
from derived.models import Account, AccountStatus, Credential, Holder
from derived.rules.lifecycle import LIVING

if TYPE_CHECKING:
    from collections.abc import Iterable


def item_key(kind: str, *parts: str) -> str:
    """The key of an exclusively held item: a hash over length-prefixed parts, so different items never collide."""
    text = "".join(f"{len(part)}:{part}" for part in (kind, *parts))
    return hashlib.sha256(text.encode()).hexdigest()


def _is_held(row: Holder, account: Account) -> bool:
    """True if another, non-terminated account has a living credential for this item."""
    if row.account_id is None or row.account_id == account.id or row.credential is None:
        return False
    other = row.credential.account
    return (
        other.status != AccountStatus.TERMINATED
        and row.credential.epoch == other.epoch
        and row.credential.state in LIVING
    )


def require_free(keys: Iterable[str], account: Account) -> None:
    """Lock the items, in order, and require that no other account holds any of them.

    Raises: Refused(HELD_BY_ANOTHER).
    """
    for one in sorted(set(keys)):
        Holder.objects.get_or_create(key=one)
        row = Holder.objects.select_for_update().get(key=one)
        if row.account_id is not None and row.credential_id is not None:
            row.credential = Credential.objects.select_related("account").get(id=row.credential_id)
        if _is_held(row, account):
            raise Refused(Reason.HELD_BY_ANOTHER)


def assign(keys: Iterable[str], account: Account, credential: Credential) -> None:
    """Record the account and the credential as holder of the items, which passed `require_free` in this transaction."""
    Holder.objects.filter(key__in=set(keys)).update(account=account, credential=credential)
