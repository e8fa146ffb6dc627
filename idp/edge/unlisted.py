"""Detection of an unlisted proxy by its X-Forwarded-For, which varies between requests, for the operator.

Behind such a proxy every caller has the proxy's address, so one attacker's guesses slow everybody's logins. An attacker
can send the field too; the warning then names the attacker's address, and has no other effect.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from datetime import datetime, timedelta

from django.db import DatabaseError

from idp.models import Probe

logger = logging.getLogger(__name__)

NAME = "unlisted-proxy"
REMEMBERED = timedelta(hours=24)
_ENOUGH = 3  # different callers named by one peer
_MOST_PEERS = 64
_MOST_LENGTH = 64
_AGAIN = timedelta(hours=1)


class ForwarderWatch:
    """Peers that are not listed, and the callers that they spoke of; of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callers: dict[str, set[str]] = {}
        self._told_at: datetime | None = None

    def note(self, peer: str, forwarded: str) -> None:
        """Record the caller that an unlisted peer named."""
        with self._lock:
            if peer not in self._callers and len(self._callers) >= _MOST_PEERS:
                self._callers.clear()
            spoken = self._callers.setdefault(peer, set())
            if len(spoken) < _ENOUGH:
                spoken.add(forwarded[-_MOST_LENGTH:])

    def to_report(self, now: datetime) -> str:
        """A peer that named several callers; "" without one, or within an hour of the last report."""
        if not self._callers:
            return ""
        with self._lock:
            if self._told_at is not None and now - self._told_at < _AGAIN:
                return ""
            found = next((peer for peer, spoken in self._callers.items() if len(spoken) >= _ENOUGH), "")
            if found:
                self._told_at = now
            return found


watch = ForwarderWatch()


def report(*, now: datetime) -> None:
    """Write a log line and a row per hour, which `manage.py check` reads."""
    if peer := watch.to_report(now):
        logger.warning(
            "%s sends X-Forwarded-For and is not in RAMET_TRUSTED_PROXIES: list it, if it is your proxy", peer
        )
        with suppress(DatabaseError):  # the log has it, and the request is answered
            Probe.objects.update_or_create(
                name=NAME, defaults={"at": now, "passed": False, "words": peer[:_MOST_LENGTH]}
            )


def last_reported(*, now: datetime) -> str:
    """The peer reported within a day, or ""."""
    row = Probe.objects.filter(name=NAME, at__gt=now - REMEMBERED).first()
    return row.words if row else ""
