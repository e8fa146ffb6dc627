"""Trust in hardware attestation of device keys: roots by format, and the operator's lists.

Ramet's roots are in `attestation_roots`; a folder `RAMET_VAR/attestation/<format>` replaces one of them entirely,
even if it
is empty: then nothing is trusted. `RAMET_VAR/attestation/attestation.toml` has the lists. All files are read again
after a
change.
"""

from __future__ import annotations

import json
import re
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from derived.errors import Reason, Unavailable
from derived.minting.hardware import statement as hardware
from derived.minting.hardware.statement import AttestationTrust
from idp import renamed
from idp.config import config
from idp.policies import fido_metadata as metadata

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMATS = ("android-key", "apple-appattest", "tpm", "yubikey-piv")
WINDOWS_HELLO = "08987058-cadc-4b81-b6e1-30de50dcbe96"  # the metadata entry with the manufacturers of TPMs
_SHIPPED = Path(__file__).parent / "attestation_roots"
_LISTS = frozenset({"apps", "developing", "verifying", "revoked"})
_BEGIN = b"-----BEGIN"
_SERIAL = re.compile(r"[0-9a-f]{1,64}")


def folder() -> Path:
    """The folder of the operator's files."""
    return config().var / "attestation"


def trust() -> AttestationTrust:
    """The present trust.

    Raises: Unavailable(KEY_UNAVAILABLE) for an unreadable file: a broken list must not trust what it denies.
    """
    try:
        return read()
    except (OSError, ValueError):
        raise Unavailable(Reason.KEY_UNAVAILABLE) from None


def is_trusted(evidence: Mapping[str, Any]) -> bool:
    """True if the hardware evidence of a key would be accepted now (RQ-4, TH-4); evidence: of its row.

    Raises: Unavailable(KEY_UNAVAILABLE).
    """
    return evidence.get("protection") == "hardware" and hardware.is_still_trusted(evidence.get("vouched"), trust())


def read() -> AttestationTrust:
    """The present trust.

    Raises: ValueError, OSError with the fault.
    """
    here = folder()
    files = sorted(path for root in (_SHIPPED, here) if root.exists() for path in root.rglob("*") if path.is_file())
    folders = [path.name for path in here.iterdir() if path.is_dir()] if here.exists() else []
    if unknown := set(folders) - set(FORMATS):
        raise ValueError(f"{', '.join(sorted(unknown))}: the folders are {', '.join(FORMATS)}")
    seen = tuple((str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in files)
    found = _read(here, tuple(sorted(folders)), seen)
    if "tpm" in folders:
        return found
    makers = metadata.known().model(WINDOWS_HELLO)
    return AttestationTrust(**{**vars(found), "roots": {**found.roots, "tpm": makers.trust_anchors if makers else []}})


@lru_cache(maxsize=4)
def _read(here: Path, own: tuple[str, ...], _seen: tuple[tuple[str, int, int], ...]) -> AttestationTrust:
    roots = {form: _certificates((here if form in own else _SHIPPED) / form) for form in FORMATS}
    return AttestationTrust(roots=roots, **_lists(here))


def _certificates(where: Path) -> list[bytes]:
    found: list[bytes] = []
    for path in sorted(where.glob("*")) if where.exists() else []:
        raw = path.read_bytes()
        try:
            read = x509.load_pem_x509_certificates(raw) if _BEGIN in raw else [x509.load_der_x509_certificate(raw)]
        except ValueError as error:
            raise ValueError(f"{where.name}/{path.name} is no certificate") from error
        found += [one.public_bytes(Encoding.DER) for one in read]
    return found


def _lists(here: Path) -> dict[str, Any]:
    """The operator's lists, and Google's list of revoked certificates where it lies here (`android-status.json`)."""
    file, status = renamed.file(here, "attestation.toml"), here / "android-status.json"
    said = tomllib.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    for name, value in said.items():
        if name not in _LISTS or not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
            raise ValueError(f"{file.name}: {name} is none of {', '.join(sorted(_LISTS))}, or no list of texts")
    revoked = {one.lower().lstrip("0") for one in said.get("revoked", [])}
    if status.exists():
        entries = json.loads(status.read_text())
        if not isinstance(entries, dict) or not isinstance(entries.get("entries"), dict):
            raise ValueError("android-status.json is not as Google publishes it")
        revoked |= {str(one).lower().lstrip("0") for one in entries["entries"]}
    if bad := [one for one in revoked if not _SERIAL.fullmatch(one)]:
        raise ValueError(f"{bad[0]!r} is no serial number in hex")
    return {
        "apps": frozenset(said.get("apps", [])),
        "developing": frozenset(said.get("developing", [])),
        "verifying": frozenset(said.get("verifying", [])),
        "revoked": frozenset(revoked),
    }
