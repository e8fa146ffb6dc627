"""The only writer: sources, and what they create, replace, patch and delete (RFC 7644 §3.3, §3.5, §3.6).

Each write is one transaction under the account's lock: the record, the merged person, and what follows for the account
(`scim.settle`), so that an acknowledged `active:false` has already ended everything (promise 4).

Order (ruling 11, C29): a source that numbers its records in `meta.version` (a plain number, not the entity tag that it
got from us) has its events ordered by it: an older one is refused with 412. A PUT that does not say `active` leaves it
as it is, so only an explicit `active:true` brings a leaver back, and with no credential (C30).
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, TypeVar

from django.db import IntegrityError

from derived import accounts, audit
from derived.assurance import IAL
from derived.locking import transacted, under_lock
from derived.models import AccountStatus
from scim import index, operations, patch, values
from scim.auth import token_hash
from scim.directory import find
from scim.errors import invalid_value, precondition_failed, uniqueness
from scim.models import Person, Record, RecordEmail, Source
from scim.normalise import NORMALISERS, normalise
from scim.settle import Write, end, settle
from scim.user import USER

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from derived.models import Account
    from scim.schema import Json, Resource

T = TypeVar("T")

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_SEQUENCE = re.compile(r"[0-9]{1,18}")


def register_source(  # noqa: PLR0913 - what an operator decides about a source
    name: str, *, now: datetime, vouched_ial: int = 0, precedence: int = 100,
    normalisers: Sequence[str] = (), token_expires_at: datetime | None = None,
) -> tuple[Source, str]:
    """A new source, and its bearer token, which is not kept and cannot be shown again.

    Raises: ValueError for a bad name, level or normaliser, or a name in use.
    """
    _check_source(name, vouched_ial, normalisers)
    token = _new_token()
    try:
        source = transacted(
            lambda: Source.objects.create(
                name=name, token_hash=token_hash(token), vouched_ial=vouched_ial, precedence=precedence,
                normalisers=list(normalisers), token_expires_at=token_expires_at, created_at=now,
            )
        )
    except IntegrityError:
        message = f"there is a source named {name} already"
        raise ValueError(message) from None
    return source, token


def _check_source(name: str, vouched_ial: int, normalisers: Sequence[str]) -> None:
    message = ""
    if not _NAME.fullmatch(name):
        message = "the name must be lower-case letters, digits and hyphens, 63 at most"
    elif vouched_ial not in set(IAL):
        message = "the identity assurance level must be 0, 1, 2 or 3"
    elif set(normalisers) - set(NORMALISERS):
        message = f"the normalisers are: {', '.join(NORMALISERS)}"
    if message:
        raise ValueError(message)


def _new_token() -> str:
    # The prefix lets secret scanners find a token that was committed somewhere.
    return f"ramet_scim_{secrets.token_urlsafe(32)}"


def rotate_source(source: Source, *, expires_at: datetime | None = None) -> str:
    """Give a source a new token; the old one is dead at once. expires_at: when the new one ends, None for never."""
    token = _new_token()
    source.token_hash, source.token_expires_at = token_hash(token), expires_at
    source.save(update_fields=["token_hash", "token_expires_at"])
    return token


def disable_source(source: Source, *, now: datetime) -> None:
    """Refuse a source's token from now on; its people stay as they are."""
    source.disabled_at = now
    source.save(update_fields=["disabled_at"])


def create_user(source: Source, unverified_body: Json, *, now: datetime) -> Record:
    """A new record, person and account (ID-8, C28: never an old one, whatever names it carries).

    Raises: ScimError 400 invalidSyntax or invalidValue, 409 uniqueness.
    """
    resource = values.resource(unverified_body, USER)
    resource.setdefault("active", True)
    return _unique(lambda: transacted(lambda: _create(source, unverified_body, resource, now=now)))


def _create(source: Source, body: Json, resource: Resource, *, now: datetime) -> Record:
    _check_unique(source, resource, but=None)
    account = accounts.open_account(ial=source.vouched_ial, now=now, actor=source.actor)
    person = Person.objects.create(account=account, user_name=str(resource["userName"]), created_at=now, updated_at=now)
    record = Record(source=source, person=person, created_at=now, version=0, source_version=_sequence(body))
    _store(record, resource, _without_secrets(body), now=now)
    write = Write(account=account, person=person, actor=source.actor, now=now, is_new=True)
    _record(account, "person.created", record, now=now)
    settle(write)
    return record


def replace_user(
    source: Source, unverified_id: str, unverified_body: Json, *, if_match: str | None = None, now: datetime
) -> Record:
    """The record as the body says: what it does not name is cleared, but `active` stays (RFC 7644 §3.5.1).

    Raises: ScimError 400 invalidSyntax or invalidValue, 404, 409 uniqueness, 412 for another or an older version.
    """
    resource = values.resource(unverified_body, USER)
    sequence = _sequence(unverified_body)
    if isinstance(unverified_body, dict) and unverified_body.get("id") not in (None, unverified_id):
        raise invalid_value("The id in the body is not the id in the path.")

    def change(record: Record) -> Resource | None:
        if sequence is not None and record.source_version is not None and sequence <= record.source_version:
            if sequence == record.source_version and {"active": record.active, **resource} == record.resource:
                return None
            raise precondition_failed("There is a newer version from this source.")
        record.source_version = sequence if sequence is not None else record.source_version
        return {"active": record.active, **resource}

    return _write(source, unverified_id, change, pushed=unverified_body, if_match=if_match, now=now)


def patch_user(
    source: Source, unverified_id: str, unverified_body: Json, *, if_match: str | None = None, now: datetime
) -> Record:
    """The record after the operations of a PATCH message, all of them or none (RFC 7644 §3.5.2).

    Raises: ScimError 400 of Table 9, 404, 409 uniqueness, 412 for another version.
    """
    asked = operations.parse(normalise(unverified_body, source.normalisers))

    def change(record: Record) -> Resource | None:
        after = patch.apply({"id": str(record.id), **record.resource}, asked, USER)
        del after["id"]
        # Taking `active` away is no way back in.
        return after if record.active or "active" in after else {**after, "active": False}

    return _write(source, unverified_id, change, pushed=None, if_match=if_match, now=now)


def delete_user(source: Source, unverified_id: str, *, if_match: str | None = None, now: datetime) -> None:
    """End the person, and leave a tombstone: the id is never found again, the names are free (RFC 7644 §3.6).

    Raises: ScimError 404, 412 for another version.
    """

    def work(account: Account) -> None:
        record = _current(source, unverified_id, if_match)
        record.deleted_at, record.active, record.updated_at = now, False, now
        record.version += 1
        record.save(update_fields=["deleted_at", "active", "updated_at", "version"])
        _record(account, "person.deleted", record, now=now)
        end(Write(account=account, person=record.person, actor=source.actor, now=now))

    under_lock(find(source, unverified_id).person.account_id, work)


def _write(  # noqa: PLR0913 - what every change of a record needs
    source: Source, unverified_id: str, change: Callable[[Record], Resource | None], *,
    pushed: Json, if_match: str | None, now: datetime,
) -> Record:
    """Run one change under the lock; one that changes nothing leaves version and time as they are."""

    def work(account: Account) -> Record:
        record = _current(source, unverified_id, if_match)
        write = Write(account=account, person=record.person, actor=source.actor, now=now)
        resource = change(record)
        if resource is None or resource == record.resource:
            record.save(update_fields=["source_version"])
            if not record.active and account.status != AccountStatus.TERMINATED:
                settle(write)  # a repeated `active:false` ends what somebody opened in between
            return record
        _check_unique(source, resource, but=record)
        kept = _without_secrets(pushed) if pushed is not None else _repushed(record, resource)
        _store(record, resource, kept, now=now)
        _record(account, "person.updated", record, now=now)
        settle(write)
        return record

    return _unique(lambda: under_lock(find(source, unverified_id).person.account_id, work))


def _current(source: Source, unverified_id: str, if_match: str | None) -> Record:
    """The record as it is under the lock, if the client means this version of it."""
    record = find(source, unverified_id)
    tags = [tag.strip() for tag in (if_match or "*").split(",")]
    if "*" not in tags and not any(tag.removeprefix("W/") == record.etag.removeprefix("W/") for tag in tags):
        raise precondition_failed("The resource has another version.")
    return record


def _store(record: Record, resource: Resource, pushed: Json, *, now: datetime) -> None:
    before = index.emails(record.resource) if record.version else []
    record.resource, record.pushed = resource, pushed
    for name, value in index.columns(resource).items():
        setattr(record, name, value)
    record.active = resource.get("active") is not False
    record.version += 1
    record.updated_at = now
    record.save()
    after = index.emails(resource)
    if after != before:
        RecordEmail.objects.filter(record=record).delete()
        RecordEmail.objects.bulk_create(RecordEmail(record=record, source=record.source, value_fold=one) for one in after)


def _check_unique(source: Source, resource: Resource, *, but: Record | None) -> None:
    others = Record.objects.filter(source=source, deleted_at__isnull=True)
    if but is not None:
        others = others.exclude(id=but.id)
    if others.filter(user_name_fold=values.fold(str(resource["userName"]))).exists():
        raise uniqueness("userName is in use.")
    if isinstance(resource.get("externalId"), str) and others.filter(external_id=resource["externalId"]).exists():
        raise uniqueness("externalId is in use.")


def _unique(work: Callable[[], T]) -> T:
    """Two that come at once both pass the check; the index lets one through."""
    try:
        return work()
    except IntegrityError as error:
        if "record_" not in str(error) and "scim_record." not in str(error):
            raise
        raise uniqueness("userName or externalId is in use.") from None


def _sequence(body: Json) -> int | None:
    """The number that a source gives its versions: `meta.version` of digits only, else None."""
    meta = body.get("meta") if isinstance(body, dict) else None
    version = meta.get("version") if isinstance(meta, dict) else None
    return int(version) if isinstance(version, str) and _SEQUENCE.fullmatch(version) else None


def _without_secrets(value: Json) -> Json:
    """The same, without anything named password, at any depth (ruling 10)."""
    if isinstance(value, list):
        return [_without_secrets(one) for one in value]
    if isinstance(value, dict):
        kept = {key: one for key, one in value.items() if key.rpartition(":")[2].lower() != "password"}
        return {key: _without_secrets(one) for key, one in kept.items()}
    return value


def _repushed(record: Record, resource: Resource) -> Json:
    """What was pushed, with the attributes that a PATCH changed; the others stay as they were spelled."""
    same = {name.lower() for name, value in resource.items() if record.resource.get(name) == value}
    before = record.pushed if isinstance(record.pushed, dict) else {}
    kept = {name: value for name, value in before.items() if name.lower() in same}
    spelled = {name.lower() for name in kept}
    return {**kept, **{name: value for name, value in resource.items() if name.lower() not in spelled}}


def _record(account: Account, kind: str, record: Record, *, now: datetime) -> None:
    body = {"record": str(record.id), "version": record.version, "active": record.active}
    personal = {"userName": str(record.resource["userName"])}
    audit.record(account, kind, now=now, actor=record.source.actor, body=body, personal=personal)
