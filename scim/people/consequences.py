"""The consequences of source writes: every kind of change, in one table (docs/requirements.md IV, MT-4, C28 to C30).

`changes` compares a person before and after a merge, and is pure. `apply_changes` applies the table in order, with the
account locked and in the transaction of the write: an acknowledged `active: false` has ended everything (promise 4).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from derived.changes import identity_changes, revoke, suspend
from derived.errors import Reason
from derived.ledger import accounts, audit, outbox
from derived.models import AccountStatus, Credential
from scim.access import requests
from scim.feed import writing as feed
from scim.people import brake
from scim.protocol import aggregate, trust
from scim.protocol.assurance import ASSURANCE_URN

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from derived.models import Account
    from scim.models import Person
    from scim.protocol.aggregate import GuardedAttributes, Profile
    from scim.protocol.schema import Resource

_BY_SOURCE = frozenset({Reason.DEACTIVATED_BY_SOURCE.value, Reason.DELETED_BY_SOURCE.value, Reason.DECEASED.value})


@dataclass(frozen=True, kw_only=True)
class WriteContext:
    """The context of a write: actor, time, person, and the account, locked or created by this transaction.

    source: the name of the source whose statement causes the write, "" for a decision of a manager or the operator.
    appears: no receiver was shown this person until now, new or not. was_active: the account's state before, if this
    transaction has already changed it. txn: the feed's id of this transaction.
    """

    account: Account
    person: Person
    actor: str
    now: datetime
    source: str = ""
    is_new: bool = False
    appears: bool = False
    was_active: bool | None = None
    txn: str = field(default_factory=feed.new_txn)


@dataclass(frozen=True, kw_only=True)
class MergedState:
    """A person's merged data at one moment."""

    profile: Profile
    guarded: GuardedAttributes


class Change(StrEnum):
    """Every kind of change of a person, in the order of their consequences."""

    ENDED = "ended"
    LEVEL_FELL = "level fell"
    INELIGIBLE = "ineligible"
    HOME_MOVED = "home moved"
    RENAMED = "renamed"
    RETURNED = "returned"
    MOVED = "moved"
    LEVEL_ROSE = "level rose"
    ELIGIBLE = "eligible"
    SUSPENDED = "suspended"
    CLEARED = "cleared"
    INVITED = "invited"
    TOLD = "told"


# The changes that end something for good, which the brake holds.
_BRAKED = frozenset({Change.ENDED, Change.LEVEL_FELL, Change.INELIGIBLE, Change.HOME_MOVED})


@dataclass(frozen=True)
class Consequence:
    """words: the description for people. follow: the function that applies it."""

    words: str
    follow: Callable[[WriteContext, MergedState, MergedState], None]


def changes(before: MergedState, after: MergedState, *, is_new: bool = False) -> list[Change]:
    """The changes between two states; pure.

    A person who is not active has ended, and is neither invited nor notified.
    """
    found = {Change.ELIGIBLE if _is_eligible(after) else Change.INELIGIBLE}
    if after.guarded.ial != before.guarded.ial:
        found.add(Change.LEVEL_FELL if after.guarded.ial < before.guarded.ial else Change.LEVEL_ROSE)
    if not after.profile.active:
        return [change for change in Change if change in found | {Change.ENDED}]
    if not before.profile.active and not is_new:
        found.add(Change.RETURNED)
    if after.profile.suspended:
        found.add(Change.SUSPENDED)
    elif before.profile.suspended or Change.RETURNED in found:
        found.add(Change.CLEARED)
    if is_new or Change.RETURNED in found or _address(before) != _address(after):
        found.add(Change.INVITED)
    if not is_new:
        found |= _facts_changed(before, after)
    return [change for change in Change if change in found]


def apply_changes(write: WriteContext, before: MergedState, after: MergedState) -> list[Change]:
    """Apply the consequence of every change, and return the changes."""
    found = changes(before, after, is_new=write.is_new)
    held = (
        not write.is_new
        and _ends_something(write, found, after)
        and brake.holds(write.person, write.account, source=write.source, now=write.now)
    )
    for change in found:
        if not (held and change in _BRAKED):
            TABLE[change].follow(write, before, after)
    return found


def _ends_something(write: WriteContext, found: list[Change], after: MergedState) -> bool:
    """True if a change ends the person or a credential for good; a held person's decision is still to come."""
    if Change.ENDED in found:
        return True
    if Change.HOME_MOVED in found and identity_changes.labelled_piv(write.account):
        return True
    ial = min(write.account.ial, after.guarded.ial) if Change.LEVEL_FELL in found else write.account.ial
    return identity_changes.would_end(write.account, is_eligible=Change.INELIGIBLE not in found, ial=ial)


def _facts_changed(before: MergedState, after: MergedState) -> set[Change]:
    """The changes of a known person's attributes, names, addresses and home agency."""
    found = set[Change]()
    if before.profile.attributes != after.profile.attributes:
        found.add(Change.MOVED)
    if (home := _home(before)) and _home(after) not in {"", home}:
        found.add(Change.HOME_MOVED)
    if _named(before) != _named(after):
        found |= {Change.RENAMED, Change.TOLD}
    if _addresses(before) != _addresses(after):
        found.add(Change.TOLD)
    return found


def _home(state: MergedState) -> str:
    """The home agency of the person, as a trusted source names it; "" for none."""
    extension = state.profile.attributes.get(ASSURANCE_URN)
    return str(extension.get("homeOrganization") or "") if isinstance(extension, dict) else ""


def _is_eligible(state: MergedState) -> bool:
    return not trust.states_ineligible(state.profile.attributes)


def _address(state: MergedState) -> str | None:
    return aggregate.invitation_address(state.guarded.contact)


def _addresses(state: MergedState) -> set[str]:
    return set(aggregate.addresses(state.guarded.contact))


def _named(state: MergedState) -> tuple[str, object, object, str]:
    """Every name that a credential may show (MT-4); with joined records the login name may be another source's."""
    attributes = state.profile.attributes
    login = state.guarded.user_name or str(attributes.get("userName", ""))
    return aggregate.display_name(attributes), attributes.get("name"), attributes.get("userName"), login


# --- the consequences ---


def _end(write: WriteContext, _before: MergedState, after: MergedState) -> None:
    because = Reason.DECEASED if after.profile.deceased else Reason.DEACTIVATED_BY_SOURCE
    revoke.everything(write.account, because=because, now=write.now, actor=write.actor)


def _move_home(write: WriteContext, _before: MergedState, _after: MergedState) -> None:
    identity_changes.home_agency_changed(write.account, now=write.now, actor=write.actor)


def _reopen(write: WriteContext, _before: MergedState, _after: MergedState) -> None:
    """Reopen an account that a source had ended, at the level vouched for now; never one that a manager ended."""
    account = write.account
    if account.status != AccountStatus.TERMINATED or not ended_by_source(account):
        return
    accounts.reopen(account, now=write.now, actor=write.actor)


def ended_by_source(account: Account) -> bool:
    """True if a source ended the account last, so that sources may bring it back."""
    return revoke.terminated_because(account) in _BY_SOURCE


def _vouch(write: WriteContext, before: MergedState, after: MergedState) -> None:
    """Move the level by a source's change; without a change a manager's own level stays."""
    level, ial = after.guarded.ial, write.account.ial
    moved = min(ial, level) if level < before.guarded.ial else max(ial, level)
    identity_changes.set_ial(write.account, ial=moved, now=write.now, actor=write.actor)


def _eligible(write: WriteContext, _before: MergedState, after: MergedState) -> None:
    identity_changes.set_eligible(write.account, is_eligible=_is_eligible(after), now=write.now, actor=write.actor)


def _rename(write: WriteContext, _before: MergedState, _after: MergedState) -> None:
    identity_changes.name_changed(write.account, now=write.now, actor=write.actor)


def _move(write: WriteContext, _before: MergedState, _after: MergedState) -> None:
    requests.end_stale(write.person, write.account, now=write.now, actor=write.actor)


def _suspend(write: WriteContext, _before: MergedState, _after: MergedState) -> None:
    if write.account.status == AccountStatus.ACTIVE:
        suspend.suspend(write.account, now=write.now, actor=write.actor)


def _resume(write: WriteContext, _before: MergedState, _after: MergedState) -> None:
    """Resume an account that a source had suspended, never one that is held or that somebody else suspended."""
    if write.person.held_at is not None:
        return
    moves = write.account.events.filter(
        kind__in=["account.suspended", "account.resumed", "account.freeze_asked"]
    ).order_by("-seq")
    last = moves.first()
    stopped_by_source = last is not None and last.kind == "account.suspended" and last.actor.startswith("source:")
    if write.account.status == AccountStatus.SUSPENDED and stopped_by_source:
        suspend.resume(write.account, now=write.now, actor=write.actor)


def _invite(write: WriteContext, _before: MergedState, after: MergedState) -> None:
    """Invite a person who is new or back, or whose address changed before enrolment (ruling 3)."""
    if write.account.status != AccountStatus.ACTIVE or _address(after) is None:
        return
    if Credential.objects.filter(account=write.account, epoch=write.account.epoch).exists():
        return
    _enqueue(write, "invite", {})


def _tell(write: WriteContext, before: MergedState, after: MergedState) -> None:
    """Notify a person that a source changed their name or their addresses (ID-9)."""
    changed = ["name"] if _named(before) != _named(after) else []
    if _addresses(before) != _addresses(after):
        changed.append("emails")
    _enqueue(write, "profile_changed", {"changed": changed})


def _enqueue(write: WriteContext, kind: str, payload: dict[str, object]) -> None:
    receiver = f"mail:{write.account.id}"
    outbox.enqueue(kind=kind, receiver=receiver, account=write.account, payload=payload, now=write.now)


def delete(write: WriteContext) -> bool:
    """End everything of a person whose last record was deleted (C28); False if the person is held instead."""
    if brake.holds(write.person, write.account, source=write.source, now=write.now):
        return False
    revoke.everything(write.account, because=Reason.DELETED_BY_SOURCE, now=write.now, actor=write.actor)
    return True


def record_untrusted(write: WriteContext, resource: Resource, trusted_for: list[str]) -> None:
    """Record the names of attributes that a source wrote without being trusted for them (P38)."""
    if names := trust.untrusted_attributes(resource, trusted_for):
        audit.record(write.account, "person.not_believed", now=write.now, actor=write.actor, body={"attributes": names})


TABLE: dict[Change, Consequence] = {
    Change.ENDED: Consequence(
        "The account and every credential, session and token end, for good; held where the source ended many.", _end
    ),
    Change.LEVEL_FELL: Consequence(
        "The identity assurance level falls, for the account and all its credentials; held as an ending is.",
        _vouch,
    ),
    Change.INELIGIBLE: Consequence(
        "Derived credentials end and no more are issued; ways of signing in stay.", _eligible
    ),
    Change.HOME_MOVED: Consequence(
        "Derived PIV credentials end, which the former home agency issued; generic ones and ways of signing in stay.",
        _move_home,
    ),
    Change.RENAMED: Consequence("Certificates that show the old name end; keys, passkeys and devices stay.", _rename),
    Change.RETURNED: Consequence("The account is reopened in a new epoch; no credential comes back.", _reopen),
    Change.MOVED: Consequence("Access that the person's attributes no longer allow ends.", _move),
    Change.LEVEL_ROSE: Consequence("The identity assurance level rises for later logins.", _vouch),
    Change.ELIGIBLE: Consequence("Derived credentials may be issued again; none comes back.", _eligible),
    Change.SUSPENDED: Consequence("The account is suspended until the source resumes it; nothing ends.", _suspend),
    Change.CLEARED: Consequence("The account is resumed, if a source had suspended it.", _resume),
    Change.INVITED: Consequence("An invitation is sent, if the person has no way to sign in.", _invite),
    Change.TOLD: Consequence("The person is notified at the old and the new addresses.", _tell),
}
