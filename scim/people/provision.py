"""The only writer of people: create, replace, patch and delete (RFC 7644 §3.3, §3.5, §3.6), and sources.

Each write is a transaction under the account's lock: the record, the merged person, and the consequences for the
account (`scim.people.settle`), so an acknowledged `active: false` has already ended everything (promise 4). Order
(ruling 11, C29; `scim.protocol.ordering`): an older version is refused with 412. A PUT without `active` leaves it
unchanged, so only an explicit `active: true` brings a leaver back, without any credential (C30). Without a number or an
entity tag it is not provably newer than the end: the source reads that it waits, and the person stays ended until
a manager agrees (`scim.people.returns`). A record that was never active was never ended, so its first `active: true`
needs no manager.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from django.db import IntegrityError

from derived.errors import Reason, Unavailable
from derived.ledger import accounts, audit
from derived.ledger.locking import transacted, under_lock
from derived.models import AccountStatus
from scim.errors import invalid_value, precondition_failed, uniqueness
from scim.models import Person, Record, RecordEmail, Source
from scim.people import bodies, matching, waiting_returns
from scim.people.consequences import record_untrusted
from scim.people.directory import find
from scim.people.disabling import disable_source
from scim.people.groups import remove_from_groups
from scim.people.settle import WriteContext, apply_write, record_deleted
from scim.people.sources import register_source, rotate_source
from scim.protocol import index, operations, ordering, patch, tags, trust, values
from scim.protocol.normalise import Form
from scim.protocol.user import USER

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from derived.models import Account
    from scim.feed.writing import FollowedRecord
    from scim.protocol.schema import Json, Resource

__all__ = [
    "check_unique",
    "create_user",
    "delete_user",
    "disable_source",
    "patch_user",
    "register_source",
    "replace_user",
    "resource_of",
    "rotate_source",
]

T = TypeVar("T")

_TRIES = 5
_OF_A_REPEAT = ("source_version", "returns_at", "overruled", "shows_active", "version", "updated_at")
SETTLED = timedelta(days=30)  # addresses that are younger than this when a person ends are not trusted for a return


def resource_of(source: Source, unverified_body: Json, *, counts: bool = True) -> Resource:
    """The canonical resource in a POST or PUT of a source; counts: as in `bodies.read`.

    Raises: ScimError 400 invalidSyntax or invalidValue.
    """
    return values.resource(bodies.read(source, unverified_body, Form.RESOURCE, counts=counts), USER)


def create_user(source: Source, unverified_body: Json, *, now: datetime) -> Record:
    """Create a record, person and account (ID-8), never reusing an old one, whatever names it has (C28).

    Raises: ScimError 400 invalidSyntax or invalidValue, 409 uniqueness.
    """
    resource = resource_of(source, unverified_body)
    ordering.require_active_stated(ordering.sequence(unverified_body), resource)
    resource.setdefault("active", True)
    record = _attached(source, unverified_body, resource, now=now)
    if record is None:
        record = _unique(lambda: transacted(lambda: _create(source, unverified_body, resource, now=now)))
        matching.match_after_write(record, now=now, is_new=True)
    return record


def _attached(source: Source, body: Json, resource: Resource, *, now: datetime) -> Record | None:
    """Create the record at an existing person, if the operator's rules are unambiguous; else None."""
    found = matching.unambiguous_match(source, resource)
    if found is None:
        return None

    def work(account: Account) -> Record | None:
        still = matching.unambiguous_match(source, resource)
        if still is None or still.person.account_id != account.id:
            return None
        check_unique(source, resource, but=None)
        _check_not_stale(source, body, resource)
        record = Record(
            source=source,
            person=still.person,
            created_at=now,
            version=0,
            adopted=matching.starts_adopted(source, still.person, attribute=still.attribute),
        )
        _store(record, resource, body, _without_secrets(body), now=now)
        write = WriteContext(account=account, person=still.person, actor=source.actor, source=source.name, now=now)
        _record(account, "person.updated", record, now=now)
        matching.record_attached(record, still, account, now=now, actor=source.actor)
        record_untrusted(write, resource, source.trusted_for)
        _apply(write, record)
        return record

    return _unique(lambda: under_lock(found.person.account_id, work))


def _create(source: Source, body: Json, resource: Resource, *, now: datetime) -> Record:
    check_unique(source, resource, but=None)
    _check_not_stale(source, body, resource)
    account = accounts.create_account(ial=0, now=now, actor=source.actor)
    person = Person.objects.create(account=account, user_name=str(resource["userName"]), created_at=now, updated_at=now)
    record = Record(
        source=source, person=person, created_at=now, version=0, adopted=matching.starts_adopted(source, None)
    )
    _store(record, resource, body, _without_secrets(body), now=now)
    write = WriteContext(account=account, person=person, actor=source.actor, source=source.name, now=now, is_new=True)
    _record(account, "person.created", record, now=now)
    record_untrusted(write, resource, source.trusted_for)
    _apply(write, record)
    return record


def _check_not_stale(source: Source, body: Json, resource: Resource) -> None:
    """Refuse a numbered version older than one that its source has deleted (C28, C29).

    Raises: ScimError 412.
    """
    number, external = ordering.sequence(body), resource.get("externalId")
    if number is None or not isinstance(external, str):
        return
    if Record.objects.filter(
        source=source, external_id=external, deleted_at__isnull=False, source_version__gte=number
    ).exists():
        raise precondition_failed("This source has deleted a newer version of this record.")


def replace_user(
    source: Source, unverified_id: str, unverified_body: Json, *, if_match: str | None = None, now: datetime
) -> Record:
    """Replace the record by the body: missing attributes are cleared, except `active` (RFC 7644 §3.5.1).

    Raises: ScimError 400 invalidSyntax or invalidValue, 404, 409 uniqueness, 412 for another or an older version.
    """
    resource = resource_of(source, unverified_body)
    number = ordering.sequence(unverified_body)
    ordering.require_active_stated(number, resource)
    if isinstance(unverified_body, dict) and unverified_body.get("id") not in (None, unverified_id):
        raise invalid_value("The id in the body is not the id in the path.")

    def change(record: Record) -> Resource:
        if number is not None and record.source_version is not None and number <= record.source_version:
            _check_order(record, resource, number)
        return {"active": record.active, **resource}

    push = _Push(
        body=unverified_body, says_active="active" in resource, versioned=ordering.is_versioned(number, if_match)
    )
    return _write(source, unverified_id, change, push, if_match=if_match, now=now)


def _check_order(record: Record, resource: Resource, number: int) -> None:
    """Require a newer version, or the winner of two with the same number.

    Raises: ScimError 412.
    """
    same = resource == record.resource
    if number < (record.source_version or 0) or not (same or ordering.wins_over(resource, record.resource)):
        raise precondition_failed("There is a newer version from this source.")


def patch_user(
    source: Source, unverified_id: str, unverified_body: Json, *, if_match: str | None = None, now: datetime
) -> Record:
    """Apply the operations of a PATCH message, all of them or none (RFC 7644 §3.5.2).

    Raises: ScimError 400 of Table 9, 404, 409 uniqueness, 412 for another version.
    """
    asked = operations.parse(bodies.read(source, unverified_body, Form.PATCH))

    def change(record: Record) -> Resource:
        after = patch.apply({"id": str(record.id), **record.resource}, asked, USER)
        del after["id"]
        return after

    push = _Push(
        body=None, says_active=ordering.mentions_active(asked), versioned=ordering.is_versioned(None, if_match)
    )
    return _write(source, unverified_id, change, push, if_match=if_match, now=now)


def delete_user(source: Source, unverified_id: str, *, if_match: str | None = None, now: datetime) -> None:
    """End the person, and leave a tombstone: the id is never found again, the names are free (RFC 7644 §3.6).

    Raises: ScimError 404, 412 for another version.
    """

    def work(account: Account, record: FollowedRecord) -> None:
        record.deleted_at, record.active, record.returns_at, record.updated_at = now, False, None, now
        record.version += 1
        record.save(update_fields=["deleted_at", "active", "returns_at", "updated_at", "version"])
        write = WriteContext(account=account, person=record.person, actor=source.actor, source=source.name, now=now)
        remove_from_groups(record, followed=record.followed, txn=write.txn, now=now)
        _record(account, "person.deleted", record, now=now)
        record_deleted(write, followed=record.followed)

    _under_its_lock(source, unverified_id, if_match, work)


@dataclass(frozen=True, kw_only=True)
class _Push:
    """body: of a PUT, None for a PATCH. says_active: whether `active` is present. versioned: provably newer (C29)."""

    body: Json
    says_active: bool
    versioned: bool


def _write(  # noqa: PLR0913 - the parts of a change
    source: Source,
    unverified_id: str,
    change: Callable[[Record], Resource],
    push: _Push,
    *,
    if_match: str | None,
    now: datetime,
) -> Record:
    """Apply a change under the lock; without a difference, version and time stay."""
    old: dict[str, Resource] = {}

    def work(account: Account, record: Record) -> Record:
        write = WriteContext(account=account, person=record.person, actor=source.actor, source=source.name, now=now)
        before, resource, waits = record.resource, change(record), record.returns_at
        old["resource"] = before
        _note_return(record, resource, push, now=now)
        if resource == before:
            record.source_version = ordering.sequence(push.body) or record.source_version
            if push.says_active and not record.active:
                record.overruled = False
            if waits != record.returns_at:
                record.shows_active = waiting_returns.shows_active(record)
                record.version, record.updated_at = record.version + 1, now
            record.save(update_fields=_OF_A_REPEAT)
            if waits != record.returns_at or (not record.active and account.status != AccountStatus.TERMINATED):
                _apply(write, record)  # a repeated `active: false` also ends an account that was reopened in between
            return record
        check_unique(source, resource, but=record)
        kept = _without_secrets(push.body) if push.body is not None else _repushed(record, resource)
        if push.says_active and not _means_active(record, resource):
            record.overruled = False  # stated again, after a manager gave the person back
        _store(record, resource, push.body, kept, now=now)
        _record(account, "person.updated", record, now=now)
        if set(trust.untrusted_attributes(resource, source.trusted_for)) - set(
            trust.untrusted_attributes(before, source.trusted_for)
        ):
            record_untrusted(write, resource, source.trusted_for)
        _apply(write, record)
        return record

    record = _unique(lambda: _under_its_lock(source, unverified_id, if_match, work))
    if record.resource is not old.get("resource"):
        matching.match_after_write(record, now=now)
    return record


def _apply(write: WriteContext, record: Record) -> None:
    """Merge the person of a record, which is read again if its return waits now."""
    if apply_write(write):
        record.refresh_from_db(fields=waiting_returns.FIELDS)


def _note_return(record: Record, resource: Resource, push: _Push, *, now: datetime) -> None:
    """Decide whether a person that this source had ended returns at once, or waits for a manager (ruling 11, C29)."""
    wanted = _means_active(record, resource)
    is_return = wanted and record.was_active and not record.active
    waits = is_return or record.returns_at is not None
    proven = push.versioned and push.says_active and not (waits and _moved_addresses(record, resource))
    if not wanted or not record.was_active or proven:
        record.returns_at = None
    elif is_return:
        record.returns_at = now
        waiting_returns.tell_managers(record.source.name, record.person_id, now=now)


def _moved_addresses(record: Record, resource: Resource) -> bool:
    """True if the e-mail addresses changed with this return, since the ending, or shortly before it (ruling 29).

    Those of the record or, by any source, those of the person: the bearer of a stolen credential could otherwise move
    the address, end the person, and take the invitation.
    """
    if index.emails(resource) != index.emails(record.resource):
        return True
    ended = record.ended_at
    changes = [at for at in (record.addresses_changed_at, record.person.contact_changed_at) if at is not None]
    return any(ended is None or at > ended - SETTLED for at in changes)


def _means_active(record: Record, resource: Resource) -> bool:
    """The source's statement about the person; removing `active` states nothing and reactivates nobody."""
    return resource["active"] is not False if "active" in resource else record.active


def _under_its_lock(
    source: Source, unverified_id: str, if_match: str | None, work: Callable[[Account, FollowedRecord], T]
) -> T:
    """Run `work` on a record with its account locked, again if it has moved to another account."""

    def locked(account: Account) -> T | _Moved:
        record = _current(source, unverified_id, if_match)
        return work(account, record) if record.person.account_id == account.id else _Moved()

    for _ in range(_TRIES):
        found = under_lock(find(source, unverified_id, to_write=True).person.account_id, locked)
        if not isinstance(found, _Moved):
            return found
    raise Unavailable(Reason.DATABASE_BUSY)


class _Moved:
    """The record has moved to another account."""


def _current(source: Source, unverified_id: str, if_match: str | None) -> FollowedRecord:
    """The record as read under the lock, if the client's version matches."""
    record = find(source, unverified_id, to_write=True)
    tags.check(if_match, record.etag)
    return record


def _store(record: Record, resource: Resource, body: Json, pushed: Json, *, now: datetime) -> None:
    was: Resource = record.resource if record.version else {}
    before = index.emails(was)
    record.source_version = number if (number := ordering.sequence(body)) is not None else record.source_version
    record.stated_at = ordering.stated_at(body, now=now)
    record.resource, record.pushed = resource, pushed
    for name, value in index.columns(resource).items():
        setattr(record, name, value)
    record.shows_active = waiting_returns.shows_active(record)
    was_active, record.active = record.active, _means_active(record, resource)
    record.was_active = record.was_active or record.active
    if was_active and not record.active:
        record.ended_at = now
    if _states_again(resource, was):
        record.overruled = False
    after = index.emails(resource)
    if was and after != before:
        record.addresses_changed_at = now
    record.version += 1
    record.updated_at = now
    record.save()
    matching.store_keys(record, was)
    if after != before:
        if before:
            RecordEmail.objects.filter(record=record).delete()
        RecordEmail.objects.bulk_create(
            RecordEmail(record=record, source=record.source, value_fold=one) for one in after
        )


def _states_again(resource: Resource, was: Resource) -> bool:
    """True if the source states `active` or `eligible` anew, which a manager's giving back does not cover."""
    if "active" in resource and resource["active"] is not was.get("active"):
        return True
    return trust.states_ineligible(resource) != trust.states_ineligible(was)


def check_unique(source: Source, resource: Resource, *, but: Record | None) -> None:
    """Require that no other record of this source has the user name or the externalId.

    Raises: ScimError 409.
    """
    is_new_name = but is None or but.user_name_fold != values.fold(str(resource["userName"]))
    if is_new_name and _is_in_a_namespace(source, str(resource["userName"])):
        raise uniqueness("userName begins with the namespace of another source.")
    others = Record.objects.filter(source=source, deleted_at__isnull=True)
    if but is not None:
        others = others.exclude(id=but.id)
    if others.filter(user_name_fold=values.fold(str(resource["userName"]))).exists():
        raise uniqueness("userName is in use.")
    if isinstance(resource.get("externalId"), str) and others.filter(external_id=resource["externalId"]).exists():
        raise uniqueness("externalId is in use.")


def _is_in_a_namespace(source: Source, user_name: str) -> bool:
    """True if the login name would begin with another source's namespace, which is that source's alone (ruling 27)."""
    prefix, slash, _ = user_name.partition("/")
    if not slash or source.namespace:
        return False
    return Source.objects.filter(namespace=values.fold(prefix)).exclude(id=source.id).exists()


def _unique(work: Callable[[], T]) -> T:
    """Run `work`; concurrent writers both pass the check, and the unique index admits one."""
    try:
        return work()
    except IntegrityError as error:
        if "record_" not in str(error) and "scim_record." not in str(error):
            raise
        raise uniqueness("userName or externalId is in use.") from None


def _without_secrets(value: Json) -> Json:
    """The value without any member named password, at any depth (ruling 10)."""
    if isinstance(value, list):
        return [_without_secrets(one) for one in value]
    if isinstance(value, dict):
        kept = {key: one for key, one in value.items() if key.rpartition(":")[2].lower() != "password"}
        return {key: _without_secrets(one) for key, one in kept.items()}
    return value


def _repushed(record: Record, resource: Resource) -> Json:
    """The stored body with the attributes that a PATCH changed; others keep their spelling."""
    same = {name.lower() for name, value in resource.items() if record.resource.get(name) == value}
    before = record.pushed if isinstance(record.pushed, dict) else {}
    kept = {name: value for name, value in before.items() if name.lower() in same}
    spelled = {name.lower() for name in kept}
    return {**kept, **{name: value for name, value in resource.items() if name.lower() not in spelled}}


def _record(account: Account, kind: str, record: Record, *, now: datetime) -> None:
    body = {"record": str(record.id), "version": record.version, "active": record.active}
    personal = {"userName": str(record.resource["userName"])}
    audit.record(account, kind, now=now, actor=record.source.actor, body=body, personal=personal)
