"""Files of the operator that have a new name; the former name works for one release.

`file` answers the path to read. Where only the former name exists, the process logs one warning, and the system check
`ramet.W048` names both.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger(__name__)
_FORMER = {
    "issuance.toml": "policy.toml",  # below var
    "attestation.toml": "policy.toml",  # below RAMET_VAR/attestation
    "authenticators.toml": "policy.toml",  # below RAMET_VAR/metadata
    "validation.toml": "policy.toml",  # below RAMET_VAR/pki
}
_warned: set[Path] = set()


def file(folder: Path, name: str) -> Path:
    """Return the path of an operator's file: its former one where only that exists. name: a key of `_FORMER`."""
    new, old = folder / name, folder / _FORMER[name]
    if new.exists() or not old.exists():
        return new
    if old not in _warned:
        _warned.add(old)
        logger.warning("%s is deprecated: rename it to %s; the next release does not read it.", old, name)
    return old


def deprecated(folder: Path, name: str) -> str:
    """Return the warning about a file under its former name, or an empty string."""
    new, old = folder / name, folder / _FORMER[name]
    if not old.exists():
        return ""
    return f"{old} is ignored: {new.name} exists." if new.exists() else f"{old} is to be renamed to {new.name}."
