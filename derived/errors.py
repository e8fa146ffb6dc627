"""The reasons of a refusal, as a closed enum, and the exceptions that carry them.

    RametError
    ├── Refused(reason)        a rule refuses; the caller learns the reason and the remedy
    │   └── AlreadySpent       a single-use value was presented again
    └── Unavailable(reason)    no decision is possible (clock, key, database): fail closed, 503

`derived` holds no status codes: `idp.errors` maps each reason to OAuth and HTTP, exhaustively.
"""

from __future__ import annotations

from enum import StrEnum, auto
from math import ceil


class Reason(StrEnum):
    """Every reason for a refusal or an ending."""

    # Reasons to refuse issuance, renewal or a login.
    ACCOUNT_NOT_ACTIVE = "account_not_active"
    ACCOUNT_CHANGED = "account_changed"
    NOT_A_ROOT = "not_a_root"
    LOGIN_TOO_WEAK = "login_too_weak"
    LOGIN_TOO_OLD = "login_too_old"
    LOGIN_ENDED = "login_ended"
    KEY_TOO_WEAK = "key_too_weak"
    KEY_SEEN_BEFORE = "key_seen_before"
    WEAK_KEY = "weak_key"
    TOO_MANY_CREDENTIALS = "too_many_credentials"
    NOT_OFFERED = "not_offered"
    DEVICE_NOT_APPROVED = "device_not_approved"
    CREDENTIAL_NOT_LIVE = "credential_not_live"
    CREDENTIAL_DISABLED = "credential_disabled"
    ILLEGAL_MOVE = "illegal_move"
    LEVEL_NOT_REACHED = "level_not_reached"
    WRONG_FACTOR = "wrong_factor"
    WEAK_SECRET = auto()
    BAD_PROOF = "bad_proof"
    CHALLENGE_MISSING = "challenge_missing"
    NONCE_NEEDED = "nonce_needed"
    BAD_CODE = "bad_code"
    ALREADY_SPENT = "already_spent"
    ALREADY_ENROLLED = "already_enrolled"
    TRY_LATER = "try_later"
    STEP_UP_NEEDED = "step_up_needed"
    LAST_WAY_IN = "last_way_in"
    HELD_BY_ANOTHER = "held_by_another"
    CREDENTIAL_UNKNOWN = "credential_unknown"
    KEY_MAY_BE_COPIED = "key_may_be_copied"
    RECOVERY_IN_PERSON = "recovery_in_person"
    NOT_ELIGIBLE = "not_eligible"
    NOT_ENTITLED = "not_entitled"
    NO_AGREEMENT = "no_agreement"
    IDENTITY_CHECK_NEEDED = "identity_check_needed"
    SEPARATION_OF_DUTIES = "separation_of_duties"
    APPROVAL_NEEDED = "approval_needed"
    APPROVER_GONE = "approver_gone"
    NOT_AN_APPROVER = "not_an_approver"
    REQUEST_EXPIRED = "request_expired"
    TERMS_CHANGED = "terms_changed"
    OTHER_TERMS = "other_terms"

    # Reasons to refuse a certificate (RFC 5280, FIPS 201-3 §6.2.3.1).
    CERTIFICATE_LOGIN_OFF = "certificate_login_off"
    CERTIFICATE_MISSING = "certificate_missing"
    CERTIFICATE_NOT_PROVEN = "certificate_not_proven"
    CERTIFICATE_MALFORMED = "certificate_malformed"
    CERTIFICATE_NOT_YET_VALID = "certificate_not_yet_valid"
    CERTIFICATE_EXPIRED = "certificate_expired"
    CERTIFICATE_REVOKED = "certificate_revoked"
    CERTIFICATE_UNTRUSTED = "certificate_untrusted"
    CERTIFICATE_WRONG_POLICY = "certificate_wrong_policy"
    CERTIFICATE_NOT_FOR_AUTHENTICATION = "certificate_not_for_authentication"

    # Reasons to refuse an upstream's answer (C10, P31-P35).
    UPSTREAM_DISABLED = "upstream_disabled"
    UPSTREAM_UNTRUSTED = "upstream_untrusted"
    UPSTREAM_REFUSED = "upstream_refused"
    UPSTREAM_SAYS_NOTHING = "upstream_says_nothing"

    # Reasons for an ending.
    DEACTIVATED_BY_SOURCE = "deactivated_by_source"
    DELETED_BY_SOURCE = "deleted_by_source"
    ENDED_BY_MANAGER = "ended_by_manager"
    REMOVED_BY_PERSON = "removed_by_person"
    REPORTED_BY_PERSON = "reported_by_person"
    REPLACED_IN_RECOVERY = "replaced_in_recovery"
    DISOWNED_BY_PERSON = "disowned_by_person"
    REPLAY_DETECTED = "replay_detected"
    PARENT_ENDED = "parent_ended"
    SIGNED_OUT = "signed_out"
    CONSENT_ENDED = "consent_ended"
    REVOKED_BY_CLIENT = "revoked_by_client"
    COMPROMISED = "compromised"
    REPLACED = "replaced"
    EXPIRED = "expired"
    NAME_CHANGED = "name_changed"
    IDENTITY_LOWERED = "identity_lowered"
    NEVER_RELEASED = "never_released"
    ON_HOLD_TOO_LONG = "on_hold_too_long"
    FROZEN_BY_PERSON = "frozen_by_person"
    UPSTREAM_CAPPED = "upstream_capped"
    MODEL_NOT_TRUSTED = "model_not_trusted"
    JOINED_TO_ANOTHER = "joined_to_another"
    DECEASED = "deceased"
    HOME_AGENCY_CHANGED = "home_agency_changed"
    UNUSED = "unused"
    REVIEW_OVERDUE = "review_overdue"
    SUSPENDED_BY_PERSON = "suspended_by_person"
    SUSPENDED_BY_MANAGER = "suspended_by_manager"

    # Reasons why no decision is possible.
    NO_AUTHORITY = "no_authority"
    CLOCK_SKEW = "clock_skew"
    KEY_UNAVAILABLE = "key_unavailable"
    DATABASE_BUSY = "database_busy"
    CERTIFICATE_STATUS_UNKNOWN = "certificate_status_unknown"
    UPSTREAM_UNREACHABLE = "upstream_unreachable"


class RametError(Exception):
    """Base class of the exceptions of this project; never raised itself."""


class Refused(RametError):
    """A rule refuses the request.

    spends: claims made before the refusal stay: the transaction commits (spent means spent).
    """

    def __init__(self, reason: Reason, *, spends: bool = False) -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.spends = spends


class TryLater(Refused):
    """Too many attempts. seconds: the wait until the next one is looked at."""

    def __init__(self, seconds: float) -> None:
        super().__init__(Reason.TRY_LATER)
        self.seconds = max(1, ceil(seconds))


class AlreadySpent(Refused):
    """A single-use value was presented a second time, or after its expiry."""

    def __init__(self, *, spends: bool = False) -> None:
        super().__init__(Reason.ALREADY_SPENT, spends=spends)


class Unavailable(RametError):
    """No decision is possible now, so the answer is a refusal with an invitation to try again."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason
