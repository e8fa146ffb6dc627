"""Acts of an identity manager on one person: suspend, resume, invite again, revoke a credential, end the account.

Ending takes two managers. One manager alone stops at most twenty people an hour; from then on a second one must agree.
Each act keeps the manager's reason in the audit chain. Nobody acts on themselves (the caller's duty, RQ-3).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from derived.changes import revoke, suspend
from derived.errors import Reason, Refused
from derived.ledger import audit, outbox, status
from derived.ledger.locking import under_lock
from scim.access import same_human
from scim.feed import writing as feed
from scim.models import ManagerStop, Role
from scim.people import two_managers
from scim.people.two_managers import Proposal

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from uuid import UUID

    from derived.models import Account
    from scim.models import Approval, Person

MOST_STOPPED = 20
WINDOW = timedelta(hours=1)
LEAST_WORDS, MOST_WORDS = 4, 300


class Act(StrEnum):
    """The acts on a person."""

    SUSPEND = "suspend"
    RESUME = "resume"
    INVITE = "invite"
    REVOKE = "revoke"
    SIGN_OUT = "sign-out"
    END = "end"


STOPS = frozenset({Act.SUSPEND, Act.REVOKE, Act.SIGN_OUT, Act.END})


@dataclass(frozen=True, kw_only=True)
class Deed:
    """One act of a manager: because: the reason, in words. about: the id of the credential of a REVOKE."""

    act: Act
    because: str
    actor: str
    now: datetime
    about: UUID | None = None


def perform(person: Person, deed: Deed, work: Callable[[Account], None]) -> bool:
    """Do one act with the account locked, and keep its reason; False if a second manager must agree.

    Raises: Refused(BAD_PROOF) for a reason that says too little, and what `work` raises.
    """
    words, now, actor = deed.because.strip(), deed.now, deed.actor
    if not LEAST_WORDS <= len(words) <= MOST_WORDS or not words.isprintable():
        raise Refused(Reason.BAD_PROOF)

    def locked(account: Account) -> bool:
        was_active, is_stop = account.is_active, deed.act in STOPS
        needs_two = deed.act == Act.END or (is_stop and _stopped(actor, but=person, now=now) >= MOST_STOPPED)
        proposal = Proposal(deed.act.value, deed.about or person.id, because=words, always=True)
        if needs_two and not two_managers.agreed(account, proposal, actor=actor, now=now):
            return False
        work(account)
        if is_stop:
            ManagerStop.objects.create(actor=actor, person=person, at=now)
        body, personal = {"act": deed.act.value}, {"because": words}
        audit.record(account, "manager.acted", now=now, actor=actor, body=body, personal=personal)
        feed.account_changed(account, was_active=was_active, now=now)
        return True

    return under_lock(person.account_id, locked)


def _stopped(actor: str, *, but: Person, now: datetime) -> int:
    """The number of other people whom a manager has stopped in the last hour; their acts wait for each other."""
    if (manager := same_human.of_actor(actor)) is not None:
        list(Role.objects.select_for_update().filter(person=manager, ended_at__isnull=True).values_list("person"))
    rows = ManagerStop.objects.filter(actor=actor, at__gt=now - WINDOW).exclude(person=but)
    return rows.values("person").distinct().count()


def suspend_person(person: Person, deed: Deed) -> bool:
    """Stop everything of an active person until somebody resumes them.

    Raises: Refused(ILLEGAL_MOVE) unless the account is active; as `perform`.
    """
    return perform(person, deed, lambda account: suspend.suspend(account, now=deed.now, actor=deed.actor))


def resume_person(person: Person, deed: Deed) -> bool:
    """Resume a suspended person, unless a mass ending holds them (ruling 28).

    Raises: Refused(ILLEGAL_MOVE) for a person who is held or not suspended; as `perform`.
    """

    def work(account: Account) -> None:
        if type(person).objects.filter(id=person.id, held_at__isnull=False).exists():
            raise Refused(Reason.ILLEGAL_MOVE)
        suspend.resume(account, now=deed.now, actor=deed.actor)

    return perform(person, deed, work)


def invite_again(person: Person, deed: Deed) -> bool:
    """Send a person without a root a new invitation; an earlier one is void.

    Raises: Refused(ILLEGAL_MOVE) for a person who may not be invited; as `perform`.
    """

    def work(account: Account) -> None:
        address = person.invitation_address()
        if not address or not status.may_be_invited(account, address, now=deed.now):
            raise Refused(Reason.ILLEGAL_MOVE)
        outbox.enqueue(kind="invite", receiver=f"mail:{account.id}", account=account, payload={}, now=deed.now)

    return perform(person, deed, work)


def revoke_credential(person: Person, deed: Deed) -> bool:
    """End the credential that the deed is about; what was derived from it continues (trap 1).

    Raises: Refused(CREDENTIAL_NOT_LIVE); as `perform`.
    """

    def work(account: Account) -> None:
        row = status.living(account.id).filter(id=deed.about).first() if deed.about else None
        if row is None:
            raise Refused(Reason.CREDENTIAL_NOT_LIVE)
        revoke.credential(row, account=account, because=Reason.ENDED_BY_MANAGER, now=deed.now, actor=deed.actor)

    return perform(person, deed, work)


def end_person(person: Person, deed: Deed) -> bool:
    """End a person's account and everything of it, for good; False if a second manager must agree.

    Raises: Refused(ILLEGAL_MOVE) for an account that a manager has ended; as `perform`.
    """

    def work(account: Account) -> None:
        if revoke.terminated_because(account) == Reason.ENDED_BY_MANAGER.value and not account.is_active:
            raise Refused(Reason.ILLEGAL_MOVE)
        revoke.everything(account, because=Reason.ENDED_BY_MANAGER, now=deed.now, actor=deed.actor)

    return perform(person, deed, work)


def waiting_for_second(person: Person, *, now: datetime) -> Approval | None:
    """The approval of a manager who wants to end this person and waits for a second one; `said` has the reason."""
    return two_managers.first_of(Proposal(Act.END.value, person.id), now=now)
