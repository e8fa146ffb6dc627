"""Whole chains with their paths to checkpoints, as an export holds them (EV-2 to EV-6)."""

from __future__ import annotations

from bisect import bisect_left
from datetime import UTC
from typing import TYPE_CHECKING, Any

from derived.ledger import audit, merkle, public_heads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from uuid import UUID

    from derived.ledger.public_heads import Leaves
    from derived.models import Checkpoint, Event


class KeptTree:
    """The tree of a checkpoint, for the paths of chains."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.number, self.hash = checkpoint.id, checkpoint.hash
        self.leaves: Leaves = public_heads.leaves_at(checkpoint.id)
        self._names = sorted(self.leaves)
        self._tree = merkle.Tree(public_heads.leaf_bytes(name, self.leaves[name]) for name in self._names)

    def all_leaves(self) -> list[list[Any]]:
        """Every leaf: account, number of Events, public head."""
        return [[name, *self.leaves[name]] for name in self._names]

    def path(self, account: str) -> dict[str, Any] | None:
        """The place of a chain in the tree, None for an account that is younger."""
        if account not in self.leaves:
            return None
        index = bisect_left(self._names, account)
        return {"seq": self.leaves[account].seq, "index": index, "path": self._tree.path(index)}

    def neighbours(self, account: str) -> list[dict[str, Any]]:
        """The leaves between which a younger account would stand."""
        at = bisect_left(self._names, account)
        near = [index for index in (at - 1, at) if 0 <= index < len(self._names)]
        return [
            {
                "account": self._names[index],
                "seq": self.leaves[self._names[index]].seq,
                "head": self.leaves[self._names[index]].hash,
                "index": index,
                "path": self._tree.path(index),
            }
            for index in near
        ]


def whole_chain(
    account_id: UUID, *, upto: KeptTree, others: Iterable[KeptTree], in_scope: Callable[[Event], bool]
) -> dict[str, Any]:
    """The chain of an account up to a checkpoint, with its path there, and at other checkpoints.

    in_scope: of which Events the personal details are shown; those of others stay commitments.
    """
    account, trees = str(account_id), [upto, *others]
    length = upto.leaves[account].seq if account in upto.leaves else 0
    head, events = audit.GENESIS, []
    for event in public_heads.chain(account_id, length):
        head = public_heads.step(head, event)
        events.append(_event(event, head, shows=in_scope(event)))
    return {
        "account": account,
        "events": events,
        "paths": {tree.hash: path for tree in trees if (path := tree.path(account)) is not None},
        "absent": {tree.hash: tree.neighbours(account) for tree in trees if account not in tree.leaves},
    }


def _event(event: Event, head: str, *, shows: bool) -> dict[str, Any]:
    details = {one.name: {"value": one.value, "salt": one.salt} for one in event.details.all()} if shows else {}
    return {
        "seq": event.seq,
        "at": event.at.astimezone(UTC).isoformat(),
        "kind": event.kind,
        "actor": event.actor,
        "credential": str(event.credential_id or ""),
        "body": event.body,
        "hash": head,
        **({"details": details} if details else {}),
    }


def grown_between(before: Leaves, after: Leaves) -> Sequence[str]:
    """The accounts whose chains grew between two checkpoints."""
    return sorted(name for name, head in after.items() if before.get(name) != head)
