"""Undo links in notices: made when the mail is sent, used by POST, single-use, valid for a week (ruling 4, NT-3, BI-5).

One kind revokes an added credential, the other suspends the account after a removal or change. None restores.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from derived.changes import by_person, revoke, suspend
from derived.errors import Reason
from derived.ledger import status
from derived.ledger.locking import under_lock
from derived.ledger.single_use import claim_once
from derived.models import Credential
from idp.models import UndoLink
from idp.secrets import hash_secret, opaque
from scim.feed import writing as feed

if TYPE_CHECKING:
    from datetime import datetime

    from derived.models import Account

LIVES = timedelta(days=7)
REVOKE, FREEZE = "revoke", "freeze"


def make(credential: Credential, *, now: datetime, action: str = REVOKE) -> str:
    """The token of a new link; only its hash is stored.

    action: REVOKE revokes the credential, FREEZE suspends the account.
    """
    token = opaque()
    UndoLink.objects.create(
        token_hash=hash_secret(token, kind="undo"),
        credential=credential,
        action=action,
        created_at=now,
        expires_at=now + LIVES,
    )
    return token


def valid(token: str, *, now: datetime) -> UndoLink | None:
    """The link, if it may still be used."""
    rows = UndoLink.objects.select_related("credential__account__person")
    return rows.filter(token_hash=hash_secret(token, kind="undo"), consumed_at__isnull=True, expires_at__gt=now).first()


def use(link: UndoLink, *, now: datetime) -> bool:
    """Apply the link; False, without a change, if it was used before."""

    def work(account: Account) -> bool:
        if not claim_once(UndoLink.objects.filter(token_hash=link.token_hash), now=now):
            return False
        row = Credential.objects.select_related("root", "parent").get(id=link.credential_id)
        if link.action == FREEZE:
            was_active = account.is_active
            suspend.freeze(account, now=now, actor="person")
            feed.account_changed(account, was_active=was_active, now=now)
        elif status.is_root(row):
            by_person.disown(account, row, now=now, actor="person")
        else:
            revoke.credential(row, account=account, because=Reason.DISOWNED_BY_PERSON, now=now, actor="person")
        return True

    return under_lock(link.credential.account_id, work)
