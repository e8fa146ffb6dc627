"""Periodic work on certificates: end unreleased ones, end long holds, and check parents again.

Each is an ending or a review by `derived.changes.revoke` or `derived.changes.review_after_loss`, under the account's
lock.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db.models import Q

from derived.authority import lists
from derived.changes import renew, review_after_loss, revoke
from derived.errors import Reason, Refused, Unavailable
from derived.ledger.locking import under_lock
from derived.models import AccountStatus, IssuedCertificate
from derived.rules.kinds import Kind
from derived.rules.lifecycle import LIVING, State
from idp import certificates

if TYPE_CHECKING:
    from datetime import datetime

    from derived.models import Account

NEVER_RELEASED_AFTER = timedelta(minutes=15)
LONGEST_HOLD = timedelta(days=30)  # MT-8
RECHECKED_AFTER, GIVEN_UP_AFTER = timedelta(days=7), timedelta(days=14)
RECHECKED_EVERY = timedelta(days=1)
_AT_ONCE = 50


def review_certificates(*, now: datetime) -> None:
    """Do all of it, a few certificates at a time."""
    rows = IssuedCertificate.objects.select_related("credential__account", "credential__root")
    unfinished = rows.filter(
        released_at__isnull=True, credential__state=State.PENDING, credential__created_at__lt=now - NEVER_RELEASED_AFTER
    )
    renewed = rows.filter(
        credential__state__in=LIVING,
        replaced_by__released_at__lt=now - renew.OVERLAP,
        replaced_by__credential__state__in=LIVING,
    )
    for row in unfinished[:_AT_ONCE]:
        _end(row, Reason.NEVER_RELEASED, now=now)
    for row in renewed[:_AT_ONCE]:
        _end(row, Reason.REPLACED, now=now)
    for row in _long_held(now=now):
        _end(row, Reason.ON_HOLD_TOO_LONG, now=now)
    _recheck(now=now)


def _end(row: IssuedCertificate, because: Reason, *, now: datetime) -> None:
    def work(account: Account) -> None:
        revoke.credential(row.credential, account=account, because=because, now=now, actor="worker")

    under_lock(row.credential.account_id, work)


def _long_held(*, now: datetime) -> list[IssuedCertificate]:
    """Certificates on hold beyond the limit: a list of certificates that come and go is of no use (trap 28)."""
    rows = IssuedCertificate.objects.select_related("credential").filter(
        not_after__gt=now, credential__state__in=LIVING
    )
    alone = rows.filter(credential__state=State.SUSPENDED)
    with_all = rows.filter(credential__account__status=AccountStatus.SUSPENDED)
    due = []
    for row in [
        *alone.order_by("?")[:_AT_ONCE],
        *with_all.order_by("?")[:_AT_ONCE],
    ]:  # at random: certificates that may stay do not block others
        since = lists.held_since(row, now=now)
        if since is not None and now - since > LONGEST_HOLD:
            due.append(row)
    return due


def _recheck(*, now: datetime) -> None:
    """Check the parent card a week after issuance, then daily (X-10, LC-4).

    A fault puts the certificate up for review (trap 2), once: a manager who keeps it has decided.
    """
    due = IssuedCertificate.objects.select_related("credential__account", "credential__root").filter(
        Q(rechecked_at__isnull=True) | Q(rechecked_at__lt=now - RECHECKED_EVERY),
        released_at__lt=now - RECHECKED_AFTER,
        credential__state__in=LIVING,
        credential__root__kind=Kind.PIV_CARD,
    )
    for row in due.order_by("?")[:_AT_ONCE]:  # at random: a card of unknown status is checked again at each round
        word = _fault_of_parent(row, now=now)
        if (
            word == Reason.CERTIFICATE_STATUS_UNKNOWN
            and row.released_at is not None
            and now - row.released_at < GIVEN_UP_AFTER
        ):
            continue  # checked again at the next round
        if word == Reason.CERTIFICATE_REVOKED:
            _record_for_review(row, now=now)
        IssuedCertificate.objects.filter(pk=row.pk).update(rechecked_at=now)


def _fault_of_parent(row: IssuedCertificate, *, now: datetime) -> Reason | None:
    """The fault of the card's certificate as last seen, or None."""
    seen = (
        row.credential.root.certificates.filter(superseded_at__isnull=True).order_by("-seen_at").first()
        if row.credential.root
        else None
    )
    if seen is None:
        return None
    try:
        certificates.validate(bytes(seen.der), [], now=now)
    except (Refused, Unavailable) as said:
        return said.reason
    return None


def _record_for_review(row: IssuedCertificate, *, now: datetime) -> None:
    def work(account: Account) -> None:
        if row.credential.root is not None and not review_after_loss.was_marked(
            row.credential, because=Reason.CERTIFICATE_REVOKED
        ):
            review_after_loss.mark(
                account,
                row.credential.root,
                because=Reason.CERTIFICATE_REVOKED,
                now=now,
                actor="worker",
                since=row.credential.created_at,
            )

    under_lock(row.credential.account_id, work)
