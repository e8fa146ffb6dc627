"""The second half of every write: merge the statements of all sources, store the result, apply the consequences.

Called with the account locked. The consequences are in `scim.people.consequences`: calls, not signals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction
from django.db.models import Q

from derived.ledger import audit, status
from derived.ledger.locking import under_lock
from derived.ledger.prepared_sql import BoundValue, PreparedSelect, field_of
from derived.models import AccountStatus
from scim.errors import uniqueness
from scim.feed import events
from scim.feed import writing as feed
from scim.models import Person, Record
from scim.people import consequences, waiting_returns
from scim.people.consequences import MergedState, WriteContext
from scim.protocol import aggregate, trust
from scim.protocol.values import fold

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from django.db.models import QuerySet

    from derived.models import Account
    from scim.feed.writing import FollowedRecord

__all__ = ["WriteContext", "apply_write", "merge_again", "record_deleted", "statements_about"]

_MOST_FORMER = 10
_TAKEN = (
    "userName is the login name of a person of another source. Push another userName, or ask the operator of this "
    "service for a namespace (manage.py source set NAME --namespace PREFIX), or for a rule that joins the two records."
)


def apply_write(write: WriteContext) -> bool:
    """Merge all records of a person, store the profile, apply the consequences; True if returns wait from now on."""
    person, was_active = write.person, write.account.is_active if write.was_active is None else write.was_active
    before = _before(person)
    records = _speaking(person)
    after = _merged(records, before)
    if waits := _moves_an_invitation(write, before, after):
        records = _returns_wait(write)
        after = _merged(records, before)
    _keep(write, before, after)
    consequences.apply_changes(write, before, after)
    here = [record for record in records if record.deleted_at is None]
    if here and here[0].followed:  # a person without a record is not shown to receivers
        _tell(write, before, after, was_active=was_active)
    return waits


def _merged(records: list[FollowedRecord], before: MergedState) -> MergedState:
    told = [_said(record) for record in records]
    return MergedState(profile=aggregate.merge(told, before.profile), guarded=aggregate.guarded_attributes(told))


def _moves_an_invitation(write: WriteContext, before: MergedState, after: MergedState) -> bool:
    """True if a source moves the addresses of a person who is back and has not enrolled again (ruling 29).

    The invitation would go to the new address, and whoever stole a credential of the source could have said it.
    """
    return (
        bool(write.source)
        and write.account.status != AccountStatus.TERMINATED
        and _addresses(before) != _addresses(after)
        and status.ever_had_authenticator(write.account)
        and not status.was_ever_enrolled(write.account)
    )


def _addresses(state: MergedState) -> set[str]:
    return set(aggregate.addresses(state.guarded.contact))


def _returns_wait(write: WriteContext) -> list[FollowedRecord]:
    """Let the return wait for a manager: nothing is lost, since the person has no credential in this epoch."""
    rows = Record.objects.filter(person=write.person, active=True, was_active=True, deleted_at__isnull=True)
    waiting_returns.let_wait(rows, now=write.now)
    waiting_returns.tell_managers(write.source, write.person.id, now=write.now)
    audit.record(write.account, "person.return_waits", now=write.now, actor=write.actor)
    return _speaking(write.person)


def _tell(write: WriteContext, before: MergedState, after: MergedState, *, was_active: bool) -> None:
    """Write the feed event of the change, in this transaction."""
    person = write.person
    if was_active != write.account.is_active and not _differs(before, after):
        feed.raise_version(person, now=write.now)
    feed.person_changed(
        person,
        write.account,
        before.profile.attributes,
        was_active=was_active,
        appears=write.is_new or write.appears,
        txn=write.txn,
        now=write.now,
    )


def _differs(before: MergedState, after: MergedState) -> bool:
    """True if receivers see another version of the person."""
    one, other = before.profile, after.profile
    return (one.active, one.suspended) != (other.active, other.suspended) or bool(
        events.changed_names(one.attributes, other.attributes)
    )


def record_deleted(write: WriteContext, *, followed: bool) -> None:
    """Handle a deleted record: merge the others, or without any end everything and free the login name (C28).

    A held person keeps the login name until a manager decides. followed: whether the feed has a receiver.
    """
    person = write.person
    if person.records.filter(deleted_at__isnull=True).exists():
        apply_write(write)
    elif consequences.delete(write):
        forget(write, followed=followed)
    else:
        person.active, person.updated_at = False, write.now
        person.save(update_fields=["active", "updated_at"])


def forget(write: WriteContext, *, followed: bool) -> None:
    """Free the login name of a person without records, and tell receivers.

    The profile stays, so that the last notice still finds its addresses.
    """
    person = write.person
    person.active, person.login_name, person.login_name_fold, person.login_name_taken = False, None, None, False
    person.updated_at = write.now
    person.save(update_fields=["active", "login_name", "login_name_fold", "login_name_taken", "updated_at"])
    if followed:
        feed.person_deleted(person, txn=write.txn, now=write.now)


def statements_about(person: Person) -> list[aggregate.SourceStatement]:
    """The present statements of every source about a person; those that are not adopted reach nobody (ruling 27).

    The deleted record of a source that is trusted for `active` counts as false, until a manager lifts it (ID-6).
    """
    return [_said(record) for record in _speaking(person)]


def _records() -> QuerySet[FollowedRecord]:
    alive = Q(deleted_at__isnull=True)
    rows = Record.objects.filter(alive | Q(was_active=True), person_id=BoundValue("person", field_of(Person)))
    return rows.select_related("source").annotate(followed=feed.FOLLOWED)


_RECORDS = PreparedSelect(_records)


def _speaking(person: Person) -> list[FollowedRecord]:
    records = _RECORDS.all(person=person.id)
    return [record for record in records if record.deleted_at is None or trust.ACTIVE in record.source.trusted_for]


def _said(record: Record) -> aggregate.SourceStatement:
    source, resource = record.source, record.resource
    if record.overruled:
        resource = trust.without_eligible(resource)
    return aggregate.SourceStatement(
        source=source.name,
        precedence=source.precedence,
        active=record.active or record.overruled,
        resource=resource if record.deleted_at is None or record.overruled else {},
        at=record.stated_at or record.updated_at,
        trusted_for=frozenset(source.trusted_for),
        returns=record.returns_at is not None,
        adopted=record.adopted and source.disabled_at is None,
        vouched_ial=source.vouched_ial if record.deleted_at is None or record.overruled else 0,
        namespace=source.namespace,
    )


def merge_again(person_id: UUID, *, now: datetime, actor: str) -> None:
    """Merge a person again, under the lock, after a change of trust or a manager's decision."""

    def work(account: Account) -> None:
        apply_write(WriteContext(account=account, person=Person.objects.get(id=person_id), actor=actor, now=now))

    under_lock(Person.objects.values_list("account_id", flat=True).get(id=person_id), work)


def _before(person: Person) -> MergedState:
    profile = aggregate.Profile(person.profile, person.provenance, person.active, person.suspended)
    guarded = aggregate.GuardedAttributes(user_name=person.user_name, contact=person.contact, ial=person.said_ial)
    return MergedState(profile=profile, guarded=guarded)


def _keep(write: WriteContext, before: MergedState, after: MergedState) -> None:
    person = write.person
    now_has = aggregate.addresses(after.guarded.contact)
    gone = [one for one in aggregate.addresses(before.guarded.contact) if one not in now_has]
    if _addresses(before) != _addresses(after) and not write.is_new:
        person.contact_changed_at = write.now
    person.former_addresses = list(dict.fromkeys([*gone, *person.former_addresses]))[:_MOST_FORMER]
    person.profile, person.provenance = after.profile.attributes, after.profile.provenance
    person.active, person.suspended = after.profile.active, after.profile.suspended
    person.contact, person.said_ial = after.guarded.contact, after.guarded.ial
    person.user_name = after.guarded.user_name or str(after.profile.attributes.get("userName", "")) or person.user_name
    person.updated_at = write.now
    if _differs(before, after):
        person.version += 1
    person.save()
    if after.guarded.user_name:
        _claim_login_name(write, after.guarded.user_name)
    elif person.login_name is not None:
        person.login_name, person.login_name_fold = None, None
        person.save(update_fields=["login_name", "login_name_fold"])


def _claim_login_name(write: WriteContext, user_name: str) -> None:
    """Take the user name as the login name if no other person has it: first come (ruling 11).

    Raises: ScimError 409 for the write of a source; a manager's or a rule's merge leaves the person without the name.
    """
    person, wanted, was_taken = write.person, fold(user_name), write.person.login_name_taken
    if person.login_name_fold == wanted:
        if person.login_name != user_name:
            Person.objects.filter(id=person.id).update(login_name=user_name)
            person.login_name = user_name
        return
    person.login_name, person.login_name_fold, person.login_name_taken = user_name, wanted, False
    try:
        with transaction.atomic():
            person.save(update_fields=["login_name", "login_name_fold", "login_name_taken"])
    except IntegrityError:
        if write.actor.startswith("source:"):
            raise uniqueness(_TAKEN) from None
        person.login_name, person.login_name_fold, person.login_name_taken = None, None, True
        person.save(update_fields=["login_name", "login_name_fold", "login_name_taken"])
        if not was_taken:
            audit.record(write.account, "person.login_name_taken", now=write.now, actor=write.actor)
