"""The access review: every holder of derived credentials is reviewed once a period, and orphans are listed (MT-10).

No credential ends by time alone here: a manager keeps or ends them, and either is an Event. A source ends access at
once, elsewhere.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db.models import Exists, OuterRef

from derived.changes import revoke
from derived.errors import Reason, Refused
from derived.ledger import audit
from derived.models import Account, AccountStatus, Credential, Event
from derived.rules.kinds import Kind
from derived.rules.lifecycle import LIVING

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet

PERIOD = timedelta(days=365)
_REVIEWED = "account.reviewed"


def derived_credentials(account: Account | None = None) -> QuerySet[Credential]:
    """The living derived credentials; account: only those of one person."""
    rows = (
        Credential.objects.filter(state__in=LIVING, root__isnull=False)
        .exclude(kind=Kind.TOKEN_FAMILY)
        .select_related("root")
        .order_by("created_at")
    )
    return rows if account is None else rows.filter(account=account, epoch=account.epoch)


def due(*, now: datetime, period: timedelta = PERIOD) -> QuerySet[Account]:
    """The active accounts that have a derived credential older than a period, and no review since."""
    old = (
        derived_credentials()
        .filter(account=OuterRef("pk"), epoch=OuterRef("epoch"), created_at__lte=now - period)
        .order_by()
    )
    seen = Event.objects.filter(account=OuterRef("pk"), kind=_REVIEWED, at__gt=now - period)
    return Account.objects.filter(Exists(old), ~Exists(seen), status=AccountStatus.ACTIVE).order_by("id")


def orphans() -> QuerySet[Credential]:
    """The living credentials whose root has ended (trap 1), for a manager to look at."""
    return (
        derived_credentials()
        .exclude(root__state__in=LIVING)
        .filter(account__status=AccountStatus.ACTIVE)
        .select_related("root", "account")
    )


def keep_all(account: Account, *, now: datetime, actor: str) -> int:
    """Record a review that keeps all derived credentials; returns their number.

    The caller holds the account's lock.
    Raises: Refused(ILLEGAL_MOVE) if the account has none.
    """
    rows = list(derived_credentials(account))
    if not account.is_active or not rows:
        raise Refused(Reason.ILLEGAL_MOVE)
    audit.record(account, _REVIEWED, now=now, actor=actor, body={"kept": [str(row.id) for row in rows]})
    return len(rows)


def end_all(account: Account, *, now: datetime, actor: str) -> int:
    """Record a review that ends all derived credentials; returns their number.

    The caller holds the account's lock.
    Ways to sign in stay.
    Raises: Refused(ILLEGAL_MOVE) if the account has none.
    """
    rows = list(derived_credentials(account))
    if not account.is_active or not rows:
        raise Refused(Reason.ILLEGAL_MOVE)
    for row in rows:
        revoke.credential(row, account=account, because=Reason.ENDED_BY_MANAGER, now=now, actor=actor)
    audit.record(account, _REVIEWED, now=now, actor=actor, body={"ended": [str(row.id) for row in rows]})
    return len(rows)
