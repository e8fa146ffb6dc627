"""Liveness and readiness, for whatever starts and routes to this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import DatabaseError, connection
from django.http import JsonResponse
from django.views.decorators.http import require_http_methods

from derived import clock
from derived.errors import Unavailable
from derived.keyring import KeyPurpose
from derived.ledger import outbox
from derived.ledger.locking import MOST_SKEW, database_now
from idp.keys import keyring
from idp.witness import standing
from idp.witness.standing import Standing

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


@require_http_methods(["GET", "HEAD"])
def live(_request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return JsonResponse({"status": "ok"})


@require_http_methods(["GET", "HEAD"])
def ready(_request: HttpRequest) -> HttpResponse:
    """True if the database answers, clocks agree, and tokens can be signed; a fault is named without details (C94)."""
    wrong = ""
    try:
        there = database_now()
        if there is not None and abs(there - clock.now()) > MOST_SKEW:
            wrong = "clock"
        connection.ensure_connection()
        found = standing.look(now=clock.now())
        if found != Standing.CURRENT:
            wrong = "restored" if found in {Standing.OLDER, Standing.PARTIAL} else "witness"
        elif standing.altered():
            wrong = "audit"
        keyring().sign({}, typ="probe", alg="ES256", now=clock.now(), purpose=KeyPurpose.TOKENS)
    except DatabaseError:
        wrong = "database"
    except Unavailable:
        wrong = "keys"
    return JsonResponse({"status": wrong or "ok", **_outbox()}, status=503 if wrong else 200)


def _outbox() -> dict[str, object]:
    """The depth of the outbox; a worker that is down is seen here, and is no reason to refuse requests."""
    try:
        found = outbox.depth(now=clock.now())
    except DatabaseError:
        return {}
    oldest = int(found.oldest.total_seconds())
    return {"outbox": {"waiting": found.waiting, "oldest_seconds": oldest, "parked": found.parked}}
