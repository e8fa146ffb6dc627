"""The only way in: refusal → lock → cap → record → audit → outbox. The caller holds the account's lock.

What is slow (argon2, signatures) is done before the lock and handed in; what is claimed (a code, an invitation) is
claimed by the caller under the same lock, in the same transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction

from derived import audit, outbox, status
from derived.assurance import AAL, Factor, reach
from derived.capping import cap
from derived.eligibility import refusal, refusal_of_key
from derived.errors import Reason, Refused
from derived.kinds import Kind, policy
from derived.lifecycle import LIVING, State, may_move
from derived.models import Account, Credential, DeviceKey, PasswordAndTotp, RecoveryCode, Request

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta
    from uuid import UUID

    from derived.assurance import Authentication
    from derived.minting.device_key import DevicePublicKey

RECOVERY_CODES_LIVE_YEARS = 10


def _require_active(account: Account) -> None:
    if not account.is_active:
        raise Refused(Reason.ACCOUNT_NOT_ACTIVE)


def _row(  # noqa: PLR0913 - one ledger row
    account: Account, kind: Kind, *, level: AAL, state: State, name: str, evidence: dict[str, object], now: datetime,
    parent: Credential | None = None, jkt: str | None = None, credential_id: UUID | None = None,
    lifetime: timedelta | None = None,
) -> Credential:
    life = lifetime or policy(kind).lifetime
    row = Credential(
        account=account, epoch=account.epoch, kind=kind, state=state, aal=level, ial=account.ial, name=name,
        evidence=evidence, jkt=jkt, created_at=now, activated_at=now if state == State.ACTIVE else None,
        expires_at=now + life if life else None,
        parent=parent, root=(parent.root or parent) if parent else None,
    )
    if credential_id:
        row.id = credential_id
    row.save(force_insert=True)
    return row


def password_totp(  # noqa: PLR0913 - everything that was proved in the enrolment
    account: Account, *, credential_id: UUID, password_hash: str, totp_seed: bytes, totp_step: int,
    recovery_code_hashes: Sequence[str], now: datetime, actor: str, replaces: AAL | None = None,
) -> Credential:
    """Record the first root of an account: a password and a TOTP seed, both just proved by an invitation (ruling 3).

    replaces: the level of the root that this one takes the place of (`derived.renew`), which it never exceeds.
    totp_seed: wrapped, owned by credential_id. totp_step: the step of the code that proved it, spent (AU-5).
    Raises: Refused(ACCOUNT_NOT_ACTIVE), Refused(ALREADY_ENROLLED).
    """
    _require_active(account)
    if replaces is None and status.was_ever_enrolled(account):
        raise Refused(Reason.ALREADY_ENROLLED)
    factors = frozenset({Factor.PASSWORD, Factor.TOTP})
    level = cap(Kind.PASSWORD_TOTP, reach(factors), *([] if replaces is None else [replaces]))
    evidence = {"factors": sorted(factors), "phishing_resistant": False, "protection": "software", "exportable": True}
    row = _row(
        account, Kind.PASSWORD_TOTP, level=level, state=State.ACTIVE, name=policy(Kind.PASSWORD_TOTP).label,
        evidence=evidence, now=now, credential_id=credential_id,
    )
    PasswordAndTotp.objects.create(
        credential=row, password_hash=password_hash, totp_seed=totp_seed, totp_last_step=totp_step
    )
    expires_at = now.replace(year=now.year + RECOVERY_CODES_LIVE_YEARS, day=min(now.day, 28))
    RecoveryCode.objects.bulk_create(
        RecoveryCode(credential=row, code_hash=code_hash, expires_at=expires_at) for code_hash in recovery_code_hashes
    )
    audit.record(account, "credential.issued", now=now, actor=actor, credential=row, body=_facts(row))
    _tell(account, "authenticator.bound", row, now=now)
    return row


def device_key(  # noqa: PLR0913 - the parts of a binding
    account: Account, *, login: Authentication, root: Credential, key: DevicePublicKey, passphrase_hash: str, name: str,
    clients: Sequence[str], protection: str, now: datetime, actor: str,
) -> Credential:
    """Grow a device key from a root; it is pending until its first login with key and passphrase (BI-6, AS-2, DK-2).

    login: the desktop's authentication, by `root`, which must be fresh. passphrase_hash: "" for none, which is refused.
    Raises: Refused with the reason of eligibility, KEY_SEEN_BEFORE, CREDENTIAL_NOT_LIVE.
    """
    _require_active(account)
    if not status.is_live(root, account, now=now):
        raise Refused(Reason.CREDENTIAL_NOT_LIVE)
    if not status.is_root(root):
        raise Refused(Reason.NOT_A_ROOT)
    if reason := refusal(login, now=now):
        raise Refused(reason)
    factors = frozenset({Factor.DEVICE_KEY} | ({Factor.DEVICE_PASSPHRASE} if passphrase_hash else set()))
    level = cap(Kind.DEVICE_KEY, reach(factors), login.aal, status.level(root))
    counted = Credential.objects.filter(
        account=account, kind=Kind.DEVICE_KEY, state__in=LIVING, epoch=account.epoch
    ).count()
    if reason := refusal_of_key(Kind.DEVICE_KEY, level, counted_already=counted):
        raise Refused(reason)
    if Credential.objects.filter(jkt=key.jkt).exists():
        raise Refused(Reason.KEY_SEEN_BEFORE)
    evidence = {
        "factors": sorted(factors), "phishing_resistant": False, "protection": protection,
        "exportable": "unproven", "login_aal": int(login.aal), "login_at": login.at.isoformat(),
    }
    try:
        with transaction.atomic():
            row = _row(
                account, Kind.DEVICE_KEY, level=level, state=State.PENDING, name=name, evidence=evidence, now=now,
                parent=root, jkt=key.jkt,
            )
    except IntegrityError:  # another account binds the same key at this very moment: its lock is not ours
        raise Refused(Reason.KEY_SEEN_BEFORE) from None
    DeviceKey.objects.create(credential=row, jwk=key.jwk, passphrase_hash=passphrase_hash, clients=list(clients))
    Request.objects.create(
        account=account, requested_by=actor, kind=Kind.DEVICE_KEY, device_name=name, purpose="sign in on another device",
        login_aal=login.aal, created_at=now, decided_at=now, decision="issued", credential=row,
    )
    audit.record(
        account, "credential.issued", now=now, actor=actor, credential=row, body=_facts(row), personal={"name": name}
    )
    _tell(account, "device.bound", row, now=now)
    return row


def token_family(  # noqa: PLR0913 - the parts of a grant
    account: Account, *, used: Credential, login: Authentication, client_id: str, lifetime: timedelta, now: datetime,
    actor: str,
) -> Credential:
    """Record a family of tokens: what one login at one relying party may live on. Never above what logged in (C3).

    Raises: Refused(ACCOUNT_NOT_ACTIVE), Refused(CREDENTIAL_NOT_LIVE).
    """
    _require_active(account)
    if not status.is_live(used, account, now=now):
        raise Refused(Reason.CREDENTIAL_NOT_LIVE)
    level = cap(Kind.TOKEN_FAMILY, login.aal, status.level(used))
    row = _row(
        account, Kind.TOKEN_FAMILY, level=level, state=State.ACTIVE, name=client_id[:80], now=now, parent=used,
        evidence={"factors": sorted(login.factors), "auth_time": int(login.at.timestamp())}, lifetime=lifetime,
    )
    audit.record(
        account, "tokens.granted", now=now, actor=actor, credential=row, body={"client_id": client_id, "aal": int(level)}
    )
    return row


def activate(credential: Credential, *, account: Account, now: datetime, actor: str) -> None:
    """The first login with a pending credential makes it active (PK-4), and the person is told.

    Raises: Refused(ILLEGAL_MOVE) unless it is pending; Refused(ACCOUNT_NOT_ACTIVE), Refused(CREDENTIAL_NOT_LIVE).
    """
    _require_active(account)
    if credential.epoch != account.epoch or (credential.expires_at and credential.expires_at <= now):
        raise Refused(Reason.CREDENTIAL_NOT_LIVE)
    if not may_move(State(credential.state), State.ACTIVE) or credential.state != State.PENDING:
        raise Refused(Reason.ILLEGAL_MOVE)
    credential.state, credential.activated_at = State.ACTIVE, now
    credential.save(update_fields=["state", "activated_at"])
    audit.record(account, "credential.activated", now=now, actor=actor, credential=credential)
    _tell(account, "device.active", credential, now=now)


def _facts(row: Credential) -> dict[str, object]:
    return {
        "credential_kind": row.kind, "aal": row.aal, "ial": row.ial, "root": str(row.root_id or ""),
        "jkt": row.jkt or "", "evidence": row.evidence,
    }


def _tell(account: Account, kind: str, row: Credential, *, now: datetime) -> None:
    outbox.enqueue(
        kind=kind, receiver=f"mail:{account.id}", account=account, payload={"credential": str(row.id)}, now=now
    )
