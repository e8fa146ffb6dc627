"""Commands of `tests.races.inside` for races between sources: what stands in the database afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from derived import clock
from derived.ledger import audit
from derived.models import Account
from scim.models import Match, Record
from scim.people import matching

if TYPE_CHECKING:
    from collections.abc import Callable


def match_by(attribute: str) -> None:
    """Let records be joined by this identifier."""
    matching.add_rule(attribute, now=clock.now())


def pushed(prefix: str) -> int:
    """How many records begin so."""
    return Record.objects.filter(user_name_fold__startswith=prefix).count()


def owners(prefix: str) -> dict[str, Any]:
    """Whose the living records are whose user name begins so: person by record, who has ended, what waits."""
    records = Record.objects.filter(user_name_fold__startswith=prefix, deleted_at__isnull=True).select_related(
        "person__account"
    )
    people = {record.user_name_fold: str(record.person_id) for record in records}
    waiting = Match.objects.filter(state="waiting", record__in=records).count()
    ended = [record.user_name_fold for record in records if not record.person.account.is_active]
    return {"people": people, "ended": ended, "waiting": waiting}


def whole(prefix: str) -> dict[str, Any]:
    """How many records begin so; which of them lack anything that a whole joiner has; which chains of events are broken."""
    records = list(
        Record.objects.filter(user_name_fold__startswith=prefix)
        .select_related("person__account")
        .prefetch_related("emails")
    )
    lacking = [
        record.user_name_fold
        for record in records
        if not record.emails.all()
        or record.person.login_name_fold != record.user_name_fold
        or set(record.person.account.events.values_list("kind", flat=True)) < {"account.opened", "person.created"}
        or not record.person.account.outbox.filter(kind="invite").exists()
    ]
    broken = [str(record.id) for record in records if audit.verify(record.person.account) is not None]
    orphans = Account.objects.filter(person__isnull=True, events__actor__startswith="source:").distinct().count()
    return {"records": len(records), "lacking": lacking, "broken": broken, "orphans": orphans}


COMMANDS: tuple[Callable[..., Any], ...] = (match_by, pushed, owners, whole)
