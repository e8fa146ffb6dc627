"""Every kind of credential: its highest level, its lifetime, its requirements.

Policy is code, changed by review. A ceiling is the highest level of the *kind*; `capping.cap` takes the minimum with
the credential's own proof and its ancestors.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum, auto

from derived.rules.assurance import AAL


class Kind(StrEnum):
    """The kinds of credential in the ledger; docs/adding-a-kind.md says how to add one."""

    PASSWORD_TOTP = auto()
    PIV_CARD = "piv_card"
    PASSKEY = "passkey"
    UPSTREAM = "upstream"
    DERIVED_CERTIFICATE = "derived_certificate"
    CERTIFICATE = "certificate"
    DEVICE_KEY = "device_key"
    DERIVED_PASSKEY = "derived_passkey"
    TEMPORARY_PASS = auto()
    TOKEN_FAMILY = auto()


class Label(StrEnum):
    """The label of a derived credential, decided at issuance and never changed (EL-2, EL-3, BI-7)."""

    DERIVED_PIV = "derived_piv"
    GENERIC = "generic"


@dataclass(frozen=True, kw_only=True)
class KindPolicy:
    """The rules for every credential of a kind.

    ceiling: the highest AAL of the kind.
    floor: the lowest AAL at which a credential of the kind is issued (ruling 1).
    lifetime: from issuance to expiry; None for the lifetime of the account (X-6: not cut to the root's expiry).
    root: the person already had it, or bound it by invitation; it may be a parent.
    counted: whether it counts towards the cap on derived credentials per person (EL-5).
    is_derived: derived here from a root, by `issue.derive`. verifier: the model of `derived.models` that holds its
    verification data.
    signs_in_as: the kind whose login method it uses, if it has none of its own.
    in_person: AAL3 also takes the PIV label, a key that verifies its user at each use, and the record of an identity
    check in person (X-7, X-9; `eligibility.highest_level`).
    """

    label: str
    ceiling: AAL
    floor: AAL
    lifetime: timedelta | None
    root: bool = False
    counted: bool = False
    is_derived: bool = False
    verifier: str = "verifier"
    signs_in_as: Kind | None = None
    in_person: bool = False
    released_later: bool = False


POLICIES: dict[Kind, KindPolicy] = {
    Kind.PASSWORD_TOTP: KindPolicy(
        label="Password and authenticator app", ceiling=AAL.AAL2, floor=AAL.AAL2, lifetime=None, root=True
    ),
    Kind.PIV_CARD: KindPolicy(label="PIV or CAC card", ceiling=AAL.AAL3, floor=AAL.AAL2, lifetime=None, root=True),
    Kind.PASSKEY: KindPolicy(
        label="Passkey or security key", ceiling=AAL.AAL3, floor=AAL.AAL1, lifetime=None, root=True
    ),
    Kind.UPSTREAM: KindPolicy(
        label="Sign-in at another provider", ceiling=AAL.AAL3, floor=AAL.AAL1, lifetime=None, root=True
    ),
    # A derived PIV certificate of another issuer (policies .40, .41) may sign in, but never be a parent (EL-2).
    Kind.DERIVED_CERTIFICATE: KindPolicy(
        label="Derived PIV certificate",
        ceiling=AAL.AAL3,
        floor=AAL.AAL2,
        lifetime=timedelta(days=3 * 366),
        signs_in_as=Kind.PIV_CARD,
    ),
    # Issued by Ramet for VPNs and web servers; at AAL3 its policy is .41.
    Kind.CERTIFICATE: KindPolicy(
        label="Certificate",
        ceiling=AAL.AAL3,
        floor=AAL.AAL2,
        lifetime=timedelta(days=365),
        counted=True,
        is_derived=True,
        verifier="issuedcertificate",
        in_person=True,
        released_later=True,
    ),
    Kind.DEVICE_KEY: KindPolicy(
        label="Device key",
        ceiling=AAL.AAL2,
        floor=AAL.AAL2,
        lifetime=timedelta(days=3 * 365),
        counted=True,
        is_derived=True,
        verifier="devicekey",
    ),
    Kind.DERIVED_PASSKEY: KindPolicy(
        label="Derived passkey",
        ceiling=AAL.AAL3,
        floor=AAL.AAL2,
        lifetime=timedelta(days=3 * 365),
        counted=True,
        is_derived=True,
        verifier="passkey",
        signs_in_as=Kind.PASSKEY,
    ),
    # One factor, once, for the first day or after a loss (63B-4 §2.1): it signs in, and nothing is derived from it.
    Kind.TEMPORARY_PASS: KindPolicy(
        label="Temporary pass", ceiling=AAL.AAL1, floor=AAL.AAL1, lifetime=timedelta(hours=1)
    ),
    Kind.TOKEN_FAMILY: KindPolicy(label="App sign-in", ceiling=AAL.AAL3, floor=AAL.AAL1, lifetime=None),
}

NO_AUTHENTICATORS = frozenset({Kind.TEMPORARY_PASS, Kind.TOKEN_FAMILY})  # nothing that a person keeps
MINT_FRESHNESS = timedelta(minutes=20)  # AU-8
MINT_FLOOR = AAL.AAL2  # EL-1
MOST_DERIVED_PER_PERSON = 10  # EL-5


def policy_of(kind: Kind) -> KindPolicy:
    """The policy of a kind; every kind has a policy (held by a test)."""
    return POLICIES[kind]
