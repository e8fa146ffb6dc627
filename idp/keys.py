"""The process's one keyring and wrapper, made from the configuration."""

from __future__ import annotations

from functools import lru_cache

from derived.keyring import Keyring
from derived.wrapping import Wrapper
from idp.config import config


@lru_cache(maxsize=1)
def wrapper() -> Wrapper:
    """Wraps what is stored, under the operator's key."""
    return Wrapper(config().kek_bytes)


@lru_cache(maxsize=1)
def keyring() -> Keyring:
    """The signing keys."""
    return Keyring(wrapper())
