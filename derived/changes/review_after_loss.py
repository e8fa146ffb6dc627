"""Review after a loss: bindings of the last seven days that may rest on a lost root (IV-5).

Nothing ends or stops here: an Event marks a credential for review, another records the review. The person gets a
message with links that revoke; managers see the list (`manage.py credential list --review`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db.models import OuterRef, Q, Subquery

from derived.errors import Reason, Refused
from derived.ledger import audit, outbox, status
from derived.models import Credential, Event
from derived.rules.eligibility import BoundVia
from derived.rules.kinds import Kind
from derived.rules.lifecycle import LIVING

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet

    from derived.models import Account

LOOK_BACK = timedelta(days=7)
_PUT_UP, _SETTLED = "credential.review", "credential.reviewed"


def mark(  # noqa: PLR0913 - the lost root, the reason, the period, the time and the actor
    account: Account, lost: Credential, *, because: Reason, now: datetime, actor: str, since: datetime | None = None
) -> list[Credential]:
    """Mark for review the bindings of the last seven days (or since `since`) that may rest on a lost root.

    Those are credentials derived from it, and every root added from a login meanwhile, because nobody can tell whose
    login that was.
    """
    if not status.is_root(lost):
        return []
    rows = list(
        Credential.objects.filter(
            Q(root=lost)
            | Q(root__isnull=True, evidence__bound_by=BoundVia.LOGIN.value, created_at__gte=lost.created_at),
            account=account,
            epoch=account.epoch,
            state__in=LIVING,
            created_at__gte=since or now - LOOK_BACK,
        )
        .exclude(id=lost.id)
        .exclude(kind=Kind.TOKEN_FAMILY)
        .order_by("created_at")
    )
    for row in rows:
        body = {"because": because.value, "lost": str(lost.id)}
        audit.record(account, _PUT_UP, now=now, actor=actor, credential=row, body=body)
    if rows:
        payload = {"credential": str(lost.id), "reviewed": [str(row.id) for row in rows]}
        outbox.enqueue(
            kind="credential.review", receiver=f"mail:{account.id}", account=account, payload=payload, now=now
        )
    return rows


def marked() -> QuerySet[Credential]:
    """The living credentials that are marked for review and not reviewed since."""
    marked = Event.objects.filter(kind__in=[_PUT_UP, _SETTLED])
    newest = marked.filter(credential=OuterRef("pk")).order_by("-seq").values("kind")[:1]
    rows = Credential.objects.filter(state__in=LIVING, id__in=marked.filter(kind=_PUT_UP).values("credential"))
    return rows.annotate(looked_at=Subquery(newest)).filter(looked_at=_PUT_UP)


def was_marked(row: Credential, *, because: Reason) -> bool:
    """True if a credential was put up for review for this reason before, whatever came of it."""
    return Event.objects.filter(credential=row, kind=_PUT_UP, body__because=because.value).exists()


def record_reviewed(account: Account, row: Credential, *, now: datetime, actor: str) -> None:
    """Record a review that keeps the credential.

    Raises: Refused(ILLEGAL_MOVE) unless the credential waits for a review.
    """
    if not marked().filter(id=row.id, account=account).exists():
        raise Refused(Reason.ILLEGAL_MOVE)
    audit.record(account, _SETTLED, now=now, actor=actor, credential=row)
