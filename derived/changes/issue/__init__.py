"""The only way in: refusal → lock → cap → record → audit → outbox.

The caller holds the account's lock.
Slow work (argon2, signatures, path validation) is done before the lock and passed in; single-use values (a code, an
invitation, a challenge) are claimed by the caller under the same lock, in the same transaction.
`roots` binds what the person already has; `grown` derives credentials from roots. May import what is below it in the
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
