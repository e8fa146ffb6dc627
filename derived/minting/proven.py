"""The result of every module here for a new credential, which `issue.derive` records for any kind."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from derived.rules.rulebook import DeviceFacts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

    from derived.rules.assurance import VerifiedFactors
    from derived.rules.kinds import Kind


@dataclass(frozen=True, kw_only=True)
class VerifiedProof:
    """A verified proof, ready to be recorded.

    shown: the factors of the best login with it; level, `amr` and phishing resistance follow from them. keys: names of
    its public keys, never bound again (`key_name`; C5, C6). unproven_keys: names of keys that came without proof of
    possession. verifier: the fields of the kind's verifier model
    (`KindPolicy.verifier`); the generic model has one JSON field, `data`. evidence: further evidence for its level
    (BI-6). device: the device of the key. jkt: RFC 7638 thumbprint, if tokens are bound to this key. not_after: its own
    expiry, as of a certificate.
    """

    kind: Kind
    shown: VerifiedFactors
    keys: tuple[str, ...]
    verifier: Mapping[str, Any]
    unproven_keys: tuple[str, ...] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict)
    device: DeviceFacts = field(default_factory=DeviceFacts)
    jkt: str | None = None
    not_after: datetime | None = None


def key_name(key: PublicKeyTypes) -> str:
    """The name of a public key in any credential: SHA-256 of its SubjectPublicKeyInfo, hex."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
