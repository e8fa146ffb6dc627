"""Replacing a root by a new one of the same kind, after recovery (RC-1): never stronger than the one before (ruling 5).

What grew from the old one lives on (trap 1); the old one ends in the same transaction. The caller holds the account's lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from derived import issue, revoke, status
from derived.errors import Reason, Refused

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from derived.models import Account, Credential


def password_totp(  # noqa: PLR0913 - everything that was proved in the recovery
    account: Account, old: Credential, *, credential_id: UUID, totp_seed: bytes, totp_step: int,
    recovery_code_hashes: Sequence[str], now: datetime, actor: str,
) -> Credential:
    """A new TOTP seed and new recovery codes under the same password, in a row of its own.

    Raises: Refused(CREDENTIAL_NOT_LIVE) if the old one has ended meanwhile; Refused(ACCOUNT_NOT_ACTIVE).
    """
    if not status.is_live(old, account, now=now) or not status.is_root(old):
        raise Refused(Reason.CREDENTIAL_NOT_LIVE)
    password_hash = old.password_totp.password_hash
    bound = status.level(old)
    revoke.one(old, account=account, because=Reason.REPLACED, now=now, actor=actor)
    return issue.password_totp(
        account, credential_id=credential_id, password_hash=password_hash, totp_seed=totp_seed, totp_step=totp_step,
        recovery_code_hashes=recovery_code_hashes, now=now, actor=actor, replaces=bound,
    )
