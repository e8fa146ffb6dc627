"""Recovery codes that are mailed to two addresses of a person who cannot sign in (RC-1, RC-3; SP 800-63B-4 §4.2).

Two codes by mail are one method, so by themselves they sign in at AAL1 for an hour, by a temporary pass. Together with
the password, or with a saved recovery code, they are two methods, and replace the lost root at its own level. At AAL3
and IAL3 they do nothing (RC-2).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db.models import F
from django.utils.crypto import salted_hmac

from derived.errors import Reason, Refused
from derived.ledger import outbox, status
from derived.ledger.single_use import claim_once
from idp.login import throttle
from idp.login.flow import person_of
from idp.login.session import browser_hash
from idp.models import RecoveryAttempt
from idp.secrets import code_from, matches_code
from scim.protocol.values import fold

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest

    from derived.models import Account
    from scim.models import Person

LIVES = timedelta(hours=1)
_CHARACTERS = 12  # 60 bits; each attempt has five tries
_MOST_WRONG = 5
_MOST_AN_HOUR = 20  # mails to a person; a browser of theirs is not limited by the requests of strangers (ruling 13)
_ADDRESSES = 2
_SETTLED = timedelta(days=30)


def begin(request: HttpRequest, username: str, *, now: datetime) -> RecoveryAttempt:
    """Note an attempt, and let the worker mail the codes; nothing tells whether somebody has this name (C67).

    Raises: TryLater.
    """
    throttle.count_password_attempt(request, "", now=now)  # of the network, over all names: each causes mail
    throttle.count_attempt(throttle.backoff_key(request, f"mailed codes {fold(username)}"), now=now)
    person = person_of(username)
    account = person.account if person is not None and _may_begin(request, person, now=now) else None
    row = RecoveryAttempt.objects.create(
        account=account,
        epoch=account.epoch if account else 0,
        browser=browser_hash(request),
        created_at=now,
        expires_at=now + LIVES,
    )
    receiver = f"mail:{account.id}" if account else f"mail:nobody:{row.id}"
    outbox.enqueue(kind="recovery.codes", receiver=receiver, account=account, payload={"attempt": str(row.id)}, now=now)
    return row


def _may_begin(request: HttpRequest, person: Person, *, now: datetime) -> bool:
    lately = RecoveryAttempt.objects.filter(account=person.account, created_at__gt=now - timedelta(hours=1))
    return (
        person.account.is_active
        and status.was_ever_enrolled(person.account)
        and status.may_recover(person.account)
        and bool(addresses(person, now=now))
        and (throttle.is_known(request, person.account_id) or lately.count() < _MOST_AN_HOUR)
    )


def addresses(person: Person, *, now: datetime) -> list[str]:
    """The two addresses for codes; none where a source has changed an address in the last 30 days.

    Whoever stole a credential of a source could have added or moved both. Two spellings of one address are one mailbox.
    """
    changed: datetime | None = person.contact_changed_at
    if changed is not None and changed > now - _SETTLED:
        return []
    found = list({fold(address): address for address in reversed(person.addresses())}.values())[::-1]
    return found[:_ADDRESSES] if len(found) >= _ADDRESSES else []


def codes(row: RecoveryAttempt) -> list[str]:
    """The codes of an attempt, one for each address; they are computed, so that a second delivery sends the same."""
    return [
        code_from(salted_hmac("ramet/mailed-code", f"{row.id} {place}", algorithm="sha256").digest(), _CHARACTERS)
        for place in range(_ADDRESSES)
    ]


def verify(row: RecoveryAttempt, typed: list[str], *, now: datetime) -> Account:
    """Check both codes, in any order; each try is counted before it is compared (P54).

    Raises: Refused(BAD_CODE).
    """
    counted = RecoveryAttempt.objects.filter(id=row.id, consumed_at__isnull=True, wrong__lt=_MOST_WRONG)
    if counted.update(wrong=F("wrong") + 1) != 1:
        raise Refused(Reason.BAD_CODE)
    first, second = codes(row)
    one, other = (*typed, "", "")[:_ADDRESSES]
    straight = matches_code(one, first) & matches_code(other, second)
    crossed = matches_code(one, second) & matches_code(other, first)
    account = row.account
    if account is None or not (straight | crossed) or not is_meant(row, account, now=now):
        raise Refused(Reason.BAD_CODE)
    RecoveryAttempt.objects.filter(id=row.id).update(wrong=F("wrong") - 1)
    return account


def is_meant(row: RecoveryAttempt, account: Account, *, now: datetime) -> bool:
    """True if the person may still come back in this way, to the addresses of when the codes were asked for (RC-2)."""
    return (
        account.is_active
        and account.epoch == row.epoch
        and status.may_recover(account)
        and bool(addresses(account.person, now=now))
    )


def spend(row: RecoveryAttempt, account: Account, *, now: datetime) -> None:
    """Spend an attempt under the account's lock.

    Raises: Refused(BAD_CODE) for every caller except the first, and for an attempt that is not meant any more.
    """
    fresh = RecoveryAttempt.objects.select_related("account__person").get(id=row.id)
    if not is_meant(fresh, account, now=now) or not claim_once(RecoveryAttempt.objects.filter(id=row.id), now=now):
        raise Refused(Reason.BAD_CODE)


def attempt_of(request: HttpRequest, attempt_id: str, *, now: datetime) -> RecoveryAttempt | None:
    """The attempt of this browser that waits for its codes."""
    rows = RecoveryAttempt.objects.select_related("account__person").filter(consumed_at__isnull=True)
    return rows.filter(id=attempt_id, browser=browser_hash(request), expires_at__gt=now).first()
