"""The Merkle tree of RFC 9162 §2.1: one hash over many leaves, in which none can be changed, moved or left out."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def root(leaves: Iterable[bytes]) -> bytes:
    """The Merkle Tree Hash of the leaves, in their order (RFC 9162 §2.1.1).

    Only one subtree of each size is held, so any number of leaves needs little memory.
    """
    complete: list[
        tuple[int, bytes]
    ] = []  # subtrees from left to right, each with its number of leaves: a power of two
    for leaf in leaves:
        size, made = 1, hashlib.sha256(b"\x00" + leaf).digest()
        while complete and complete[-1][0] == size:
            made = _node(complete.pop()[1], made)
            size *= 2
        complete.append((size, made))
    if not complete:
        return hashlib.sha256().digest()
    _, right = complete.pop()
    while complete:
        right = _node(complete.pop()[1], right)
    return right


class Tree:
    """A tree that is held whole, for the paths of many of its leaves."""

    def __init__(self, leaves: Iterable[bytes]) -> None:
        level = [hashlib.sha256(b"\x00" + leaf).digest() for leaf in leaves]
        self._levels = [level]
        while len(level) > 1:
            # a node without a right sibling goes up as it is, which gives the tree of §2.1.1
            pairs = [level[at : at + 2] for at in range(0, len(level), 2)]
            level = [_node(*pair) if len(pair) > 1 else pair[0] for pair in pairs]
            self._levels.append(level)

    @property
    def size(self) -> int:
        """The number of leaves."""
        return len(self._levels[0])

    def path(self, index: int) -> list[str]:
        """The inclusion path of a leaf, from the bottom up, in hex (RFC 9162 §2.1.3.1)."""
        found = []
        for level in self._levels[:-1]:
            sibling = index ^ 1
            if sibling < len(level):
                found.append(level[sibling].hex())
            index //= 2
        return found


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
