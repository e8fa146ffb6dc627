"""Every kind of credential: what it can reach at most, how long it lives, what it needs.

Policy is code, changed by review. A ceiling here is what the *kind* may ever reach; `capping.cap` takes the minimum
with what one credential proved and with its ancestors.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from derived.rules.assurance import AAL


class Kind(StrEnum):
    """The kinds of credential that stand in the ledger; docs/adding-a-kind.md says how to add one."""

    PASSWORD_TOTP = "password_totp"  # noqa: S105 - a name
    PIV_CARD = "piv_card"
    PASSKEY = "passkey"
    UPSTREAM = "upstream"
    DERIVED_CERTIFICATE = "derived_certificate"
    CERTIFICATE = "certificate"
    DEVICE_KEY = "device_key"
    DERIVED_PASSKEY = "derived_passkey"
    TOKEN_FAMILY = "token_family"  # noqa: S105 - a name


class Label(StrEnum):
    """What a grown credential may call itself; it is decided when it is grown, and never again (EL-2, EL-3, BI-7)."""

    DERIVED_PIV = "derived_piv"
    GENERIC = "generic"


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What holds for every credential of one kind.

    ceiling: the highest AAL that the kind may reach.
    floor: the lowest AAL at which it is worth minting (ruling 1).
    lifetime: from minting to expiry; None for as long as the account lives (X-6: not cut to the root's expiry).
    root: the person already had it, or bound it by invitation; it may be a parent.
    counted: whether it counts towards the cap on derived credentials per person (EL-5).
    grown: it is made here, from a root, by `issue.grow`. verifier: the model of `derived.models` that holds what verifies it.
    signs_in_as: the kind whose way of signing in serves it too, where it has none of its own.
    in_person: AAL3 takes, besides what it shows, the PIV label, a key that asks for its holder at each use, and the record of a
    check in person (X-7, X-9; `eligibility.most`).
    """

    label: str
    ceiling: AAL
    floor: AAL
    lifetime: timedelta | None
    root: bool = False
    counted: bool = False
    grown: bool = False
    verifier: str = "verifier"
    signs_in_as: Kind | None = None
    in_person: bool = False


POLICIES: dict[Kind, Policy] = {
    Kind.PASSWORD_TOTP: Policy(
        label="Password and authenticator app", ceiling=AAL.AAL2, floor=AAL.AAL2, lifetime=None, root=True
    ),
    Kind.PIV_CARD: Policy(label="PIV or CAC card", ceiling=AAL.AAL3, floor=AAL.AAL2, lifetime=None, root=True),
    Kind.PASSKEY: Policy(label="Passkey or security key", ceiling=AAL.AAL3, floor=AAL.AAL1, lifetime=None, root=True),
    Kind.UPSTREAM: Policy(
        label="Sign-in at another provider", ceiling=AAL.AAL3, floor=AAL.AAL1, lifetime=None, root=True
    ),
    # Somebody else's derived PIV certificate (policies .40 and .41): it may sign in, and nothing grows from it (EL-2).
    Kind.DERIVED_CERTIFICATE: Policy(
        label="Derived PIV certificate",
        ceiling=AAL.AAL3,
        floor=AAL.AAL2,
        lifetime=timedelta(days=3 * 366),
        signs_in_as=Kind.PIV_CARD,
    ),
    # Ours, for VPNs and web servers; at AAL3 its policy is .41.
    Kind.CERTIFICATE: Policy(
        label="Certificate",
        ceiling=AAL.AAL3,
        floor=AAL.AAL2,
        lifetime=timedelta(days=365),
        counted=True,
        grown=True,
        verifier="issuedcertificate",
        in_person=True,
    ),
    Kind.DEVICE_KEY: Policy(
        label="Device key",
        ceiling=AAL.AAL2,
        floor=AAL.AAL2,
        lifetime=timedelta(days=3 * 365),
        counted=True,
        grown=True,
        verifier="devicekey",
    ),
    Kind.DERIVED_PASSKEY: Policy(
        label="Derived passkey",
        ceiling=AAL.AAL3,
        floor=AAL.AAL2,
        lifetime=timedelta(days=3 * 365),
        counted=True,
        grown=True,
        verifier="passkey",
        signs_in_as=Kind.PASSKEY,
    ),
    Kind.TOKEN_FAMILY: Policy(label="App sign-in", ceiling=AAL.AAL3, floor=AAL.AAL1, lifetime=None),
}

MINT_FRESHNESS = timedelta(minutes=20)  # AU-8
MINT_FLOOR = AAL.AAL2  # EL-1
MOST_DERIVED_PER_PERSON = 10  # EL-5


def policy(kind: Kind) -> Policy:
    """The policy of a kind; every kind has one (a test asserts it)."""
    return POLICIES[kind]
