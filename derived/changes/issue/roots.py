"""Bind roots: authenticators of the person, by an invitation, a login, a manager, or after recovery.

The level of a root is its own proof, capped by the authority of its binding (`BoundBy.ceiling`, ruling 5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction

from derived.errors import Reason, Refused
from derived.ledger import audit, bound_keys, exclusive_holders, status
from derived.ledger.rows import Draft, create_row, event_body, notify, require_active
from derived.ledger.single_use import claim_once
from derived.models import (
    Account,
    CardCertificate,
    Credential,
    Passkey,
    PasswordAndTotp,
    RecoveryCode,
    UpstreamIdentity,
    VouchedRecovery,
)
from derived.rules.assurance import AAL, Factor, VerifiedFactors
from derived.rules.capping import cap
from derived.rules.eligibility import BoundVia, refusal_to_add
from derived.rules.kinds import Kind, policy_of
from derived.rules.lifecycle import LIVING, State

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from derived.minting.passkey import RegisteredPasskey
    from derived.rules.eligibility import BoundBy

RECOVERY_CODES_LIVE_YEARS = 10


@dataclass(frozen=True, kw_only=True)
class VerifiedCertificate:
    """The facts of a verified certificate and its card; the fields are those of `CardCertificate`.

    derived: it carries a derived-PIV policy: it may sign in, and is never a parent (AU-3, EL-2). hardware: its policy
    asserts a hardware key. policies: the accepted OIDs, after mapping. ours: issued by Ramet: derived from a root here,
    and its key alone is one factor (ruling 1).
    """

    issuer: str
    issuer_key: str
    serial: str
    ski: str
    fasc_n: str
    card_uuid: str
    fingerprint: str
    der: bytes
    not_after: datetime
    subject: str
    policies: tuple[str, ...]
    derived: bool = False
    hardware: bool = True
    ours: bool = False

    @property
    def kind(self) -> Kind:
        """The kind of credential of this certificate."""
        if self.ours:
            return Kind.CERTIFICATE
        return Kind.DERIVED_CERTIFICATE if self.derived else Kind.PIV_CARD

    @property
    def shown(self) -> VerifiedFactors:
        """The factors of a login with it; a card's key answers only after the PIN."""
        if self.ours:
            return VerifiedFactors(factors=frozenset({Factor.CERTIFICATE}))
        factors = {Factor.CERTIFICATE, Factor.USER_VERIFICATION} if self.derived else {Factor.PIV_CARD, Factor.PIV_PIN}
        return VerifiedFactors(factors=frozenset(factors), hardware=self.hardware)

    @property
    def holds(self) -> tuple[str, ...]:
        """The keys for exclusive holding: this certificate, its public key under that issuer, and the card."""
        names = [
            exclusive_holders.item_key("certificate", self.issuer_key, self.serial),
            exclusive_holders.item_key("certificate-key", self.issuer_key, self.ski),
        ]
        if self.fasc_n or self.card_uuid:
            names.append(exclusive_holders.item_key("card", self.issuer_key, self.fasc_n, self.card_uuid))
        return tuple(names)


def _require_admitted(account: Account, kind: Kind, bound_by: BoundBy, *, reaches: AAL, now: datetime) -> None:
    """Refuse a new root that may not be bound.

    Raises: Refused(ACCOUNT_NOT_ACTIVE), Refused(ALREADY_ENROLLED), Refused with the reason of eligibility.
    """
    require_active(account)
    if bound_by.how == BoundVia.INVITATION and status.was_ever_enrolled(account):
        raise Refused(Reason.ALREADY_ENROLLED)
    if bound_by.how == BoundVia.VOUCHED and not _uses_a_recovery(account, now=now):
        raise Refused(Reason.ALREADY_ENROLLED)
    if bound_by.how == BoundVia.LOGIN:
        if bound_by.login is None:
            raise Refused(Reason.LOGIN_ENDED)
        strongest = status.highest_root_level(account, now=now)
        if reason := refusal_to_add(
            bound_by.login, reaches=min(reaches, policy_of(kind).ceiling), strongest=strongest, now=now
        ):
            raise Refused(reason)
    if cap(kind, reaches, bound_by.ceiling(kind)) < policy_of(kind).floor:
        raise Refused(Reason.KEY_TOO_WEAK)


def _uses_a_recovery(account: Account, *, now: datetime) -> bool:
    """Use up the permission that a vouched recovery gave; False if there is none."""
    row = status.open_recovery(account, now=now)
    return row is not None and claim_once(VouchedRecovery.objects.filter(id=row.id), now=now)


def _draft(  # noqa: PLR0913 - the parts of a root
    kind: Kind,
    bound_by: BoundBy,
    *,
    reaches: AAL,
    name: str,
    evidence: dict[str, object],
    now: datetime,
    credential_id: UUID | None = None,
) -> Draft:
    return Draft(
        kind=kind,
        reaches=reaches,
        limits=(bound_by.ceiling(kind),),
        state=State.ACTIVE,
        name=name,
        evidence=evidence,
        now=now,
        credential_id=credential_id,
    )


def _recorded(account: Account, row: Credential, bound_by: BoundBy, *, now: datetime, actor: str) -> Credential:
    audit.record(
        account,
        "credential.issued",
        now=now,
        actor=actor,
        credential=row,
        body={**event_body(row), "bound_by": bound_by.how.value},
        personal={"name": row.name},
    )
    notify(account, "authenticator.bound", row, now=now)
    return row


def _evidence(shown: VerifiedFactors, bound_by: BoundBy, **more: object) -> dict[str, object]:
    found: dict[str, object] = {
        "factors": sorted(shown.factors),
        "phishing_resistant": shown.phishing_resistant,
        "hardware": shown.hardware_protected,
        "bound_by": bound_by.how.value,
        **more,
    }
    if bound_by.login is not None:
        found |= {
            "login_aal": int(bound_by.login.aal),
            "login_at": bound_by.login.at.isoformat(),
            "login_by": bound_by.login.by,
        }
    return found


def password_totp(  # noqa: PLR0913 - the facts proved in the enrolment
    account: Account,
    *,
    credential_id: UUID,
    password_hash: str,
    totp_seed: bytes,
    totp_step: int,
    recovery_code_hashes: Sequence[str],
    bound_by: BoundBy,
    now: datetime,
    actor: str,
) -> Credential:
    """Bind a password and a TOTP seed that were just proved.

    totp_seed: wrapped, owned by credential_id. totp_step: the time step of the proving code, now spent (AU-5).
    Raises: Refused(ACCOUNT_NOT_ACTIVE), Refused(ALREADY_ENROLLED), Refused with the reason of eligibility.
    """
    shown = VerifiedFactors(factors=frozenset({Factor.PASSWORD, Factor.TOTP}))
    _require_admitted(account, Kind.PASSWORD_TOTP, bound_by, reaches=shown.reach, now=now)
    if (
        bound_by.how != BoundVia.RECOVERY
        and account.credentials.filter(kind=Kind.PASSWORD_TOTP, epoch=account.epoch, state__in=LIVING).exists()
    ):
        raise Refused(Reason.ALREADY_ENROLLED)  # one password per person: to be replaced, never added
    row = create_row(
        account,
        _draft(
            Kind.PASSWORD_TOTP,
            bound_by,
            reaches=shown.reach,
            name=policy_of(Kind.PASSWORD_TOTP).label,
            evidence=_evidence(shown, bound_by, protection="software", exportable=True),
            now=now,
            credential_id=credential_id,
        ),
    )
    PasswordAndTotp.objects.create(
        credential=row, password_hash=password_hash, totp_seed=totp_seed, totp_last_step=totp_step
    )
    save_recovery_codes(row, recovery_code_hashes, now=now)
    return _recorded(account, row, bound_by, now=now, actor=actor)


def save_recovery_codes(row: Credential, code_hashes: Sequence[str], *, now: datetime) -> None:
    """Store the hashes of new recovery codes of a pair."""
    expires_at = now.replace(year=now.year + RECOVERY_CODES_LIVE_YEARS, day=min(now.day, 28))
    RecoveryCode.objects.bulk_create(
        RecoveryCode(credential=row, code_hash=code_hash, expires_at=expires_at) for code_hash in code_hashes
    )


def certificate(  # noqa: PLR0913 - the parts of a binding
    account: Account, verified: VerifiedCertificate, *, bound_by: BoundBy, name: str, now: datetime, actor: str
) -> Credential:
    """Bind a card, or another issuer's derived PIV certificate, after its TLS handshake and validation (C24).

    Raises: Refused(HELD_BY_ANOTHER), Refused(ALREADY_ENROLLED) for a card that is bound to this account already; as
    `password_totp`.
    """
    if verified.ours:
        raise Refused(Reason.NOT_A_ROOT)
    _require_admitted(account, verified.kind, bound_by, reaches=verified.shown.reach, now=now)
    exclusive_holders.require_free(verified.holds, account)
    if CardCertificate.objects.filter(
        fingerprint=verified.fingerprint,
        credential__account=account,
        credential__epoch=account.epoch,
        credential__state__in=LIVING,
    ).exists():
        raise Refused(Reason.ALREADY_ENROLLED)
    evidence = _evidence(
        verified.shown,
        bound_by,
        protection="hardware" if verified.hardware else "unproven",
        exportable=False if verified.hardware else "unproven",
        policies=list(verified.policies),
        issuer=verified.issuer,
    )
    name = name[:80] or policy_of(verified.kind).label
    draft = _draft(verified.kind, bound_by, reaches=verified.shown.reach, name=name, evidence=evidence, now=now)
    row = create_row(account, draft)
    record_certificate(row, verified, now=now)
    exclusive_holders.assign(verified.holds, account, row)
    return _recorded(account, row, bound_by, now=now, actor=actor)


def record_certificate(row: Credential, verified: VerifiedCertificate, *, now: datetime) -> None:
    """Add a certificate to a card's history, and mark the one before as superseded."""
    CardCertificate.objects.filter(credential=row, superseded_at__isnull=True).update(superseded_at=now)
    CardCertificate.objects.update_or_create(
        credential=row,
        fingerprint=verified.fingerprint,
        defaults={
            "issuer": verified.issuer[:1000],
            "issuer_key": verified.issuer_key,
            "serial": verified.serial,
            "ski": verified.ski,
            "fasc_n": verified.fasc_n,
            "card_uuid": verified.card_uuid,
            "der": verified.der,
            "not_after": verified.not_after,
            "seen_at": now,
            "superseded_at": None,
        },
    )


def passkey(  # noqa: PLR0913 - the parts of a binding
    account: Account, verified: RegisteredPasskey, *, bound_by: BoundBy, name: str, now: datetime, actor: str
) -> Credential:
    """Bind a passkey or a security key as a root (PK-1, PK-2, C60).

    Raises: Refused(KEY_SEEN_BEFORE); as `password_totp`.
    """
    _require_admitted(account, Kind.PASSKEY, bound_by, reaches=verified.reaches, now=now)
    if Passkey.objects.filter(raw_id_hash=verified.raw_id_hash).exists():
        raise Refused(Reason.KEY_SEEN_BEFORE)
    bound_keys.require_free(verified.proven_names, verified.unproven_names)
    factors = {Factor.PASSKEY} | ({Factor.USER_VERIFICATION} if verified.user_verified else set())
    shown = VerifiedFactors(factors=frozenset(factors), hardware=verified.reaches == AAL.AAL3)
    evidence = _evidence(
        shown,
        bound_by,
        protection="hardware" if shown.hardware else "unproven",
        attestation=verified.attestation,
        exportable=False if shown.hardware else (True if verified.backup_eligible else "unproven"),
        aaguid=verified.aaguid,
        model=verified.model,
        listed_as=verified.listed_as,
    )
    try:
        with transaction.atomic():
            draft = _draft(Kind.PASSKEY, bound_by, reaches=verified.reaches, name=name[:80], evidence=evidence, now=now)
            row = create_row(account, draft)
            bound_keys.bind(row, verified.proven_names, verified.unproven_names)
            Passkey.objects.create(
                credential=row,
                raw_id=verified.raw_id,
                raw_id_hash=verified.raw_id_hash,
                public_key=verified.public_key,
                sign_count=verified.sign_count,
                backup_eligible=verified.backup_eligible,
                backed_up=verified.backed_up,
                user_verified=verified.user_verified,
                discoverable=verified.discoverable,
                aaguid=verified.aaguid,
                attestation=verified.attestation,
                attested=verified.attested,
                hardware=shown.hardware,
                model=verified.model[:200],
                transports=list(verified.transports),
            )
    except IntegrityError:  # another account registers the same key concurrently
        raise Refused(Reason.KEY_SEEN_BEFORE) from None
    return _recorded(account, row, bound_by, now=now, actor=actor)


def upstream(  # noqa: PLR0913 - the parts of a link
    account: Account,
    *,
    issuer: str,
    subject: str,
    shown: VerifiedFactors,
    reaches: AAL,
    bound_by: BoundBy,
    name: str,
    now: datetime,
    actor: str,
) -> Credential:
    """Link an identity at another provider, proven by a login there that this browser began (P32, P33).

    reaches: the highest level that this upstream is trusted for.
    Raises: Refused(HELD_BY_ANOTHER), Refused(ALREADY_ENROLLED), Refused(UPSTREAM_SAYS_NOTHING); as `password_totp`.
    """
    if shown.asserted is None or shown.reach == AAL.NONE:
        raise Refused(Reason.UPSTREAM_SAYS_NOTHING)
    _require_admitted(account, Kind.UPSTREAM, bound_by, reaches=reaches, now=now)
    holds = [exclusive_holders.item_key("upstream", issuer, subject)]
    exclusive_holders.require_free(holds, account)
    if UpstreamIdentity.objects.filter(
        issuer=issuer,
        subject=subject,
        credential__account=account,
        credential__epoch=account.epoch,
        credential__state__in=LIVING,
    ).exists():
        raise Refused(Reason.ALREADY_ENROLLED)
    evidence = _evidence(
        shown, bound_by, protection="upstream", exportable="unproven", issuer=issuer, ial=int(shown.asserted.ial)
    )
    draft = _draft(Kind.UPSTREAM, bound_by, reaches=reaches, name=name[:80], evidence=evidence, now=now)
    row = create_row(account, draft)
    UpstreamIdentity.objects.create(credential=row, issuer=issuer, subject=subject)
    exclusive_holders.assign(holds, account, row)
    return _recorded(account, row, bound_by, now=now, actor=actor)
