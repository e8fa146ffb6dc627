"""The only way out: one credential, a tree, or all of a person's. The caller holds the account's lock.

One flip ends everything, whichever storey holds it: rows elsewhere carry account, epoch and credential, and every read
of them joins these, so nothing here needs to know sessions, codes or tokens. One outbox row tells `idp` to tell others.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from derived.changes import requests
from derived.errors import Reason
from derived.ledger import audit, outbox
from derived.models import Account, AccountStatus, Credential
from derived.rules.kinds import Kind
from derived.rules.lifecycle import LIVING, State

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from django.db.models import QuerySet


def _end(rows: QuerySet[Credential], *, because: Reason, now: datetime) -> int:
    return rows.filter(state__in=LIVING).update(state=State.REVOKED, ended_at=now, end_reason=because.value)


def credential(credential: Credential, *, account: Account, because: Reason, now: datetime, actor: str) -> bool:
    """End one credential and its token families; credentials derived from it as a root continue (trap 1).

    False if it had ended before.
    """
    if not _end(Credential.objects.filter(id=credential.id, account=account), because=because, now=now):
        return False
    families = _end(
        Credential.objects.filter(parent=credential, kind=Kind.TOKEN_FAMILY), because=Reason.PARENT_ENDED, now=now
    )
    if credential.state == State.PENDING:
        requests.failed(credential, account=account, now=now, actor=actor)
    body = {"credential_kind": credential.kind, "because": because.value, "families": families}
    audit.record(account, "credential.revoked", now=now, actor=actor, credential=credential, body=body)
    if credential.kind != Kind.TOKEN_FAMILY:
        payload = {"credential": str(credential.id), "because": because.value}
        outbox.enqueue(
            kind="credential.ended", receiver=f"mail:{account.id}", account=account, payload=payload, now=now
        )
        outbox.fan_out(account, payload, now=now)
        outbox.crl_change(account, now=now)
    return True


def tree(  # noqa: PLR0913 - the root, the reason, the start, the time and the actor
    root: Credential, *, account: Account, because: Reason, since: datetime, now: datetime, actor: str
) -> int:
    """End a root whose key was compromised, with all that it authorised from `since` on (IV-6); returns their number.

    That is every credential derived from it, including those that a successor has taken over (ruling 8), and the roots
    bound under a login with it, with their descendants: the holder of the compromised key may have bound them.
    """
    rows = list(Credential.objects.filter(account=account).exclude(kind=Kind.TOKEN_FAMILY))
    ended, waiting, seen = 0, [(root, since)], {root.id}
    while waiting:
        bad, from_then = waiting.pop()
        stands_on = _successors(bad, rows)
        for row in rows:
            if row.created_at < from_then or row.id in seen:
                continue
            if row.root_id is None and row.evidence.get("login_by") == str(bad.id):
                seen.add(row.id)
                waiting.append((row, row.created_at))
            elif row.root_id in stands_on and row.created_at < (stands_on[row.root_id] or now + timedelta(days=1)):
                seen.add(row.id)
                ended += credential(row, account=account, because=because, now=now, actor=actor)
        ended += credential(bad, account=account, because=because, now=now, actor=actor)
    return ended


def _successors(root: Credential, rows: list[Credential]) -> dict[UUID, datetime | None]:
    """The root and its successors, each with the time of its takeover (ruling 8).

    Descendants older than that time come from the predecessor.
    """
    after = {row.evidence["replaces"]: row for row in rows if row.evidence.get("replaces")}
    found: dict[UUID, datetime | None] = {root.id: None}
    follower = after.get(str(root.id))
    while follower is not None and follower.id not in found:
        found[follower.id] = follower.created_at
        follower = after.get(str(follower.id))
    return found


def terminated_because(account: Account) -> str | None:
    """The reason of the account's last termination, as the audit chain has it; None if there was none."""
    last = account.events.filter(kind="account.terminated").order_by("-seq").first()
    return None if last is None else str(last.body.get("because"))


def is_deceased(account: Account) -> bool:
    """True if the account has ended because its person died: no mail goes to it (LC-6)."""
    return account.status == AccountStatus.TERMINATED and terminated_because(account) == Reason.DECEASED.value


def everything(account: Account, *, because: Reason, now: datetime, actor: str) -> int:
    """End the account and every credential of it, roots too (promise 4, IV-1); returns the number of living ones.

    Idempotent: a second call changes nothing and writes nothing, except that a manager's decision is recorded over a
    source's.
    """
    if account.status == AccountStatus.TERMINATED:
        if because == Reason.ENDED_BY_MANAGER and terminated_because(account) != because.value:
            body = {"because": because.value, "credentials": 0, "epoch": account.epoch}
            audit.record(account, "account.terminated", now=now, actor=actor, body=body)
        return 0
    account.status, account.epoch = AccountStatus.TERMINATED, account.epoch + 1
    account.save(update_fields=["status", "epoch"])
    ended = _end(Credential.objects.filter(account=account), because=because, now=now)
    body = {"because": because.value, "credentials": ended, "epoch": account.epoch}
    audit.record(account, "account.terminated", now=now, actor=actor, body=body)
    payload = {"because": because.value}
    if because != Reason.DECEASED:  # nobody writes to the dead, and their relatives read their mail
        outbox.enqueue(kind="account.ended", receiver=f"mail:{account.id}", account=account, payload=payload, now=now)
    outbox.fan_out(account, payload, now=now)
    outbox.crl_change(account, now=now)
    return ended
