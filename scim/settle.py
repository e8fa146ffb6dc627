"""The second half of every write: what all sources say now is merged, and what follows from it happens.

Called by `scim.provision` only, with the account locked. Termination, reopening, invitation and notices are calls, not
signals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction

from derived import accounts, audit, outbox, revoke
from derived.errors import Reason
from derived.models import AccountStatus, Credential
from scim import aggregate
from scim.models import Person
from scim.values import fold

if TYPE_CHECKING:
    from datetime import datetime

    from derived.models import Account
    from scim.schema import Resource

_BY_SOURCE = frozenset({Reason.DEACTIVATED_BY_SOURCE.value, Reason.DELETED_BY_SOURCE.value})
_MOST_FORMER = 10


@dataclass(frozen=True, kw_only=True)
class Write:
    """Who writes, when, and about whom; account: locked by this transaction (or made by it)."""

    account: Account
    person: Person
    actor: str
    now: datetime
    is_new: bool = False


def settle(write: Write) -> None:
    """Merge what all records of a person say, and do what follows."""
    person, was_active = write.person, write.person.active
    before = aggregate.Profile(person.profile, person.provenance, was_active)
    after = aggregate.merge(_said(person), before)
    _keep(write, before, after)
    if not after.active:
        revoke.everything(write.account, because=Reason.DEACTIVATED_BY_SOURCE, now=write.now, actor=write.actor)
        return
    reopened = not was_active and _reopen(write)
    if write.account.status == AccountStatus.ACTIVE:
        _invite(write, before.attributes, after.attributes, anew=write.is_new or reopened)
    if not write.is_new:
        _tell(write, before.attributes, after.attributes)


def end(write: Write) -> None:
    """The source deleted the person: everything ends, and the login name is free for another (C28).

    The profile stays, so that the last notice still finds its addresses.
    """
    person = write.person
    person.active, person.login_name, person.login_name_fold, person.login_name_taken = False, None, None, False
    person.updated_at = write.now
    person.save(update_fields=["active", "login_name", "login_name_fold", "login_name_taken", "updated_at"])
    revoke.everything(write.account, because=Reason.DELETED_BY_SOURCE, now=write.now, actor=write.actor)


def _said(person: Person) -> list[aggregate.Said]:
    records = person.records.filter(deleted_at__isnull=True).select_related("source")
    return [
        aggregate.Said(
            source=record.source.name, precedence=record.source.precedence, active=record.active,
            resource=record.resource, at=record.updated_at,
        )
        for record in records
    ]


def _keep(write: Write, before: aggregate.Profile, after: aggregate.Profile) -> None:
    person = write.person
    gone = [one for one in aggregate.addresses(before.attributes) if one not in aggregate.addresses(after.attributes)]
    person.former_addresses = list(dict.fromkeys([*gone, *person.former_addresses]))[:_MOST_FORMER]
    person.profile, person.provenance, person.active = after.attributes, after.provenance, after.active
    person.user_name = str(after.attributes.get("userName", ""))
    person.updated_at = write.now
    person.save()
    _claim_login_name(write)


def _claim_login_name(write: Write) -> None:
    """Take the user name as the login name if no other person has it: first come (ruling 11)."""
    person, wanted, was_taken = write.person, fold(write.person.user_name), write.person.login_name_taken
    if person.login_name_fold == wanted:
        Person.objects.filter(id=person.id).update(login_name=person.user_name)
        person.login_name = person.user_name
        return
    person.login_name, person.login_name_fold, person.login_name_taken = person.user_name, wanted, False
    try:
        with transaction.atomic():
            person.save(update_fields=["login_name", "login_name_fold", "login_name_taken"])
    except IntegrityError:
        person.login_name, person.login_name_fold, person.login_name_taken = None, None, True
        person.save(update_fields=["login_name", "login_name_fold", "login_name_taken"])
        if not was_taken:
            audit.record(write.account, "person.login_name_taken", now=write.now, actor=write.actor)


def _reopen(write: Write) -> bool:
    """Open an account again that a source closed; what a manager closed, no source opens."""
    if write.account.status != AccountStatus.TERMINATED:
        return False
    if revoke.terminated_because(write.account) not in _BY_SOURCE:
        return False
    accounts.reopen(write.account, now=write.now, actor=write.actor)
    return True


def _invite(write: Write, before: Resource, after: Resource, *, anew: bool) -> None:
    """Invite who is new or back, or whose address changed before they ever enrolled (ruling 3)."""
    address = aggregate.invitation_address(after)
    moved = address != aggregate.invitation_address(before)
    if address is None or not (anew or moved):
        return
    if Credential.objects.filter(account=write.account, epoch=write.account.epoch).exists():
        return
    _enqueue(write, "invite", {})


def _tell(write: Write, before: Resource, after: Resource) -> None:
    """Tell a person that a source changed their name or their addresses (ID-9)."""
    changed: list[str] = []
    if aggregate.display_name(before) != aggregate.display_name(after) or before.get("name") != after.get("name"):
        changed.append("name")
    if set(aggregate.addresses(before)) != set(aggregate.addresses(after)):
        changed.append("emails")
    if changed:
        _enqueue(write, "profile_changed", {"changed": changed})


def _enqueue(write: Write, kind: str, payload: dict[str, object]) -> None:
    receiver = f"mail:{write.account.id}"
    outbox.enqueue(kind=kind, receiver=receiver, account=write.account, payload=payload, now=write.now)
