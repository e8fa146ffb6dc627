"""A ledger row with its Event and its notice, as every issuance writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from derived.errors import Reason, Refused
from derived.ledger import outbox
from derived.models import Account, Credential
from derived.rules.kinds import Kind, Label, policy
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


def row_of(  # noqa: PLR0913 - the fields of a ledger row
    account: Account,
    kind: Kind,
    *,
    level: AAL,
    state: State,
    name: str,
    evidence: dict[str, object],
    now: datetime,
    parent: Credential | None = None,
    jkt: str | None = None,
    credential_id: UUID | None = None,
    lifetime: timedelta | None = None,
    label: Label = Label.GENERIC,
) -> Credential:
    """Write a ledger row; `level` is capped already.

    Raises: Refused(NOT_ELIGIBLE) for a derived credential on the account of a person who may hold none (EL-4).
    """
    row = drafted(
        account,
        kind,
        level=level,
        state=state,
        name=name,
        evidence=evidence,
        now=now,
        parent=parent,
        jkt=jkt,
        credential_id=credential_id,
        lifetime=lifetime,
        label=label,
    )
    row.save(force_insert=True)
    return row


def drafted(  # noqa: PLR0913 - the fields of a ledger row
    account: Account,
    kind: Kind,
    *,
    level: AAL,
    state: State,
    name: str,
    evidence: dict[str, object],
    now: datetime,
    parent: Credential | None = None,
    jkt: str | None = None,
    credential_id: UUID | None = None,
    lifetime: timedelta | None = None,
    label: Label = Label.GENERIC,
) -> Credential:
    """An unsaved ledger row, for callers that write other rows in the same statement.

    Raises: Refused(NOT_ELIGIBLE) for a derived credential on the account of a person who may hold none (EL-4).
    """
    if parent is not None and kind != Kind.TOKEN_FAMILY and not account.eligible:
        raise Refused(Reason.NOT_ELIGIBLE)
    life = lifetime or policy(kind).lifetime
    row = Credential(
        account=account,
        epoch=account.epoch,
        kind=kind,
        state=state,
        aal=level,
        ial=account.ial,
        name=name,
        evidence=evidence,
        jkt=jkt,
        label=label,
        created_at=now,
        activated_at=now if state == State.ACTIVE else None,
        expires_at=now + life if life else None,
        parent=parent,
        root=(parent.root or parent) if parent else None,
    )
    if credential_id:
        row.id = credential_id
    return row


def facts(row: Credential) -> dict[str, object]:
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


def tell(account: Account, kind: str, row: Credential, *, now: datetime) -> None:
    """Notify every address of the person (NT-1)."""
    outbox.enqueue(
        kind=kind, receiver=f"mail:{account.id}", account=account, payload={"credential": str(row.id)}, now=now
    )
