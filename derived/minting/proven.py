"""What every module of this floor yields for a new credential: the one form that `issue.grow` records, whatever the kind."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from derived.rules.rulebook import Device

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

    from derived.rules.assurance import Shown
    from derived.rules.kinds import Kind


@dataclass(frozen=True, kw_only=True)
class Proven:
    """A verified proof, ready to be recorded.

    shown: what the best login with it verifies; its reach, `amr` and phishing resistance follow from that.
    keys: names of its keys, never bound again to anybody (`key_name`; C5, C6). verifier: the fields of the model that its
    kind names (`Policy.verifier`); the generic one has one field, `data`, of JSON.
    evidence: what the row says besides, on what its level rests (BI-6). device: what the key lives in.
    jkt: RFC 7638 thumbprint, where tokens are bound to this key. not_after: where it ends by itself, as a certificate does.
    """

    kind: Kind
    shown: Shown
    keys: tuple[str, ...]
    verifier: Mapping[str, Any]
    evidence: Mapping[str, Any] = field(default_factory=dict)
    device: Device = field(default_factory=Device)
    jkt: str | None = None
    not_after: datetime | None = None


def key_name(key: PublicKeyTypes) -> str:
    """What a public key is known by, in whatever credential it comes: SHA-256 of its SubjectPublicKeyInfo, hex."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
