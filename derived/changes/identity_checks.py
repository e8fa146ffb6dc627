"""The record of a check in person: who has seen somebody, how they were compared, and what was issued on it (X-9, RQ-3, RQ-6).

A certificate at AAL3 takes one. It is written by an officer who is another person, serves one certificate, and is stale after 90
days. The sample is kept as it was taken, sealed under the operator's key. The caller holds the account's lock.
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
from derived.models import IdentityCheck

if TYPE_CHECKING:
    from datetime import datetime

    from derived.models import Account, Credential, IssuedCertificate
    from derived.wrapping import Wrapper

SERVES = timedelta(days=90)  # RQ-6
MOST_SAMPLE = 512 * 1024
PURPOSE = "identity-check"
_LEAST_WORDS, _MOST_WORDS = 2, 120


class Seen(StrEnum):
    """How the person was before the officer."""

    IN_PERSON = "in_person"
    SUPERVISED_REMOTE = "supervised_remote"


class Compared(StrEnum):
    """Which biometric was compared, one to one."""

    FACE = "face"
    FINGERPRINT = "fingerprint"
    IRIS = "iris"


@dataclass(frozen=True, kw_only=True)
class Check:
    """What an officer says that they did.

    officer: as the record names them, `manager:…` or a name at the desk. place: where. against: what the sample was compared with,
    for example the biometric on the person's card.
    """

    how: Seen
    officer: str
    place: str
    compared: Compared
    against: str
    sample: bytes = field(repr=False)


def record(account: Account, check: Check, wrapper: Wrapper, *, now: datetime, actor: str) -> IdentityCheck:
    """Write it down, for good.

    Raises: Refused(ACCOUNT_NOT_ACTIVE); Refused(BAD_PROOF) where something is missing or too large.
    """
    words = [check.officer, check.place, check.against]
    if not account.is_active:
        raise Refused(Reason.ACCOUNT_NOT_ACTIVE)
    if (
        not all(_LEAST_WORDS <= len(one.strip()) <= _MOST_WORDS and one.isprintable() for one in words)
        or not 0 < len(check.sample) <= MOST_SAMPLE
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


def waiting(account: Account, *, now: datetime) -> IdentityCheck | None:
    """The newest check on which nothing was issued yet, and that is not stale."""
    rows = account.identity_checks.filter(credential=None, epoch=account.epoch, at__gt=now - SERVES, at__lte=now)
    return rows.defer("sample").order_by("-at").first()


def use(account: Account, credential: Credential, *, now: datetime) -> IdentityCheck:
    """What is released now rests on that check; it serves once.

    Raises: Refused(IDENTITY_CHECK_NEEDED).
    """
    found = waiting(account, now=now)
    if found is None or not IdentityCheck.objects.filter(id=found.id, credential=None).update(credential=credential):
        raise Refused(Reason.IDENTITY_CHECK_NEEDED)
    body = {"check": str(found.id), "digest": found.digest}
    audit.record(account, "identity.check_used", now=now, actor="system", credential=credential, body=body)
    return found


def first_of(row: IssuedCertificate) -> IssuedCertificate:
    """The first certificate of the same key: those after it show another name (MT-4)."""
    while row.replaces is not None and bytes(row.replaces.spki) == bytes(row.spki):
        row = row.replaces
    return row


def of(row: IssuedCertificate) -> IdentityCheck | None:
    """The check that a certificate rests on, or the first of those of its key."""
    return IdentityCheck.objects.defer("sample").filter(credential=first_of(row).credential_id).first()


def facts(row: IdentityCheck) -> dict[str, object]:
    """What is shown of it, to those who may see it; the sample is not."""
    return {
        "id": row.id,
        "how": row.how,
        "officer": row.officer,
        "place": row.place,
        "compared": row.compared,
        "against": row.against,
        "at": row.at,
        "sample_sha256": row.digest,
        "credential": row.credential_id,
    }
