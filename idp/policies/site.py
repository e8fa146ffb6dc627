"""The organisation's own settings of the site: `var/site.toml`, read again when it changes; defaults without the file.

A file that cannot be used changes nothing: the settings that were read before stay, and `manage.py check` names the
fault. A process that has never read a usable file takes the strictest value of what decides about access.
"""

from __future__ import annotations

import logging
import tomllib
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from idp.config import config

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger(__name__)
_AGREEMENTS: Final = ("optional", "required")


@dataclass(frozen=True)
class Site:
    """The settings. agreements: whether a client without a trust agreement in force gets anything ("required")."""

    agreements: str = "optional"


_STRICTEST: Final = Site(agreements="required")
_usable: dict[str, Site] = {}  # by file: the last settings that could be read


def path() -> Path:
    """The file."""
    return config().var / "site.toml"


def settings() -> Site:
    """The present settings; of an unusable file, those that were read before."""
    file = path()
    try:
        found = _usable[str(file)] = read(file)
    except (OSError, ValueError) as error:
        _say(str(file), str(error))
        return _usable.get(str(file), _STRICTEST)
    return found


def read(file: Path) -> Site:
    """The settings in a file; defaults without it.

    Raises: ValueError that names the key, OSError.
    """
    try:
        found = file.stat()
    except FileNotFoundError:
        return Site()
    return _read(file, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=4)
def _read(file: Path, _changed: int, _size: int) -> Site:
    given: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    site = Site()
    if unknown := sorted(given.keys() - {"agreements"}):
        message = f"{unknown[0]} is no setting of a site"
        raise ValueError(message)
    if "agreements" in given:
        if given["agreements"] not in _AGREEMENTS:
            message = f"agreements is one of {', '.join(_AGREEMENTS)}"
            raise ValueError(message)
        site = replace(site, agreements=given["agreements"])
    return site


@lru_cache(maxsize=8)
def _say(file: str, fault: str) -> None:
    """Log a fault once."""
    logger.warning("refused: %s cannot be used and is ignored: %s. See: manage.py check", file, fault)
