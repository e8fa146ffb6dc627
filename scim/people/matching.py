"""Join the records of a person and split them again: recorded, reversible, and never a way into an account (ruling 9).

An unambiguous case is joined by rule; any other waits for a manager, who sees both sides. A decision about a record and
a person is final. A join moves attributes of the profile only: login name, mail targets and IAL stay with the first
records, until a manager adopts the joined one (`scim.people.returns.adopt`).
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

from django.db.models import Exists, F, OuterRef

from derived.changes import revoke
from derived.errors import Reason, Refused
from derived.ledger import accounts, audit, status
from derived.ledger.locking import under_lock, under_locks
from scim.access.roles import Verb
from scim.feed import writing as feed
from scim.models import Match, MatchRule, MatchState, Person, Record, RecordKey
from scim.people import candidates, notices, two_managers
from scim.people.settle import WriteContext, apply_write
from scim.people.two_managers import Proposal
from scim.protocol import trust

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

    from django.db.models import QuerySet

    from derived.models import Account
    from scim.models import Source
    from scim.protocol.schema import Resource

BY_RULE = "rule"


# --- the operator's rules ---


def add_rule(attribute: str, *, now: datetime) -> MatchRule:
    """Join records by this identifier from now on.

    Raises: ValueError for an attribute that is not a permitted identifier.
    """
    full = next(iter(trust.full_names([attribute])))
    if full not in candidates.KEYS:
        message = (
            f"records are joined by {', '.join(one.rpartition(':')[2] for one in candidates.KEYS)} and by nothing else"
        )
        raise ValueError(message)
    return MatchRule.objects.get_or_create(attribute=full, defaults={"created_at": now})[0]


def remove_rule(attribute: str) -> bool:
    """Stop joining by this identifier; joined records stay joined. False if there was no such rule."""
    return bool(MatchRule.objects.filter(attribute__in=trust.full_names([attribute])).delete()[0])


# --- at every write ---


def store_keys(record: Record, before: Resource) -> None:
    """Store the identifiers of a record for lookups; before: its former resource."""
    keys = candidates.keys_of(record.source, record.resource)
    if keys == candidates.keys_of(record.source, before):
        return
    record.keys.all().delete()
    RecordKey.objects.bulk_create(RecordKey(record=record, attribute=name, value=value) for name, value in keys.items())


def unambiguous_match(source: Source, resource: Resource) -> candidates.Candidate | None:
    """The person to whom a new record unambiguously belongs, or None."""
    found = candidates.find(source, candidates.keys_of(source, resource))
    return found[0] if len(found) == 1 and not found[0].why else None


def record_attached(
    record: Record, found: candidates.Candidate, account: Account, *, now: datetime, actor: str
) -> None:
    """Record that a new record was joined to an existing person by rule, with the account locked."""
    Match.objects.create(
        record=record,
        person=found.person,
        attribute=found.attribute,
        state=MatchState.JOINED,
        created_at=now,
        decided_at=now,
        decided_by=BY_RULE,
    )
    _record(account, "person.joined", record, now=now, actor=actor, attribute=found.attribute)
    _tell_if_it_waits(record, found.person, now=now)


def _tell_if_it_waits(record: Record, person: Person, *, now: datetime) -> None:
    """Notify the managers if a source that may activate people has no say about this one before a decision."""
    if not record.adopted and trust.ACTIVE in record.source.trusted_for:
        payload: dict[str, object] = {"source": record.source.name, "of": str(person.account_id)}
        notices.tell_managers("adoption.waits", payload, now=now)


def starts_adopted(source: Source, person: Person | None, *, attribute: str = "") -> bool:
    """True if a record reaches its person without a manager's decision (ruling 27).

    The first record of a person does, if its source is trusted for `active`: no other record, living or deleted, ever
    was adopted, and the account never had an authenticator. A later one does if the operator said so for its source
    and this identifier. attribute: the identifier by which the record was joined, "" without one.
    """
    if attribute and attribute in source.adopts:
        return True
    if trust.ACTIVE not in source.trusted_for:
        return False
    if person is None:
        return True
    return not person.records.filter(adopted=True).exists() and not status.ever_had_authenticator(person.account)


def match_after_write(record: Record, *, now: datetime, is_new: bool = False) -> None:
    """After a committed write: join the record's person if the case is unambiguous, or let a manager decide.

    is_new: this write created the record and its person, beside a write of another source about the same person.
    """
    keys = candidates.keys_of(record.source, record.resource)
    found = candidates.find(record.source, keys, record=record)
    if len(found) == 1 and not found[0].why:
        moves = _moves_clear(record, found[0], is_new=is_new)
        if moves is not None:
            with contextlib.suppress(Refused):  # a concurrent join by another request is not an error here
                join(moves, _other(moves, record, found[0]), attribute=found[0].attribute, now=now, actor=BY_RULE)
            return
        found = [replace(found[0], why=candidates.LOSES_JOINER)]
    for one in found:
        Match.objects.get_or_create(
            record=record,
            person=one.person,
            defaults={"attribute": one.attribute, "state": MatchState.WAITING, "why": one.why, "created_at": now},
        )


def _moves_clear(record: Record, found: candidates.Candidate, *, is_new: bool) -> Record | None:
    """The record that a rule may move to the other person, or None if a manager must decide.

    A record moves if its person has nothing else, never enrolled, and loses nothing: the record was not adopted, or is
    adopted there too. So a rule never takes a source's joiner into an account where that source has no say. A record
    that was created just now moves as it would have been attached a moment later.
    """
    other = found.person.records.filter(deleted_at__isnull=True).select_related("person", "source").first()
    moves = [(record, found.person)] + ([(other, record.person)] if other is not None else [])
    for one, into in sorted(moves, key=lambda pair: pair[0].adopted):
        stays_heard = (
            (is_new and one is record) or not one.adopted or starts_adopted(one.source, into, attribute=found.attribute)
        )
        if stays_heard and candidates.has_nothing_to_lose(one.person):
            return one
    return None


def _other(moves: Record, record: Record, found: candidates.Candidate) -> Person:
    return found.person if moves is record else record.person


# --- by a manager ---


def waiting() -> QuerySet[Match]:
    """The pairs that wait for a manager, oldest first, but for those of people who are one, or are gone, since."""
    living = Record.objects.filter(person=OuterRef("person"), deleted_at__isnull=True)
    rows = Match.objects.filter(Exists(living), state=MatchState.WAITING, record__deleted_at__isnull=True)
    rows = rows.exclude(record__person=F("person"))
    return rows.select_related("record__source", "record__person__account", "person__account").order_by(
        "created_at", "id"
    )


def join(record: Record, person: Person, *, now: datetime, actor: str, attribute: str = "") -> Match | None:
    """Move a record to this person; a person left without records ends, because the account is not needed.

    None if a second manager must agree (ruling 27, RL-10).
    Raises: Refused(ILLEGAL_MOVE) if the record is theirs already, or is deleted.
    """

    def work(locked: Mapping[UUID, Account]) -> Match | None:
        fresh = Record.objects.select_related("person", "source").filter(id=record.id, deleted_at__isnull=True).first()
        if fresh is None or fresh.person_id == person.id or fresh.person.account_id not in locked:
            raise Refused(Reason.ILLEGAL_MOVE)
        into, old = Person.objects.get(id=person.id), fresh.person
        if actor == BY_RULE and not _is_here(into):  # another join was first, and emptied the person that was found
            raise Refused(Reason.ILLEGAL_MOVE)
        about = f"{fresh.id}:{into.id}"
        proposal = Proposal("join", about, Verb.JOIN, (old, into))
        if not two_managers.agreed(locked[into.account_id], proposal, actor=actor, now=now):
            return None
        write = WriteContext(
            account=locked[into.account_id],
            person=into,
            actor=actor,
            source=fresh.source.name if actor == BY_RULE else "",
            now=now,
            appears=not _is_here(into),
        )
        match, _ = Match.objects.update_or_create(
            record=fresh,
            person=into,
            defaults={
                "attribute": attribute,
                "state": MatchState.JOINED,
                "from_person": old,
                "decided_at": now,
                "decided_by": actor,
            },
            create_defaults={
                "attribute": attribute,
                "state": MatchState.JOINED,
                "from_person": old,
                "created_at": now,
                "decided_at": now,
                "decided_by": actor,
            },
        )
        fresh.adopted = starts_adopted(fresh.source, into, attribute=attribute)
        fresh.person = into
        fresh.save(update_fields=["person", "adopted"])
        feed.record_moved(fresh, old=old.id, new=into.id, txn=write.txn, now=now)
        old_account = locked[old.account_id]
        _record(old_account, "person.record_left", fresh, now=now, actor=actor, attribute=attribute)
        _record(write.account, "person.joined", fresh, now=now, actor=actor, attribute=attribute)
        _carry_on(replace(write, account=old_account, person=old, appears=False))
        if actor == BY_RULE:
            _tell_if_it_waits(fresh, into, now=now)
        apply_write(write)
        return match

    return under_locks([record.person.account_id, person.account_id], work)


def _is_here(person: Person) -> bool:
    """True if any source has a record of the person."""
    return person.records.filter(deleted_at__isnull=True).exists()


def _carry_on(write: WriteContext, *, was_here: bool = True) -> None:
    """Merge a person again after the loss of a record, or end them without records; was_here: it was not deleted."""
    person, now = write.person, write.now
    if _is_here(person):
        apply_write(write)
        return
    person.active, person.login_name, person.login_name_fold, person.login_name_taken = False, None, None, False
    person.updated_at = now
    person.save(update_fields=["active", "login_name", "login_name_fold", "login_name_taken", "updated_at"])
    revoke.everything(write.account, because=Reason.JOINED_TO_ANOTHER, now=now, actor=write.actor)
    if was_here and feed.is_followed():
        feed.person_deleted(person, txn=write.txn, now=now)


def keep_apart(match: Match, *, now: datetime, actor: str) -> bool:
    """Record two managers' decision that two people differ, which is final; False if a second one must agree.

    It also says that each may decide about the other, so that one manager alone does not take it.
    Raises: Refused(ILLEGAL_MOVE) unless the case waits.
    """

    def work(account: Account) -> bool:
        if match.state != MatchState.WAITING:
            raise Refused(Reason.ILLEGAL_MOVE)
        proposal = Proposal("apart", match.id, Verb.SPLIT, (match.record.person, match.person))
        if not two_managers.agreed(account, proposal, actor=actor, now=now):
            return False
        if not Match.objects.filter(id=match.id, state=MatchState.WAITING).update(
            state=MatchState.APART, decided_at=now, decided_by=actor
        ):
            raise Refused(Reason.ILLEGAL_MOVE)
        _record(account, "person.kept_apart", match.record, now=now, actor=actor, attribute=match.attribute)
        return True

    return under_lock(match.record.person.account_id, work)


def split(match: Match, *, now: datetime, actor: str) -> Person | None:
    """Undo a join: the record returns to its former person in a new epoch, or to a new person.

    The records are not joined by rule again. None if a second manager must agree.
    Raises: Refused(ILLEGAL_MOVE) unless the record is joined there now.
    """
    fresh = Match.objects.select_related("person", "from_person__account", "record__source").get(id=match.id)
    before = fresh.from_person
    if (
        before is not None
        and revoke.terminated_because(before.account) != Reason.JOINED_TO_ANOTHER.value
        and not before.active
    ):
        before = None  # it has ended for another reason since
    accounts_needed = [fresh.person.account_id, *([before.account_id] if before else [])]

    def work(locked: Mapping[UUID, Account]) -> Person | None:
        proposal = Proposal("split", fresh.id, Verb.SPLIT, tuple({fresh.person, before or fresh.person}))
        joined = Match.objects.filter(id=fresh.id, state=MatchState.JOINED, record__person=fresh.person_id).exists()
        if joined and not two_managers.agreed(locked[fresh.person.account_id], proposal, actor=actor, now=now):
            return None
        changed = Match.objects.filter(id=fresh.id, state=MatchState.JOINED, record__person=fresh.person_id)
        if not changed.update(state=MatchState.UNDONE, decided_at=now, decided_by=actor):
            raise Refused(Reason.ILLEGAL_MOVE)
        record = Record.objects.select_related("source").get(id=fresh.record_id)
        person = Person.objects.get(id=before.id) if before else None
        account = locked[person.account_id] if person else accounts.create_account(ial=0, now=now, actor=actor)
        was_active = account.is_active
        if person is None:
            name = str(record.resource["userName"])
            person = Person.objects.create(account=account, user_name=name, created_at=now, updated_at=now)
        elif not account.is_active and revoke.terminated_because(account) == Reason.JOINED_TO_ANOTHER.value:
            accounts.reopen(account, now=now, actor=actor)
        write = WriteContext(
            account=account,
            person=person,
            actor=actor,
            now=now,
            is_new=before is None,
            appears=not _is_here(person),
            was_active=was_active,
        )
        record.person, record.adopted = person, starts_adopted(record.source, person)
        record.save(update_fields=["person", "adopted"])
        feed.record_moved(record, old=fresh.person_id, new=person.id, txn=write.txn, now=now)
        left = locked[fresh.person.account_id]
        _record(left, "person.record_left", record, now=now, actor=actor, attribute=fresh.attribute)
        _record(account, "person.split", record, now=now, actor=actor, attribute=fresh.attribute)
        _carry_on(
            replace(
                write,
                account=left,
                person=Person.objects.get(id=fresh.person_id),
                is_new=False,
                appears=False,
                was_active=None,
            ),
            was_here=record.deleted_at is None,
        )
        apply_write(write)
        return person

    return under_locks(accounts_needed, work)


def _record(  # noqa: PLR0913 - the fields of an Event
    account: Account, kind: str, record: Record, *, now: datetime, actor: str, attribute: str
) -> None:
    body = {"record": str(record.id), "source": record.source.name, "by": attribute.rpartition(":")[2]}
    audit.record(account, kind, now=now, actor=actor, body=body)
