"""Suspend an account or a single credential, and resume it (MT-7): nothing ends, and nothing is usable meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from derived.errors import Reason, Refused
from derived.ledger import audit, outbox, status
from derived.models import Account, AccountStatus, Credential
from derived.rules.kinds import Kind, policy_of
from derived.rules.lifecycle import State

if TYPE_CHECKING:
    from datetime import datetime


_HELD = "held_for_name"


def suspend(account: Account, *, now: datetime, actor: str) -> None:
    """Suspend an active account; every read of its rows refuses until `resume`.

    Raises: Refused(ILLEGAL_MOVE) unless it is active.
    """
    _move(account, AccountStatus.ACTIVE, AccountStatus.SUSPENDED, kind="account.suspended", now=now, actor=actor)
    outbox.fan_out(account, {"because": "suspended"}, now=now)


def unused(account: Account, *, days: int, now: datetime) -> None:
    """Suspend an account that nobody used for so many days, and notify its person (LC-7).

    Raises: Refused(ILLEGAL_MOVE) unless it is active.
    """
    if account.status != AccountStatus.ACTIVE:
        raise Refused(Reason.ILLEGAL_MOVE)
    account.status = AccountStatus.SUSPENDED
    account.save(update_fields=["status"])
    body = {"because": Reason.UNUSED.value, "days": days}
    audit.record(account, "account.suspended", now=now, actor="worker", body=body)
    outbox.enqueue(kind="account.unused", receiver=f"mail:{account.id}", account=account, payload=body, now=now)
    outbox.fan_out(account, body, now=now)
    outbox.crl_change(account, now=now)


def freeze(account: Account, *, now: datetime, actor: str) -> bool:
    """Suspend the person's own account by a link in a notice; only a manager resumes it (IV-7, MT-7, ruling 4).

    False if the account was not active; on a suspended account the request is still recorded.
    """
    body = {"because": Reason.FROZEN_BY_PERSON.value}
    if account.status == AccountStatus.SUSPENDED:
        audit.record(account, "account.freeze_asked", now=now, actor=actor, body=body)
    if account.status != AccountStatus.ACTIVE:
        return False
    account.status = AccountStatus.SUSPENDED
    account.save(update_fields=["status"])
    audit.record(account, "account.suspended", now=now, actor=actor, body=body)
    outbox.enqueue(kind="account.frozen", receiver=f"mail:{account.id}", account=account, payload=body, now=now)
    outbox.fan_out(account, body, now=now)
    outbox.crl_change(account, now=now)
    return True


def resume(account: Account, *, now: datetime, actor: str) -> None:
    """Resume a suspended account with its credentials.

    Raises: Refused(ILLEGAL_MOVE) unless it is suspended.
    """
    _move(account, AccountStatus.SUSPENDED, AccountStatus.ACTIVE, kind="account.resumed", now=now, actor=actor)


def _move(  # noqa: PLR0913 - the fields of a transition
    account: Account, before: str, after: str, *, kind: str, now: datetime, actor: str
) -> None:
    if account.status != before:
        raise Refused(Reason.ILLEGAL_MOVE)
    account.status = after
    account.save(update_fields=["status"])
    audit.record(account, kind, now=now, actor=actor)
    outbox.crl_change(account, now=now)


def credential(account: Account, row: Credential, *, because: Reason, now: datetime, actor: str) -> bool:
    """Suspend an active credential until a manager lifts it, and notify its holder; False if it was not active.

    Sessions and tokens of it stop at once, because every read of them requires a live credential. A certificate that is
    on hold for its old name can be suspended too: its holder cannot have it reissued then, and the hold returns when
    the suspension is lifted.
    """
    rows = Credential.objects.filter(id=row.id, account=account)
    held = rows.filter(state=State.SUSPENDED, end_reason=Reason.NAME_CHANGED)
    is_held = because != Reason.NAME_CHANGED and bool(held.update(end_reason=because.value))
    was_active = not is_held and bool(rows.filter(state=State.ACTIVE).update(state=State.SUSPENDED))
    if not is_held and not was_active and not _takes_over(account, row, because):
        return False
    payload = {"credential": str(row.id), "because": because.value}
    body = {"credential_kind": row.kind, "because": because.value, **({_HELD: True} if is_held else {})}
    audit.record(account, "credential.suspended", now=now, actor=actor, credential=row, body=body)
    outbox.enqueue(
        kind="credential.suspended", receiver=f"mail:{account.id}", account=account, payload=payload, now=now
    )
    outbox.fan_out(account, payload, now=now)
    outbox.crl_change(account, now=now)
    return True


def _takes_over(account: Account, row: Credential, because: Reason) -> bool:
    """True if the person had suspended this credential, and somebody else stops it now: they cannot lift that alone."""
    if because == Reason.SUSPENDED_BY_PERSON:
        return False
    rows = account.events.filter(kind="credential.suspended", credential=row).order_by("-seq")
    last = rows.values_list("body__because", flat=True).first()
    is_suspended = Credential.objects.filter(id=row.id, account=account, state=State.SUSPENDED).exists()
    return is_suspended and last == Reason.SUSPENDED_BY_PERSON.value


def lift(account: Account, row: Credential, *, now: datetime, actor: str) -> None:
    """Reactivate a suspended credential after a manager's review, at its present level (MT-7).

    Raises: Refused(ILLEGAL_MOVE) unless it is suspended and of the present epoch, or if it shows an old name;
    Refused(KEY_TOO_WEAK) if its ancestors no longer reach the floor of its kind.
    """
    found = (
        Credential.objects.select_related("root", "parent")
        .filter(id=row.id, account=account, epoch=account.epoch)
        .first()
    )
    if (
        found is None
        or found.state != State.SUSPENDED
        or not account.is_active
        or found.end_reason == Reason.NAME_CHANGED
    ):
        raise Refused(Reason.ILLEGAL_MOVE)
    if status.level(found) < policy_of(Kind(found.kind)).floor or status.overstates_level(found):
        raise Refused(Reason.KEY_TOO_WEAK)
    last = account.events.filter(kind="credential.suspended", credential=found).order_by("-seq").first()
    rows = Credential.objects.filter(id=found.id, state=State.SUSPENDED)
    if last is not None and last.body.get(_HELD):
        rows.update(end_reason=Reason.NAME_CHANGED.value)
    else:
        rows.update(state=State.ACTIVE, end_reason="")
    audit.record(
        account, "credential.lifted", now=now, actor=actor, credential=found, body={"aal": int(status.level(found))}
    )
    outbox.crl_change(account, now=now)
