"""Acts on one person by somebody with a role: suspend, resume, invite, sign out, revoke a credential, end the account.

The matrix of roles (`scim.access.roles`) says who may do each, and whether a second person must agree. One person alone
stops at most twenty people an hour; from then on a second one must agree. Each act keeps its reason in the audit chain.
Nobody acts on themselves (RQ-3).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from derived.changes import by_person, revoke, suspend
from derived.errors import Reason, Refused
from derived.ledger import audit, outbox, status
from derived.ledger.locking import under_lock
from scim.access import roles, same_human
from scim.access.roles import Answer, Extent, Verb
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
    LOST = "lost"
    SIGN_OUT = "sign-out"
    END = "end"


STOPS = frozenset({Act.SUSPEND, Act.REVOKE, Act.LOST, Act.SIGN_OUT, Act.END})
VERBS = {
    Act.SUSPEND: Verb.SUSPEND,
    Act.RESUME: Verb.LIFT,
    Act.INVITE: Verb.CARE,
    Act.REVOKE: Verb.REVOKE,
    Act.LOST: Verb.REVOKE,
    Act.SIGN_OUT: Verb.SUSPEND,
    Act.END: Verb.END,
}


@dataclass(frozen=True, kw_only=True)
class Deed:
    """One act of a manager: because: the reason, in words. about: the id of the credential of a REVOKE."""

    act: Act
    because: str
    actor: str
    now: datetime
    about: UUID | None = None


def perform(person: Person, deed: Deed, work: Callable[[Account], None], *, has_second: bool = False) -> bool:
    """Do one act with the account locked, and keep its reason; False if a second person must agree.

    has_second: a second person has agreed, at the terminal.

    Raises: Refused(BAD_PROOF) for a reason that says too little; Refused(ILLEGAL_MOVE) for an act that no role of the
    actor allows on this person; and what `work` raises.
    """
    words, now, actor = deed.because.strip(), deed.now, deed.actor
    if not LEAST_WORDS <= len(words) <= MOST_WORDS or not words.isprintable():
        raise Refused(Reason.BAD_PROOF)

    def locked(account: Account) -> bool:
        was_active, is_stop = account.is_active, deed.act in STOPS
        answer = allowed(actor, deed.act, person, now=now)
        if not answer or answer.by is None:
            raise Refused(Reason.ILLEGAL_MOVE)
        is_much = is_stop and _stopped(actor, but=person, now=now) >= MOST_STOPPED
        proposal = Proposal(
            deed.act.value, deed.about or person.id, VERBS[deed.act], (person,), because=words, always=is_much
        )
        if not has_second and not two_managers.agreed(account, proposal, actor=actor, now=now):
            return False
        work(account)
        if is_stop:
            ManagerStop.objects.create(actor=actor, person=person, at=now)
        body, personal = {"act": deed.act.value, "role": answer.by.name.value}, {"because": words}
        audit.record(account, "manager.acted", now=now, actor=actor, body=body, personal=personal)
        feed.account_changed(account, was_active=was_active, now=now)
        return True

    return under_lock(person.account_id, locked)


def _stopped(actor: str, *, but: Person, now: datetime) -> int:
    """The number of other people whom a person has stopped in the last hour, in the console and at a terminal.

    The acts of one person wait for each other.
    """
    if (actor_person := same_human.of_actor(actor)) is None:
        return 0  # a terminal before somebody is an operator
    list(Role.objects.select_for_update().filter(person=actor_person, ended_at__isnull=True).values_list("person"))
    names = [f"{kind}:{actor_person.id}" for kind in ("manager", "operator")]
    rows = ManagerStop.objects.filter(actor__in=names, at__gt=now - WINDOW).exclude(person=but)
    return rows.values("person").distinct().count()


def allowed(actor: str, act: Act, person: Person, *, now: datetime) -> Answer:
    """Whether an actor may do an act on a person; whoever may revoke only what is lost says that it is lost."""
    answer = roles.may_as(actor, VERBS[act], about=person, now=now)
    return Answer() if answer.extent == Extent.LOST and act != Act.LOST else answer


def suspend_person(person: Person, deed: Deed) -> bool:
    """Stop everything of an active person until somebody resumes them.

    Raises: Refused(ILLEGAL_MOVE) unless the account is active; as `perform`.
    """
    return perform(person, deed, lambda account: suspend.suspend(account, now=deed.now, actor=deed.actor))


def resume_person(person: Person, deed: Deed, *, has_second: bool = False) -> bool:
    """Resume a suspended person, unless a mass ending holds them (ruling 28); has_second: as `perform`.

    Raises: Refused(ILLEGAL_MOVE) for a person who is held or not suspended; as `perform`.
    """

    def work(account: Account) -> None:
        if type(person).objects.filter(id=person.id, held_at__isnull=False).exists():
            raise Refused(Reason.ILLEGAL_MOVE)
        suspend.resume(account, now=deed.now, actor=deed.actor)

    return perform(person, deed, work, has_second=has_second)


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

    Of a lost one, the person reviews what was added with it in the last days (IV-7).

    Raises: Refused(CREDENTIAL_NOT_LIVE); as `perform`.
    """

    def work(account: Account) -> None:
        row = status.living(account.id).filter(id=deed.about).first() if deed.about else None
        if row is None:
            raise Refused(Reason.CREDENTIAL_NOT_LIVE)
        if deed.act == Act.LOST:
            by_person.report_loss(account, row.id, used_since=None, now=deed.now, actor=deed.actor)
        else:
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
    return two_managers.first_of(Act.END.value, person.id, now=now)
