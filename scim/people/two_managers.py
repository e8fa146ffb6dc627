"""Two different managers for an act on an account that ever had an authenticator (ruling 27).

The first manager's approval is kept for a week; the second one's completes the act. The operator's commands and rules
act alone: whoever has a shell could write the database.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from derived.ledger import audit, status
from scim.models import Approval

if TYPE_CHECKING:
    from datetime import datetime

    from derived.models import Account

LIVES = timedelta(days=7)


def agreed(account: Account, act: str, about: object, *, actor: str, now: datetime) -> bool:
    """True if the act may be done now; else the approval of this manager is recorded, and a second one is needed.

    account: locked by the caller. about: the id of the record or the person.
    """
    if not actor.startswith("manager:") or not status.ever_had_authenticator(account):
        return True
    rows = Approval.objects.filter(act=act, about=str(about), at__gt=now - LIVES)
    first = rows.exclude(by=actor).order_by("at").first()
    if first is not None:
        Approval.objects.filter(act=act, about=str(about)).delete()
        body = {"act": act, "about": str(about), "first": first.by}
        audit.record(account, "person.approved_by_two", now=now, actor=actor, body=body)
        return True
    Approval.objects.update_or_create(act=act, about=str(about), by=actor, defaults={"at": now})
    audit.record(account, "person.approval", now=now, actor=actor, body={"act": act, "about": str(about)})
    return False


def first_of(act: str, about: object, *, now: datetime) -> str:
    """The manager whose approval waits for a second one, or an empty string."""
    row = Approval.objects.filter(act=act, about=str(about), at__gt=now - LIVES).order_by("at").first()
    return row.by if row else ""
