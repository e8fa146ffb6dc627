"""Replace a credential by a new one (a root after recovery, a card, a password, a certificate), never a stronger one.

Credentials derived from an old root continue (trap 1); the old root ends in the same transaction. A renewed certificate
stays valid until its successor is used, or for a week. The caller holds the account's lock.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db.models import F
from django.db.models.functions import Least

from derived.changes import issue, review_after_loss, revoke
from derived.errors import Reason, Refused
from derived.ledger import audit, outbox, status
from derived.models import Credential, IssuedCertificate, PasswordAndTotp
from derived.rules.assurance import AAL
from derived.rules.eligibility import BoundBy, BoundVia, refusal_to_change
from derived.rules.lifecycle import LIVING, State

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from derived.changes.issue import IssuanceRequest, VerifiedCertificate
    from derived.minting.proven import VerifiedProof
    from derived.models import Account
    from derived.rules.assurance import Authentication

LONGEST_RENEWAL_LINE = timedelta(days=12 * 365)  # MT-9: then the person is verified again
OVERLAP = timedelta(days=7)


def password_totp(  # noqa: PLR0913 - the facts proved in the recovery
    account: Account,
    old: Credential,
    *,
    credential_id: UUID,
    totp_seed: bytes,
    totp_step: int,
    recovery_code_hashes: Sequence[str],
    now: datetime,
    actor: str,
    password_hash: str = "",
) -> Credential:
    """Replace a password and TOTP root after a recovery (RC-1): a new TOTP seed or a new password, and new codes.

    The new root is a row of its own, and bindings of the last seven days are put up for review (IV-5).
    totp_seed: wrapped, owned by credential_id. password_hash: "" for the same password.
    Raises: Refused(CREDENTIAL_NOT_LIVE) if the old one has ended meanwhile; Refused(ACCOUNT_NOT_ACTIVE);
    Refused(RECOVERY_IN_PERSON).
    """
    if not status.is_live(old, account, now=now) or not status.is_root(old):
        raise Refused(Reason.CREDENTIAL_NOT_LIVE)
    if not status.may_recover(account):
        raise Refused(Reason.RECOVERY_IN_PERSON)
    password_hash = password_hash or old.password_totp.password_hash
    bound_by = BoundBy(how=BoundVia.RECOVERY, replaces=status.level(old))
    revoke.credential(old, account=account, because=Reason.REPLACED, now=now, actor=actor)
    review_after_loss.mark(account, old, because=Reason.REPLACED, now=now, actor=actor)
    return issue.password_totp(
        account,
        credential_id=credential_id,
        password_hash=password_hash,
        totp_seed=totp_seed,
        totp_step=totp_step,
        recovery_code_hashes=recovery_code_hashes,
        bound_by=bound_by,
        now=now,
        actor=actor,
    )


def app(  # noqa: PLR0913 - the facts proved in the login
    account: Account,
    old: Credential,
    *,
    credential_id: UUID,
    totp_seed: bytes,
    totp_step: int,
    recovery_code_hashes: Sequence[str],
    login: Authentication,
    now: datetime,
    actor: str,
) -> Credential:
    """Replace the authenticator app under the same password, by a login as strong as the old pair.

    The new root is a row of its own, so this also re-enables a pair that wrong tries have disabled (TH-1).
    Raises: Refused(CREDENTIAL_NOT_LIVE), Refused with the reason of eligibility.
    """
    if not status.is_live(old, account, now=now) or not status.is_root(old):
        raise Refused(Reason.CREDENTIAL_NOT_LIVE)
    if reason := refusal_to_change(login, affected=status.level(old), now=now):
        raise Refused(reason)
    password_hash = old.password_totp.password_hash
    revoke.credential(old, account=account, because=Reason.REPLACED, now=now, actor=actor)
    return issue.password_totp(
        account,
        credential_id=credential_id,
        password_hash=password_hash,
        totp_seed=totp_seed,
        totp_step=totp_step,
        recovery_code_hashes=recovery_code_hashes,
        bound_by=BoundBy(how=BoundVia.LOGIN, login=login),
        now=now,
        actor=actor,
    )


def password(  # noqa: PLR0913 - the credential, its new hash, the login, the time and the actor
    account: Account, row: Credential, password_hash: str, *, login: Authentication, now: datetime, actor: str
) -> None:
    """Replace the password beside the same TOTP seed, notify every address, and reset the failure count (TH-1).

    Raises: Refused(CREDENTIAL_NOT_LIVE), Refused with the reason of eligibility.
    """
    if not status.is_live(row, account, now=now):
        raise Refused(Reason.CREDENTIAL_NOT_LIVE)
    if reason := refusal_to_change(login, affected=status.level(row), now=now):
        raise Refused(reason)
    PasswordAndTotp.objects.filter(credential=row).update(password_hash=password_hash)
    Credential.objects.filter(id=row.id).update(failures=0)
    audit.record(account, "credential.password_changed", now=now, actor=actor, credential=row)
    outbox.enqueue(
        kind="authenticator.changed",
        receiver=f"mail:{account.id}",
        account=account,
        payload={"credential": str(row.id), "change": "password"},
        now=now,
    )


def card(  # noqa: PLR0913 - the old card, the new card, and the authority
    account: Account,
    old: Credential,
    verified: VerifiedCertificate,
    *,
    bound_by: BoundBy,
    name: str,
    now: datetime,
    actor: str,
) -> Credential:
    """Replace a card by a new card of the same person, which becomes the root of all credentials derived before.

    See ruling 8.
    The levels of derived credentials only fall. bound_by: a login with another live credential at AAL2 or more, or a
    manager.
    Raises: Refused(COMPROMISED) for an old card with a compromised key; otherwise as `issue.certificate`.
    """
    if old.account_id != account.id or old.end_reason == Reason.COMPROMISED or verified.derived:
        raise Refused(Reason.COMPROMISED if old.end_reason == Reason.COMPROMISED else Reason.NOT_A_ROOT)
    if bound_by.how not in {BoundVia.LOGIN, BoundVia.MANAGER}:
        raise Refused(Reason.LOGIN_TOO_WEAK)
    new = issue.certificate(account, verified, bound_by=bound_by, name=name, now=now, actor=actor)
    new.evidence = {**new.evidence, "replaces": str(old.id)}
    new.save(update_fields=["evidence"])
    moved = Credential.objects.filter(account=account, epoch=account.epoch, state__in=LIVING)
    ceiling = AAL(new.aal)
    grown = moved.filter(root=old).update(root=new, aal=Least(F("aal"), int(ceiling)))
    moved.filter(parent=old, root=new).update(parent=new)
    audit.record(
        account,
        "credential.reparented",
        now=now,
        actor=actor,
        credential=new,
        body={"from": str(old.id), "to": str(new.id), "grown": grown, "aal": int(ceiling)},
    )
    revoke.credential(old, account=account, because=Reason.REPLACED, now=now, actor=actor)
    return new


def certificate(
    account: Account, old: Credential, proven: VerifiedProof, asked: IssuanceRequest, *, now: datetime
) -> Credential:
    """Renew a certificate with a new key and a new serial number, on a request by the old one (MT-2, MT-5).

    Raises: Refused(CREDENTIAL_NOT_LIVE) if the old one has ended, expired, is suspended, or was renewed before (MT-3,
    MT-5); Refused(STEP_UP_NEEDED) if its first login is too long ago (MT-9); Refused(KEY_SEEN_BEFORE) for the same key;
    of eligibility.
    """
    if IssuedCertificate.objects.filter(replaces=old.id, credential__state__in=LIVING).exists():
        raise Refused(Reason.CREDENTIAL_NOT_LIVE)
    if now - datetime.fromisoformat(line_began(old)) >= LONGEST_RENEWAL_LINE:
        raise Refused(Reason.STEP_UP_NEEDED)
    return issue.renew_derived(account, old, proven, asked, now=now)


def reissue(
    account: Account, old: Credential, proven: VerifiedProof, asked: IssuanceRequest, *, now: datetime
) -> Credential:
    """Issue a certificate again under the person's present name: same key, same end, another serial number (MT-4).

    The old certificate is on hold since the name changed; it ends when the new one is released. Never stronger.
    Raises: Refused(CREDENTIAL_NOT_LIVE) if no certificate waits for that, it is in progress, the key differs, or its
    root has ended.
    """
    held = (
        IssuedCertificate.objects.select_related("replaces", "credential__root", "credential__parent")
        .filter(credential=old.id)
        .first()
    )
    if held is None or not is_on_hold_for_name(held.credential, account, now=now) or proven.not_after != held.not_after:
        raise Refused(Reason.CREDENTIAL_NOT_LIVE)
    if (
        bytes(proven.verifier["spki"]) != bytes(held.spki)
        or IssuedCertificate.objects.filter(replaces=held, credential__state__in=LIVING).exists()
    ):
        raise Refused(Reason.CREDENTIAL_NOT_LIVE)
    return issue.reissue(account, held, proven, asked, now=now)


def is_on_hold_for_name(row: Credential, account: Account, *, now: datetime) -> bool:
    """True if a certificate is on hold only because its holder's name has changed."""
    unexpired = row.expires_at is None or row.expires_at > now
    mine = row.account_id == account.id and row.epoch == account.epoch and account.is_active
    return mine and unexpired and row.state == State.SUSPENDED and row.end_reason == Reason.NAME_CHANGED


def end_corrected(account: Account, row: Credential, *, now: datetime, actor: str) -> None:
    """End the certificate whose name the released one corrects."""
    issued = IssuedCertificate.objects.select_related("replaces__credential").get(credential=row)
    if issued.replaces is not None and is_on_hold_for_name(issued.replaces.credential, account, now=now):
        revoke.credential(
            issued.replaces.credential, account=account, because=Reason.NAME_CHANGED, now=now, actor=actor
        )


def line_began(row: Credential) -> str:
    """The time of the last login with a root in a line of renewed certificates."""
    return str(row.evidence.get("line_began") or row.evidence["login_at"])


def end_renewed(account: Account, row: Credential, *, now: datetime, actor: str) -> None:
    """End the certificate that a newly used certificate renews (MT-5)."""
    issued = IssuedCertificate.objects.select_related("replaces__credential").filter(credential=row).first()
    if issued is not None and issued.replaces is not None:
        revoke.credential(issued.replaces.credential, account=account, because=Reason.REPLACED, now=now, actor=actor)
