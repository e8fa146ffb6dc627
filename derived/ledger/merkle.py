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


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
