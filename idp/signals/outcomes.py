"""The outcome of one delivery, and its effect on the outbox row (ruling 31)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from derived.ledger import outbox

if TYPE_CHECKING:
    from datetime import datetime

    from derived.models import OutboxRow

from http import HTTPStatus

_TRANSIENT = frozenset({408, 425, 429})  # the only 4xx statuses that ask for another try


@dataclass(frozen=True)
class Delivered:
    """The receiver took it."""


@dataclass(frozen=True)
class DeliveryRefused:
    """The receiver answered that it does not take this: final."""

    why: str


@dataclass(frozen=True)
class Failed:
    """No usable answer: tried again later."""

    why: str


Outcome = Delivered | DeliveryRefused | Failed


def outcome_of(status: int) -> Outcome:
    """Return the outcome of an HTTP answer: a 2xx is a delivery, a 4xx is final but for 408, 425 and 429."""
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:  # RFC 9110 §15.3
        return Delivered()
    why = f"it answered {status}"
    client_error = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR  # RFC 9110 §15.5
    final = client_error and status not in _TRANSIENT
    return DeliveryRefused(why) if final else Failed(why)


def record_outcome(row: OutboxRow, outcome: Outcome, *, now: datetime) -> None:
    """Write an outcome into the row."""
    match outcome:
        case Delivered():
            outbox.mark_delivered(row, now=now)
        case DeliveryRefused(why):
            outbox.mark_refused(row, why, now=now)
        case Failed(why):
            outbox.mark_failed(row, why, now=now)
