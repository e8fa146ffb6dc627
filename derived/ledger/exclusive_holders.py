"""A card, or an identity at another provider, belongs to one account at a time; two accounts that claim it at once wait here.

The caller holds its account's lock; the row of the thing is locked after it, so that the order is always the same.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from derived.errors import Reason, Refused
from derived.models import Account, AccountStatus, Credential, Holder
from derived.rules.lifecycle import LIVING

if TYPE_CHECKING:
    from collections.abc import Iterable


def key(kind: str, *parts: str) -> str:
    """The name of a thing that one account holds; parts: what makes it that thing, each bounded by its length."""
    text = "".join(f"{len(part)}:{part}" for part in (kind, *parts))
    return hashlib.sha256(text.encode()).hexdigest()


def _is_held(row: Holder, account: Account) -> bool:
    """Whether another account that may come back holds it with something that has not ended."""
    if row.account_id is None or row.account_id == account.id or row.credential is None:
        return False
    other = row.credential.account
    return (
        other.status != AccountStatus.TERMINATED
        and row.credential.epoch == other.epoch
        and row.credential.state in LIVING
    )


def free(keys: Iterable[str], account: Account) -> None:
    """Lock the things, in order, and see that no other account holds one.

    Raises: Refused(HELD_BY_ANOTHER).
    """
    for one in sorted(set(keys)):
        Holder.objects.get_or_create(key=one)
        row = Holder.objects.select_for_update().get(key=one)
        if row.account_id is not None and row.credential_id is not None:
            row.credential = Credential.objects.select_related("account").get(id=row.credential_id)
        if _is_held(row, account):
            raise Refused(Reason.HELD_BY_ANOTHER)


def take(keys: Iterable[str], account: Account, credential: Credential) -> None:
    """From now on the account holds the things with that credential; they were found `free` in this transaction."""
    Holder.objects.filter(key__in=set(keys)).update(account=account, credential=credential)
