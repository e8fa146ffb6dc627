"""The one map from a Reason to OAuth, HTTP and words for people. Exhaustive: a new Reason without a row fails mypy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from derived.errors import Reason

UNMET = "unmet_authentication_requirements"  # OpenID Connect Core Unmet Authentication Requirements 1.0


@dataclass(frozen=True)
class Answer:
    """How a refusal looks from outside: an HTTP status, an OAuth error code, and what to do next."""

    status: int
    error: str
    words: str


def answer(reason: Reason) -> Answer:  # noqa: C901, PLR0912 - a table
    """The answer for a reason; it tells the caller what to do, and nothing about anybody else."""
    match reason:
        case Reason.ACCOUNT_NOT_ACTIVE | Reason.ACCOUNT_CHANGED:
            return Answer(403, "access_denied", "This account cannot be used. Ask your identity team.")
        case Reason.NOT_A_ROOT:
            return Answer(
                403, "access_denied", "Sign in with the credential you had first: nothing grows from a derived one."
            )
        case Reason.LOGIN_TOO_WEAK:
            return Answer(403, "access_denied", "This needs a sign-in with two factors.")
        case Reason.LOGIN_TOO_OLD:
            return Answer(403, "access_denied", "Sign in again first: this needs a sign-in in the last 20 minutes.")
        case Reason.LOGIN_ENDED:
            return Answer(403, "access_denied", "The sign-in that began this has ended. Start again.")
        case Reason.KEY_TOO_WEAK:
            return Answer(403, "access_denied", "This key alone is one factor. Set a device passphrase with it.")
        case Reason.KEY_SEEN_BEFORE:
            return Answer(409, "invalid_request", "This key was bound before. Make a new key on the device.")
        case Reason.TOO_MANY_CREDENTIALS:
            return Answer(403, "access_denied", "You have as many devices as your policy allows. Remove one first.")
        case Reason.CREDENTIAL_NOT_LIVE:
            return Answer(400, "invalid_grant", "This credential has ended. Bind the device again.")
        case Reason.CREDENTIAL_DISABLED:
            return Answer(403, "access_denied", "Too many wrong tries: this has to be set up again.")
        case Reason.ILLEGAL_MOVE:
            return Answer(409, "invalid_request", "That is not possible in the present state.")
        case Reason.LEVEL_NOT_REACHED:
            return Answer(400, UNMET, "The requested authentication level cannot be reached with this credential.")
        case Reason.WRONG_FACTOR:
            return Answer(400, "invalid_grant", "That is not right. Check it and try again.")
        case Reason.WEAK_SECRET:
            return Answer(400, "invalid_request", "Choose a passphrase of 8 or more characters that is not a common one.")
        case Reason.BAD_PROOF:
            return Answer(400, "invalid_request", "The key or the proof is not as the protocol asks.")
        case Reason.BAD_CODE:
            return Answer(400, "invalid_grant", "This code is wrong, used or too old. Get a new one on your other device.")
        case Reason.ALREADY_SPENT | Reason.REPLAY_DETECTED:
            return Answer(400, "invalid_grant", "This was used before or is too old.")
        case Reason.ALREADY_ENROLLED:
            return Answer(409, "invalid_request", "This account is set up already. Sign in instead.")
        case Reason.TRY_LATER:
            return Answer(429, "temporarily_unavailable", "Too many tries. Wait a little, then try again.")
        case (
            Reason.DEACTIVATED_BY_SOURCE | Reason.DELETED_BY_SOURCE | Reason.ENDED_BY_MANAGER | Reason.REMOVED_BY_PERSON
            | Reason.REPORTED_BY_PERSON | Reason.PARENT_ENDED | Reason.SIGNED_OUT | Reason.REVOKED_BY_CLIENT
            | Reason.COMPROMISED | Reason.REPLACED | Reason.EXPIRED
        ):
            return Answer(400, "invalid_grant", "This has ended.")
        case Reason.CLOCK_SKEW | Reason.KEY_UNAVAILABLE | Reason.DATABASE_BUSY:
            return Answer(503, "temporarily_unavailable", "The service cannot decide now. Try again in a moment.")
    assert_never(reason)


# Why something ended, for the person it belonged to.
ENDINGS: dict[str, str] = {
    Reason.DEACTIVATED_BY_SOURCE: "your organisation ended your access",
    Reason.DELETED_BY_SOURCE: "your organisation removed your record",
    Reason.ENDED_BY_MANAGER: "an identity manager ended it",
    Reason.REMOVED_BY_PERSON: "it was removed on the My devices page",
    Reason.REPORTED_BY_PERSON: "it was reported as not yours",
    Reason.COMPROMISED: "its key was reported as compromised",
    Reason.REPLACED: "it was replaced",
    Reason.EXPIRED: "its time was over",
}
