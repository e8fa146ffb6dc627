"""The record of an identity check in person: officer, comparison, and the credential issued on it (X-9, RQ-3, RQ-6).

A certificate at AAL3 takes one. An officer who is another person writes it; it serves one certificate, and expires
after 90 days. The sample is kept as captured, sealed under the operator's key. The caller holds the account's lock.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from derived.errors import Reason, Refused
from derived.ledger import audit
from derived.models import IdentityCheck, IdentityCheckConfirmation

if TYPE_CHECKING:
    from datetime import datetime

    from derived.models import Account, Credential, IssuedCertificate
    from derived.wrapping import Wrapper

VALID_FOR = timedelta(days=90)  # RQ-6
LARGEST_SAMPLE = 512 * 1024
LEAST_SAMPLE = 1024
# JPEG, PNG, JPEG 2000, WSQ (fingerprints), and the ISO/IEC 19794 records of faces, fingers and irises
_FORMATS = (
    b"\xff\xd8\xff",
    b"\x89PNG\r\n",
    b"\x00\x00\x00\x0cjP  ",
    b"\xff\xa0\xff",
    b"FAC\x00",
    b"FIR\x00",
    b"FMR\x00",
    b"IIR\x00",
)
PURPOSE = "identity-check"
_LEAST_WORDS, _MOST_WORDS = 2, 120


class Presence(StrEnum):
    """How the person was present before the officer."""

    IN_PERSON = "in_person"
    SUPERVISED_REMOTE = "supervised_remote"


class Biometric(StrEnum):
    """The biometric that was compared, one to one."""

    FACE = "face"
    FINGERPRINT = "fingerprint"
    IRIS = "iris"


@dataclass(frozen=True, kw_only=True)
class CheckStatement:
    """An officer's statement of an identity check.

    officer: as the audit chain names them, `manager:…` or the name of an officer without an account. place: where.
    against: the reference of the comparison, for example the biometric on the person's card.
    """

    how: Presence
    officer: str
    place: str
    compared: Biometric
    against: str
    sample: bytes = field(repr=False)


def record(account: Account, check: CheckStatement, wrapper: Wrapper, *, now: datetime, actor: str) -> IdentityCheck:
    """Write an identity check, which is never changed afterwards, and serves once a second person has confirmed it.

    Raises: Refused(ACCOUNT_NOT_ACTIVE); Refused(BAD_PROOF) if a part is missing, too small, too large, or no sample.
    """
    words = [check.officer, check.place, check.against]
    if not account.is_active:
        raise Refused(Reason.ACCOUNT_NOT_ACTIVE)
    if (
        not all(_LEAST_WORDS <= len(one.strip()) <= _MOST_WORDS and one.isprintable() for one in words)
        or not LEAST_SAMPLE <= len(check.sample) <= LARGEST_SAMPLE
        or not check.sample.startswith(_FORMATS)
    ):
        raise Refused(Reason.BAD_PROOF)
    own, digest = uuid.uuid4(), hashlib.sha256(check.sample).hexdigest()
    row = IdentityCheck.objects.create(
        id=own,
        account=account,
        epoch=account.epoch,
        how=check.how,
        officer=check.officer.strip(),
        place=check.place.strip(),
        compared=check.compared,
        against=check.against.strip(),
        at=now,
        digest=digest,
        sample=wrapper.wrap(check.sample, purpose=PURPOSE, owner=str(own)),
    )
    body = {"check": str(own), "how": check.how.value, "compared": check.compared.value, "digest": digest}
    personal = {"officer": row.officer, "place": row.place, "against": row.against}
    audit.record(account, "identity.checked", now=now, actor=actor, body=body, personal=personal)
    return row


def confirm(account: Account, check_id: uuid.UUID, *, by: str, now: datetime, actor: str) -> IdentityCheck:
    """Confirm an identity check as a second person; `by` is compared with the officer without case.

    Raises: Refused(ILLEGAL_MOVE) for the officer, for a check that is confirmed, used, too old, or of another account.
    """
    rows = account.identity_checks.filter(id=check_id, credential=None, epoch=account.epoch, at__gt=now - VALID_FOR)
    row = rows.filter(confirmation__isnull=True).defer("sample").first()
    if row is None or not by.strip() or row.officer.casefold() == by.strip().casefold():
        raise Refused(Reason.ILLEGAL_MOVE)
    IdentityCheckConfirmation.objects.create(check_made=row, by=by.strip()[:_MOST_WORDS], at=now)
    body, personal = {"check": str(row.id)}, {"by": by.strip()[:_MOST_WORDS]}
    audit.record(account, "identity.check_confirmed", now=now, actor=actor, body=body, personal=personal)
    return row


def unused(account: Account, *, now: datetime) -> IdentityCheck | None:
    """The newest identity check that is confirmed, unused and not expired."""
    rows = account.identity_checks.filter(credential=None, epoch=account.epoch, at__gt=now - VALID_FOR, at__lte=now)
    rows = rows.filter(confirmation__isnull=False)
    return rows.defer("sample").order_by("-at").first()


def consume(account: Account, credential: Credential, *, now: datetime) -> IdentityCheck:
    """Consume the waiting identity check for this credential.

    Raises: Refused(IDENTITY_CHECK_NEEDED).
    """
    found = unused(account, now=now)
    if found is None or not IdentityCheck.objects.filter(id=found.id, credential=None).update(credential=credential):
        raise Refused(Reason.IDENTITY_CHECK_NEEDED)
    body = {"check": str(found.id), "digest": found.digest}
    audit.record(account, "identity.check_used", now=now, actor="system", credential=credential, body=body)
    return found


def first_of(row: IssuedCertificate) -> IssuedCertificate:
    """The first certificate of the same key; its successors show another name (MT-4)."""
    while row.replaces is not None and bytes(row.replaces.spki) == bytes(row.spki):
        row = row.replaces
    return row


def check_of(row: IssuedCertificate) -> IdentityCheck | None:
    """The identity check of a certificate: that of the first certificate of its key."""
    return IdentityCheck.objects.defer("sample").filter(credential=first_of(row).credential_id).first()


def fields_of(row: IdentityCheck) -> dict[str, object]:
    """The fields of an identity check for authorised readers, without the sample."""
    return {
        "id": row.id,
        "how": row.how,
        "officer": row.officer,
        "place": row.place,
        "compared": row.compared,
        "against": row.against,
        "at": row.at,
        "confirmed_by": _confirmed_by(row),
        "sample_sha256": row.digest,
        "credential": row.credential_id,
    }


def _confirmed_by(row: IdentityCheck) -> str:
    found = IdentityCheckConfirmation.objects.filter(check_made=row).first()
    return found.by if found else ""
