"""Signing in with a derived device key: its signature first, then its passphrase (rulings 1, 2 and 13; DK-1, DK-2)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext_noop

from derived.changes import issue
from derived.errors import AlreadySpent, Reason, Refused
from derived.ledger import status
from derived.ledger.locking import transacted
from derived.ledger.single_use import spend
from derived.minting.device_key import DevicePublicKey, check_claims, unverified_header, verify
from derived.models import Account, Credential, DeviceKey
from derived.rules.assurance import AAL, Factor, VerifiedFactors
from derived.rules.kinds import Kind
from derived.rules.lifecycle import State
from idp.login import password, throttle
from idp.login.ways import Way
from idp.models import AuthenticationEvent
from idp.policies import attestation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpRequest

WITH_PASSPHRASE = VerifiedFactors(factors=frozenset({Factor.DEVICE_KEY, Factor.DEVICE_PASSPHRASE}))
KEY_ALONE = VerifiedFactors(factors=frozenset({Factor.DEVICE_KEY}))


def factors_of(credential: Credential, *, passphrase: bool) -> VerifiedFactors:
    """The factors of a signature by a device's key, alone or with its passphrase (DK-2).

    Hardware evidence of the binding counts at each use, as long as its issuer is trusted.
    """
    factors = {Factor.DEVICE_KEY} | ({Factor.DEVICE_PASSPHRASE} if passphrase else set())
    factors |= {Factor.USER_VERIFICATION} if verifies_user(credential) else set()
    return VerifiedFactors(factors=frozenset(factors), hardware=attestation.is_trusted(credential.evidence))


def verifies_user(credential: Credential) -> bool:
    """True if the hardware is proven to verify its user at each use, and that evidence is still trusted.

    The key alone is then two factors.
    """
    return credential.evidence.get("activation") == "per_use" and attestation.is_trusted(credential.evidence)


_JTI_KEPT = timedelta(minutes=5)


def offers(_request: HttpRequest) -> list[Way]:
    """The key of the present device, for people who have added it in My devices."""
    return [
        Way(
            name="device",
            kind=Kind.DEVICE_KEY,
            label=gettext_noop("Use this device"),
            hint="if you added it in My devices",
            url="/login/device",
            reaches=AAL.AAL2,
        )
    ]


@dataclass(frozen=True)
class ProvenDevice:
    """A device whose signature over a fresh proof was right; its passphrase is another matter."""

    device: DeviceKey
    claims: Mapping[str, Any]

    @property
    def credential(self) -> Credential:
        """Its row of the ledger."""
        return self.device.credential


def prove(proof: object, *, typ: str, expected: Mapping[str, str], now: datetime) -> ProvenDevice:
    """Find the device that signed a proof, verify it, and spend the proof's `jti`.

    Raises: Refused(BAD_PROOF), Refused(CREDENTIAL_NOT_LIVE), AlreadySpent.
    """
    jkt = unverified_header(proof).get("kid")
    device = (
        DeviceKey.objects.filter(credential__jkt=jkt)
        .select_related("credential__account", "credential__root", "credential__parent")
        .first()
        if isinstance(jkt, str) and jkt.isprintable()
        else None
    )
    if device is None:
        raise Refused(Reason.BAD_PROOF)
    claims = verify(proof, DevicePublicKey(device.jwk, str(device.credential.jkt)), typ=typ)
    jti = check_claims(claims, expected=expected, now=now)
    if not transacted(lambda: spend(typ, str(device.credential.jkt), jti, expires_at=now + _JTI_KEPT)):
        raise AlreadySpent
    if device.credential.state not in {State.PENDING, State.ACTIVE} or not device.credential.account.is_active:
        raise Refused(Reason.CREDENTIAL_NOT_LIVE)
    return ProvenDevice(device, claims)


def check_passphrase(proven: ProvenDevice, passphrase: str, *, now: datetime) -> None:
    """Check a guess of the passphrase, counted first; slow, so outside the account's lock.

    Raises: Refused(TRY_LATER), Refused(CREDENTIAL_DISABLED), Refused(WRONG_FACTOR).
    """
    check_secret(proven.credential, proven.device.passphrase_hash, passphrase, now=now)


def check_secret(credential: Credential, passphrase_hash: str, passphrase: str, *, now: datetime) -> None:
    """The same for whatever key has a passphrase beside it; the key was proven before.

    Raises: as `check_passphrase`.
    """
    place = throttle.backoff_key_of_device(credential)
    throttle.count_attempt(place, now=now)
    guess = throttle.count_guess(credential, now=now)
    if not password.matches(passphrase, passphrase_hash):
        throttle.record_last_guess(guess, now=now)
        raise Refused(Reason.WRONG_FACTOR)
    throttle.uncount_guess(guess)  # a later gate may still refuse, which is not a failed guess
    throttle.reset_backoff(place)


def claim_login(proven: ProvenDevice, account: Account, *, now: datetime) -> None:
    """Under the account's lock: the first login makes the credential active; each moves its `authenticated_at`.

    Raises: Refused.
    """
    credential = Credential.objects.get(id=proven.credential.id)
    if credential.state == State.PENDING:
        issue.activate(credential, account=account, now=now, actor="person")
    DeviceKey.objects.filter(credential=credential).update(authenticated_at=now)


def repeat_login(proven: ProvenDevice, account: Account, *, now: datetime) -> AuthenticationEvent:
    """Under the account's lock: the key alone proves one factor and repeats the time of the last full login (ruling 2).

    Raises: Refused(CREDENTIAL_NOT_LIVE) if it was never used with its passphrase, or is not live;
    Refused(CREDENTIAL_DISABLED) after a hundred wrong guesses, which disable the key too (TH-1).
    """
    credential = Credential.objects.select_related("root", "parent").get(id=proven.credential.id)
    at = DeviceKey.objects.values_list("authenticated_at", flat=True).get(credential=credential)
    if at is None or not status.is_live(credential, account, now=now):
        raise Refused(Reason.CREDENTIAL_NOT_LIVE)
    if credential.failures >= status.MOST_FAILURES:
        raise Refused(Reason.CREDENTIAL_DISABLED)
    Credential.objects.filter(id=credential.id).update(last_used_at=now)
    shown = factors_of(credential, passphrase=False)
    return AuthenticationEvent.objects.create(
        account=account,
        credential=credential,
        factors=sorted(shown.factors),
        amr=list(shown.amr),
        root=False,
        aal=min(status.level(credential, shown.reach), AAL.AAL1),
        at=at,
    )
