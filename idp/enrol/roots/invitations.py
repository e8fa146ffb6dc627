"""Invitations: bind the first root of an account without authenticators (ruling 3).

The worker makes the link when it sends the mail. Opening it spends nothing, because mail scanners open links; the POST
that binds the root does. A changed address, a termination, or an authenticator voids it. After a vouched
recovery it binds the first root of a person who had others before.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from derived.changes import issue
from derived.errors import Reason, Refused
from derived.ledger import status
from derived.ledger.locking import under_lock
from derived.ledger.single_use import claim_once
from derived.rules.eligibility import BoundBy, BoundVia
from idp.models import Invitation
from idp.secrets import ALPHABET, grouped, hash_secret, new_code, normalise_code, opaque

if TYPE_CHECKING:
    from uuid import UUID

    from derived.models import Account, Credential
    from scim.models import Person

LIVES = timedelta(hours=24)
RECOVERY_CODES = 10
_RECOVERY_CHARACTERS = 16  # 80 bits (RC-3 asks for 64)


def make(account: Account, address: str, *, now: datetime) -> str:
    """The token of a new link; earlier links are void, and only its hash is stored."""
    Invitation.objects.filter(account=account, consumed_at__isnull=True).update(consumed_at=now)
    token = opaque()
    Invitation.objects.create(
        token_hash=hash_secret(token, kind="invitation"),
        account=account,
        epoch=account.epoch,
        address=address,
        created_at=now,
        expires_at=now + LIVES,
    )
    return token


def valid(token: str, *, now: datetime) -> Invitation | None:
    """The invitation of a link, if it may still be used."""
    row = (
        Invitation.objects.select_related("account__person")
        .filter(token_hash=hash_secret(token, kind="invitation"), consumed_at__isnull=True, expires_at__gt=now)
        .first()
    )
    return row if row is not None and _still_meant(row, row.account, now=now) else None


def _still_meant(row: Invitation, account: Account, *, now: datetime) -> bool:
    person: Person = row.account.person
    return (
        row.epoch == account.epoch
        and person.invitation_address() == row.address
        and status.may_be_invited(account, row.address, now=now)
    )


def spend(row: Invitation, account: Account, *, now: datetime) -> None:
    """Spend an invitation under the account's lock.

    Raises: Refused(BAD_CODE) if it was used meanwhile or is not meant any more.
    """
    fresh = Invitation.objects.select_related("account__person").get(token_hash=row.token_hash)
    if not _still_meant(fresh, account, now=now) or not claim_once(
        Invitation.objects.filter(token_hash=row.token_hash), now=now
    ):
        raise Refused(Reason.BAD_CODE)


def bound_by(account: Account) -> BoundBy:
    """The authority of an invitation: the first one, or the one after a vouched recovery."""
    return BoundBy(how=BoundVia.VOUCHED if status.was_ever_enrolled(account) else BoundVia.INVITATION)


def recovery_codes() -> list[str]:
    """New recovery codes, to be shown once and stored as hashes (RC-3)."""
    return [new_code(_RECOVERY_CHARACTERS) for _ in range(RECOVERY_CODES)]


def is_recovery_code(text: str) -> bool:
    """True for a text in the form in which recovery codes are shown."""
    code = normalise_code(text[:64])
    return len(code) == _RECOVERY_CHARACTERS and set(code) <= set(ALPHABET) and grouped(code) == text


def recovery_hash(typed: str) -> str:
    """The hash of a recovery code, in any spelling."""
    return hash_secret(normalise_code(typed), kind="recovery-code")


def accept(  # noqa: PLR0913 - what the enrolment proved
    row: Invitation, *, credential_id: UUID, password_hash: str, totp_seed: bytes, totp_step: int, now: datetime
) -> tuple[Credential, list[str]]:
    """Spend the invitation and record the root; return the recovery codes.

    Raises: Refused(BAD_CODE) if it was used meanwhile or is not meant any more; Refused(ALREADY_ENROLLED).
    """
    codes = recovery_codes()

    def work(account: Account) -> Credential:
        spend(row, account, now=now)
        return issue.password_totp(
            account,
            credential_id=credential_id,
            password_hash=password_hash,
            totp_seed=totp_seed,
            totp_step=totp_step,
            recovery_code_hashes=[recovery_hash(code) for code in codes],
            bound_by=bound_by(account),
            now=now,
            actor="person",
        )

    return under_lock(row.account_id, work), codes
