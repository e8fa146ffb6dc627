"""Limits on guessing: per browser, per network, and 100 wrong guesses per authenticator (TH-1 to TH-3, rulings 13, 33).

A guess is counted before it is checked, in one UPDATE, so that parallel guesses count too (P53). Wrong guesses in a
browser with an earlier login of the person are counted for that browser, all others for the authenticator: they disable
it for unknown browsers only. A correct factor takes its own count back.
"""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from django.core import signing
from django.db import transaction
from django.db.models import F

from derived.changes import by_person
from derived.errors import Reason, Refused, TryLater
from derived.ledger.locking import under_lock
from derived.ledger.status import MOST_FAILURES
from derived.models import Credential
from idp.models import Throttle
from scim.protocol.values import fold

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from django.http import HttpRequest, HttpResponse

    from derived.models import Account

_PREFIXES = {4: 24, 6: 48}  # a network, by the version of IP
_PAIR = 2
Found = TypeVar("Found")
FREE_TRIES = 5
LONGEST_WAIT = timedelta(minutes=15)
_MOMENT = timedelta(minutes=1)
FORGET_AFTER = timedelta(hours=24)
WINDOW = timedelta(minutes=10)
MOST_OF_A_NETWORK = 100  # tries at passwords in a window, over all names, from unknown browsers
KNOWN_COOKIE = "ramet_known"
_MOST_COUNTED = 30_000
_KNOWN_FOR = timedelta(days=180)
_SALT = "ramet/known-browser"


def backoff_key(request: HttpRequest, subject: str) -> str:
    """The back-off key of this request against one subject: the known browser if it is one, else the network.

    subject: the account's id, or the login name as it is compared where there is no such account.
    """
    known = _known(request)
    where = f"browser:{known[1]}" if known and known[0] == subject else f"network:{network(request)}"
    return hashlib.sha256(f"{where}\x00{subject}".encode()).hexdigest()


def counting_names(
    request: HttpRequest, use: str, username: str, look_up: Callable[[], Found], *, now: datetime
) -> Found:
    """Look up the row of a code with a user name; count the try before, and undo the count for a correct code (P54).

    use: the kind of code. username: "" for a long code, which cannot be guessed and is not limited.
    Raises: TryLater, and what `look_up` raises.
    """
    if not username:
        return look_up()
    tried = count_attempt(backoff_key(request, f"{use} {fold(username)}"), now=now)
    found = look_up()
    take_back(tried, now=now)
    return found


def backoff_key_of_device(credential: Credential) -> str:
    """The back-off key of a device's passphrase, which only the holder of its key can reach (ruling 13)."""
    return hashlib.sha256(f"device\x00{credential.id}".encode()).hexdigest()


def network(request: HttpRequest) -> str:
    """The /24 or /48 network of a request."""
    address = ipaddress.ip_address(request.META.get("ramet.peer") or 0)  # 0.0.0.0: unknown
    return str(ipaddress.ip_network(f"{address}/{_PREFIXES[address.version]}", strict=False))


def remember(response: HttpResponse, account_id: UUID, *, secure: bool, nonce: str) -> None:
    """Make this browser a known one of the account."""
    value = signing.dumps([str(account_id), nonce], salt=_SALT)
    response.set_cookie(
        ("__Host-" if secure else "") + KNOWN_COOKIE,
        value,
        max_age=_KNOWN_FOR,
        secure=secure,
        httponly=True,
        samesite="Lax",
    )


@dataclass(frozen=True)
class Try:
    """A counted try. key: its place. failures, until: the values that it set."""

    key: str
    failures: int
    until: datetime


@dataclass(frozen=True)
class Guess:
    """A counted guess. browser: the key of its counter; "" if it was counted for the authenticator."""

    credential: Credential
    browser: str = ""


def _known(request: HttpRequest) -> list[str] | None:
    raw = request.COOKIES.get("__Host-" + KNOWN_COOKIE) or request.COOKIES.get(KNOWN_COOKIE) or ""
    try:
        value = signing.loads(raw[:512], salt=_SALT, max_age=_KNOWN_FOR)
    except signing.BadSignature:
        return None
    return value if isinstance(value, list) and len(value) == _PAIR else None


def is_known(request: HttpRequest, account_id: UUID) -> bool:
    """True for a browser in which the account's person has signed in before."""
    known = _known(request)
    return known is not None and known[0] == str(account_id)


def count_attempt(key: str, *, now: datetime) -> Try:
    """Count one try from a place.

    Raises: TryLater while the place is in back-off.
    """
    with transaction.atomic():
        # Free since a moment ago: the clock of a try at the same moment may be behind this one's.
        free = now - _MOMENT
        Throttle.objects.get_or_create(key=key, defaults={"until": free, "seen_at": now})
        # Locked from the read to the count, so that parallel tries wait for each other; None: reset concurrently.
        row = Throttle.objects.select_for_update().filter(key=key).first() or Throttle(key=key, until=free, seen_at=now)
        if row.until > now:
            raise TryLater((row.until - now).total_seconds())
        failures = 1 if row.seen_at < now - FORGET_AFTER else min(row.failures + 1, _MOST_COUNTED)
        over = failures - FREE_TRIES
        wait = min(timedelta(seconds=2 ** min(over, 12)), LONGEST_WAIT) if over > 0 else timedelta()
        until = now + wait if wait else row.until
        Throttle.objects.filter(key=key).update(failures=failures, seen_at=now, until=until)
    return Try(key, failures, until)


def take_back(tried: Try, *, now: datetime) -> None:
    """Undo the count of a try with a correct factor (ruling 33); tries that were counted meanwhile stay."""
    own = Throttle.objects.filter(key=tried.key, failures=tried.failures, until=tried.until)
    if own.update(failures=F("failures") - 1, until=now - _MOMENT) != 1:
        Throttle.objects.filter(key=tried.key, failures__gt=0).update(failures=F("failures") - 1)


def count_password_attempt(request: HttpRequest, subject: str, *, now: datetime) -> str:
    """Count a password try of a network, for any name (C57: spraying); returns the counter, "" if none was raised.

    A browser with an earlier login of the person is not limited by others (ruling 13), nor are cards and keys, which
    cannot be guessed (C58). The count is a conditional UPDATE before any check.
    Raises: TryLater.
    """
    known = _known(request)
    if known and known[0] == subject:
        return ""
    key = _brake(request, now=now)
    Throttle.objects.get_or_create(key=key, defaults={"until": now, "seen_at": now})
    counted = Throttle.objects.filter(key=key, failures__lt=MOST_OF_A_NETWORK)
    if counted.update(failures=F("failures") + 1, seen_at=now) != 1:
        raise TryLater(WINDOW.total_seconds() - now.timestamp() % WINDOW.total_seconds())
    return key


def uncount_password_attempt(counted: str) -> None:
    """Undo the count of a complete login, so that an office that signs in at nine does not reach the limit.

    counted: of `count_password_attempt`; a login that raised no counter lowers none.
    """
    if counted:
        Throttle.objects.filter(key=counted, failures__gt=0).update(failures=F("failures") - 1)


def _brake(request: HttpRequest, *, now: datetime) -> str:
    """The counter of this request's network in the present window."""
    window = int(now.timestamp() // WINDOW.total_seconds())
    return hashlib.sha256(f"brake\x00{window}\x00network:{network(request)}".encode()).hexdigest()


def reset_backoff(key: str) -> None:
    """A success: the place starts afresh."""
    Throttle.objects.filter(key=key).delete()


def count_guess(credential: Credential, request: HttpRequest | None = None, *, now: datetime) -> Guess:
    """Count a guess before it is checked: for a browser with an earlier login of the person, or for the authenticator.

    Raises: Refused(CREDENTIAL_DISABLED) after a hundred in a row in unknown browsers.
    """
    browser = _browser_guesses(request, credential) if request is not None else ""
    if browser:
        # Housekeeping keeps the counter as long as the browser is known: the limit is on guesses in a row.
        kept = now + _KNOWN_FOR
        Throttle.objects.get_or_create(key=browser, defaults={"until": now, "seen_at": kept})
        counted = Throttle.objects.filter(key=browser, failures__lt=MOST_FAILURES)
        if counted.update(failures=F("failures") + 1, seen_at=kept) == 1:
            return Guess(credential, browser)
    rows = Credential.objects.filter(id=credential.id, failures__lt=MOST_FAILURES)
    if rows.update(failures=F("failures") + 1) != 1:
        raise Refused(Reason.CREDENTIAL_DISABLED)
    return Guess(credential)


def _browser_guesses(request: HttpRequest, credential: Credential) -> str:
    """The key of the counter of a browser with an earlier login of the person; "" for any other."""
    known = _known(request)
    if not known or known[0] != str(credential.account_id):
        return ""
    return hashlib.sha256(f"guesses\x00{known[1]}\x00{credential.id}".encode()).hexdigest()


def count_decoy(key: str, *, now: datetime) -> None:
    """Write as much as `count_guess` without an authenticator, so that timing reveals nothing (C67, P54)."""
    Throttle.objects.filter(key=key).update(seen_at=now)


def uncount_guess(guess: Guess) -> None:
    """Undo the count of a correct guess before a further factor."""
    if guess.browser:
        Throttle.objects.filter(key=guess.browser, failures__gt=0).update(failures=F("failures") - 1)
    else:
        Credential.objects.filter(id=guess.credential.id, failures__gt=0).update(failures=F("failures") - 1)


def record_last_guess(guess: Guess, *, now: datetime) -> None:
    """Record and notify the last permitted wrong guess, once (TH-1)."""
    credential = guess.credential
    if guess.browser or not Credential.objects.filter(id=credential.id, failures__gte=MOST_FAILURES).exists():
        return
    under_lock(
        credential.account_id, lambda account: by_person.record_disabled(account, credential, now=now, actor="house")
    )


def clear_guesses(
    account: Account, credential: Credential, request: HttpRequest | None = None, *, now: datetime
) -> int:
    """Reset the counters after a complete login (TH-5); the caller holds the account's lock.

    Returns the wrong guesses in a row in unknown browsers.
    """
    if request is not None and (browser := _browser_guesses(request, credential)):
        reset_backoff(browser)
    rows = Credential.objects.filter(id=credential.id, failures__gt=0)
    found = rows.values_list("failures", flat=True).first() or 0
    if found and not by_person.enable(account, credential, now=now, actor="person"):
        rows.update(failures=0)
    return found
