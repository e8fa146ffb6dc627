"""The audit record: a hash chain per account, whose head is stored on the Account row (promise 5).

Every change of the ledger is an Event. Each writer holds the account's lock, so appending needs no other lock. Personal
data is stored beside the chain (`EventDetail`), and only a salted commitment to it is hashed, so erasing a person does
not break the chain.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from derived.ledger.prepared_sql import insert_rows
from derived.models import Account, Credential, Event, EventDetail

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterator, Mapping

GENESIS = "0" * 64


def _digest(value: object) -> str:
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _link(  # noqa: PLR0913 - the hash covers every field of an Event
    *,
    account_id: uuid.UUID,
    seq: int,
    at: datetime,
    kind: str,
    actor: str,
    credential_id: uuid.UUID | None,
    body: object,
    previous: str,
) -> str:
    return _digest(
        [str(account_id), seq, at.astimezone(UTC).isoformat(), kind, actor, str(credential_id or ""), body, previous]
    )


def record(  # noqa: PLR0913 - the fields of an Event
    account: Account,
    kind: str,
    *,
    now: datetime,
    actor: str,
    body: Mapping[str, object] | None = None,
    personal: Mapping[str, str] | None = None,
    credential: Credential | None = None,
) -> Event:
    """Append one Event to an account's chain; the caller holds the account's lock.

    actor: who did it, as `person`, `source:hr`, `client:web`, `operator` or `worker`.
    body: facts and ids. personal: what may have to be erased; only a commitment to it enters the chain.
    """
    salted = {name: (value, secrets.token_hex(16)) for name, value in (personal or {}).items()}
    facts = dict(body or {})
    if salted:
        facts["commitments"] = {name: _digest([salt, value]) for name, (value, salt) in salted.items()}
    event = build_event(account, kind, now=now, actor=actor, body=facts, credential=credential)
    if not salted:
        insert_rows(event)
        return event
    event.save(force_insert=True)
    EventDetail.objects.bulk_create(
        EventDetail(event=event, name=name, value=value, salt=salt) for name, (value, salt) in salted.items()
    )
    return event


def build_event(  # noqa: PLR0913 - the fields of an Event
    account: Account,
    kind: str,
    *,
    now: datetime,
    actor: str,
    body: Mapping[str, object],
    credential: Credential | None = None,
) -> Event:
    """The next Event of an account's chain, unsaved, for callers that write other rows in the same statement.

    This call moves the head on `account`; a database trigger moves the head of the stored row when the Event is
    inserted, so the head always covers every stored Event.
    """
    facts: dict[str, object] = json.loads(json.dumps(dict(body)))
    seq, previous = account.audit_seq + 1, account.audit_head
    link = _link(
        account_id=account.id,
        seq=seq,
        at=now,
        kind=kind,
        actor=actor,
        credential_id=credential.id if credential else None,
        body=facts,
        previous=previous,
    )
    account.audit_seq, account.audit_head = seq, link
    return Event(
        account=account,
        seq=seq,
        at=now,
        kind=kind,
        actor=actor,
        credential=credential,
        body=facts,
        previous=previous,
        hash=link,
    )


@dataclass(frozen=True)
class BrokenLink:
    """The first broken link of an account's chain, and the fault."""

    account_id: uuid.UUID
    seq: int
    why: str


def verify(account: Account) -> BrokenLink | None:
    """Walk an account's chain and return its first broken link, or None for an intact chain."""
    previous, seq = GENESIS, 0
    events: Iterator[Event] = account.events.order_by("seq").prefetch_related("details").iterator(chunk_size=500)
    for event in events:
        seq += 1
        why = _fault(event, seq=seq, previous=previous)
        if why:
            return BrokenLink(account.id, seq, why)
        previous = event.hash
    if (seq, previous) != (account.audit_seq, account.audit_head):
        return BrokenLink(account.id, seq + 1, "the chain ends before or after the head on the account")
    return None


def _fault(event: Event, *, seq: int, previous: str) -> str | None:
    if event.seq != seq:
        return f"event {seq} is missing"
    if event.previous != previous:
        return "its previous hash is not the hash of the event before it"
    expected = _link(
        account_id=event.account_id,
        seq=event.seq,
        at=event.at,
        kind=event.kind,
        actor=event.actor,
        credential_id=event.credential_id,
        body=event.body,
        previous=event.previous,
    )
    if event.hash != expected:
        return "its content was changed"
    commitments = event.body.get("commitments", {})
    for detail in event.details.all():
        if commitments.get(detail.name) != _digest([detail.salt, detail.value]):
            return f"its personal detail {detail.name!r} was changed"
    return None


def heads_digest() -> tuple[str, int]:
    """The hash over the heads of all chains, and their number, as a checkpoint signs them."""
    digest, count = hashlib.sha256(), 0
    for account_id, seq, head in Account.objects.order_by("id").values_list("id", "audit_seq", "audit_head").iterator():
        digest.update(f"{account_id}:{seq}:{head}\n".encode())
        count += 1
    return digest.hexdigest(), count
