"""The keyring and the wrapper of this process, made from the configuration."""

from __future__ import annotations

from functools import lru_cache

from derived.keyring import Keyring
from derived.wrapping import Wrapper
from idp.config import config


@lru_cache(maxsize=1)
def wrapper() -> Wrapper:
    """The wrapper of stored secrets, under the operator's key."""
    return Wrapper(config().kek_bytes)


@lru_cache(maxsize=1)
def keyring() -> Keyring:
    """The signing keys."""
    return Keyring(wrapper())
