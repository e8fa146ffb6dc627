"""A temporary pass: one factor, used once, for an hour; it is nobody's root (SP 800-63B-4 §2.1, §4.2).

An officer gives it face to face, or codes that were sent to two addresses stand for it. It signs in at AAL1 until it
expires. Nothing is derived from it, and no authenticator can be bound under its login.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from derived.errors import Reason, Refused
from derived.ledger import audit, outbox
from derived.ledger.rows import Draft, create_row, event_body, require_active
from derived.ledger.single_use import spend
from derived.models import Credential, Verifier
from derived.rules.assurance import Factor, VerifiedFactors
from derived.rules.kinds import Kind, policy_of
from derived.rules.lifecycle import State

if TYPE_CHECKING:
    from datetime import datetime

    from derived.models import Account

SHOWN = VerifiedFactors(factors=frozenset({Factor.ISSUED_CODE}))


class GivenBy(StrEnum):
    """The way in which a temporary pass reached its person."""

    OFFICER = "officer"
    TWO_ADDRESSES = "two_addresses"


@dataclass(frozen=True, kw_only=True)
class GivenPass:
    """A pass that is given. code_hash: of the code that the officer reads out; "" for one that is used at once.

    words: where and how the person was seen.
    """

    by: GivenBy
    code_hash: str = ""
    words: str = ""


def temporary_pass(account: Account, given: GivenPass, *, now: datetime, actor: str) -> Credential:
    """Issue a temporary pass, and notify every address of the person; `temporary_passes.give` ends an earlier one.

    Raises: Refused(ACCOUNT_NOT_ACTIVE).
    """
    require_active(account)
    row = create_row(
        account,
        Draft(
            kind=Kind.TEMPORARY_PASS,
            reaches=SHOWN.reach,
            state=State.ACTIVE,
            name=policy_of(Kind.TEMPORARY_PASS).label,
            evidence={"factors": sorted(SHOWN.factors), "phishing_resistant": False, "given_by": given.by.value},
            now=now,
        ),
    )
    Verifier.objects.create(credential=row, data={"code": given.code_hash})
    personal = {"words": given.words} if given.words else {}
    audit.record(
        account, "credential.issued", now=now, actor=actor, credential=row, body=event_body(row), personal=personal
    )
    payload = {"credential": str(row.id)}
    outbox.enqueue(kind="pass.issued", receiver=f"mail:{account.id}", account=account, payload=payload, now=now)
    return row


def use(row: Credential) -> None:
    """Use up a pass, under the account's lock; its session lives until it expires.

    Raises: Refused(BAD_CODE) for every caller except the first.
    """
    if row.expires_at is None or not spend("temporary-pass", str(row.id), expires_at=row.expires_at):
        raise Refused(Reason.BAD_CODE)
