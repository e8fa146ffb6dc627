"""Certification paths from a leaf to a trust anchor, shortest first, and only a few: the Federal PKI is a mesh.

See row 3a.
The engine's own builder takes minutes on the public bundles. Here a linear pass from the anchors first computes the
distance of each CA; the path then only takes steps that can arrive in time.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from asn1crypto.x509 import Certificate

DEEPEST = 6  # certificates below the anchor, the leaf included
MOST_PATHS = 32
_MOST_STEPS = 500
_MOST_WAITING = 2_000


@dataclass(frozen=True, eq=False)
class _Node:
    """A certificate as the way sees it: names, key identifiers, and the authority (name and key) that it is about."""

    certificate: Certificate
    subject: str
    issuer: str
    key_id: bytes | None
    issuer_key_id: bytes | None
    node: tuple[str, bytes]

    @classmethod
    def of(cls, one: Certificate) -> _Node:
        return cls(
            one,
            one.subject.hashable,
            one.issuer.hashable,
            one.key_identifier,
            one.authority_key_identifier,
            (one.subject.hashable, one.public_key.sha256),
        )

    def may_have_issued(self, lower: _Node) -> bool:
        """True by name, and by key identifiers if both have them; issuer and serial in an AKI are often wrong."""
        if self.subject != lower.issuer:
            return False
        return self.key_id is None or lower.issuer_key_id is None or self.key_id == lower.issuer_key_id


def build(
    leaf: Certificate, pool: Iterable[Certificate], anchors: Sequence[Certificate]
) -> Iterator[tuple[Certificate, ...]]:
    """Paths (leaf, …, anchor) whose names and key identifiers fit; signatures are for the engine to check.

    pool: authorities' certificates from anywhere. At most MOST_PATHS, each at most DEEPEST below its anchor.
    """
    roots = {anchor.sha256: _Node.of(anchor) for anchor in anchors}
    stones = [_Node.of(one) for one in {one.sha256: one for one in pool if one.ca and one.sha256 not in roots}.values()]
    by_subject: dict[str, list[_Node]] = defaultdict(list)
    for stone in stones:
        by_subject[stone.subject].append(stone)
    left = _distances(list(roots.values()), stones)
    order = count()
    waiting: list[tuple[int, int, tuple[_Node, ...]]] = [(0, next(order), (_Node.of(leaf),))]
    found = steps = 0
    while waiting and steps < _MOST_STEPS:
        steps += 1
        _, _, path = heapq.heappop(waiting)
        for root in roots.values():
            if root.may_have_issued(path[-1]):
                found += 1
                yield (*(stone.certificate for stone in path), root.certificate)
                if found == MOST_PATHS:
                    return
        been = {stone.node for stone in path}
        for stone in by_subject[path[-1].issuer]:
            whole = len(path) + left.get(stone.certificate.sha256, DEEPEST)
            if (
                whole <= DEEPEST
                and len(waiting) < _MOST_WAITING
                and stone.node not in been
                and stone.may_have_issued(path[-1])
            ):
                heapq.heappush(waiting, (whole, next(order), (*path, stone)))


def _distances(anchors: list[_Node], stones: list[_Node]) -> dict[bytes, int]:
    """The length of the shortest path from an anchor to each certificate; absent if there is none."""
    by_issuer: dict[str, list[_Node]] = defaultdict(list)
    for stone in stones:
        by_issuer[stone.issuer].append(stone)
    distance: dict[bytes, int] = {}
    been = {anchor.node for anchor in anchors}
    level = anchors
    for depth in range(1, DEEPEST):
        below = []
        for upper in level:
            for stone in by_issuer[upper.subject]:
                if stone.certificate.sha256 not in distance and upper.may_have_issued(stone):
                    distance[stone.certificate.sha256] = depth
                    if stone.node not in been:
                        been.add(stone.node)
                        below.append(stone)
        level = below
    return distance
