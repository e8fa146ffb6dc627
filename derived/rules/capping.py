"""The cap: no credential and no token ever has a higher level than any of its ancestors (AS-2, I1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from derived.rules.kinds import Kind, policy_of

if TYPE_CHECKING:
    from derived.rules.assurance import AAL


def cap(kind: Kind, own: AAL, *ancestors: AAL) -> AAL:
    """The level of a credential: the minimum of its kind's ceiling, its own proof, and every ancestor's level."""
    return min(policy_of(kind).ceiling, own, *ancestors)
