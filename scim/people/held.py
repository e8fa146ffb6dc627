"""A manager's decision about held people: let them end, or give them back (ruling 28)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from derived.changes import identity_changes, revoke, suspend
from derived.errors import Reason, Refused
from derived.ledger import audit
from derived.ledger.locking import under_lock
from derived.models import AccountStatus
from scim.access import roles
from scim.access.roles import Verb
from scim.feed import writing as feed
from scim.models import Person
from scim.people import brake, two_managers
from scim.people.settle import WriteContext, apply_write, forget
from scim.people.two_managers import Proposal
from scim.protocol import trust

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet

    from derived.models import Account


def waiting(source: str = "") -> QuerySet[Person]:
    """The held people, longest held first; source: only those of one."""
    rows = Person.objects.filter(held_at__isnull=False).exclude(account__status=AccountStatus.TERMINATED)
    rows = rows.select_related("held_by", "account")
    return (rows.filter(held_by__name=source) if source else rows).order_by("held_at", "id")


def end(person: Person, *, now: datetime, actor: str) -> None:
    """Let happen what their source said: the person ends, or their derived credentials do; the source is the second.

    Raises: Refused(ILLEGAL_MOVE) if the person is not held.
    """

    def work(account: Account) -> None:
        roles.require_as(actor, Verb.END, about=person, now=now)
        write = _released(account, person, "person.held_ended", now=now, actor=actor)
        if write.person.active:  # a source made them ineligible, or lowered their IAL
            identity_changes.set_ial(account, ial=min(account.ial, write.person.said_ial), now=now, actor=actor)
            apply_write(write)
            return
        is_deleted = not write.person.records.filter(deleted_at__isnull=True).exists()
        because = Reason.DELETED_BY_SOURCE if is_deleted else Reason.DEACTIVATED_BY_SOURCE
        revoke.everything(account, because=because, now=now, actor=actor)
        if is_deleted:
            forget(write, followed=feed.is_followed())

    under_lock(person.account_id, work)


def give_back(person: Person, *, now: datetime, actor: str) -> bool:
    """Give a held person back: the ending does not count until the source states `active` or `eligible` again.

    False if a second manager must agree: a source has said that this person left.
    Raises: Refused(ILLEGAL_MOVE) if the person is not held.
    """

    def work(account: Account) -> bool:
        if not Person.objects.filter(id=person.id, held_at__isnull=False).exists():
            raise Refused(Reason.ILLEGAL_MOVE)
        proposal = Proposal("give-back", person.id, Verb.READMIT, (person,))
        if not two_managers.agreed(account, proposal, actor=actor, now=now):
            return False
        write = _released(account, person, "person.held_given_back", now=now, actor=actor)
        for record in write.person.records.filter(deleted_at__isnull=True, overruled=False):
            if not record.active or trust.states_ineligible(record.resource):
                record.overruled = True
                record.save(update_fields=["overruled"])
        write.person.records.filter(deleted_at__isnull=False, was_active=True).update(overruled=True)
        apply_write(write)
        return True

    return under_lock(person.account_id, work)


def _released(account: Account, person: Person, kind: str, *, now: datetime, actor: str) -> WriteContext:
    """Take the hold off, and the suspension with it; other suspensions stay."""
    if not Person.objects.filter(id=person.id, held_at__isnull=False).update(held_at=None, held_by=None):
        raise Refused(Reason.ILLEGAL_MOVE)
    audit.record(account, kind, now=now, actor=actor)
    moves = account.events.filter(kind__in=["account.suspended", "account.resumed"]).order_by("-seq")
    last = moves.first()
    if account.status == AccountStatus.SUSPENDED and last is not None and last.actor == brake.ACTOR:
        suspend.resume(account, now=now, actor=actor)
    return WriteContext(account=account, person=Person.objects.get(id=person.id), actor=actor, now=now)
