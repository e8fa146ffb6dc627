"""The only way in: refusal → lock → cap → record → audit → outbox. The caller holds the account's lock.

What is slow (argon2, signatures, path validation) is done before the lock and handed in; what is claimed (a code, an
invitation, a challenge) is claimed by the caller under the same lock, in the same transaction.

`roots` binds what the person already has; `grown` mints what grows from it. May import what stands below it in the
floors of `derived`.
"""

from __future__ import annotations

from derived.changes.issue.grown import Asked, activate, grow, regrow, reissue, token_family
from derived.changes.issue.release import release
from derived.changes.issue.roots import Certificate, certificate, passkey, password_totp, seen, upstream
from derived.minting.passkey import RegisteredPasskey

__all__ = [
    "Asked",
    "Certificate",
    "RegisteredPasskey",
    "activate",
    "certificate",
    "grow",
    "passkey",
    "password_totp",
    "regrow",
    "reissue",
    "release",
    "seen",
    "token_family",
    "upstream",
]
