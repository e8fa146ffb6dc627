"""Levels of assurance, and the evidence of one login (SP 800-63B-4 §2, §3).

A level in this house is always computed from an `Authentication`; nothing that somebody asked for ever becomes one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


class AAL(IntEnum):
    """Authenticator assurance level; NONE is the absence of one, never level 1 (AU-7)."""

    NONE = 0
    AAL1 = 1
    AAL2 = 2
    AAL3 = 3


class IAL(IntEnum):
    """Identity assurance level; NONE means that nobody with authority has vouched."""

    NONE = 0
    IAL1 = 1
    IAL2 = 2
    IAL3 = 3


class FactorClass(StrEnum):
    """The three kinds of factor; the same kind twice is still one factor (P4)."""

    KNOW = "know"
    HAVE = "have"
    ARE = "are"


class Factor(StrEnum):
    """What was verified in a login."""

    PASSWORD = "password"  # noqa: S105 - a name
    TOTP = "totp"
    DEVICE_KEY = "device_key"
    DEVICE_PASSPHRASE = "device_passphrase"  # noqa: S105 - a name

    @property
    def factor_class(self) -> FactorClass:
        """Which of the three kinds of factor this is."""
        return {
            Factor.PASSWORD: FactorClass.KNOW,
            Factor.DEVICE_PASSPHRASE: FactorClass.KNOW,
            Factor.TOTP: FactorClass.HAVE,
            Factor.DEVICE_KEY: FactorClass.HAVE,
        }[self]


# RFC 8176 values, by factor. A device key is `pop`: what holds it is not claimed without attestation (standards.md).
_AMR = {
    Factor.PASSWORD: "pwd",
    Factor.DEVICE_PASSPHRASE: "pwd",
    Factor.TOTP: "otp",
    Factor.DEVICE_KEY: "pop",
}


def reach(factors: frozenset[Factor]) -> AAL:
    """The level that a set of verified factors reaches by itself (SP 800-63B-4 §2.1, §2.2; DK-2).

    Two factors of different classes, one of them a thing one has, are AAL2; a single class is AAL1. Nothing here can be AAL3: that
    takes proof of a non-exportable key.
    """
    classes = {factor.factor_class for factor in factors}
    if not classes:
        return AAL.NONE
    return AAL.AAL2 if FactorClass.HAVE in classes and len(classes) > 1 else AAL.AAL1


def amr(factors: frozenset[Factor]) -> tuple[str, ...]:
    """The RFC 8176 `amr` values of a set of verified factors, sorted, with `mfa` where it is true."""
    values = {_AMR[factor] for factor in factors}
    if len({factor.factor_class for factor in factors}) > 1:
        values.add("mfa")
    return tuple(sorted(values))


@dataclass(frozen=True, kw_only=True)
class Authentication:
    """The evidence of one login: what was verified, when, and how far it reaches.

    factors: what was verified in this one login transaction (ruling 6).
    aal: the level after capping by every ancestor of the credential.
    root: whether a root credential was used (only those may mint).
    at: when the last factor was verified (becomes `auth_time`).
    """

    factors: frozenset[Factor]
    aal: AAL
    root: bool
    at: datetime
    phishing_resistant: bool = False

    @property
    def amr(self) -> tuple[str, ...]:
        """RFC 8176 values of this login."""
        return amr(self.factors)
