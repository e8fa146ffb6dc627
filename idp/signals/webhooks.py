"""Webhooks about requests to the systems that decide on them, posted beside logout tokens (`idp.requests.systems`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from idp.outbound import NotFetched
from idp.requests import systems
from idp.signals.outcomes import Failed, Outcome, outcome_of

if TYPE_CHECKING:
    from datetime import datetime

    from derived.models import OutboxRow
    from idp.requests.systems import Webhook


@dataclass(frozen=True)
class WebhookMessage:
    """A webhook that is left to send. client_id: names its receiver, for the limit on requests under way."""

    row: OutboxRow
    client_id: str
    hook: Webhook

    def send(self, *, now: datetime) -> Outcome:
        """Post it, signed for this moment."""
        try:
            return outcome_of(self.hook.post(now=now))
        except NotFetched as error:
            return Failed(str(error))


def webhook_message(row: OutboxRow, *, now: datetime) -> WebhookMessage | None:
    """The webhook of a row, or None if its system has ended.

    Raises: Unavailable(KEY_UNAVAILABLE).
    """
    hook = systems.webhook(row, now=now)
    return None if hook is None else WebhookMessage(row, hook.client_id, hook)
