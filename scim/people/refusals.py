"""Refused pushes: each is kept for the operator, and one that would have ended somebody is an alarm.

A refused push changes nothing, so a leaver in it stays active until a manager acts. Equal refusals are one row with a
count. Nothing of the body is kept. An alarm lasts while the person is active and no manager has dismissed it; a
dismissed one waits again where the push is repeated a day later, or where nobody knows whom it meant.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING

from django.db.models import F, Q

from derived.changes import suspend
from derived.errors import Reason, Refused, Unavailable
from derived.ledger import audit
from derived.ledger.locking import transacted, under_lock
from derived.models import AccountStatus
from scim.access import roles
from scim.access.roles import Verb
from scim.feed import writing as feed
from scim.models import Record, RefusedPush
from scim.people import notices
from scim.people.directory import as_id
from scim.protocol import ordering, trust
from scim.protocol.endings import states_ending
from scim.protocol.values import fold

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet

    from derived.models import Account
    from scim.errors import ScimError
    from scim.models import Person, Source
    from scim.protocol.schema import Json

logger = logging.getLogger(__name__)

KEPT = timedelta(days=30)
_MOST = 500  # rows of a source, alarms apart
_MAIL_AGAIN = timedelta(days=1)
_DISMISSED_FOR = timedelta(days=1)  # longer than senders retry a push
_MOST_MAILS = 10  # of a source in an hour; the console has them all
_TRIED_AGAIN = frozenset({429, 503})  # the sender repeats these by itself


@dataclass(frozen=True, kw_only=True)
class RefusedRequest:
    """A refused request, or operation of a bulk. kind: Users, Groups or Bulk; target: the id in its path.

    may_end: whether it may state that its person is no longer active. unverified_body: None if it could not be read.
    """

    method: str
    kind: str
    target: str = ""
    may_end: bool = False
    unverified_body: Json = None

    @classmethod
    def of_body(cls, method: str, kind: str, target: str, unverified_body: Json) -> RefusedRequest:
        """The refused request with this body."""
        may_end = kind != "Groups" and (method == "DELETE" or states_ending(unverified_body))
        return cls(method=method, kind=kind, target=target, may_end=may_end, unverified_body=unverified_body)


def note(source: Source, request: RefusedRequest, error: ScimError, *, now: datetime) -> None:
    """Keep a refusal and log it; if it would have ended somebody who is active, mail the managers."""
    record = _record(source, request)
    is_alarm = _is_alarm(source, request, record, error)
    person = record.person if record is not None else None
    said = f"{request.method} {request.kind}"
    logger.warning(
        "refused push of source %s: %s, %s %s: %s%s",
        source.name,
        said,
        error.status,
        error.scim_type or "",
        error.detail,
        " It states that the person is not active, who still is. See: manage.py source refused" if is_alarm else "",
    )
    parts = (said, request.target, str(person.id if person else ""), str(error.status), error.detail, str(is_alarm))
    values = {
        "request": said,
        "person": person,
        "status": error.status,
        "scim_type": error.scim_type or "",
        "detail": error.detail[:300],
        "ends": is_alarm,
        "first_at": now,
        "last_at": now,
    }

    if error.status in _TRIED_AGAIN:
        return

    def work() -> None:
        row, is_new = RefusedPush.objects.get_or_create(
            source=source, key=hashlib.sha256("\0".join(parts).encode()).hexdigest(), defaults=values
        )
        if is_new:
            _delete_surplus(source)
        else:
            reopened = _reopened(row, now=now)
            RefusedPush.objects.filter(id=row.id).update(count=F("count") + 1, last_at=now, **reopened)
        if is_alarm and _waiting(RefusedPush.objects.filter(id=row.id)).exists():
            _mail(row, now=now)

    try:
        transacted(work)
    except Unavailable:  # the answer to the source is its refusal all the same
        logger.warning("a refused push of source %s was not kept: the database is busy", source.name)


def _reopened(row: RefusedPush, *, now: datetime) -> dict[str, object]:
    """The columns that make a dismissed alarm wait again, if the dismissal does not cover its repetition.

    A manager decided about one person and one push: a repetition by a sender that retries is covered for a day.
    """
    covers = row.person_id is not None and row.settled_at is not None and now < row.settled_at + _DISMISSED_FOR
    return {} if row.settled_at is None or covers else {"settled_at": None, "settled_by": ""}


def _record(source: Source, request: RefusedRequest) -> Record | None:
    """The record that the request meant: by the id of its path, else by the identifiers of its body."""
    if request.kind != "Users":
        return None
    rows = Record.objects.select_related("person__account").filter(source=source)
    if request.target:
        found = as_id(request.target.rstrip("/"))
        record = rows.filter(id=found).first() if found else None
        if record is not None:
            return record
    body = request.unverified_body
    parts = {key.lower(): value for key, value in body.items()} if isinstance(body, dict) else {}
    living = rows.filter(deleted_at__isnull=True)
    for column, value in (("external_id", parts.get("externalid")), ("user_name_fold", parts.get("username"))):
        if isinstance(value, str) and value and value.isprintable():
            text = value.strip() if column == "external_id" else fold(value.strip())
            record = living.filter(**{column: text[:512]}).first()
            if record is not None:
                return record
    return None


def _is_alarm(source: Source, request: RefusedRequest, record: Record | None, error: ScimError) -> bool:
    """True if somebody stays who would have ended: active, or suspended and thus able to be resumed."""
    if not request.may_end or trust.ACTIVE not in source.trusted_for or error.status in _TRIED_AGAIN:
        return False
    if error.status == HTTPStatus.PRECONDITION_FAILED and ordering.sequence(request.unverified_body) is not None:
        return False  # a newer version of this source says otherwise
    if record is None:
        return request.method != "DELETE" and bool(request.target or request.kind == "Bulk")
    return record.deleted_at is None and record.adopted and record.person.account.status != AccountStatus.TERMINATED


def _mail(row: RefusedPush, *, now: datetime) -> None:
    """Mail every manager, once a day for a person, and at most ten times an hour for a source."""
    about = Q(person__isnull=True) if row.person is None else Q(person=row.person)
    same = RefusedPush.objects.filter(about, source_id=row.source_id, mailed_at__gt=now - _MAIL_AGAIN)
    lately = RefusedPush.objects.filter(source_id=row.source_id, mailed_at__gt=now - timedelta(hours=1))
    if same.exists() or lately.count() >= _MOST_MAILS:
        return
    RefusedPush.objects.filter(id=row.id).update(mailed_at=now)
    notices.tell_managers("push.refused", {"source": row.source.name, "person": str(row.person_id or "")}, now=now)


def _delete_surplus(source: Source) -> None:
    rows = RefusedPush.objects.filter(source=source, ends=False).order_by("-last_at")
    surplus = list(rows.values_list("id", flat=True)[_MOST : _MOST + 100])
    if surplus:
        RefusedPush.objects.filter(id__in=surplus).delete()


def _waiting(rows: QuerySet[RefusedPush]) -> QuerySet[RefusedPush]:
    """The alarms among these that wait for a manager: of a suspended person only once they are resumed."""
    waits = Q(person__isnull=True) | Q(person__account__status=AccountStatus.ACTIVE)
    return rows.filter(waits, ends=True, settled_at__isnull=True)


def alarms(person: Person | None = None) -> QuerySet[RefusedPush]:
    """The refused pushes that wait for a manager, newest first; person: only those about them."""
    rows = _waiting(RefusedPush.objects.all())
    rows = rows if person is None else rows.filter(person=person)
    return rows.select_related("source", "person__account").order_by("-last_at", "-id")


def latest(source: Source | None = None) -> QuerySet[RefusedPush]:
    """All refused pushes, newest first."""
    rows = RefusedPush.objects.all() if source is None else RefusedPush.objects.filter(source=source)
    return rows.select_related("source", "person__account").order_by("-last_at", "-id")


def dismiss(row: RefusedPush, *, now: datetime, actor: str) -> None:
    """Record a manager's decision that the person stays.

    Raises: Refused(ILLEGAL_MOVE) if it does not wait.
    """
    rows = RefusedPush.objects.filter(id=row.id, ends=True, settled_at__isnull=True)

    def work(account: Account | None) -> None:
        roles.require_as(actor, Verb.CARE, about=row.person, now=now)
        if not rows.update(settled_at=now, settled_by=actor):
            raise Refused(Reason.ILLEGAL_MOVE)
        if account is not None:
            body = {"source": row.source.name}
            audit.record(account, "person.refused_ending_dismissed", now=now, actor=actor, body=body)

    if row.person is None:
        transacted(lambda: work(None))
    else:
        under_lock(row.person.account_id, work)


def suspend_person(row: RefusedPush, *, now: datetime, actor: str) -> None:
    """Suspend the person whose ending was refused.

    Raises: Refused(ILLEGAL_MOVE) if nobody is named, or the account is not active.
    """
    if row.person is None:
        raise Refused(Reason.ILLEGAL_MOVE)

    def work(account: Account) -> None:
        roles.require_as(actor, Verb.SUSPEND, about=row.person, now=now)
        was_active = account.is_active
        suspend.suspend(account, now=now, actor=actor)
        feed.account_changed(account, was_active=was_active, now=now)

    under_lock(row.person.account_id, work)


def delete_old(*, now: datetime) -> None:
    """Delete the refusals that nobody has repeated for a month, and no alarm that waits."""
    old = RefusedPush.objects.filter(last_at__lte=now - KEPT)
    suspended = Q(ends=True, settled_at__isnull=True, person__account__status=AccountStatus.SUSPENDED)
    waits = RefusedPush.objects.filter(suspended) | _waiting(RefusedPush.objects.all())
    old.exclude(id__in=waits.values("id")).delete()
