"""The access review: every holder of derived credentials is reviewed once a period, and orphans are listed (MT-10).

No credential ends by time alone here: a manager keeps or ends them, and either is an Event. A source ends access at
once, elsewhere. A review may be opened with a deadline, on a snapshot of what the person holds then: what nobody has
decided on by then is suspended (EV-9).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db.models import Exists, OuterRef

from derived.changes import revoke, suspend
from derived.errors import Reason, Refused
from derived.ledger import audit, status
from derived.models import Account, AccountStatus, Credential, Event
from derived.rules.kinds import Kind
from derived.rules.lifecycle import LIVING

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import QuerySet

PERIOD = timedelta(days=365)
REVIEWED = "account.reviewed"
OPENED, LAPSED = "account.review_opened", "account.review_lapsed"


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
    seen = Event.objects.filter(account=OuterRef("pk"), kind=REVIEWED, at__gt=now - period)
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
    audit.record(account, REVIEWED, now=now, actor=actor, body={"kept": [str(row.id) for row in rows]})
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
    audit.record(account, REVIEWED, now=now, actor=actor, body={"ended": [str(row.id) for row in rows]})
    return len(rows)


def open_review(
    account: Account, *, deadline: datetime, objections: Callable[[Credential], list[str]], now: datetime, actor: str
) -> bool:
    """Open a review with a deadline, on a snapshot of what the person holds; False if there is nothing, or one is open.

    objections: what today's rules have against a credential. The caller holds the account's lock.
    """
    rows = list(derived_credentials(account))
    if not account.is_active or not rows or _open(account) is not None:
        return False
    shown = [
        {
            "credential": str(row.id),
            "kind": row.kind,
            "aal": int(status.level(row)),
            "last_used": row.last_used_at.isoformat() if row.last_used_at else "",
            "objections": objections(row),
        }
        for row in rows
    ]
    body = {"deadline": deadline.isoformat(), "rows": shown}
    audit.record(account, OPENED, now=now, actor=actor, body=body)
    return True


def _open(account: Account) -> Event | None:
    """The open review of an account."""
    last = account.events.filter(kind__in=[OPENED, LAPSED, REVIEWED]).order_by("-seq").first()
    return last if last is not None and last.kind == OPENED else None


def open_reviews() -> QuerySet[Event]:
    """The reviews that nobody has decided on, the oldest first."""
    later = Event.objects.filter(account=OuterRef("account"), seq__gt=OuterRef("seq"), kind__in=[LAPSED, REVIEWED])
    return Event.objects.filter(~Exists(later), kind=OPENED).order_by("at")


def lapse(account: Account, *, now: datetime) -> int:
    """Suspend what nobody has decided on by the deadline; returns their number, 0 before it (EV-9).

    The caller holds the account's lock.
    """
    found = _open(account)
    if found is None or datetime.fromisoformat(found.body["deadline"]) > now:
        return 0
    named = [one["credential"] for one in found.body["rows"]]
    rows = list(derived_credentials(account).filter(id__in=named))
    stopped = [
        str(row.id)
        for row in rows
        if suspend.credential(account, row, because=Reason.REVIEW_OVERDUE, now=now, actor="worker")
    ]
    audit.record(account, LAPSED, now=now, actor="worker", body={"suspended": stopped, "opened": found.seq})
    return len(stopped)
