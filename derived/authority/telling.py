"""Status changes for an external authority: revoked, on hold, or good again.

Ramet's own authorities publish status themselves (`lists`). A status is recorded when the authority has confirmed it,
and sent again until then.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from django.db.models import F, Q

from derived.authority import issuing
from derived.authority.issuing import RevocationReason
from derived.errors import Reason, Unavailable
from derived.models import AccountStatus, IssuedCertificate
from derived.rules.lifecycle import ENDED, State
from derived.signers import Backend

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from derived.wrapping import Wrapper

logger = logging.getLogger(__name__)
_AT_ONCE = 500
_WHY: dict[str, RevocationReason] = {
    Reason.COMPROMISED: RevocationReason.COMPROMISED,
    Reason.REPORTED_BY_PERSON: RevocationReason.COMPROMISED,
    Reason.DISOWNED_BY_PERSON: RevocationReason.COMPROMISED,
    Reason.REPLACED: RevocationReason.SUPERSEDED,
    Reason.NAME_CHANGED: RevocationReason.CHANGED,
    Reason.DEACTIVATED_BY_SOURCE: RevocationReason.ENDED,
    Reason.DELETED_BY_SOURCE: RevocationReason.ENDED,
    Reason.NEVER_RELEASED: RevocationReason.SUPERSEDED,
}


def due() -> QuerySet[IssuedCertificate]:
    """Certificates of external authorities whose status differs from the last one sent."""
    rows = IssuedCertificate.objects.filter(authority__signer=Backend.OUTSIDE)
    over = (
        Q(credential__state__in=ENDED)
        | ~Q(credential__account__epoch=F("credential__epoch"))
        | Q(credential__account__status=AccountStatus.TERMINATED)
    )
    held = Q(credential__state=State.SUSPENDED) | Q(credential__account__status=AccountStatus.SUSPENDED)
    wanting = (over & ~Q(told="revoked")) | (~over & held & Q(told="")) | (~over & ~held & Q(told="hold"))
    return (
        rows.filter(wanting)
        .exclude(credential__state="expired")
        .select_related("authority", "credential__account")
        .order_by("pk")
    )


def send_due(wrapper: Wrapper) -> int:
    """Send the due status changes; returns their number.

    Raises: Unavailable after all others were sent, if any was not confirmed.
    """
    failed: Unavailable | None = None
    count = 0
    for row in due()[:_AT_ONCE]:
        told, why = _standing(row)
        try:
            issuing.interface_of(row.authority, wrapper).revoke(int(row.serial, 16), why)
        except Unavailable as error:
            logger.warning("authority %s did not confirm the status of certificate %s", row.authority_id, row.serial)
            failed = error
            continue
        IssuedCertificate.objects.filter(pk=row.pk).update(told=told)
        count += 1
    if failed is not None:
        raise failed
    return count


def _standing(row: IssuedCertificate) -> tuple[str, RevocationReason]:
    credential, account = row.credential, row.credential.account
    if credential.state in ENDED or credential.epoch != account.epoch or account.status == AccountStatus.TERMINATED:
        return "revoked", _WHY.get(credential.end_reason, RevocationReason.WITHDRAWN)
    if credential.state == State.SUSPENDED or account.status == AccountStatus.SUSPENDED:
        return "hold", RevocationReason.HOLD
    return "", RevocationReason.GOOD_AGAIN
