"""The map from each Reason to an OAuth error, an HTTP status and words for people; mypy holds that it is exhaustive."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from django.utils.translation import gettext, gettext_noop

from derived.errors import Reason, Refused, TryLater, Unavailable

_SOON = 5  # seconds
UNMET = "unmet_authentication_requirements"  # OpenID Connect Core Unmet Authentication Requirements 1.0


@dataclass(frozen=True)
class ErrorResponse:
    """A refusal as a caller sees it: an HTTP status, an OAuth error code, and the next step."""

    status: int
    error: str
    words: str


def answer_to(refused: Refused | Unavailable) -> ErrorResponse:
    """The answer to one refusal; a wait is told in seconds."""
    found = error_response(refused.reason)
    if isinstance(refused, TryLater):
        return replace(
            found,
            words=gettext("Too many tries. Wait %(seconds)s seconds, then try again.") % {"seconds": refused.seconds},
        )
    return found


def retry_after(refused: Refused | Unavailable) -> int:
    """Seconds for Retry-After (RFC 9110 §10.2.3)."""
    return refused.seconds if isinstance(refused, TryLater) else _SOON


def error_response(reason: Reason) -> ErrorResponse:  # noqa: C901, PLR0912, PLR0915 - a table
    """The answer for a reason: the next step for the caller, and nothing about other people."""
    match reason:
        case Reason.ACCOUNT_NOT_ACTIVE | Reason.ACCOUNT_CHANGED:
            return ErrorResponse(
                403, "access_denied", gettext_noop("This account cannot be used. Ask your identity team.")
            )
        case Reason.NOT_A_ROOT:
            return ErrorResponse(
                403,
                "access_denied",
                gettext_noop("Sign in with the credential you had first: nothing grows from a derived one."),
            )
        case Reason.LOGIN_TOO_WEAK:
            return ErrorResponse(403, "access_denied", gettext_noop("This needs a sign-in with two factors."))
        case Reason.LOGIN_TOO_OLD:
            return ErrorResponse(
                403, "access_denied", gettext_noop("Sign in again first: this needs a sign-in in the last 20 minutes.")
            )
        case Reason.LOGIN_ENDED:
            return ErrorResponse(
                403, "access_denied", gettext_noop("The sign-in that began this has ended. Start again.")
            )
        case Reason.KEY_TOO_WEAK:
            return ErrorResponse(
                403, "access_denied", gettext_noop("This key alone is one factor. Set a device passphrase with it.")
            )
        case Reason.KEY_SEEN_BEFORE:
            return ErrorResponse(
                409, "invalid_request", gettext_noop("This key was bound before. Make a new key on the device.")
            )
        case Reason.WEAK_KEY:
            return ErrorResponse(
                400,
                "invalid_request",
                gettext_noop(
                    "This key is too weak, or one that others know. Make a new one: P-256, P-384, or RSA with "
                    "3072 bits."
                ),
            )
        case Reason.TOO_MANY_CREDENTIALS:
            return ErrorResponse(
                403, "access_denied", gettext_noop("You have as many devices as your policy allows. Remove one first.")
            )
        case Reason.NOT_OFFERED:
            return ErrorResponse(
                403,
                "access_denied",
                gettext_noop("Your organisation does not issue this to you. Ask your identity team."),
            )
        case Reason.DEVICE_NOT_APPROVED:
            return ErrorResponse(
                403,
                "access_denied",
                (
                    gettext_noop(
                        "Your organisation does not issue this to a device of this kind. Use one that it "
                        "approves, or ask your identity team."
                    )
                ),
            )
        case Reason.CREDENTIAL_NOT_LIVE:
            return ErrorResponse(
                400, "invalid_grant", gettext_noop("This credential has ended. Bind the device again.")
            )
        case Reason.CREDENTIAL_DISABLED:
            return ErrorResponse(
                403, "access_denied", gettext_noop("Too many wrong tries: this has to be set up again.")
            )
        case Reason.ILLEGAL_MOVE:
            return ErrorResponse(409, "invalid_request", gettext_noop("That is not possible in the present state."))
        case Reason.LEVEL_NOT_REACHED:
            return ErrorResponse(
                400, UNMET, gettext_noop("The requested authentication level cannot be reached with this credential.")
            )
        case Reason.WRONG_FACTOR:
            return ErrorResponse(400, "invalid_grant", gettext_noop("That is not right. Check it and try again."))
        case Reason.WEAK_SECRET:
            return ErrorResponse(
                400,
                "invalid_request",
                gettext_noop("Choose a passphrase of 8 or more characters that is not a common one."),
            )
        case Reason.BAD_PROOF:
            return ErrorResponse(
                400, "invalid_request", gettext_noop("The key or the proof is not as the protocol asks.")
            )
        case Reason.CHALLENGE_MISSING:
            return ErrorResponse(
                400,
                "invalid_request",
                gettext_noop(
                    "This certificate request was not made for this. Make one whose common name or challenge password "
                    "is the code that you use or, for a renewal, the urn:uuid of the certificate that it renews."
                ),
            )
        case Reason.NONCE_NEEDED:
            return ErrorResponse(
                400, "use_dpop_nonce", gettext_noop("Send the proof again with the nonce of the DPoP-Nonce header.")
            )
        case Reason.BAD_CODE:
            return ErrorResponse(
                400,
                "invalid_grant",
                gettext_noop("This code is wrong, used or too old. Get a new one on your other device."),
            )
        case Reason.ALREADY_SPENT | Reason.REPLAY_DETECTED:
            return ErrorResponse(400, "invalid_grant", gettext_noop("This was used before or is too old."))
        case Reason.ALREADY_ENROLLED:
            return ErrorResponse(
                409, "invalid_request", gettext_noop("This account is set up already. Sign in instead.")
            )
        case Reason.TRY_LATER:
            return ErrorResponse(
                429, "temporarily_unavailable", gettext_noop("Too many tries. Wait a little, then try again.")
            )
        case Reason.STEP_UP_NEEDED:
            return ErrorResponse(
                403,
                "access_denied",
                gettext_noop("Sign in again with your strongest way of signing in: this changes something as strong."),
            )
        case Reason.LAST_WAY_IN:
            return ErrorResponse(
                409, "invalid_request", gettext_noop("This is your last way of signing in. Add another one first.")
            )
        case Reason.HELD_BY_ANOTHER:
            return ErrorResponse(
                409,
                "invalid_request",
                gettext_noop("This belongs to another account here. Ask your identity team if it should be yours."),
            )
        case Reason.CREDENTIAL_UNKNOWN:
            return ErrorResponse(
                403,
                "access_denied",
                gettext_noop("No account here knows this. Sign in another way first, then add it in My devices."),
            )
        case Reason.RECOVERY_IN_PERSON:
            return ErrorResponse(
                403,
                "access_denied",
                gettext_noop("This account is recovered in person only. Go to your identity team."),
            )
        case Reason.NOT_ENTITLED:
            return ErrorResponse(
                403,
                "access_denied",
                gettext_noop("You are not assigned to this. Ask your identity team for access, and say what for."),
            )
        case Reason.NO_AGREEMENT:
            return ErrorResponse(
                403,
                "unauthorized_client",
                gettext_noop(
                    "Your organisation has no agreement in force with this application about your details. Tell your "
                    "identity team."
                ),
            )
        case Reason.IDENTITY_CHECK_NEEDED:
            return ErrorResponse(
                403,
                "access_denied",
                gettext_noop(
                    "This takes a check in person that nothing was issued on yet. Ask your identity team for one."
                ),
            )
        case Reason.SEPARATION_OF_DUTIES:
            return ErrorResponse(
                409,
                "invalid_request",
                gettext_noop(
                    "This person has another role that excludes this one. End that role first, or give this one to "
                    "somebody else."
                ),
            )
        case Reason.APPROVAL_NEEDED:
            return ErrorResponse(
                403,
                "access_denied",
                gettext_noop("This needs an approval first. Ask for it in My requests, then add it when you are told."),
            )
        case Reason.APPROVER_GONE:
            return ErrorResponse(
                409,
                "access_denied",
                gettext_noop(
                    "A person who approved this no longer decides here. The request waits for another approval."
                ),
            )
        case Reason.NOT_AN_APPROVER:
            return ErrorResponse(
                403, "access_denied", gettext_noop("You do not decide on this request. Another approver must do it.")
            )
        case Reason.REQUEST_EXPIRED:
            return ErrorResponse(409, "invalid_request", gettext_noop("This request has expired. Ask again."))
        case Reason.TERMS_CHANGED:
            return ErrorResponse(
                409,
                "invalid_request",
                gettext_noop("The request has changed since you saw it. Read it again before you decide."),
            )
        case Reason.OTHER_TERMS:
            return ErrorResponse(
                409,
                "access_denied",
                gettext_noop(
                    "This is not what was approved. Sign in with the credential that the request names, or withdraw it."
                ),
            )
        case Reason.NOT_ELIGIBLE:
            return ErrorResponse(
                403,
                "access_denied",
                gettext_noop("You may not hold derived credentials at present. Ask your identity team."),
            )
        case Reason.KEY_MAY_BE_COPIED:
            return ErrorResponse(
                403,
                "access_denied",
                (
                    gettext_noop(
                        "This key counted backwards, as a copy of it would. Sign in another way, remove it, and "
                        "tell your identity team."
                    )
                ),
            )
        case Reason.CERTIFICATE_LOGIN_OFF:
            return ErrorResponse(
                404, "invalid_request", gettext_noop("Signing in with a card is not switched on here.")
            )
        case Reason.CERTIFICATE_MISSING:
            return ErrorResponse(
                400,
                "access_denied",
                (
                    gettext_noop(
                        "Your browser sent no certificate. Insert your card, restart the browser, and choose the "
                        "certificate for authentication."
                    )
                ),
            )
        case Reason.CERTIFICATE_NOT_PROVEN:
            return ErrorResponse(
                400,
                "access_denied",
                gettext_noop("The card was not asked this time. Take it out, insert it again, and start again."),
            )
        case Reason.CERTIFICATE_MALFORMED:
            return ErrorResponse(400, "invalid_request", gettext_noop("The certificate cannot be read."))
        case Reason.CERTIFICATE_NOT_YET_VALID:
            return ErrorResponse(403, "access_denied", gettext_noop("The certificate on this card is not valid yet."))
        case Reason.CERTIFICATE_EXPIRED:
            return ErrorResponse(
                403, "access_denied", gettext_noop("The certificate on this card has expired. Have the card renewed.")
            )
        case Reason.CERTIFICATE_REVOKED:
            return ErrorResponse(
                403, "access_denied", gettext_noop("The certificate on this card was revoked. Ask your card office.")
            )
        case Reason.CERTIFICATE_UNTRUSTED:
            return ErrorResponse(
                403, "access_denied", gettext_noop("This card comes from an issuer that is not trusted here.")
            )
        case Reason.CERTIFICATE_WRONG_POLICY:
            return ErrorResponse(
                403,
                "access_denied",
                gettext_noop(
                    "This certificate is not one for PIV authentication. Choose the one named “PIV Authentication”."
                ),
            )
        case Reason.CERTIFICATE_NOT_FOR_AUTHENTICATION:
            return ErrorResponse(
                403,
                "access_denied",
                gettext_noop("This certificate is for signing or encryption. Choose the one for authentication."),
            )
        case Reason.UPSTREAM_DISABLED:
            return ErrorResponse(
                403, "access_denied", gettext_noop("Signing in through this provider is switched off.")
            )
        case Reason.UPSTREAM_UNTRUSTED:
            return ErrorResponse(
                400, "access_denied", gettext_noop("The other provider's answer could not be trusted. Start again.")
            )
        case Reason.UPSTREAM_REFUSED:
            return ErrorResponse(
                403,
                "access_denied",
                gettext_noop("The other provider did not sign you in. Start again, or sign in another way."),
            )
        case Reason.UPSTREAM_SAYS_NOTHING:
            return ErrorResponse(
                403,
                "access_denied",
                gettext_noop(
                    "The other provider did not say how strongly it signed you in, so it counts as nothing here."
                ),
            )
        case (
            Reason.DEACTIVATED_BY_SOURCE
            | Reason.DELETED_BY_SOURCE
            | Reason.ENDED_BY_MANAGER
            | Reason.REMOVED_BY_PERSON
            | Reason.REPORTED_BY_PERSON
            | Reason.REPLACED_IN_RECOVERY
            | Reason.DISOWNED_BY_PERSON
            | Reason.PARENT_ENDED
            | Reason.SIGNED_OUT
            | Reason.REVOKED_BY_CLIENT
            | Reason.CONSENT_ENDED
            | Reason.COMPROMISED
            | Reason.REPLACED
            | Reason.EXPIRED
            | Reason.FROZEN_BY_PERSON
            | Reason.UPSTREAM_CAPPED
            | Reason.MODEL_NOT_TRUSTED
            | Reason.IDENTITY_LOWERED
            | Reason.NAME_CHANGED
            | Reason.JOINED_TO_ANOTHER
            | Reason.DECEASED
            | Reason.HOME_AGENCY_CHANGED
            | Reason.UNUSED
            | Reason.REVIEW_OVERDUE
            | Reason.SUSPENDED_BY_PERSON
            | Reason.SUSPENDED_BY_MANAGER
            | Reason.NEVER_RELEASED
            | Reason.ON_HOLD_TOO_LONG
        ):
            return ErrorResponse(400, "invalid_grant", gettext_noop("This has ended."))
        case Reason.NO_AUTHORITY:
            return ErrorResponse(
                503,
                "temporarily_unavailable",
                gettext_noop("No certificates are issued here at present. Ask your identity team."),
            )
        case Reason.CERTIFICATE_STATUS_UNKNOWN:
            return ErrorResponse(
                503,
                "temporarily_unavailable",
                gettext_noop("Whether this card was revoked cannot be found out just now. Try again in a moment."),
            )
        case Reason.UPSTREAM_UNREACHABLE:
            return ErrorResponse(
                503,
                "temporarily_unavailable",
                gettext_noop("The other provider does not answer. Try again in a moment, or sign in another way."),
            )
        case Reason.CLOCK_SKEW | Reason.KEY_UNAVAILABLE | Reason.DATABASE_BUSY:
            return ErrorResponse(
                503, "temporarily_unavailable", gettext_noop("The service cannot decide now. Try again in a moment.")
            )
    assert_never(reason)


# Reasons of an ending, in words for the credential's owner.
ENDINGS: dict[str, str] = {
    Reason.DEACTIVATED_BY_SOURCE: gettext_noop("your organisation ended your access"),
    Reason.DELETED_BY_SOURCE: gettext_noop("your organisation removed your record"),
    Reason.ENDED_BY_MANAGER: gettext_noop("an identity manager ended it"),
    Reason.REMOVED_BY_PERSON: gettext_noop("it was removed on the My devices page"),
    Reason.REPORTED_BY_PERSON: gettext_noop("it was reported as lost or stolen on the My devices page"),
    Reason.DISOWNED_BY_PERSON: gettext_noop("it was reported as not yours, through a link in a notice"),
    Reason.REPLACED_IN_RECOVERY: gettext_noop("your identity team helped you to sign in again, and it is replaced"),
    Reason.COMPROMISED: gettext_noop("it was reported that somebody else has used it, or may use it"),
    Reason.REPLACED: gettext_noop("it was replaced"),
    Reason.EXPIRED: gettext_noop("its time was over"),
    Reason.NEVER_RELEASED: gettext_noop("it was never finished"),
    Reason.ON_HOLD_TOO_LONG: gettext_noop(
        "it was on hold for longer than a certificate may be; make a new one in My devices"
    ),
    Reason.FROZEN_BY_PERSON: gettext_noop("the account was frozen through a link in a notice"),
    Reason.NOT_ELIGIBLE: gettext_noop("you may not hold derived credentials at present"),
    Reason.IDENTITY_LOWERED: gettext_noop(
        "it says of your identity what nobody vouches for any more; you can add another one"
    ),
    Reason.NAME_CHANGED: gettext_noop(
        "it showed a name that is no longer yours; you can add it again with the new one"
    ),
    Reason.JOINED_TO_ANOTHER: gettext_noop("your two accounts here became one; sign in with the other"),
    Reason.HOME_AGENCY_CHANGED: gettext_noop("another agency is your home agency now; ask it for a new one"),
    Reason.UNUSED: gettext_noop("it was not used for a long time"),
    Reason.REVIEW_OVERDUE: gettext_noop("nobody confirmed in time that you still need it"),
    Reason.SUSPENDED_BY_PERSON: gettext_noop("it was suspended on the My devices page"),
    Reason.UPSTREAM_CAPPED: gettext_noop("the provider behind it is trusted less than before, or no more"),
}
