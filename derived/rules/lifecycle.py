"""The states of a credential and the legal transitions between them; revoked and expired are final.

See MT-3, MT-6, C30.
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """The state of a credential."""

    PENDING = "pending"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    REVOKED = "revoked"
    EXPIRED = "expired"


ENDED = frozenset({State.REVOKED, State.EXPIRED})
LIVING = frozenset({State.PENDING, State.ACTIVE, State.SUSPENDED})

_MOVES: dict[State, frozenset[State]] = {
    State.PENDING: frozenset({State.ACTIVE, State.REVOKED, State.EXPIRED}),
    State.ACTIVE: frozenset({State.SUSPENDED, State.REVOKED, State.EXPIRED}),
    State.SUSPENDED: frozenset({State.ACTIVE, State.REVOKED, State.EXPIRED}),
    State.REVOKED: frozenset(),
    State.EXPIRED: frozenset(),
}


def may_move(before: State, after: State) -> bool:
    """True if a credential may go from one state to the other."""
    return after in _MOVES[before]
