"""Ask the identity team for help with signing in: managers are mailed, and the console lists who asked."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db.models import Exists, OuterRef

from derived.ledger import audit, outbox
from derived.ledger.locking import under_lock
from derived.models import Event, OutboxRow
from idp.login import throttle
from idp.login.flow import person_of
from scim.models import Person
from scim.people import notices
from scim.protocol.values import fold

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet
    from django.http import HttpRequest

    from derived.models import Account

ASKED, REQUEST = "account.help_asked", "help.request"
WAITS = timedelta(days=7)
_ONCE_A = timedelta(days=1)
_MOST_MAILS = 20  # an hour, to all managers


def ask(request: HttpRequest, username: str, *, now: datetime) -> None:
    """Note that a person asks for help; nothing tells whether somebody has this name (C67).

    Raises: TryLater.
    """
    throttle.count_password_attempt(request, "", now=now)  # of the network, over all names: each causes mail
    throttle.count_attempt(throttle.backoff_key(request, f"help {fold(username)}"), now=now)
    person = person_of(username)
    payload = {"person": str(person.id) if person else ""}
    outbox.enqueue(kind=REQUEST, receiver=f"worker:{REQUEST}", account=None, payload=payload, now=now)


def record(row: OutboxRow, *, now: datetime) -> None:
    """Record a request and mail the managers, once a day for a person; the worker does, and takes its time for it."""
    named = row.payload.get("person")
    person = Person.objects.select_related("account").filter(id=named).first() if named else None
    if person is None or not person.account.is_active:
        return

    def work(account: Account) -> None:
        if account.events.filter(kind=ASKED, at__gt=now - _ONCE_A).exists():
            return
        audit.record(account, ASKED, now=now, actor="somebody")
        mailed = OutboxRow.objects.filter(kind="help.asked", created_at__gt=now - timedelta(hours=1))
        if mailed.values("payload__of").distinct().count() < _MOST_MAILS:
            notices.tell_managers("help.asked", {"of": str(account.id)}, now=now)

    under_lock(person.account_id, work)


def waiting(*, now: datetime) -> QuerySet[Person]:
    """The people who asked for help in the last week, and for whom nobody has vouched since."""
    helped = Event.objects.filter(kind="account.recovery_vouched", account=OuterRef("account"), at__gt=OuterRef("at"))
    asked = Event.objects.filter(~Exists(helped), kind=ASKED, at__gt=now - WAITS)
    rows = Person.objects.filter(account__in=asked.values("account"))
    return rows.select_related("account").order_by("login_name")
