"""The organisation's own settings of the site: `var/site.toml`, read again when it changes; defaults without the file.

A file that cannot be used changes nothing: the settings that were read before stay, and `manage.py check` names the
fault. A process that has never read a usable file takes the strictest value of what decides about access.
"""

from __future__ import annotations

import hashlib
import logging
import re
import tomllib
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from idp.config import config
from idp.policies import colours

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

logger = logging.getLogger(__name__)
_AGREEMENTS: Final = ("optional", "required")
_IMPACTS: Final = ("low", "moderate", "high")
LANGUAGES: Final = ("en", "es", "fr", "zh-hans")
_LONGEST: Final = {"name": 60, "contact": 120, "banner": 200, "mail_footer": 300}
_MOST_LOGO = 200_000
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,80}")
_KINDS: Final = {".svg": (b"<", "image/svg+xml"), ".png": (b"\x89PNG\r\n\x1a\n", "image/png")}


@dataclass(frozen=True)
class Logo:
    """An image of the organisation: its bytes, its media type, and a version for its address."""

    content: bytes
    media_type: str
    version: str


@dataclass(frozen=True)
class Site:
    """The settings.

    agreements: whether a client without a trust agreement in force gets anything ("required"). name: of the
    organisation, on every page and mail, or "". contact: whom people ask, or "". help, privacy: https URLs, or "".
    banner: a line above every page, or "". mail_footer: a line below every mail, or "". palette: the colours of the
    light and the dark pages; None for the built-in ones. languages: those that are offered, the first one by default.
    impact: the impact level of the system (FIPS 199): low, moderate or high.
    """

    agreements: str = "optional"
    name: str = ""
    contact: str = ""
    help: str = ""
    privacy: str = ""
    banner: str = ""
    mail_footer: str = ""
    logo: Logo | None = None
    palette: colours.Palette | None = None
    languages: tuple[str, ...] = LANGUAGES
    impact: str = "moderate"

    @property
    def unused_days(self) -> int:
        """The days without use after which an account is suspended (LC-7)."""
        return 35 if self.impact == "high" else 90


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
        _log_once(str(file), str(error))
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
    if unknown := sorted(given.keys() - {*_READERS, "logo", "colour", "colour_dark"}):
        known = ", ".join(sorted([*_READERS, "logo", "colour", "colour_dark"]))
        message = f"{unknown[0]} is no setting of a site; the settings are {known}"
        raise ValueError(message)
    site = replace(Site(), **{name: _READERS[name](name, value) for name, value in given.items() if name in _READERS})
    if "logo" in given:
        site = replace(site, logo=_logo(file.parent, given["logo"]))
    if "colour" in given or "colour_dark" in given:
        site = replace(site, palette=colours.palette(given.get("colour", ""), given.get("colour_dark", "")))
    return site


def _impact(name: str, value: object) -> str:
    if value not in _IMPACTS:
        message = f"{name} is one of {', '.join(_IMPACTS)}"
        raise ValueError(message)
    return str(value)


def _agreements(name: str, value: object) -> str:
    if value not in _AGREEMENTS:
        message = f"{name} is one of {', '.join(_AGREEMENTS)}"
        raise ValueError(message)
    return str(value)


def _line(name: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable() or len(value) > _LONGEST[name]:
        message = f"{name} is a line of at most {_LONGEST[name]} printable characters"
        raise ValueError(message)
    return value.strip()


def _link(name: str, value: object) -> str:
    parts = urlsplit(value) if isinstance(value, str) and value.isprintable() else None
    if parts is None or parts.scheme != "https" or not parts.hostname:
        message = f"{name} is an https address"
        raise ValueError(message)
    return str(value)


def _languages(name: str, value: object) -> tuple[str, ...]:
    found = value if isinstance(value, list) and all(isinstance(one, str) for one in value) else []
    if not found or not set(found) <= set(LANGUAGES) or len(set(found)) != len(found):
        message = f"{name} is a list of some of {', '.join(LANGUAGES)}"
        raise ValueError(message)
    return tuple(found)


def _logo(folder: Path, value: object) -> Logo:
    """The image; a file of this name beside the settings, and nowhere else."""
    name = value if isinstance(value, str) and _FILE_NAME.fullmatch(value) else ""
    start, media_type = _KINDS.get(f".{name.rpartition('.')[2]}", (b"", ""))
    if not media_type:
        message = "logo is the name of an .svg or .png file beside site.toml"
        raise ValueError(message)
    content = (folder / name).read_bytes()
    if len(content) > _MOST_LOGO or not content.lstrip().startswith(start):
        message = f"logo: {name} is no {media_type} image of at most {_MOST_LOGO} bytes"
        raise ValueError(message)
    return Logo(content, media_type, hashlib.sha256(content).hexdigest()[:16])


_READERS: Final[dict[str, Callable[[str, object], Any]]] = {
    "agreements": _agreements,
    "impact": _impact,
    "name": _line,
    "contact": _line,
    "banner": _line,
    "mail_footer": _line,
    "help": _link,
    "privacy": _link,
    "languages": _languages,
}


@lru_cache(maxsize=8)
def _log_once(file: str, fault: str) -> None:
    logger.warning("refused: %s cannot be used and is ignored: %s. See: manage.py check", file, fault)
