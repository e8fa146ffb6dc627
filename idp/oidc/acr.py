"""Authentication context classes: which are true of a login, and which answers a request (ruling 16, TK-2, TK-3; C2, C42).

Pure: everything is computed from an `Authentication`, nothing from what was asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from derived.assurance import AAL

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from derived.assurance import Authentication

_NS = "http://idmanagement.gov/ns/assurance/aal/"
_PHISHING_RESISTANT = "?phishing_resistant=true"
PHR, PHRH = "phr", "phrh"  # OpenID EAP ACR Values 1.0


def of_level(aal: AAL) -> str:
    """The class of a level."""
    return f"{_NS}{int(aal)}"


SUPPORTED: tuple[str, ...] = (
    of_level(AAL.AAL1), of_level(AAL.AAL2), of_level(AAL.AAL2) + _PHISHING_RESISTANT, of_level(AAL.AAL3),
    of_level(AAL.AAL3) + _PHISHING_RESISTANT, PHR, PHRH,
)


@dataclass(frozen=True, kw_only=True)
class Reached:
    """What a login has shown, or what a credential could show, as far as a class asks for it."""

    aal: AAL
    phishing_resistant: bool
    hardware_protected: bool

    @classmethod
    def of(cls, login: Authentication, *, at_most: AAL = AAL.AAL3) -> Reached:
        """Of a login; at_most: what else caps it."""
        return cls(
            aal=min(login.aal, at_most), phishing_resistant=login.phishing_resistant, hardware_protected=login.hardware_protected
        )


def is_true(value: str, reached: Reached) -> bool:
    """Whether a class is true of a login; `phrh` needs a key that is proven to be in hardware (TK-3)."""
    if value == PHR:
        return reached.phishing_resistant
    if value == PHRH:
        return reached.phishing_resistant and reached.hardware_protected
    base, _, property_ = value.removeprefix(_NS).partition("?")
    return reached.aal >= AAL(int(base)) and (reached.phishing_resistant or not property_)


def known(values: Iterable[str]) -> list[str]:
    """The requested classes that we know, in the order asked; others are ignored."""
    return [value for value in dict.fromkeys(values) if value in SUPPORTED]


def first_true(asked: Sequence[str], login: Authentication) -> str | None:
    """The first requested class that is true of this login; its plain level if nothing known was asked; None if none is true."""
    wanted = known(asked)
    if not wanted:
        return of_level(login.aal)
    return next((value for value in wanted if is_true(value, Reached.of(login))), None)
