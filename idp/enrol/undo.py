"""Links in notices that revoke one credential: made when the mail is sent, used by POST, good for a week (ruling 4, NT-3)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from derived import revoke
from derived.errors import Reason
from derived.locking import under_lock
from derived.once import claim_once
from idp.models import UndoLink
from idp.secrets import opaque, stored

if TYPE_CHECKING:
    from datetime import datetime

    from derived.models import Account, Credential

LIVES = timedelta(days=7)


def make(credential: Credential, *, now: datetime) -> str:
    """A new link's token; it is not kept."""
    token = opaque()
    UndoLink.objects.create(
        token_hash=stored(token, kind="undo"), credential=credential, created_at=now, expires_at=now + LIVES
    )
    return token


def valid(token: str, *, now: datetime) -> UndoLink | None:
    """The link, if it may still be used."""
    rows = UndoLink.objects.select_related("credential__account__person")
    return rows.filter(token_hash=stored(token, kind="undo"), consumed_at__isnull=True, expires_at__gt=now).first()


def use(link: UndoLink, *, now: datetime) -> None:
    """Revoke what the link is about; a second use changes nothing."""

    def work(account: Account) -> None:
        if claim_once(UndoLink.objects.filter(token_hash=link.token_hash), now=now):
            revoke.one(link.credential, account=account, because=Reason.REPORTED_BY_PERSON, now=now, actor="person")

    under_lock(link.credential.account_id, work)
