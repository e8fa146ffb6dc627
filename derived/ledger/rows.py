"""A ledger row with its Event and its notice, as every issuance writes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from derived.errors import Reason, Refused
from derived.ledger import outbox, status
from derived.models import Account, Credential
from derived.rules.capping import cap
from derived.rules.kinds import Kind, Label, policy_of
from derived.rules.lifecycle import State

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from uuid import UUID

    from derived.rules.assurance import AAL


def require_active(account: Account) -> None:
    """Require that the account is active.

    Raises: Refused(ACCOUNT_NOT_ACTIVE).
    """
    if not account.is_active:
        raise Refused(Reason.ACCOUNT_NOT_ACTIVE)


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A ledger row before it is written. Every row is made from one, and its `level` is the cap (AS-2, I1).

    reaches: the AAL that the credential proved by itself. limits: further upper bounds (the login, a rulebook, a
    predecessor). parent: the credential that it derives from, which bounds it too. lifetime: None for that of the kind.
    """

    kind: Kind
    reaches: AAL
    state: State
    name: str
    evidence: dict[str, object]
    now: datetime
    limits: tuple[AAL, ...] = ()
    parent: Credential | None = None
    jkt: str | None = None
    credential_id: UUID | None = None
    lifetime: timedelta | None = None
    label: Label = Label.GENERIC

    @property
    def level(self) -> AAL:
        """The least of the kind's ceiling, `reaches`, `limits` and the present level of the parent."""
        ancestors = () if self.parent is None else (status.level(self.parent),)
        return cap(self.kind, self.reaches, *self.limits, *ancestors)


def create_row(account: Account, draft: Draft) -> Credential:
    """Write the row of a draft.

    Raises: Refused(NOT_ELIGIBLE) for a derived credential of an account that may hold none (EL-4).
    """
    row = build_row(account, draft)
    row.save(force_insert=True)
    return row


def build_row(account: Account, draft: Draft) -> Credential:
    """Make the row of a draft, for a caller that writes it together with others in this transaction.

    Raises: Refused(NOT_ELIGIBLE) for a derived credential of an account that may hold none (EL-4).
    """
    parent, now = draft.parent, draft.now
    if parent is not None and draft.kind != Kind.TOKEN_FAMILY and not account.eligible:
        raise Refused(Reason.NOT_ELIGIBLE)
    life = draft.lifetime or policy_of(draft.kind).lifetime
    row = Credential(
        account=account,
        epoch=account.epoch,
        kind=draft.kind,
        state=draft.state,
        aal=draft.level,
        ial=account.ial,
        name=draft.name,
        evidence=draft.evidence,
        jkt=draft.jkt,
        label=draft.label,
        created_at=now,
        activated_at=now if draft.state == State.ACTIVE else None,
        expires_at=now + life if life else None,
        parent=parent,
        root=(parent.root or parent) if parent else None,
    )
    if draft.credential_id:
        row.id = draft.credential_id
    return row


def event_body(row: Credential) -> dict[str, object]:
    """The body of the Event of a new row; device serial numbers are stored beside it, where they can be erased."""
    evidence = dict(row.evidence)
    if isinstance(vouched := evidence.get("vouched"), dict):  # certificate serial numbers also identify a device
        evidence["vouched"] = {name: value for name, value in vouched.items() if name != "numbers"}
    if isinstance(device := evidence.get("device"), dict):
        evidence["device"] = {name: value for name, value in device.items() if name != "serial"}
    return {
        "credential_kind": row.kind,
        "aal": row.aal,
        "ial": row.ial,
        "root": str(row.root_id or ""),
        "jkt": row.jkt or "",
        "label": row.label,
        "evidence": evidence,
    }


def notify(account: Account, kind: str, row: Credential, *, now: datetime) -> None:
    """Notify every address of the person (NT-1)."""
    outbox.enqueue(
        kind=kind, receiver=f"mail:{account.id}", account=account, payload={"credential": str(row.id)}, now=now
    )
