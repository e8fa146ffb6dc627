"""The ways of signing in that this house offers, as the login page lists them; each module names its own.

A way says what it can reach at best, so that a step-up offers exactly those that are enough, and says why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from derived.rules.assurance import AAL
    from derived.rules.kinds import Kind


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way of signing in.

    kind: what the person must have for it. url: a page of ours (GET) that begins it. label, hint: for people.
    reaches, phishing_resistant, hardware: the best that a login in this way can show.
    """

    name: str
    kind: Kind
    label: str
    hint: str
    url: str
    reaches: AAL
    phishing_resistant: bool = False
    hardware: bool = False
