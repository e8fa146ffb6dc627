"""Where this operator's rules of issuance lie: `policy.toml` below `var`, read when it changes, and kept; without one, as usual."""

from __future__ import annotations

import tomllib
from functools import lru_cache
from typing import TYPE_CHECKING

from derived import rulebook
from derived.errors import Reason, Unavailable
from derived.rulebook import Rulebook
from idp.config import config

if TYPE_CHECKING:
    from pathlib import Path


def path() -> Path:
    """The file."""
    return config().var / "policy.toml"


def rules() -> Rulebook:
    """What may be issued here, now.

    Raises: Unavailable(KEY_UNAVAILABLE) for a file that is not understood: a mistyped rule must not be no rule.
    """
    try:
        return read(path())
    except (OSError, ValueError):
        raise Unavailable(Reason.KEY_UNAVAILABLE) from None


def read(file: Path) -> Rulebook:
    """The rulebook in a file.

    Raises: ValueError, OSError.
    """
    try:
        found = file.stat()
    except FileNotFoundError:
        return Rulebook()
    return _read(file, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=4)
def _read(file: Path, _changed: int, _size: int) -> Rulebook:
    return rulebook.read(tomllib.loads(file.read_text(encoding="utf-8")))
