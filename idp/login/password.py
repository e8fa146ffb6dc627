"""Passwords and device passphrases: the rules of SP 800-63B-4 §3.1.1.2, argon2id, and a bound on parallel hashing."""

from __future__ import annotations

import threading
import unicodedata
from functools import lru_cache

from django.contrib.auth.hashers import Argon2PasswordHasher, check_password, make_password
from django.contrib.auth.password_validation import CommonPasswordValidator
from django.utils.translation import gettext, gettext_noop

from derived.errors import Reason, Refused

LEAST = 8  # AU-6: always used together with a second factor
MOST = 256
_MOST_COMPOSED = 4  # code points that NFKC makes one of: a letter and three marks
_LEAST_CONTEXT = 4
_CONTEXT = frozenset({"ramet", "password", "passphrase", "passwort"})
_AT_ONCE = threading.BoundedSemaphore(4)  # each hash holds 19 MiB


class Argon2(Argon2PasswordHasher):
    """argon2id with the memory that a small host can spare (OWASP's 19 MiB, 2 passes)."""

    time_cost = 2
    memory_cost = 19 * 1024
    parallelism = 1


def normalised(secret: str) -> str:
    """A password as it is compared: NFKC, so that another keyboard makes the same characters (63B-4 §3.1.1.2)."""
    return unicodedata.normalize("NFKC", secret)


@lru_cache(maxsize=1)
def _blocklist() -> CommonPasswordValidator:
    return CommonPasswordValidator()


def objection(secret: str, *, context: tuple[str, ...] = ()) -> str | None:
    """The fault of a new password, in words for the person, or None.

    context: names of the person and the service, which may not be the whole of it.
    """
    if len(secret) > MOST * _MOST_COMPOSED:
        return gettext("Use at most %(most)s characters.") % {"most": MOST}
    secret = normalised(secret)
    if len(secret) < LEAST:
        return gettext("Use at least %(least)s characters. A few words are easy to remember and hard to guess.") % {
            "least": LEAST
        }
    if len(secret) > MOST:
        return gettext("Use at most %(most)s characters.") % {"most": MOST}
    if "\x00" in secret:
        return gettext_noop("That has a character that cannot be typed again.")
    folded = secret.casefold().strip()
    words = {part for word in context for part in (word.casefold(), word.casefold().split("@")[0])} | _CONTEXT
    stripped = folded.rstrip("0123456789!?.#*-_ ")
    if len(set(folded)) < _LEAST_CONTEXT or folded in _blocklist().passwords or stripped in _blocklist().passwords:
        return gettext_noop("That is one of the passwords that are guessed first. Choose another.")
    if stripped in {word for word in words if len(word) >= _LEAST_CONTEXT}:
        return gettext_noop("That is too close to your name or to the name of this service. Choose another.")
    return None


def require_good(secret: str, *, context: tuple[str, ...] = ()) -> None:
    """Raises: Refused(WEAK_SECRET) if there is an objection to the secret."""
    if objection(secret, context=context):
        raise Refused(Reason.WEAK_SECRET)


def hashed(secret: str) -> str:
    """The argon2id hash to store; slow on purpose, so call it outside the account lock."""
    with _AT_ONCE:
        return make_password(normalised(secret))


def matches(secret: str, stored_hash: str) -> bool:
    """True if a secret matches its hash; an unknown person takes the same time (C67)."""
    plain = normalised(secret[: MOST * _MOST_COMPOSED])
    if len(plain) > MOST or len(secret) > MOST * _MOST_COMPOSED:
        plain, stored_hash = "", ""  # never a part of it (P65)
    with _AT_ONCE:
        return check_password(plain, stored_hash or _decoy_hash()) and bool(stored_hash)


@lru_cache(maxsize=1)
def _decoy_hash() -> str:
    return make_password("a hash that nothing is compared to but the guesses at people who do not exist")
