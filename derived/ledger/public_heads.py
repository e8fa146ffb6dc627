"""The public head of a chain: the hash of its Events that anybody can compute, without the key (EV-2 to EV-6).

The keyed head on the account defends the chain inside the database; it proves nothing to an auditor, who must not hold
the key. So each checkpoint also signs the root of a tree (RFC 9162) over the public heads of all chains, and an export
holds whole chains with their paths to that root. A leaf is `account:seq:head`.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING
from uuid import UUID

from django.db.models import OuterRef, Q, Subquery

from derived.ledger import audit, merkle
from derived.ledger.audit import Head
from derived.models import Account, CheckpointLeaf, Event

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from django.db.models import QuerySet

_BATCH = 2_000
Leaves = dict[str, Head]  # by account


def step(previous: str, event: Event) -> str:
    """The public head after an Event. previous: the one before it, `audit.GENESIS` for none."""
    return audit.link(
        None,
        account_id=event.account_id,
        seq=event.seq,
        at=event.at,
        kind=event.kind,
        actor=event.actor,
        credential_id=event.credential_id,
        body=event.body,
        previous=previous,
    )


def leaves_at(checkpoint_id: int | None = None, accounts: Iterable[UUID] | None = None) -> Leaves:
    """The leaves of a checkpoint (default: of the newest), or those of some accounts only."""
    rows = CheckpointLeaf.objects.all()
    if checkpoint_id is not None:
        rows = rows.filter(checkpoint_id__lte=checkpoint_id)
    if accounts is not None:
        rows = rows.filter(account_id__in=list(accounts))
    newest = rows.filter(account=OuterRef("account")).order_by("-checkpoint_id").values("id")[:1]
    found = rows.filter(id=Subquery(newest)).values_list("account_id", "seq", "head")
    return {str(account_id): Head(seq, head) for account_id, seq, head in found.iterator(chunk_size=_BATCH)}


def grown(leaves: Mapping[str, Head]) -> Leaves:
    """The leaves of chains that have grown since `leaves`, now; call it within `snapshot`."""
    behind = [UUID(name) for name, seq in _ends() if (leaf := leaves.get(name)) is None or leaf.seq < seq]
    found: Leaves = {}
    for start in range(0, len(behind), 500):
        some = behind[start : start + 500]
        found.update({str(name): leaves.get(str(name), Head(0, audit.GENESIS)) for name in some})
        for event in _events_after(some, leaves):
            name = str(event.account_id)
            found[name] = Head(event.seq, step(found[name].hash, event))
    return found


def _ends() -> Iterator[tuple[str, int]]:
    rows = Account.objects.order_by("id").values_list("id", "audit_seq")
    return ((str(account_id), seq) for account_id, seq in rows.iterator(chunk_size=_BATCH))


def _events_after(accounts: list[UUID], leaves: Mapping[str, Head]) -> Iterator[Event]:
    """The Events of accounts after their leaves, in the order of each chain."""
    fresh = [name for name in accounts if str(name) not in leaves]
    wanted = Q(account_id__in=fresh)
    for name in accounts:
        if (leaf := leaves.get(str(name))) is not None:
            wanted |= Q(account_id=name, seq__gt=leaf.seq)
    return Event.objects.filter(wanted).order_by("account_id", "seq").iterator(chunk_size=_BATCH)


def chain(account_id: UUID, upto: int) -> QuerySet[Event]:
    """The Events of a chain up to a number."""
    return Event.objects.filter(account_id=account_id, seq__lte=upto).order_by("seq").prefetch_related("details")


def root(leaves: Mapping[str, Head]) -> str:
    """The root of the tree over leaves, in the order of their accounts, in hex."""
    return merkle.root(leaf_bytes(name, head) for name, head in sorted(leaves.items())).hex()


def leaf_bytes(name: str, head: Head) -> bytes:
    """A leaf: `account:seq:head`."""
    return f"{name}:{head.seq}:{head.hash}".encode()


def statement_hash(statement: str) -> str:
    """The hash by which the next checkpoint, and an auditor, name a checkpoint."""
    return hashlib.sha256(statement.encode()).hexdigest()
