"""The only module that reads the clock; all others receive `now`."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(tz=UTC)
