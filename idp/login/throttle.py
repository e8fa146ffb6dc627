"""Limits on guessing: per browser, per network, and 100 wrong guesses per authenticator (TH-1 to TH-3, ruling 13).

A guess is counted before it is checked, in one UPDATE, so that parallel guesses count too (P53). Guesses from another
network do not slow a person in a browser with an earlier login.
"""

from __future__ import annotations

import hashlib
import ipaddress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.core import signing
from django.db import transaction
from django.db.models import F

from derived.changes import by_person
from derived.errors import Reason, Refused
from derived.ledger.locking import under_lock
from derived.ledger.status import MOST_FAILURES
from derived.models import Credential
from idp.models import Throttle

if TYPE_CHECKING:
    from uuid import UUID

    from django.http import HttpRequest, HttpResponse

_PREFIXES = {4: 24, 6: 56}  # a network, by the version of IP
_PAIR = 2
FREE_TRIES = 5
LONGEST_WAIT = timedelta(minutes=15)
FORGET_AFTER = timedelta(hours=24)
WINDOW = timedelta(minutes=10)
MOST_OF_A_NETWORK = 100  # tries at passwords in a window, over all names, from unknown browsers
MOST_OF_EVERYBODY = 5_000
KNOWN_COOKIE = "ramet_known"
_MOST_COUNTED = 30_000
_KNOWN_FOR = timedelta(days=180)
_SALT = "ramet/known-browser"


def place(request: HttpRequest, subject: str) -> str:
    """The back-off key of this request against one subject: the known browser if it is one, else the network.

    subject: the account's id, or the login name as it is compared where there is no such account.
    """
    known = _known(request)
    where = f"browser:{known[1]}" if known and known[0] == subject else f"network:{network(request)}"
    return hashlib.sha256(f"{where}\x00{subject}".encode()).hexdigest()


def place_of_device(credential: Credential) -> str:
    """The back-off key of a device's passphrase, which only the holder of its key can reach (ruling 13)."""
    return hashlib.sha256(f"device\x00{credential.id}".encode()).hexdigest()


def network(request: HttpRequest) -> str:
    """The /24 or /56 network of a request."""
    address = ipaddress.ip_address(request.META.get("ramet.peer") or "0.0.0.0")  # noqa: S104 - only a label
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


def _known(request: HttpRequest) -> list[str] | None:
    raw = request.COOKIES.get("__Host-" + KNOWN_COOKIE) or request.COOKIES.get(KNOWN_COOKIE) or ""
    try:
        value = signing.loads(raw[:512], salt=_SALT, max_age=_KNOWN_FOR)
    except signing.BadSignature:
        return None
    return value if isinstance(value, list) and len(value) == _PAIR else None


def admit(key: str, *, now: datetime) -> None:
    """Count one try from a place.

    Raises: Refused(TRY_LATER) while the place is in back-off.
    """
    with transaction.atomic():
        Throttle.objects.get_or_create(key=key, defaults={"until": now, "seen_at": now})
        # Locked from the read to the count, so that parallel tries wait for each other; None: reset concurrently.
        row = Throttle.objects.select_for_update().filter(key=key).first() or Throttle(key=key, until=now, seen_at=now)
        if row.until > now:
            raise Refused(Reason.TRY_LATER)
        failures = 1 if row.seen_at < now - FORGET_AFTER else min(row.failures + 1, _MOST_COUNTED)
        over = failures - FREE_TRIES
        wait = min(timedelta(seconds=2 ** min(over, 12)), LONGEST_WAIT) if over > 0 else timedelta()
        Throttle.objects.filter(key=key).update(failures=failures, seen_at=now, until=now + wait)


def brake(request: HttpRequest, subject: str, *, now: datetime) -> None:
    """Count a password try of a network, for any name, and of the whole installation (C57: spraying).

    A browser with an earlier login of the person is not limited by others (ruling 13), nor are cards and keys, which
    cannot be guessed (C58). Each count is a conditional UPDATE before any check.
    Raises: Refused(TRY_LATER).
    """
    known = _known(request)
    if known and known[0] == subject:
        return
    for key, most in _brakes(request, now=now):
        Throttle.objects.get_or_create(key=key, defaults={"until": now, "seen_at": now})
        if Throttle.objects.filter(key=key, failures__lt=most).update(failures=F("failures") + 1, seen_at=now) != 1:
            raise Refused(Reason.TRY_LATER)


def release(request: HttpRequest, *, now: datetime) -> None:
    """A whole login from there: it was no guess, so an office that signs in at nine does not run into the brake."""
    for key, _ in _brakes(request, now=now):
        Throttle.objects.filter(key=key, failures__gt=0).update(failures=F("failures") - 1)


def _brakes(request: HttpRequest, *, now: datetime) -> list[tuple[str, int]]:
    """The counters of this request, of the present window, and their limits."""
    window = int(now.timestamp() // WINDOW.total_seconds())
    names = [(f"network:{network(request)}", MOST_OF_A_NETWORK), ("everybody", MOST_OF_EVERYBODY)]
    return [(hashlib.sha256(f"brake\x00{window}\x00{name}".encode()).hexdigest(), most) for name, most in names]


def forgive(key: str) -> None:
    """A success: the place starts afresh."""
    Throttle.objects.filter(key=key).delete()


def count_guess(credential: Credential) -> None:
    """Count a guess against an authenticator, before it is checked.

    Raises: Refused(CREDENTIAL_DISABLED) at the hundredth in a row; then it must be bound anew.
    """
    rows = Credential.objects.filter(id=credential.id, failures__lt=MOST_FAILURES)
    if rows.update(failures=F("failures") + 1) != 1:
        raise Refused(Reason.CREDENTIAL_DISABLED)


def count_nothing(key: str, *, now: datetime) -> None:
    """Write as much as `count_guess` without an authenticator, so that timing reveals nothing (C67, P54)."""
    Throttle.objects.filter(key=key).update(seen_at=now)


def uncount_guess(credential: Credential) -> None:
    """Undo the count of a correct guess before a further factor."""
    Credential.objects.filter(id=credential.id, failures__gt=0).update(failures=F("failures") - 1)


def note_wrong(credential: Credential, *, now: datetime) -> None:
    """Record and notify the last permitted wrong guess, once (TH-1)."""
    if not Credential.objects.filter(id=credential.id, failures__gte=MOST_FAILURES).exists():
        return
    under_lock(
        credential.account_id, lambda account: by_person.record_disabled(account, credential, now=now, actor="house")
    )


def clear_guesses(credential: Credential) -> None:
    """The whole login succeeded (TH-5)."""
    Credential.objects.filter(id=credential.id).update(failures=0)
