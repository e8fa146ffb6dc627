"""Two different managers for an act on an account that ever had an authenticator (ruling 27).

The first manager's approval is kept for a week; the second one's completes the act. The operator's commands and rules
act alone: whoever has a shell could write the database.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from derived.ledger import audit, status
from scim.access import same_human
from scim.models import Approval

if TYPE_CHECKING:
    from datetime import datetime

    from derived.models import Account

LIVES = timedelta(days=7)


def agreed(  # noqa: PLR0913 - the act, its terms, the actor and the time
    account: Account, act: str, about: object, *, actor: str, now: datetime, said: dict[str, str] | None = None
) -> bool:
    """True if the act may be done now; else the approval of this manager is recorded, and a second one is needed.

    account: locked by the caller. about: the id of the record or the person. said: the terms of the act, for the second
    manager to see and to agree to.
    """
    if not actor.startswith("manager:") or not status.ever_had_authenticator(account):
        return True
    rows = Approval.objects.filter(act=act, about=str(about), at__gt=now - LIVES)
    others = [one for one in rows.exclude(by=actor).order_by("at") if one.said == (said or {})]
    first = next((one for one in others if _differ(one.by, actor)), None)
    if first is not None:
        Approval.objects.filter(act=act, about=str(about)).delete()
        body = {"act": act, "about": str(about), "first": first.by}
        audit.record(account, "person.approved_by_two", now=now, actor=actor, body=body)
        return True
    Approval.objects.update_or_create(act=act, about=str(about), by=actor, defaults={"at": now, "said": said or {}})
    audit.record(account, "person.approval", now=now, actor=actor, body={"act": act, "about": str(about)})
    return False


def _differ(one: str, other: str) -> bool:
    """True if two managers are two human beings."""
    people = [same_human.of_actor(actor) for actor in (one, other)]
    return people[0] is None or people[1] is None or not same_human.may_be_one(people[0], people[1])


def first_of(act: str, about: object, *, now: datetime) -> Approval | None:
    """The approval that waits for a second one, or None."""
    return Approval.objects.filter(act=act, about=str(about), at__gt=now - LIVES).order_by("at").first()
