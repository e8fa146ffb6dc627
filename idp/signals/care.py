"""Periodic care of people: reminders before an expiry, accounts that nobody uses, reviews that nobody decided on.

Each change is made under the account's lock after a second look, so that two workers do it once.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db.models import Exists, F, OuterRef

from derived.changes import access_review, suspend
from derived.ledger import outbox, single_use
from derived.ledger.locking import under_lock
from derived.models import Account, AccountStatus, Credential, Event, OutboxRow
from derived.rules.kinds import NO_AUTHENTICATORS
from derived.rules.lifecycle import LIVING, State
from idp.policies import site
from scim.models import Role, RoleName

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import QuerySet

logger = logging.getLogger(__name__)
REMINDED_BEFORE = (1, 7, 14, 30)  # days before the expiry (MT-6)
_DAY = timedelta(days=1)
_AT_ONCE, _LEAST_A_DAY = 500, 20
_REMINDER = "expiry reminder"


def remind(*, now: datetime) -> int:
    """Remind people of what expires in 30, 14, 7 and 1 days, each once; returns the number of reminders (LC-1).

    After a pause of the worker only the reminder that is nearest to the expiry is sent. What was issued for a shorter
    time than a reminder announces has none of that one.
    """
    return sum(_remind(row, days, now=now) for row, days in _due(now=now))


def _due(*, now: datetime) -> Iterator[tuple[Credential, int]]:
    rows = Credential.objects.filter(
        state=State.ACTIVE,
        expires_at__gt=now,
        expires_at__lte=now + max(REMINDED_BEFORE) * _DAY,
        account__status=AccountStatus.ACTIVE,
        account__epoch=F("epoch"),
    ).exclude(kind__in=NO_AUTHENTICATORS)
    found: dict[str, tuple[Credential, int]] = {}
    for row in rows.iterator(chunk_size=_AT_ONCE):
        if days := _days_before(row, now=now):
            found[single_use.name_of(_REMINDER, str(row.id), str(days))] = row, days
    sent = single_use.spent_of(found)
    yield from (one for name, one in found.items() if name not in sent)


def _days_before(row: Credential, *, now: datetime) -> int:
    """The reminder that is due, in days before the expiry; 0 for none."""
    if row.expires_at is None:
        return 0
    left, life = row.expires_at - now, row.expires_at - row.created_at
    return next((days for days in REMINDED_BEFORE if left <= days * _DAY < life), 0)


def _remind(row: Credential, days: int, *, now: datetime) -> bool:
    def work(account: Account) -> bool:
        fresh = Credential.objects.filter(id=row.id, state=State.ACTIVE, epoch=account.epoch).first()
        if fresh is None or not account.is_active or fresh.expires_at is None:
            return False
        if not single_use.spend(_REMINDER, str(row.id), str(days), expires_at=fresh.expires_at + _DAY):
            return False
        payload = {"credential": str(row.id), "days": days}
        receiver = f"mail:{account.id}"
        outbox.enqueue(kind="credential.expiring", receiver=receiver, account=account, payload=payload, now=now)
        return True

    return under_lock(row.account_id, work)


def suspend_unused(*, now: datetime) -> int:
    """Suspend accounts that nobody used for the time that the impact level allows; returns their number (LC-7).

    Accounts without an authenticator have nothing to use. Emergency roles are exempt: their keys are sealed for years.
    """
    days = site.settings().unused_days
    since = now - days * _DAY
    found = list(_unused(since).order_by("id").values_list("id", flat=True)[: _AT_ONCE + 1])
    most = _most_today(now=now)
    if len(found) > most:
        logger.warning(
            "refused: more accounts are unused than the %d that are suspended today. Is the clock right?", most
        )

    def work(account: Account) -> bool:
        if not account.is_active or not _unused(since).filter(id=account.id).exists():
            return False
        suspend.unused(account, days=days, now=now)
        return True

    return sum(under_lock(account_id, work) for account_id in found[: max(0, most)])


def _most_today(*, now: datetime) -> int:
    """The number of accounts that may still be suspended within a day: a twentieth of the active ones, 20 at least.

    A wrong clock, or a long pause of the worker, does not suspend everybody.
    """
    active = Account.objects.filter(status=AccountStatus.ACTIVE).count()
    done = OutboxRow.objects.filter(kind="account.unused", created_at__gt=now - _DAY, created_at__lte=now + _DAY)
    return min(_AT_ONCE, max(_LEAST_A_DAY, active // 20) - done.count())


def _unused(since: datetime) -> QuerySet[Account]:
    mine = Credential.objects.filter(account=OuterRef("pk"), epoch=OuterRef("epoch"))
    authenticators = mine.filter(state__in=LIVING).exclude(kind__in=NO_AUTHENTICATORS)
    resumed = Event.objects.filter(account=OuterRef("pk"), kind="account.resumed", at__gt=since)
    exempt = Role.objects.filter(person__account=OuterRef("pk"), role=RoleName.EMERGENCY, ended_at__isnull=True)
    return Account.objects.filter(
        Exists(authenticators),
        ~Exists(mine.filter(last_used_at__gt=since)),
        ~Exists(mine.filter(created_at__gt=since)),
        ~Exists(resumed),
        ~Exists(exempt),
        status=AccountStatus.ACTIVE,
    )


def lapse_reviews(*, now: datetime) -> int:
    """Suspend what no reviewer decided on by its deadline; returns the number of credentials (EV-9)."""
    accounts = {
        event.account_id
        for event in access_review.open_reviews()
        if datetime.fromisoformat(event.body["deadline"]) <= now
    }
    return sum(under_lock(account_id, lambda account: access_review.lapse(account, now=now)) for account_id in accounts)
