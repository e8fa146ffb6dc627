"""Nonces for DPoP proofs (RFC 9449 §8): a proof made in advance, or on a clock that is wrong, is worth nothing.

Stateless, so that every node agrees: a nonce is its window of time and a MAC over it, under a key that only the nodes
have.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from datetime import timedelta
from typing import TYPE_CHECKING

from idp.config import config

if TYPE_CHECKING:
    from datetime import datetime

WINDOW = timedelta(seconds=120)  # a nonce serves for one window at least, and two at most
_LEAP = timedelta(seconds=10)  # the permitted lead of another node's clock


def current(*, now: datetime) -> str:
    """The nonce to send now."""
    return _nonce_of(_window(now))


def is_current(nonce: str, *, now: datetime) -> bool:
    """True for a nonce of this window or the one before (or the next, if it begins within the leap)."""
    windows = {_window(now) - 1, _window(now), _window(now + _LEAP)}
    return any(hmac.compare_digest(_nonce_of(one).encode(), nonce.encode(errors="replace")) for one in windows)


def _window(at: datetime) -> int:
    return int(at.timestamp() // WINDOW.total_seconds())


def _nonce_of(window: int) -> str:
    key = hmac.digest(config().kek_bytes, b"ramet/dpop-nonce", hashlib.sha256)
    return urlsafe_b64encode(hmac.digest(key, window.to_bytes(8, "big"), hashlib.sha256)[:24]).decode()
