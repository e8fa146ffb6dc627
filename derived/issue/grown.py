"""What grows from a root, and the families of tokens (AS-2, DK-2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction

from derived import audit, status
from derived.assurance import Factor, Shown
from derived.capping import cap
from derived.eligibility import refusal, refusal_of_key
from derived.errors import Reason, Refused
from derived.issue.ledger import facts, require_active, row_of, tell
from derived.kinds import Kind
from derived.lifecycle import LIVING, State, may_move
from derived.models import Account, Credential, DeviceKey, Request

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from derived.assurance import Authentication
    from derived.minting.device_key import DevicePublicKey


def device_key(  # noqa: PLR0913 - the parts of a binding
    account: Account, *, login: Authentication, root: Credential, key: DevicePublicKey, passphrase_hash: str, name: str,
    clients: Sequence[str], protection: str, now: datetime, actor: str,
) -> Credential:
    """Grow a device key from a root; it is pending until its first login with key and passphrase (BI-6, AS-2, DK-2).

    login: the desktop's authentication, by `root`, which must be fresh. passphrase_hash: "" for none, which is refused.
    Raises: Refused with the reason of eligibility, KEY_SEEN_BEFORE, CREDENTIAL_NOT_LIVE.
    """
    require_active(account)
    if not status.is_live(root, account, now=now):
        raise Refused(Reason.CREDENTIAL_NOT_LIVE)
    if not status.is_root(root):
        raise Refused(Reason.NOT_A_ROOT)
    if reason := refusal(login, now=now):
        raise Refused(reason)
    factors = frozenset({Factor.DEVICE_KEY} | ({Factor.DEVICE_PASSPHRASE} if passphrase_hash else set()))
    level = cap(Kind.DEVICE_KEY, Shown(factors=factors).reach, login.aal, status.level(root))
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
            row = row_of(
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
        account, "credential.issued", now=now, actor=actor, credential=row, body=facts(row), personal={"name": name}
    )
    tell(account, "device.bound", row, now=now)
    return row


def token_family(  # noqa: PLR0913 - the parts of a grant
    account: Account, *, used: Credential, login: Authentication, client_id: str, lifetime: timedelta, now: datetime,
    actor: str,
) -> Credential:
    """Record a family of tokens: what one login at one relying party may live on. Never above what logged in (C3).

    Raises: Refused(ACCOUNT_NOT_ACTIVE), Refused(CREDENTIAL_NOT_LIVE).
    """
    require_active(account)
    if not status.is_live(used, account, now=now):
        raise Refused(Reason.CREDENTIAL_NOT_LIVE)
    level = cap(Kind.TOKEN_FAMILY, login.aal, status.level(used))
    row = row_of(
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
    require_active(account)
    if credential.epoch != account.epoch or (credential.expires_at and credential.expires_at <= now):
        raise Refused(Reason.CREDENTIAL_NOT_LIVE)
    if not may_move(State(credential.state), State.ACTIVE) or credential.state != State.PENDING:
        raise Refused(Reason.ILLEGAL_MOVE)
    credential.state, credential.activated_at = State.ACTIVE, now
    credential.save(update_fields=["state", "activated_at"])
    audit.record(account, "credential.activated", now=now, actor=actor, credential=credential)
    tell(account, "device.active", credential, now=now)
