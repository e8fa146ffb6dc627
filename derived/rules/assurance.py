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
    """The kinds of factor; the same kind twice is still one factor (P4).

    ACTIVATION is what a key asked for before it answered, a secret or a finger: which of the two only the key knows.
    """

    KNOW = "know"
    HAVE = "have"
    ACTIVATION = "activation"
    VOUCHED = "vouched"


class Factor(StrEnum):
    """What was verified in a login."""

    PASSWORD = "password"  # noqa: S105 - a name
    TOTP = "totp"
    DEVICE_KEY = "device_key"
    DEVICE_PASSPHRASE = "device_passphrase"  # noqa: S105 - a name
    PIV_CARD = "piv_card"
    PIV_PIN = "piv_pin"
    CERTIFICATE = "certificate"
    PASSKEY = "passkey"
    USER_VERIFICATION = "user_verification"
    UPSTREAM = "upstream"

    @property
    def factor_class(self) -> FactorClass:
        """Which kind of factor this is."""
        return _CLASSES[self]


_CLASSES = {
    Factor.PASSWORD: FactorClass.KNOW,
    Factor.DEVICE_PASSPHRASE: FactorClass.KNOW,
    Factor.PIV_PIN: FactorClass.KNOW,
    Factor.TOTP: FactorClass.HAVE,
    Factor.DEVICE_KEY: FactorClass.HAVE,
    Factor.PIV_CARD: FactorClass.HAVE,
    Factor.CERTIFICATE: FactorClass.HAVE,
    Factor.PASSKEY: FactorClass.HAVE,
    Factor.USER_VERIFICATION: FactorClass.ACTIVATION,
    Factor.UPSTREAM: FactorClass.VOUCHED,
}

# Keys whose proof names the verifier it was made for: TLS client authentication and WebAuthn (63B-4 §3.2.5).
_PHISHING_RESISTANT = frozenset({Factor.PIV_CARD, Factor.CERTIFICATE, Factor.PASSKEY})

# RFC 8176 values, by factor. A bare key is `pop`: what holds it is claimed (`hwk`) only where it was proven (standards.md).
_AMR: dict[Factor, tuple[str, ...]] = {
    Factor.PASSWORD: ("pwd",),
    Factor.DEVICE_PASSPHRASE: ("pwd",),
    Factor.TOTP: ("otp",),
    Factor.DEVICE_KEY: ("pop",),
    Factor.PIV_CARD: ("sc", "hwk"),
    Factor.PIV_PIN: ("pin",),
    Factor.CERTIFICATE: ("pop",),
    Factor.PASSKEY: ("pop", "user"),
    Factor.USER_VERIFICATION: ("user",),
}


@dataclass(frozen=True, kw_only=True)
class Assertion:
    """What a trusted upstream said of a login, after its exact table and its cap (AU-7, C10); silence is NONE.

    issuer: the upstream (FA-8). ial: recorded as evidence; it never moves the account's own (rulings 3, 9).
    fal: the federation level at which it reached us: 2 for a code and a nonce, less where it says less itself (AS-6).
    """

    issuer: str
    aal: AAL
    ial: IAL = IAL.NONE
    phishing_resistant: bool = False
    hardware: bool = False
    amr: tuple[str, ...] = ()
    fal: int = 2


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What one login transaction verified (ruling 6); the level, `amr` and phishing resistance all follow from it.

    hardware: the key among the factors is proven to be in hardware that does not give it out (attestation, PIV policy).
    asserted: for a login at an upstream, which stands alone: its word is not added to factors of ours.
    """

    factors: frozenset[Factor]
    hardware: bool = False
    asserted: Assertion | None = None

    def __post_init__(self) -> None:
        if (Factor.UPSTREAM in self.factors) != (self.asserted is not None) or (
            self.asserted and len(self.factors) > 1
        ):
            message = "an upstream's word stands alone, and there is none without an upstream"
            raise ValueError(message)

    @property
    def is_multi_factor(self) -> bool:
        """Two kinds of factor, one of them a thing one has."""
        classes = {factor.factor_class for factor in self.factors}
        return FactorClass.HAVE in classes and len(classes) > 1

    @property
    def phishing_resistant(self) -> bool:
        """Whether what was shown could not have been relayed by a false site (TK-3)."""
        return self.asserted.phishing_resistant if self.asserted else bool(self.factors & _PHISHING_RESISTANT)

    @property
    def hardware_protected(self) -> bool:
        """Whether the phishing-resistant key is proven to be in hardware (`phrh`)."""
        return self.phishing_resistant and (self.asserted.hardware if self.asserted else self.hardware)

    @property
    def reach(self) -> AAL:
        """The level that this reaches by itself (SP 800-63B-4 §2; AU-4, DK-2, PK-1, PK-2).

        One kind of factor is AAL1; two, one of them a thing one has, AAL2; AAL3 also takes a phishing-resistant key that is
        proven non-exportable.
        """
        if self.asserted:
            return self.asserted.aal
        if not self.factors:
            return AAL.NONE
        if not self.is_multi_factor:
            return AAL.AAL1
        return AAL.AAL3 if self.hardware_protected else AAL.AAL2

    @property
    def amr(self) -> tuple[str, ...]:
        """The RFC 8176 values, sorted, with `mfa` where it is true."""
        if self.asserted:
            return tuple(sorted(set(self.asserted.amr)))
        values = {value for factor in self.factors for value in _AMR[factor]}
        if self.hardware and self.factors & {
            Factor.USER_VERIFICATION,
            Factor.DEVICE_KEY,
            Factor.CERTIFICATE,
        }:  # a key, proven to be kept
            values = values - {"pop"} | {"hwk"}
        if self.is_multi_factor:
            values.add("mfa")
        return tuple(sorted(values))


@dataclass(frozen=True, kw_only=True)
class Authentication:
    """A recorded login: what was verified, when, and how far it reaches today.

    aal: the level after capping by every ancestor of the credential.
    root: whether a root credential was used (only those may mint).
    at: when the last factor was verified (becomes `auth_time`).
    amr: RFC 8176 values. upstream: the issuer that vouched, or "" (FA-8).
    by: the id of the credential that was used, so that what is bound on it can be found when it turns bad (IV-6).
    """

    factors: frozenset[Factor]
    aal: AAL
    root: bool
    at: datetime
    phishing_resistant: bool = False
    hardware_protected: bool = False
    amr: tuple[str, ...] = ()
    upstream: str = ""
    by: str = ""
