"""Liveness and readiness, for whatever starts and routes to this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import DatabaseError, connection
from django.http import JsonResponse
from django.views.decorators.http import require_http_methods

from derived import clock
from derived.errors import Unavailable
from derived.keyring import Purpose
from derived.ledger.locking import MOST_SKEW, database_now
from idp.keys import keyring

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


@require_http_methods(["GET", "HEAD"])
def live(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - the same for everyone
    """The process answers."""
    return JsonResponse({"status": "ok"})


@require_http_methods(["GET", "HEAD"])
def ready(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - the same for everyone
    """The database answers, clocks agree, and tokens can be signed; what is wrong is named without details (C94)."""
    wrong = ""
    try:
        there = database_now()
        if there is not None and abs(there - clock.now()) > MOST_SKEW:
            wrong = "clock"
        connection.ensure_connection()
        keyring().sign({}, typ="probe", alg="ES256", now=clock.now(), purpose=Purpose.TOKENS)
    except DatabaseError:
        wrong = "database"
    except Unavailable:
        wrong = "keys"
    return JsonResponse({"status": wrong or "ok"}, status=503 if wrong else 200)
