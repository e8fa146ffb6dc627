"""Published lists and certificates as files, for any static server while this installation is down (C92).

The lists are in the database; every node's worker copies them to `published/pki` below `var`, each file atomically.
"""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

from derived.authority import lists
from derived.authority.keeping import PUBLISHED_PATH
from idp.config import config

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

_laid: dict[Path, tuple[tuple[str, int], ...]] = {}


def folder() -> Path:
    """The folder of the files; point a web server at its parent."""
    return config().var / "published" / PUBLISHED_PATH


def mirror(*, now: datetime) -> bool:
    """Update the folder; returns whether anything changed. The check reads one row per authority."""
    here, version = folder(), lists.version()
    if not version or (_laid.get(here) == version and here.is_dir()):
        return False
    for one in (here.parent, here):  # another program serves these
        one.mkdir(parents=True, exist_ok=True)
        one.chmod(0o755)
    for name, content in lists.files(now=now).items():
        _write_atomically(here / name, content)
    _laid[here] = version
    return True


def _write_atomically(path: Path, content: bytes) -> None:
    """Whole or not at all: a reader never sees half a list."""
    try:
        if path.read_bytes() == content:
            return
    except OSError:
        pass
    draft = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.chmod(0o644)
    draft.replace(path)
