"""The requirements of a login for a request, and the missing part of them (ruling 16; AS-5, TK-2, TK-3).

Pure: authentication context classes are computed from verified or possible factors, never from a requested value.
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


def acr_of_level(aal: AAL) -> str:
    """The class of a level."""
    return f"{_NS}{int(aal)}"


SUPPORTED: tuple[str, ...] = (
    acr_of_level(AAL.AAL1),
    acr_of_level(AAL.AAL2),
    acr_of_level(AAL.AAL2) + _PHISHING_RESISTANT,
    acr_of_level(AAL.AAL3),
    acr_of_level(AAL.AAL3) + _PHISHING_RESISTANT,
    PHR,
    PHRH,
)


@dataclass(frozen=True, kw_only=True)
class AchievedLevel:
    """The properties of a login, or of a credential's best login, for comparison with a class."""

    aal: AAL
    phishing_resistant: bool
    hardware_protected: bool

    @classmethod
    def of(cls, login: Authentication, *, at_most: AAL = AAL.AAL3) -> AchievedLevel:
        """The properties of a login; at_most: a further cap."""
        return cls(
            aal=min(login.aal, at_most),
            phishing_resistant=login.phishing_resistant,
            hardware_protected=login.hardware_protected,
        )


def is_satisfied(value: str, reached: AchievedLevel) -> bool:
    """True if a class is satisfied; `phrh` needs a key that is proven to be in hardware (TK-3)."""
    if value == PHR:
        return reached.phishing_resistant
    if value == PHRH:
        return reached.phishing_resistant and reached.hardware_protected
    base, _, property_ = value.removeprefix(_NS).partition("?")
    return reached.aal >= AAL(int(base)) and (reached.phishing_resistant or not property_)


def least_level_for(value: str) -> AchievedLevel:
    """The least properties that satisfy a class."""
    if value in {PHR, PHRH}:
        return AchievedLevel(aal=AAL.AAL1, phishing_resistant=True, hardware_protected=value == PHRH)
    base, _, property_ = value.removeprefix(_NS).partition("?")
    return AchievedLevel(aal=AAL(int(base)), phishing_resistant=bool(property_), hardware_protected=False)


@dataclass(frozen=True, kw_only=True)
class Need:
    """The requirements of a login: one of these classes (any, if empty), and a least level.

    phishing_resistant: required, whatever the class. of_this_person: the signed-in person needs more, so that only
    their own ways are offered.
    """

    classes: tuple[str, ...] = ()
    min_aal: AAL = AAL.AAL1
    phishing_resistant: bool = False
    of_this_person: bool = False

    def is_met_by(self, reached: AchievedLevel) -> bool:
        """True if a login with these properties is sufficient."""
        if reached.aal < self.min_aal or (self.phishing_resistant and not reached.phishing_resistant):
            return False
        return not self.classes or any(is_satisfied(value, reached) for value in self.classes)

    @property
    def is_more_than_any(self) -> bool:
        """True if not every login is sufficient."""
        return not self.is_met_by(AchievedLevel(aal=AAL.AAL1, phishing_resistant=False, hardware_protected=False))

    def missing(self, reached: AchievedLevel) -> str:
        """The missing part, in words after "this application needs"; of several classes the nearest."""
        ways = [self._lacking(least_level_for(value), reached) for value in self.classes] or [
            self._lacking(_ANY, reached)
        ]
        return _joined(min(ways, key=len))

    def _lacking(self, wanted: AchievedLevel, reached: AchievedLevel) -> list[str]:
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
        """The form in a browser's store."""
        return {
            "classes": list(self.classes),
            "min_aal": int(self.min_aal),
            "phishing_resistant": self.phishing_resistant,
            "of_this_person": self.of_this_person,
        }

    @classmethod
    def restored(cls, kept: Mapping[str, Any]) -> Need:
        """The requirements from their stored form."""
        return cls(
            classes=tuple(kept["classes"]),
            min_aal=AAL(kept["min_aal"]),
            phishing_resistant=bool(kept.get("phishing_resistant")),
            of_this_person=bool(kept["of_this_person"]),
        )


_ANY = AchievedLevel(aal=AAL.AAL1, phishing_resistant=False, hardware_protected=False)


def _joined(parts: list[str]) -> str:
    return ", and ".join(parts) or "another sign-in"
