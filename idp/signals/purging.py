"""Expired logins, sessions, token families and bindings are deleted in batches after 90 days.

Credentials, also ended ones, and audit events are kept, as is anything that a live row refers to: the session of a live
family, and the login that opened it. Single-use records stay a day past their expiry, so that a late replay is still
detected. Each transaction deletes a thousand rows, so nobody waits for it.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from django.contrib.sessions.models import Session
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, ProtectedError, Q, QuerySet

from derived.models import OutboxRow, Spent
from derived.rules.lifecycle import LIVING
from idp.models import (
    AuthenticationEvent,
    AuthorizationRequest,
    Binding,
    Ceremony,
    CertificateLogin,
    CertificateOrder,
    Code,
    DeviceAuthorization,
    Grant,
    LoginSession,
    OpaqueToken,
    PushedRequest,
    RecoveryAttempt,
    RefreshToken,
    ServiceToken,
    Throttle,
    UpstreamLogin,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from django.db.models import Model

logger = logging.getLogger(__name__)

_DAY = timedelta(days=1)
_DELIVERED_KEPT = timedelta(days=30)
HISTORY = timedelta(days=90)  # expired logins, sessions, families and bindings, for investigations
_AT_ONCE = 1000
_MOST_BATCHES = 50  # per kind and round of housekeeping; the next round continues


def purge(*, now: datetime) -> dict[str, int]:
    """Delete expired rows; returns their numbers by kind."""
    gone: dict[str, int] = {}
    for rows in _expired(now=now):
        count = _delete_unused(rows)
        if count:
            gone[rows.model.__name__] = count
    return gone


def _expired(*, now: datetime) -> Iterator[QuerySet[Model]]:
    """The expired rows, by kind; dependent rows first."""
    late, old = now - _DAY, now - HISTORY
    yield Spent.objects.filter(expires_at__lt=now)
    yield Session.objects.filter(expire_date__lt=now)
    yield Throttle.objects.filter(seen_at__lt=late)
    yield OutboxRow.objects.filter(delivered_at__lt=now - _DELIVERED_KEPT)
    for at_once in (OpaqueToken, ServiceToken, Ceremony):
        yield at_once.objects.filter(expires_at__lt=now)
    # Unanswered ones go when they expire: a stranger can make as many as `idp.gate` permits.
    unanswered = Q(expires_at__lt=now, consumed_at__isnull=True)
    for model in (AuthorizationRequest, PushedRequest, UpstreamLogin, CertificateLogin):
        yield model.objects.filter(Q(expires_at__lt=late) | unanswered)
    for day_old in (RefreshToken, DeviceAuthorization, CertificateOrder, RecoveryAttempt):
        yield day_old.objects.filter(expires_at__lt=late)
    yield Binding.objects.filter(expires_at__lt=old)
    yield Grant.objects.filter(family__ended_at__lt=old, refresh_tokens__isnull=True).exclude(family__state__in=LIVING)
    yield LoginSession.objects.filter(Q(ended_at__lt=old) | Q(expires_at__lt=old)).exclude(
        _is_referenced(Grant, Code, Binding, CertificateOrder, DeviceAuthorization, on="session")
    )
    yield AuthenticationEvent.objects.filter(at__lt=old).exclude(
        _is_referenced(Grant, LoginSession, Code, Binding, DeviceAuthorization, on="event")
    )


def _is_referenced(*models: type[Model], on: str) -> Q:
    """True if a row of any of these models refers to it."""
    found = Q()
    for model in models:
        found |= Q(Exists(QuerySet(model).filter(**{on: OuterRef("pk")})))
    return found


def _delete_unused(rows: QuerySet[Model]) -> int:
    """Delete rows in separate transactions; rows that are in use stay for the next round."""
    count = 0
    for _ in range(_MOST_BATCHES):
        keys = list(rows.order_by().values_list("pk", flat=True)[:_AT_ONCE])
        if not keys:
            break
        try:
            with transaction.atomic():
                rows.filter(pk__in=keys).delete()  # rows that are still expired
        except (ProtectedError, IntegrityError) as error:
            logger.warning("%s expired rows were not deleted: %s", rows.model.__name__, type(error).__name__)
            break
        count += len(keys)
    return count
