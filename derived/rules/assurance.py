"""Assurance levels and the evidence of a login (SP 800-63B-4 §2, §3).

A level is always computed from an `Authentication`; a requested value never becomes a level.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


class AAL(IntEnum):
    """Authenticator assurance level; NONE means no level, never level 1 (AU-7)."""

    NONE = 0
    AAL1 = 1
    AAL2 = 2
    AAL3 = 3


class IAL(IntEnum):
    """Identity assurance level; NONE means that no source or manager with authority has vouched."""

    NONE = 0
    IAL1 = 1
    IAL2 = 2
    IAL3 = 3


class FactorClass(StrEnum):
    """The classes of authentication factors; two factors of one class count as a single factor (P4).

    ACTIVATION is local user verification (a secret or a biometric); only the authenticator knows which.
    """

    KNOW = "know"
    HAVE = "have"
    ACTIVATION = "activation"
    VOUCHED = "vouched"


class Factor(StrEnum):
    """The factors that a login can verify."""

    PASSWORD = auto()
    TOTP = "totp"
    DEVICE_KEY = "device_key"
    DEVICE_PASSPHRASE = auto()
    PIV_CARD = "piv_card"
    PIV_PIN = "piv_pin"
    CERTIFICATE = "certificate"
    PASSKEY = "passkey"
    USER_VERIFICATION = "user_verification"
    UPSTREAM = "upstream"
    ISSUED_CODE = "issued_code"

    @property
    def factor_class(self) -> FactorClass:
        """The class of this factor."""
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
    Factor.ISSUED_CODE: FactorClass.HAVE,
}

# Keys whose proof names the verifier: TLS client authentication and WebAuthn (63B-4 §3.2.5).
_PHISHING_RESISTANT = frozenset({Factor.PIV_CARD, Factor.CERTIFICATE, Factor.PASSKEY})

# RFC 8176 values by factor. A bare key is `pop`; `hwk` only where hardware was proven (docs/requirements.md).
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
    Factor.ISSUED_CODE: ("otp",),
}


@dataclass(frozen=True, kw_only=True)
class Assertion:
    """The claims of a trusted upstream about a login, after its mapping table and its cap (AU-7, C10).

    A claim that is missing counts as NONE. issuer: the upstream (FA-8). ial: recorded as evidence; the account's own
    IAL never follows it (rulings 3, 9). fal: the federation assurance level of the transport: 2 for a code with a
    nonce, less if the upstream states less (AS-6).
    """

    issuer: str
    aal: AAL
    ial: IAL = IAL.NONE
    phishing_resistant: bool = False
    hardware: bool = False
    amr: tuple[str, ...] = ()
    fal: int = 2


@dataclass(frozen=True, kw_only=True)
class VerifiedFactors:
    """The factors verified in a login transaction (ruling 6); its level, `amr` and phishing resistance follow from it.

    hardware: the key among the factors is proven to be non-exportable (attestation, PIV policy). asserted: the
    assertion of an upstream login, which is never combined with local factors.
    """

    factors: frozenset[Factor]
    hardware: bool = False
    asserted: Assertion | None = None

    def __post_init__(self) -> None:
        if (Factor.UPSTREAM in self.factors) != (self.asserted is not None) or (
            self.asserted and len(self.factors) > 1
        ):
            message = "an upstream assertion comes without other factors, and needs the factor UPSTREAM"
            raise ValueError(message)

    @property
    def is_multi_factor(self) -> bool:
        """True for factors of two classes, at least one of them something the person has."""
        classes = {factor.factor_class for factor in self.factors}
        return FactorClass.HAVE in classes and len(classes) > 1

    @property
    def phishing_resistant(self) -> bool:
        """True if a verifier impersonator could not have relayed the verified factors (TK-3)."""
        return self.asserted.phishing_resistant if self.asserted else bool(self.factors & _PHISHING_RESISTANT)

    @property
    def hardware_protected(self) -> bool:
        """True if the phishing-resistant key is proven to be in hardware (`phrh`)."""
        return self.phishing_resistant and (self.asserted.hardware if self.asserted else self.hardware)

    @property
    def reach(self) -> AAL:
        """The level of these factors alone, before any cap (SP 800-63B-4 §2; AU-4, DK-2, PK-1, PK-2).

        A single factor class is AAL1; two classes, one of them something the person has, AAL2; AAL3 also takes a
        phishing-resistant key that is proven non-exportable.
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
        """The RFC 8176 values, sorted, with `mfa` for two factor classes."""
        if self.asserted:
            return tuple(sorted(set(self.asserted.amr)))
        values = {value for factor in self.factors for value in _AMR[factor]}
        # proven hardware turns `pop` into `hwk`
        if self.hardware and self.factors & {Factor.USER_VERIFICATION, Factor.DEVICE_KEY, Factor.CERTIFICATE}:
            values = values - {"pop"} | {"hwk"}
        if self.is_multi_factor:
            values.add("mfa")
        return tuple(sorted(values))


@dataclass(frozen=True, kw_only=True)
class Authentication:
    """A recorded login: its factors, its time, and its level today.

    aal: the level after capping by every ancestor of the credential.
    root: whether a root credential was used (only roots may issue derived credentials).
    at: when the last factor was verified (becomes `auth_time`).
    amr: RFC 8176 values. upstream: the issuer that vouched, or "" (FA-8).
    by: the id of the credential that was used, so that a later compromise finds what was bound with it (IV-6).
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
