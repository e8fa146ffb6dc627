"""The only way in: refusal → lock → cap → record → audit → outbox. The caller holds the account's lock.

    roots     bind what the person already has
    grown     issue derived credentials and token families
    release   release a signed certificate after a second check
    temporary  a temporary pass, by an officer or by codes sent to two addresses

Slow work (argon2, signatures, path validation) is done before the lock and passed in; single-use values (a code, an
invitation, a challenge) are claimed by the caller under the same lock, in the same transaction. May import
`identity_checks` of this package, and everything below it.
"""

from __future__ import annotations

from derived.changes.issue.grown import IssuanceRequest, activate, derive, reissue, renew_derived, token_family
from derived.changes.issue.release import release
from derived.changes.issue.roots import (
    VerifiedCertificate,
    certificate,
    passkey,
    password_totp,
    record_certificate,
    save_recovery_codes,
    upstream,
)
from derived.changes.issue.temporary import GivenBy, GivenPass, temporary_pass
from derived.minting.passkey import RegisteredPasskey

__all__ = [
    "GivenBy",
    "GivenPass",
    "IssuanceRequest",
    "RegisteredPasskey",
    "VerifiedCertificate",
    "activate",
    "certificate",
    "derive",
    "passkey",
    "password_totp",
    "record_certificate",
    "reissue",
    "release",
    "renew_derived",
    "save_recovery_codes",
    "temporary_pass",
    "token_family",
    "upstream",
]
