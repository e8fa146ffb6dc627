"""Objections of subscribers: numbered, answered within 30 days, never by the person whom they are about (63C-4 §3.5.3).

An objection is about an application, or about an act of somebody on the subscriber's account, or about neither.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from derived.errors import Reason, Refused
from derived.ledger import audit, outbox
from derived.ledger.locking import under_lock
from idp.models import RedressCase
from scim.access import same_human
from scim.people import notices

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet

    from derived.models import Account, Event
    from scim.models import Person

DEADLINE = timedelta(days=30)
LEAST_WORDS, MOST_WORDS, MOST_OPEN = 4, 2000, 5
_OF_PEOPLE = ("manager:", "operator:", "owner:", "person:")
_KINDS = ("manager.acted", "access.refused", "access.removed", "request.refused")
_MOST_ACTS = 20


def acts_on(account: Account) -> list[Event]:
    """The latest acts of people on an account, which an objection can be about, the newest first."""
    found = account.events.filter(kind__in=_KINDS).order_by("-seq")[: 4 * _MOST_ACTS]
    return [one for one in found if one.actor.startswith(_OF_PEOPLE)][:_MOST_ACTS]


def open_case(
    person: Person, words: str, *, client_key: str = "", event: Event | None = None, now: datetime
) -> RedressCase:
    """Open a case, and tell the identity managers.

    words: the subscriber's own. event: one of `acts_on`.
    Raises: Refused(BAD_PROOF) for too few or too many words; Refused(TRY_LATER) beyond five open cases;
    Refused(ILLEGAL_MOVE) for an event of somebody else's account.
    """
    text = words.strip()
    if not LEAST_WORDS <= len(text) <= MOST_WORDS or "\0" in text:
        raise Refused(Reason.BAD_PROOF)

    def work(account: Account) -> RedressCase:
        if event is not None and event.account_id != account.id:
            raise Refused(Reason.ILLEGAL_MOVE)
        if RedressCase.objects.filter(account=account, answered_at__isnull=True).count() >= MOST_OPEN:
            raise Refused(Reason.TRY_LATER)
        made = RedressCase.objects.create(
            account=account, client_key=client_key, event=event, words=text, opened_at=now, due_at=now + DEADLINE
        )
        body = {"case": made.pk, "client_id": client_key, "about": event.seq if event else None}
        audit.record(account, "redress.opened", now=now, actor="person", body=body)
        notices.tell_managers("redress.opened", {"of": str(account.id), "case": made.pk}, now=now)
        return made

    return under_lock(person.account_id, work)


def may_answer(case: RedressCase, person: Person) -> bool:
    """True unless the case is a person's own, or about an act of theirs, under whatever record."""
    accused = same_human.of_actor(case.event.actor) if case.event else None
    is_about = accused is not None and same_human.may_be_one(accused, person)
    return not is_about and not same_human.may_be_one(case.account.person, person)


def answer(case: RedressCase, words: str, *, by: Person, actor: str, now: datetime) -> None:
    """Answer a case, once, and tell the subscriber.

    Raises: Refused(BAD_PROOF) for too few or too many words; Refused(NOT_ENTITLED) for the person whom the case is
    about, or who opened it; Refused(ILLEGAL_MOVE) if it was answered before.
    """
    text = words.strip()
    if not LEAST_WORDS <= len(text) <= MOST_WORDS or "\0" in text:
        raise Refused(Reason.BAD_PROOF)

    def work(account: Account) -> None:
        row = RedressCase.objects.select_related("event", "account__person").get(id=case.pk)
        if row.answered_at is not None:
            raise Refused(Reason.ILLEGAL_MOVE)
        if not may_answer(row, by):
            raise Refused(Reason.NOT_ENTITLED)
        row.answer, row.answered_at, row.answered_by = text, now, actor
        row.save(update_fields=["answer", "answered_at", "answered_by"])
        body = {"case": row.pk, "late": now > row.due_at}
        audit.record(account, "redress.answered", now=now, actor=actor, body=body)
        outbox.enqueue(
            kind="redress.answered", receiver=f"mail:{account.id}", account=account, payload={"case": row.pk}, now=now
        )

    under_lock(case.account_id, work)


def waiting() -> QuerySet[RedressCase]:
    """The cases without an answer, those that are due first before the others."""
    rows = RedressCase.objects.filter(answered_at__isnull=True).order_by("due_at", "id")
    return rows.select_related("account__person", "event")


def overdue(*, now: datetime) -> int:
    """The number of cases whose deadline has passed."""
    return RedressCase.objects.filter(answered_at__isnull=True, due_at__lt=now).count()
