"""Certificates of Ramet's own authority: checked in the ledger, without path or CRL (TK-1, trap 29).

A certificate is Ramet's if its bytes are those of a released one; its status is in the ledger.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from derived.authority.keeping import certificate_of, is_revoked_by_root
from derived.changes import renew
from derived.changes.issue import VerifiedCertificate
from derived.errors import Reason, Refused
from derived.ledger import status
from derived.models import Authority, IssuedCertificate

if TYPE_CHECKING:
    from datetime import datetime


def exists() -> bool:
    """True if there is an installed authority."""
    return Authority.objects.exclude(certificate=None).exists()


def issued_row(der: bytes) -> IssuedCertificate | None:
    """The row of these bytes, if they were released, in any status."""
    rows = IssuedCertificate.objects.select_related(
        "credential__account", "credential__root", "credential__parent", "authority"
    )
    row = rows.filter(fingerprint=hashlib.sha256(der).hexdigest(), released_at__isnull=False).first()
    return row if row is not None and bytes(row.der or b"") == der else None


def held_for_name(der: bytes, *, now: datetime) -> IssuedCertificate | None:
    """A certificate that is on hold only for its name, and may be used to correct it (MT-4).

    Raises: Refused(CERTIFICATE_UNTRUSTED), Refused(CERTIFICATE_EXPIRED).
    """
    row = issued_row(der)
    if row is None or not renew.is_on_hold_for_name(row.credential, row.credential.account, now=now):
        return None
    _require_signed(row)
    if now >= row.not_after:
        raise Refused(Reason.CERTIFICATE_EXPIRED)
    return row


def _require_signed(row: IssuedCertificate) -> None:
    """Raises: Refused(CERTIFICATE_UNTRUSTED)."""
    try:
        x509.load_der_x509_certificate(bytes(row.der or b"")).verify_directly_issued_by(certificate_of(row.authority))
    except (InvalidSignature, ValueError, TypeError):
        raise Refused(Reason.CERTIFICATE_UNTRUSTED) from None
    if is_revoked_by_root(row.authority):
        raise Refused(Reason.CERTIFICATE_UNTRUSTED)


def require_good(row: IssuedCertificate, *, now: datetime) -> None:
    """Require a certificate of Ramet's own that is valid now.

    Raises: Refused(CERTIFICATE_EXPIRED), Refused(CERTIFICATE_NOT_YET_VALID), Refused(CERTIFICATE_REVOKED),
    Refused(CERTIFICATE_UNTRUSTED).
    """
    _require_signed(row)
    if now < row.not_before:
        raise Refused(Reason.CERTIFICATE_NOT_YET_VALID)
    if now >= row.not_after:
        raise Refused(Reason.CERTIFICATE_EXPIRED)
    if not status.is_live(row.credential, row.credential.account, now=now):
        raise Refused(Reason.CERTIFICATE_REVOKED)


def valid_own_certificate(der: bytes, *, now: datetime) -> IssuedCertificate:
    """A valid certificate of Ramet's own authority.

    Raises: Refused(CERTIFICATE_UNTRUSTED) for any other; as `require_good`.
    """
    row = issued_row(der)
    if row is None:
        raise Refused(Reason.CERTIFICATE_UNTRUSTED)
    require_good(row, now=now)
    return row


def facts_of(row: IssuedCertificate) -> VerifiedCertificate:
    """The facts of one, in the form in which those of others come."""
    certificate = x509.load_der_x509_certificate(bytes(row.der or b""))
    return VerifiedCertificate(
        issuer=certificate.issuer.rfc4514_string(),
        issuer_key=row.authority_id,
        serial=row.serial,
        ski="",
        fasc_n="",
        card_uuid="",
        fingerprint=str(row.fingerprint),
        der=bytes(row.der or b""),
        not_after=row.not_after,
        subject=certificate.subject.rfc4514_string(),
        policies=tuple(row.policies),
        derived=True,
        hardware=False,
        ours=True,
    )
