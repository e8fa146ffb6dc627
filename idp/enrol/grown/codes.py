"""Codes that bind another device: two forms, five short guesses, one key, the desktop's decision (BI-1 to BI-3).

A code is kept as hashes. The short form serves with its person's user name only, and each guess of it is counted before
the code is compared. A code belongs to the first key that comes with it (C12); a second key spends it.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar
from uuid import uuid4

from django.db.models import F, Q

from derived.errors import Reason, Refused
from derived.rules.eligibility import refusal
from idp.login.session import has_not_ended, login_of, session_under_lock
from idp.models import Binding, CertificateOrder, LoginSession
from idp.secrets import hash_secret, new_code, normalise_code
from scim.people.directory import person_by_login_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime
    from uuid import UUID

    from django.db.models import QuerySet

    from derived.models import Account

CODE_LIVES = timedelta(minutes=10)  # BI-2
DECISION_LIVES = timedelta(minutes=5)  # after the code's own time, for the approval on the desktop
LONG, SHORT = 24, 8  # characters of 5 bits: 120 bits alone, 40 bits with the user name (BI-1)
MOST_SHORT_TRIES = 5

Row = TypeVar("Row", Binding, CertificateOrder)


@dataclass(frozen=True)
class BindingCode:
    """A new code in its two forms, which are shown once. kind: separates the hashes of one use from another's."""

    kind: str
    long: str = field(default_factory=lambda: new_code(LONG), repr=False)
    short: str = field(default_factory=lambda: new_code(SHORT), repr=False)

    def columns(self, account: Account, *, now: datetime) -> dict[str, object]:
        """Return the columns of a new row that hold the code."""
        return {
            "account": account,
            "epoch": account.epoch,
            "code_hash": hash_secret(self.long, kind=self.kind),
            "short_hash": _short_hash(self.kind, account.id, self.short),
            "created_at": now,
            "expires_at": now + CODE_LIVES,
        }


def _short_hash(kind: str, account_id: UUID, short_code: str) -> str:
    return hash_secret(f"{account_id}:{short_code}", kind=f"{kind}-short")


def eligible_session(session: LoginSession, account: Account, *, now: datetime) -> LoginSession:
    """Return the session as it is now under the lock, if its login may mint a derived credential.

    Raises: Refused(LOGIN_ENDED), Refused with the reason of eligibility.
    """
    fresh = session_under_lock(session.id, account)
    if not has_not_ended(fresh, now=now):
        raise Refused(Reason.LOGIN_ENDED)
    if reason := refusal(login_of(fresh.event), now=now):
        raise Refused(reason)
    return fresh


def name_of_short(typed: str, username: str) -> str:
    """The user name that a short code needs; "" for any other code, which a user name adds nothing to."""
    return username if len(normalise_code(typed)) == SHORT else ""


def locate(rows: QuerySet[Row], typed: str, username: str, *, kind: str, guessable: Q) -> Row:
    """Return the row that a typed code belongs to.

    rows: those in time. guessable: those of them whose short form may be guessed still.
    Raises: Refused(BAD_CODE), for every fault alike.
    """
    code = normalise_code(typed)
    found: Row | None = None
    if len(code) == LONG:
        found = rows.filter(code_hash=hash_secret(code, kind=kind)).first()
    elif len(code) == SHORT and username:
        person = person_by_login_name(username)
        account_id = (
            person.account_id if person is not None else uuid4()
        )  # the same statements for a name that nobody has
        found = _by_short_code(rows, account_id, code, kind=kind, guessable=guessable)
    if found is None or found.status == "burnt" or not found.account.is_active or found.epoch != found.account.epoch:
        raise Refused(Reason.BAD_CODE)
    return found


def _by_short_code(rows: QuerySet[Row], account_id: UUID, code: str, *, kind: str, guessable: Q) -> Row | None:
    """Count the guess against the person's rows before the code is compared; after five, only the long form serves."""
    counted = rows.filter(guessable, account_id=account_id, short_tries__lt=MOST_SHORT_TRIES)
    may_guess = counted.update(short_tries=F("short_tries") + 1) > 0
    row = rows.filter(short_hash=_short_hash(kind, account_id, code)).first()
    if not may_guess:
        return None
    if row is not None:
        rows.filter(id=row.id).update(short_tries=F("short_tries") - 1)
    return row


def require_pinned_key(pinned: bytes, shown: bytes, *, spend: Callable[[], object]) -> None:
    """Refuse a second key, and spend the code that it came with (C12). pinned: b"" before the first key came.

    Raises: Refused(BAD_CODE).
    """
    if pinned and not hmac.compare_digest(pinned, shown):
        spend()
        raise Refused(Reason.BAD_CODE, spends=True)


def to_decide(rows: QuerySet[Row], session: LoginSession, account: Account, *, now: datetime) -> Row:
    """Return the row that the desktop decides on, locked; only the session that showed the code may decide (C14).

    rows: the one row, in the state that waits for a decision.
    Raises: Refused(BAD_CODE).
    """
    row = rows.select_for_update().filter(account=account).first()
    in_time = row is not None and now < row.expires_at + DECISION_LIVES
    if row is None or not in_time or row.session_id != session.id or row.epoch != account.epoch:
        raise Refused(Reason.BAD_CODE)
    return row


def state(row: Binding | CertificateOrder, *, settled: Collection[str], now: datetime) -> str:
    """Return the state for the desktop page: the row's own, or `expired`. settled: states that time does not change."""
    if row.status in settled:
        return row.status
    if row.epoch != row.account.epoch or not row.account.is_active:
        return "expired"
    limit = row.expires_at if row.status == "waiting" else row.expires_at + DECISION_LIVES
    return row.status if now < limit else "expired"
