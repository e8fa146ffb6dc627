"""What the fuzz needs of Django's request signals: nothing, because pytest's transaction is open around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections

from tests.live import live

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["live"]


@pytest.fixture(autouse=True)
def _open_connection() -> Iterator[None]:
    """Keep the connection between requests, as Django's own test client does: PostgreSQL's would be closed in its transaction."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)
