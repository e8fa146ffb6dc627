"""The operator's rules of issuance: `var/issuance.toml`, read again when it changes; defaults without the file."""

from __future__ import annotations

import hashlib
import tomllib
from collections import Counter
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from derived.errors import Reason, Unavailable
from derived.rules import rulebook
from derived.rules.rulebook import Rulebook
from idp import renamed
from idp.config import config
from scim.access import belonging
from scim.models import Group
from scim.people.directory import as_id

if TYPE_CHECKING:
    from pathlib import Path

    from scim.models import Person

DIGITS = 40  # of the SHA-256 of the file, by which records of issuance and the operator's chain name it


def path() -> Path:
    """The file."""
    return renamed.file(config().var, "issuance.toml")


def rules() -> Rulebook:
    """The present issuance rules.

    Raises: Unavailable(KEY_UNAVAILABLE) for an invalid file: a mistyped rule must not be ignored.
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
    text = file.read_bytes()
    digest = hashlib.sha256(text).hexdigest()[:DIGITS]
    return replace(rulebook.read(tomllib.loads(text.decode())), digest=digest)


def groups_of(person: Person) -> frozenset[str]:
    """The groups of a person, direct or nested, as a rule may name them.

    By id, and by `source/name`. By name alone only if a single source has groups of that name: another source must not
    put people into a group by copying its name (C27).
    """
    found = belonging.rows_of(person)
    names = {
        name for _, name, _ in found if "/" not in name and as_id(name) is None
    }  # which would imitate another group's id or path
    others = (
        Group.objects.filter(display_name__in=names, deleted_at__isnull=True)
        .order_by()
        .values_list("display_name", "source")
        .distinct()
    )
    sources = Counter(name for name, _ in others)
    return frozenset(
        {one for one, _, _ in found}
        | {f"{source}/{name}" for _, name, source in found}
        | {name for name in names if sources[name] == 1}
    )
