"""The quarterly review of roles: a frozen list, decided by somebody other than each holder (EV-9).

A manager keeps or ends each role; the review itself is the second person. What is undecided at the deadline is
suspended, until somebody decides. A review that is open takes no new roles.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import Max

from derived.errors import Reason, Refused
from derived.ledger import audit
from derived.ledger.locking import transacted, under_lock
from derived.models import Credential
from scim.access import appointments, roles
from scim.access.roles import Verb
from scim.models import ReviewedRole, Role, RoleName, RoleReview
from scim.people import notices

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet

    from derived.models import Account

EVERY = timedelta(days=91)
LASTS = timedelta(days=14)
KEEP, END, SUSPENDED = "keep", "end", "suspended"


def begin(*, now: datetime) -> RoleReview | None:
    """Begin a review of all live roles, and tell the managers; None while one is open, or nobody has a role."""

    def work() -> RoleReview | None:
        rows = roles.live(now=now).exclude(role=RoleName.EMERGENCY).select_related("person__account").order_by("id")
        if RoleReview.objects.filter(closed_at__isnull=True).exists() or not rows:
            return None
        made = RoleReview.objects.create(opened_at=now, due_at=now + LASTS)
        ReviewedRole.objects.bulk_create(
            ReviewedRole(review=made, role=one, snapshot=_snapshot(one, now=now)) for one in rows
        )
        notices.tell("role.review", {"review": made.pk}, RoleName.MANAGER, RoleName.AUDITOR, now=now)
        return made

    return transacted(work)


def _snapshot(row: Role, *, now: datetime) -> dict[str, Any]:
    """What is true of a role now: holder, term, giver, last sign-in, and what today's rules say against it."""
    used = Credential.objects.filter(account=row.person.account).aggregate(at=Max("last_used_at"))["at"]
    against = [one.value for one in appointments.excluding(row.person, RoleName(row.role), now=now)]
    return {
        "person": str(row.person_id),
        "login_name": row.person.get_username(),
        "role": row.role,
        "scope": row.scope,
        "since": row.since.isoformat(),
        "until": row.until.isoformat(),
        "given_by": row.given_by,
        "seconded_by": row.seconded_by,
        "last_used_at": used.isoformat() if used else None,
        "excluded_by": against,
    }


def waiting() -> QuerySet[ReviewedRole]:
    """The roles of reviews that nobody has kept or ended, the suspended ones too, if they have not ended since."""
    rows = ReviewedRole.objects.filter(decision__in=["", SUSPENDED], role__ended_at__isnull=True)
    return rows.select_related("review", "role__person__account").order_by("review__due_at", "id")


def decide(row: ReviewedRole, decision: str, *, because: str, actor: str, now: datetime) -> None:
    """Keep a role, also a suspended one, or end it; never one's own, under whatever record.

    Raises: Refused(BAD_PROOF) for a reason that says too little; Refused(ILLEGAL_MOVE).
    """
    words = because.strip()
    if not appointments.LEAST_WORDS <= len(words) <= appointments.MOST_WORDS or not words.isprintable():
        raise Refused(Reason.BAD_PROOF)
    if decision not in {KEEP, END}:
        raise Refused(Reason.ILLEGAL_MOVE)

    def work(account: Account) -> None:
        roles.require_as(actor, Verb.APPOINT, about=row.role.person, now=now)
        fresh = waiting().filter(pk=row.pk)
        if not ReviewedRole.objects.filter(pk__in=fresh.values("pk")).update(
            decision=decision, decided_by=actor, decided_at=now, because=words
        ):
            raise Refused(Reason.ILLEGAL_MOVE)
        role = Role.objects.get(id=row.role_id)
        if decision == END:
            appointments.end(account, role, because=words, actor=actor, now=now)
        else:
            Role.objects.filter(id=role.id).update(suspended_at=None)
            body = {"role": role.role, "scope": role.scope, "number": role.id, "review": row.review_id}
            audit.record(account, "role.kept", now=now, actor=actor, body=body, personal={"because": words})
        _close_decided(now=now)

    under_lock(row.role.person.account_id, work)


def tick(*, now: datetime) -> None:
    """Begin the review of a quarter, and suspend what is undecided at a deadline."""
    newest = RoleReview.objects.order_by("-opened_at").first()
    began = newest.opened_at if newest else _oldest_role(now=now)
    if began is not None and began <= now - EVERY:
        begin(now=now)
    for row in ReviewedRole.objects.filter(decision="", review__due_at__lte=now).select_related("role__person"):
        _suspend(row, now=now)
    _close_decided(now=now)


def _oldest_role(*, now: datetime) -> datetime | None:
    row = roles.live(now=now).exclude(role=RoleName.EMERGENCY).order_by("since").first()
    return row.since if row else None


def _suspend(row: ReviewedRole, *, now: datetime) -> None:
    def work(account: Account) -> None:
        if not ReviewedRole.objects.filter(pk=row.pk, decision="").update(decision=SUSPENDED, decided_at=now):
            return
        if Role.objects.filter(id=row.role_id, ended_at__isnull=True).update(suspended_at=now):
            body = {"role": row.role.role, "scope": row.role.scope, "number": row.role_id, "review": row.review_id}
            audit.record(account, "role.suspended", now=now, actor="worker", body=body)

    under_lock(row.role.person.account_id, work)


def _close_decided(*, now: datetime) -> None:
    """Close the reviews without an undecided role."""
    undecided = ReviewedRole.objects.filter(decision="").values("review")
    RoleReview.objects.filter(closed_at__isnull=True).exclude(pk__in=undecided).update(closed_at=now)
