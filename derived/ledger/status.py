"""The read side: whether a credential is live, and its level; read from the database at each use, never cached.

See TK-1.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from django.db.models import F, Q

from derived.errors import Reason
from derived.minting.certificate import DERIVED_PIV_HARDWARE
from derived.models import Account, AccountStatus, Credential, IssuedCertificate
from derived.rules.assurance import AAL, IAL
from derived.rules.capping import cap
from derived.rules.kinds import MINT_FLOOR, NO_AUTHENTICATORS, Kind, Label, policy_of
from derived.rules.lifecycle import LIVING, State

if TYPE_CHECKING:
    import uuid
    from datetime import datetime

    from django.db.models import QuerySet

    from derived.models import VouchedRecovery

MOST_FAILURES = 100  # TH-1: wrong tries in a row; the last of them disables the authenticator until it is bound anew


def is_live(credential: Credential, account: Account, *, now: datetime) -> bool:
    """True if a credential may be used now: active, unexpired, and of the account's present epoch."""
    return (
        account.status == AccountStatus.ACTIVE
        and credential.account_id == account.id
        and credential.epoch == account.epoch
        and credential.state == State.ACTIVE
        and (credential.expires_at is None or credential.expires_at > now)
    )


def live_only(rows: QuerySet[Credential], *, now: datetime) -> QuerySet[Credential]:
    """`is_live` as a filter of ledger rows."""
    return rows.filter(
        Q(expires_at__isnull=True) | Q(expires_at__gt=now),
        account__status=AccountStatus.ACTIVE,
        account__epoch=F("epoch"),
        state=State.ACTIVE,
    )


def level(credential: Credential, own: AAL | None = None) -> AAL:
    """The present level of a credential: its own, capped by its parent's and its root's present levels (C2, I1).

    own: the level proved by this use, if lower than the level at issuance.
    """
    proved = AAL(credential.aal) if own is None else min(own, AAL(credential.aal))
    ancestors = [AAL(row.aal) for row in (credential.parent, credential.root) if row is not None]
    return cap(Kind(credential.kind), proved, *ancestors)


def ial(account: Account) -> IAL:
    """The identity assurance level of the account and of all its credentials (AS-1)."""
    return IAL(account.ial)


def label(credential: Credential, account: Account) -> Label | None:
    """The present label of a derived credential; None for a root. *Derived PIV* always implies IAL3 (AS-3)."""
    if credential.root_id is None:
        return None
    kept = Label(credential.label)
    return kept if kept == Label.GENERIC or ial(account) == IAL.IAL3 else Label.GENERIC


def overstates_level(credential: Credential) -> bool:
    """True if a certificate's policy asserts AAL3 to relying parties while its present level is lower (X-1, AS-2)."""
    if not policy_of(Kind(credential.kind)).in_person or level(credential) == AAL.AAL3:
        return False
    issued = IssuedCertificate.objects.filter(credential=credential).values_list("policies", flat=True).first()
    return DERIVED_PIV_HARDWARE in (issued or ())


def is_root(credential: Credential) -> bool:
    """True if a credential may be a parent: of a root kind, and not derived itself (no chains, trap 10)."""
    return policy_of(Kind(credential.kind)).root and credential.root_id is None


def living(account_id: uuid.UUID) -> QuerySet[Credential]:
    """The credentials of an account that have not ended, without token families, roots first."""
    return (
        Credential.objects.filter(account_id=account_id, state__in=LIVING)
        .exclude(kind=Kind.TOKEN_FAMILY)
        .select_related("root", "parent", "account")
        .order_by("root_id", "created_at")
    )


def highest_root_level(account: Account, *, now: datetime) -> AAL:
    """The highest level of an account's live roots (AU-1)."""
    rows = account.credentials.filter(root__isnull=True).exclude(kind=Kind.TOKEN_FAMILY)
    return max(
        (level(row) for row in live_only(rows, now=now).select_related("root", "parent") if is_root(row)),
        default=AAL.NONE,
    )


def live_roots(account: Account, *, now: datetime) -> list[Credential]:
    """The account's live roots that are not disabled, for signing in and deriving credentials."""
    rows = account.credentials.filter(root__isnull=True).exclude(kind=Kind.TOKEN_FAMILY)
    return [
        row
        for row in live_only(rows, now=now).select_related("root", "parent", "passkey")
        if is_root(row) and not is_disabled(row)
    ]


def is_disabled(credential: Credential) -> bool:
    """True if too many wrong tries have disabled an authenticator (TH-1)."""
    return credential.failures >= MOST_FAILURES


def signs_in_alone(credential: Credential) -> bool:
    """True if a root signs in with two factors without another credential; a key without UV does not."""
    return level(credential) >= MINT_FLOOR and (credential.kind != Kind.PASSKEY or credential.passkey.user_verified)


def highest_level_ever(account: Account) -> AAL:
    """The highest level that the account's roots ever had, except roots removed on purpose (RC-2)."""
    rows = account.credentials.filter(epoch=account.epoch, root__isnull=True).exclude(kind=Kind.TOKEN_FAMILY)
    kept = rows.exclude(end_reason__in=[Reason.REMOVED_BY_PERSON.value, Reason.ENDED_BY_MANAGER.value])
    return max((AAL(row.aal) for row in kept if is_root(row)), default=AAL.NONE)


def may_recover(account: Account) -> bool:
    """True if the person may recover the account alone; at AAL3 and IAL3 recovery takes presence in person (RC-2)."""
    return not (highest_level_ever(account) == AAL.AAL3 and ial(account) == IAL.IAL3)


def ever_had_authenticator(account: Account) -> bool:
    """True if the account had an authenticator in any epoch (ruling 27)."""
    return account.credentials.exclude(kind__in=NO_AUTHENTICATORS).exists()


def was_ever_enrolled(account: Account) -> bool:
    """True if the account had an authenticator in its present epoch (ruling 3: it is invited only once)."""
    return account.credentials.filter(epoch=account.epoch).exclude(kind__in=NO_AUTHENTICATORS).exists()


def open_recovery(account: Account, *, now: datetime) -> VouchedRecovery | None:
    """The permission to bind a first root again that a vouched recovery gave, if it is not used and not expired."""
    rows = account.vouched_recoveries.filter(epoch=account.epoch, consumed_at__isnull=True, expires_at__gt=now)
    return rows.order_by("-at").first()


def may_be_invited(account: Account, address: str, *, now: datetime) -> bool:
    """True if an invitation to this address may bind a root: the first one, or the first after a recovery to it."""
    if not account.is_active:
        return False
    if not was_ever_enrolled(account):
        return True
    row = open_recovery(account, now=now)
    return row is not None and row.invitation_to == hashed_address(address)


def hashed_address(address: str) -> str:
    """An address as a recovery keeps it."""
    return hashlib.sha256(address.encode()).hexdigest()
