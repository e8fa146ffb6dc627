"""Passkey and security key logins: alone, or after the correct password (AU-4, C58 to C61).

A challenge is bound to a browser, a purpose and, if known, an account; it expires after five minutes and is spent under
the account's lock with the change that it pays for. The options do not disclose whether an account exists: before a
password they name no key.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from django.db.models import Exists, OuterRef
from django.utils.translation import gettext_noop

from derived.changes import issue
from derived.errors import AlreadySpent, Reason, Refused
from derived.ledger import audit, bound_keys, status
from derived.ledger.single_use import claim_once
from derived.minting import passkey
from derived.minting.passkey import AssertionVerifier, CeremonyParameters
from derived.models import BoundKey, Credential, Passkey
from derived.rules.assurance import AAL, Factor, VerifiedFactors
from derived.rules.kinds import Kind
from derived.rules.lifecycle import State
from idp.config import config
from idp.login import throttle, withdrawn
from idp.login.session import browser_hash, establish
from idp.login.ways import Way
from idp.models import Ceremony
from idp.policies import fido_metadata as metadata

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest

    from derived.minting.passkey import UnverifiedResponse, VerifiedAssertion
    from derived.models import Account

LASTS = timedelta(minutes=5)
SECONDS = int(LASTS.total_seconds())
LOGIN, SECOND = "login", "second"


# --- ceremonies ---


def begin(  # noqa: PLR0913 - the bindings of a challenge
    request: HttpRequest,
    purpose: str,
    *,
    account: Account | None,
    now: datetime,
    user_verification: bool = False,
    allowed: tuple[str, ...] = (),
) -> CeremonyParameters:
    """A fresh challenge for this browser: the id of its row, so that it is found again, and 128 random bits.

    allowed: hashes of the credential ids that may answer; none for any.
    """
    row = Ceremony(
        id=uuid4(),
        browser=browser_hash(request),
        purpose=purpose,
        account=account,
        created_at=now,
        expires_at=now + LASTS,
        options={"user_verification": user_verification, "allowed": list(allowed)},
    )
    row.challenge = passkey.encoded(row.id.bytes + secrets.token_bytes(16))
    row.save(force_insert=True)
    return ceremony_parameters(row)


def ceremony_parameters(row: Ceremony) -> CeremonyParameters:
    """The parameters with which the response to a challenge is compared."""
    return CeremonyParameters(
        challenge=passkey.decoded(row.challenge),
        rp_id=config().host,
        origin=config().origin,
        user_verification=row.options["user_verification"],
    )


def find_ceremony(
    request: HttpRequest, purpose: str, response: UnverifiedResponse, *, account: Account | None, now: datetime
) -> Ceremony:
    """The challenge of a response, if it belongs to this browser, purpose and account (P23).

    Raises: Refused(BAD_PROOF), AlreadySpent for a used or expired challenge.
    """
    row = Ceremony.objects.filter(id=_row_id(response.unverified_challenge)).first()
    if row is None or row.browser != browser_hash(request) or row.purpose != purpose:
        raise Refused(Reason.BAD_PROOF)
    if row.account_id != (account.id if account else None):
        raise Refused(Reason.BAD_PROOF)
    if row.consumed_at is not None or row.expires_at <= now:
        raise AlreadySpent
    return row


def _row_id(challenge: bytes) -> UUID:
    return UUID(bytes=challenge[:16].ljust(16, b"\0"))


def spend_challenge(row: Ceremony, *, now: datetime) -> None:
    """Spend the challenge under the account's lock.

    Raises: AlreadySpent for every caller except the first.
    """
    if not claim_once(Ceremony.objects.filter(id=row.id), now=now):
        raise AlreadySpent


# --- registered keys ---


def keys_of(account: Account, *, now: datetime) -> list[Passkey]:
    """The keys of an account that may sign in now."""
    rows = Credential.objects.filter(account=account, kind=Kind.PASSKEY)
    return [row.passkey for row in status.live_only(rows, now=now).select_related("passkey").order_by("created_at")]


def key_descriptors(keys: list[Passkey]) -> list[tuple[bytes, list[str]]]:
    """Keys as the options of a ceremony name them."""
    return [(bytes(key.raw_id), list(key.transports)) for key in keys]


def offers(_request: HttpRequest) -> list[Way]:
    """The way on the login page, the same for every person, because the owner is unknown before a response (C67)."""
    return [
        Way(
            name="passkey",
            kind=Kind.PASSKEY,
            label=gettext_noop("Use a passkey or security key"),
            hint=gettext_noop("Your phone, this computer or a security key signs in without a password."),
            url="/login/passkey",
            reaches=AAL.AAL3,
            phishing_resistant=True,
            hardware=True,
        )
    ]


# --- logins ---


def options(request: HttpRequest, *, now: datetime) -> dict[str, Any]:
    """The options for a login by a discoverable credential, which identifies its owner (C61)."""
    return passkey.options_to_assert(begin(request, LOGIN, account=None, now=now), allowed=(), seconds=SECONDS)


def sign_in(request: HttpRequest, answer: str, *, now: datetime) -> Credential:
    """A key as first and only step: with its own verification two factors, without it one (AU-4).

    Raises: Refused.
    """
    response = passkey.parse(answer)
    row = find_ceremony(request, LOGIN, response, account=None, now=now)
    key = _key(response)
    asserted = _verified(response, row, key, named=False)
    shown = _factors(key, asserted)
    establish(
        request, key.credential, shown, now=now, claim=lambda account: _claim(account, row, key, asserted, now=now)
    )
    return key.credential


def second_options(request: HttpRequest, beside: Credential, *, now: datetime) -> dict[str, Any]:
    """For a key after the right password: the account's own keys."""
    keys = keys_of(beside.account, now=now)
    hashes = tuple(key.raw_id_hash for key in keys)
    asked = begin(request, SECOND, account=beside.account, now=now, allowed=hashes)
    return passkey.options_to_assert(asked, allowed=key_descriptors(keys), seconds=SECONDS)


def verify_second_factor(
    request: HttpRequest, answer: str, beside: Credential, place: str, *, now: datetime
) -> Credential:
    """Verify a key after the correct password, as a second factor with or without user verification.

    beside: the root of the password; no failed guess is counted, because signatures cannot be guessed (C58).
    Raises: Refused.
    """
    throttle.count_attempt(place, now=now)
    response = passkey.parse(answer)
    row = find_ceremony(request, SECOND, response, account=beside.account, now=now)
    key = _key(response)
    if key.credential.account_id != beside.account_id or key.raw_id_hash not in row.options["allowed"]:
        raise Refused(Reason.BAD_PROOF)
    asserted = _verified(response, row, key, named=True)
    establish(
        request,
        key.credential,
        _factors(key, asserted, Factor.PASSWORD),
        now=now,
        beside=beside,
        claim=lambda account: _claim(account, row, key, asserted, now=now),
    )
    throttle.reset_backoff(place)
    return key.credential


def _key(response: UnverifiedResponse) -> Passkey:
    """The key of a response; the account follows from it alone (C61)."""
    rows = Passkey.objects.select_related("credential__account", "credential__root", "credential__parent")
    keys = BoundKey.objects.filter(credential=OuterRef("credential"), proven=True).exclude(name=OuterRef("raw_id_hash"))
    rows = rows.annotate(proven=Exists(keys))
    found = rows.filter(raw_id_hash=passkey.hashed_id(response.unverified_raw_id)).first()
    if found is None:
        raise Refused(Reason.CREDENTIAL_UNKNOWN)
    return found


def _verified(response: UnverifiedResponse, row: Ceremony, key: Passkey, *, named: bool) -> VerifiedAssertion:
    verifier = AssertionVerifier(
        public_key=bytes(key.public_key),
        backup_eligible=key.backup_eligible,
        user_handle=key.credential.account_id.bytes,
        named=named,
    )
    return passkey.verify(response, expected=ceremony_parameters(row), verifier=verifier)


def _factors(key: Passkey, asserted: VerifiedAssertion, *more: Factor) -> VerifiedFactors:
    factors = {Factor.PASSKEY, *more} | ({Factor.USER_VERIFICATION} if asserted.user_verified else set())
    return VerifiedFactors(
        factors=frozenset(factors),
        hardware=key.hardware and withdrawn.is_model_trusted(key, metadata.known(), metadata.policy()),
    )


def _activate_on_first_login(
    account: Account, credential_id: UUID, asserted: VerifiedAssertion, *, now: datetime
) -> None:
    """Activate a derived passkey on its first login, which takes user verification (PK-4).

    Raises: Refused(CREDENTIAL_NOT_LIVE) for a pending key without it.
    """
    row = Credential.objects.get(id=credential_id)
    if row.state == State.PENDING:
        if not asserted.user_verified:
            raise Refused(Reason.CREDENTIAL_NOT_LIVE)
        issue.activate(row, account=account, now=now, actor="person")


def _claim(account: Account, row: Ceremony, key: Passkey, asserted: VerifiedAssertion, *, now: datetime) -> None:
    """Under the account's lock: the challenge once, and the key's counter forward only.

    Raises: AlreadySpent; Refused(KEY_MAY_BE_COPIED), which is recorded; Refused(LOGIN_ENDED) for a key that was lowered
    meanwhile; Refused(KEY_SEEN_BEFORE) for a key that another account holds.
    """
    spend_challenge(row, now=now)
    rows = Passkey.objects.filter(credential_id=key.credential_id)
    fresh = rows.get()
    if passkey.counter_regressed(fresh.sign_count, asserted.sign_count):
        audit.record(
            account,
            "passkey.sign_count_regressed",
            now=now,
            actor="person",
            credential=key.credential,
            body={"kept": fresh.sign_count, "shown": asserted.sign_count},
        )
        raise Refused(Reason.KEY_MAY_BE_COPIED, spends=True)
    if fresh.hardware != key.hardware:
        raise Refused(Reason.LOGIN_ENDED)
    _activate_on_first_login(account, key.credential_id, asserted, now=now)
    if not key.proven:  # type: ignore[attr-defined]  # annotated by `_key`
        bound_keys.record_possession(key.credential_id, passkey.public_key_name(bytes(key.public_key)))
    rows.update(sign_count=asserted.sign_count, backed_up=asserted.backed_up)
