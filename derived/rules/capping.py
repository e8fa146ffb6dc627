"""The cap: the one rule that no credential and no token outranks what it grew from (AS-2, I1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from derived.rules.kinds import Kind, policy

if TYPE_CHECKING:
    from derived.rules.assurance import AAL


def cap(kind: Kind, own: AAL, *ancestors: AAL) -> AAL:
    """The level of a credential: the least of its kind's ceiling, what it proved itself, and every ancestor's level."""
    return min(policy(kind).ceiling, own, *ancestors)
