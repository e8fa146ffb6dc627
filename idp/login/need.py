"""What a login must be for a request, and what is missing of it (ruling 16; AS-5, TK-2, TK-3).

Pure: authentication context classes are computed from what a login has shown or a way could show, never from what was asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from derived.rules.assurance import AAL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from derived.rules.assurance import Authentication

_NS = "http://idmanagement.gov/ns/assurance/aal/"
_PHISHING_RESISTANT = "?phishing_resistant=true"
PHR, PHRH = "phr", "phrh"  # OpenID EAP ACR Values 1.0


def of_level(aal: AAL) -> str:
    """The class of a level."""
    return f"{_NS}{int(aal)}"


SUPPORTED: tuple[str, ...] = (
    of_level(AAL.AAL1),
    of_level(AAL.AAL2),
    of_level(AAL.AAL2) + _PHISHING_RESISTANT,
    of_level(AAL.AAL3),
    of_level(AAL.AAL3) + _PHISHING_RESISTANT,
    PHR,
    PHRH,
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
            aal=min(login.aal, at_most),
            phishing_resistant=login.phishing_resistant,
            hardware_protected=login.hardware_protected,
        )


def is_true(value: str, reached: Reached) -> bool:
    """Whether a class is true of a login; `phrh` needs a key that is proven to be in hardware (TK-3)."""
    if value == PHR:
        return reached.phishing_resistant
    if value == PHRH:
        return reached.phishing_resistant and reached.hardware_protected
    base, _, property_ = value.removeprefix(_NS).partition("?")
    return reached.aal >= AAL(int(base)) and (reached.phishing_resistant or not property_)


def demands(value: str) -> Reached:
    """The least that a class asks for."""
    if value in {PHR, PHRH}:
        return Reached(aal=AAL.AAL1, phishing_resistant=True, hardware_protected=value == PHRH)
    base, _, property_ = value.removeprefix(_NS).partition("?")
    return Reached(aal=AAL(int(base)), phishing_resistant=bool(property_), hardware_protected=False)


@dataclass(frozen=True, kw_only=True)
class Need:
    """What a login must be: one of these classes (any, if there are none), and no less than a level.

    phishing_resistant: it must be that, whatever the class. of_this_person: somebody is signed in whom it asks for more, so that only what they have needs to be offered.
    """

    classes: tuple[str, ...] = ()
    min_aal: AAL = AAL.AAL1
    phishing_resistant: bool = False
    of_this_person: bool = False

    def is_met_by(self, reached: Reached) -> bool:
        """Whether a login that shows this is enough."""
        if reached.aal < self.min_aal or (self.phishing_resistant and not reached.phishing_resistant):
            return False
        return not self.classes or any(is_true(value, reached) for value in self.classes)

    @property
    def is_more_than_any(self) -> bool:
        """Whether it asks for something that not every login is."""
        return not self.is_met_by(Reached(aal=AAL.AAL1, phishing_resistant=False, hardware_protected=False))

    def missing(self, reached: Reached) -> str:
        """What is missing, in words that follow "this application needs"; of several classes the one that is nearest."""
        ways = [self._lacking(demands(value), reached) for value in self.classes] or [self._lacking(_ANY, reached)]
        return _joined(min(ways, key=len))

    def _lacking(self, wanted: Reached, reached: Reached) -> list[str]:
        level = max(wanted.aal, self.min_aal)
        found = []
        if reached.aal < level:
            found.append(f"a stronger sign-in (AAL{int(level)}; you signed in at AAL{int(reached.aal)})")
        if wanted.hardware_protected and not reached.hardware_protected:
            found.append("a key that is proven to be in hardware")
        elif (wanted.phishing_resistant or self.phishing_resistant) and not reached.phishing_resistant:
            found.append("a sign-in that a false site cannot steal: a card, a passkey or a security key")
        return found

    def stored(self) -> dict[str, Any]:
        """As it is kept in a browser's store."""
        return {
            "classes": list(self.classes),
            "min_aal": int(self.min_aal),
            "phishing_resistant": self.phishing_resistant,
            "of_this_person": self.of_this_person,
        }

    @classmethod
    def restored(cls, kept: Mapping[str, Any]) -> Need:
        """What `stored` kept."""
        return cls(
            classes=tuple(kept["classes"]),
            min_aal=AAL(kept["min_aal"]),
            phishing_resistant=bool(kept.get("phishing_resistant")),
            of_this_person=bool(kept["of_this_person"]),
        )


_ANY = Reached(aal=AAL.AAL1, phishing_resistant=False, hardware_protected=False)


def _joined(parts: list[str]) -> str:
    return ", and ".join(parts) or "another sign-in"
