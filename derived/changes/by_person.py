"""Changes by a person of their own credentials: rename, remove, report a loss (P2, IV-5 to IV-7; ruling 14).

A change takes a fresh login by a root that is as strong as the changed credential; reporting a loss takes any login.
The caller holds the account's lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from derived.changes import issue, review_after_loss, revoke, suspend
from derived.errors import Reason, Refused
from derived.ledger import audit, outbox, status
from derived.models import Credential
from derived.rules.eligibility import refusal_to_change
from derived.rules.lifecycle import State

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from derived.models import Account
    from derived.rules.assurance import Authentication


def require_living(account: Account, credential_id: UUID) -> Credential:
    """The credential of this account by id, if it has not ended.

    Raises: Refused(CREDENTIAL_NOT_LIVE).
    """
    row = status.living(account.id).filter(id=credential_id, epoch=account.epoch).first()
    if row is None or not account.is_active:
        raise Refused(Reason.CREDENTIAL_NOT_LIVE)
    return row


def refusal_to_remove(account: Account, row: Credential, login: Authentication, *, now: datetime) -> Reason | None:
    """The reason why this login may not remove a credential, or None; the last way in stays (ruling 14)."""
    if reason := refusal_to_change(login, affected=status.level(row), now=now):
        return reason
    return Reason.LAST_WAY_IN if is_last_way_in(row, ways_in(account, now=now)) else None


def ways_in(account: Account, *, now: datetime) -> set[UUID]:
    """The roots with which the person can sign in with two factors, each by itself."""
    return {one.id for one in status.live_roots(account, now=now) if status.signs_in_alone(one)}


def is_last_way_in(row: Credential, ways: set[UUID]) -> bool:
    """True for a root without which no way in would be left; its person cannot remove it (ruling 14)."""
    return status.is_root(row) and not ways - {row.id}


def rename(  # noqa: PLR0913 - the credential, its name, the login, the time and the actor
    account: Account, credential_id: UUID, name: str, *, login: Authentication, now: datetime, actor: str
) -> None:
    """Rename a credential; every address of the person is notified.

    Raises: Refused(CREDENTIAL_NOT_LIVE), Refused with the reason of eligibility.
    """
    row = require_living(account, credential_id)
    if reason := refusal_to_change(login, affected=status.level(row), now=now):
        raise Refused(reason)
    write_name(account, row, name, now=now, actor=actor)


def write_name(account: Account, row: Credential, name: str, *, now: datetime, actor: str) -> None:
    """Write another name without asking for eligibility (any login of the person may rename a device)."""
    if row.name == name:
        return
    Credential.objects.filter(id=row.id).update(name=name)
    audit.record(account, "credential.renamed", now=now, actor=actor, credential=row, personal={"name": name})
    payload = {"credential": str(row.id), "change": "name"}
    outbox.enqueue(
        kind="authenticator.changed", receiver=f"mail:{account.id}", account=account, payload=payload, now=now
    )


def remove(account: Account, credential_id: UUID, *, login: Authentication, now: datetime, actor: str) -> Credential:
    """Remove a root from the account; credentials derived from it continue (trap 1).

    Raises: Refused(CREDENTIAL_NOT_LIVE), Refused(LAST_WAY_IN), Refused with the reason of eligibility.
    """
    row = require_living(account, credential_id)
    if reason := refusal_to_remove(account, row, login, now=now):
        raise Refused(reason)
    revoke.credential(row, account=account, because=Reason.REMOVED_BY_PERSON, now=now, actor=actor)
    return row


def replace_recovery_codes(
    account: Account, credential_id: UUID, code_hashes: Sequence[str], *, login: Authentication, now: datetime
) -> None:
    """Replace all recovery codes of a password and TOTP root, and notify every address (RC-3, NT-1).

    Raises: Refused(CREDENTIAL_NOT_LIVE), Refused with the reason of eligibility.
    """
    row = require_living(account, credential_id)
    if reason := refusal_to_change(login, affected=status.level(row), now=now):
        raise Refused(reason)
    row.recovery_codes.filter(consumed_at__isnull=True).update(consumed_at=now)
    issue.save_recovery_codes(row, code_hashes, now=now)
    audit.record(account, "credential.recovery_codes_replaced", now=now, actor="person", credential=row)
    payload = {"credential": str(row.id), "change": "codes"}
    outbox.enqueue(
        kind="authenticator.changed", receiver=f"mail:{account.id}", account=account, payload=payload, now=now
    )


def report_loss(
    account: Account, credential_id: UUID, *, used_since: datetime | None, now: datetime, actor: str
) -> list[Credential]:
    """End a lost or stolen credential at once, even the last way in (IV-5, IV-7).

    Recent bindings are put up for review.
    used_since: when another person began to use it. Credentials derived from it since then end too, and additions since
    then are put up for review (IV-6).
    Raises: Refused(CREDENTIAL_NOT_LIVE).
    """
    row = require_living(account, credential_id)
    if used_since is None:
        revoke.credential(row, account=account, because=Reason.REPORTED_BY_PERSON, now=now, actor=actor)
        return review_after_loss.mark(account, row, because=Reason.REPORTED_BY_PERSON, now=now, actor=actor)
    revoke.tree(row, account=account, because=Reason.COMPROMISED, since=used_since, now=now, actor=actor)
    since = min(used_since, now - review_after_loss.LOOK_BACK)
    return review_after_loss.mark(account, row, because=Reason.COMPROMISED, now=now, actor=actor, since=since)


def suspend_own(account: Account, credential_id: UUID, *, now: datetime, actor: str) -> None:
    """Suspend an own credential, such as a phone that is probably at home; any login of the person may do it (MT-8).

    Raises: Refused(CREDENTIAL_NOT_LIVE); Refused(ILLEGAL_MOVE) unless it is active.
    """
    row = require_living(account, credential_id)
    if not suspend.credential(account, row, because=Reason.SUSPENDED_BY_PERSON, now=now, actor=actor):
        raise Refused(Reason.ILLEGAL_MOVE)


def may_lift_own(account: Account, row: Credential) -> bool:
    """True if the person suspended this credential themselves, and nobody else stopped it since (LC-2, LC-3)."""
    last = account.events.filter(kind="credential.suspended", credential=row).order_by("-seq").first()
    return (
        account.is_active
        and row.state == State.SUSPENDED
        and last is not None
        and last.body.get("because") == Reason.SUSPENDED_BY_PERSON.value
    )


def lift_own(account: Account, credential_id: UUID, *, login: Authentication, now: datetime, actor: str) -> None:
    """Lift an own suspension, in a fresh login by another credential that is as strong (63B-4 §4.3).

    Never after a freeze, nor after the stop of a manager or of the worker.
    Raises: Refused(CREDENTIAL_NOT_LIVE); Refused(ILLEGAL_MOVE); Refused with the reason of eligibility; of
    `suspend.lift`.
    """
    row = require_living(account, credential_id)
    if not may_lift_own(account, row) or login.by == str(row.id):
        raise Refused(Reason.ILLEGAL_MOVE)
    if reason := refusal_to_change(login, affected=status.level(row), now=now):
        raise Refused(reason)
    suspend.lift(account, row, now=now, actor=actor)


def record_disabled(account: Account, row: Credential, *, now: datetime, actor: str) -> bool:
    """Record that wrong tries have disabled a credential, and notify every address, once until it is bound anew (TH-1).

    False if that was recorded before.
    """
    said = account.events.filter(
        credential=row, kind__in=["credential.disabled", "credential.enabled", "credential.password_changed"]
    )
    last = said.order_by("-seq").values_list("kind", flat=True).first()
    if last == "credential.disabled":
        return False
    audit.record(account, "credential.disabled", now=now, actor=actor, credential=row)
    outbox.enqueue(
        kind="authenticator.disabled",
        receiver=f"mail:{account.id}",
        account=account,
        payload={"credential": str(row.id)},
        now=now,
    )
    return True


def enable(account: Account, row: Credential, *, now: datetime, actor: str) -> bool:
    """Turn an authenticator on again that wrong tries had disabled; False if none had (TH-1, ruling 33)."""
    if Credential.objects.filter(id=row.id, failures__gte=status.MOST_FAILURES).update(failures=0) != 1:
        return False
    audit.record(account, "credential.enabled", now=now, actor=actor, credential=row)
    return True


def disown(account: Account, row: Credential, *, now: datetime, actor: str) -> None:
    """End a credential that the person did not add, with all that is derived from it (BI-5, ruling 4)."""
    revoke.tree(row, account=account, because=Reason.DISOWNED_BY_PERSON, since=row.created_at, now=now, actor=actor)
    review_after_loss.mark(account, row, because=Reason.DISOWNED_BY_PERSON, now=now, actor=actor)
