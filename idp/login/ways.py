"""The ways of signing in, as the login page lists them; each module declares its own.

A way states its best result, so that a step-up offers exactly the sufficient ways, with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from derived.rules.assurance import AAL
    from derived.rules.kinds import Kind


@dataclass(frozen=True, kw_only=True)
class Way:
    """A way of signing in.

    kind: the credential that it takes. url: a local page (GET) that begins it. label, hint: for people. reaches,
    phishing_resistant, hardware: its best result.
    """

    name: str
    kind: Kind
    label: str
    hint: str
    url: str
    reaches: AAL
    phishing_resistant: bool = False
    hardware: bool = False
