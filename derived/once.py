"""Single use is one primitive: a conditional UPDATE, or an insert on a unique key, inside the transaction it pays for (I3)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction

from derived.models import Spent

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import Model, QuerySet


def claim_once(rows: QuerySet[Model], *, now: datetime) -> bool:
    """Consume the one row that `rows` selects, if it is unconsumed and unexpired; True for exactly one caller ever.

    rows: selects at most one row, of a model with `consumed_at` and `expires_at`.
    """
    return rows.filter(consumed_at__isnull=True, expires_at__gt=now).update(consumed_at=now) == 1


def spend(kind: str, *parts: str, expires_at: datetime) -> bool:
    """Record that something was seen; True for the first caller only.

    The key is a hash over length-prefixed parts, so no two kinds or values run into each other (P14, P49, P65).
    expires_at: until when it could be presented again; the row is kept until then.
    """
    digest = hashlib.sha256()
    for part in (kind, *parts):
        raw = part.encode()
        digest.update(len(raw).to_bytes(4, "big") + raw)
    try:
        with transaction.atomic():
            Spent.objects.create(key=digest.hexdigest(), expires_at=expires_at)
    except IntegrityError:
        return False
    return True
