"""A fresh proof of every kind that is grown here, as its module of `minting` yields it, and what a login with it shows."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric import ec

from derived import clock
from derived.minting import certificate, derived_passkey, device_key
from derived.minting.device_key import public_key
from derived.minting.passkey import RegisteredPasskey
from derived.models import Authority
from derived.rules.assurance import Factor, VerifiedFactors
from derived.rules.kinds import Kind
from device.key import DeviceKey

if TYPE_CHECKING:
    from collections.abc import Callable

    from derived.minting.proven import VerifiedProof


def registered(*, user_verified: bool = True, synced: bool = False, hardware: bool = False) -> RegisteredPasskey:
    """A registration; hardware: attested, of a model that is believed."""
    raw = secrets.token_bytes(32)
    return RegisteredPasskey(
        raw_id=raw,
        raw_id_hash=hashlib.sha256(raw).hexdigest(),
        public_key=b"cose",
        sign_count=0,
        backup_eligible=synced,
        backed_up=synced,
        user_verified=user_verified,
        discoverable=True,
        aaguid=str(uuid4()),
        attestation="packed" if hardware else "none",
        attested=hardware,
        hardware=hardware,
        model="A good key" if hardware else "",
        transports=("usb",),
        listed_as="",
        key=secrets.token_hex(32),
    )


def _device_key() -> VerifiedProof:
    return device_key.proof_of(public_key(DeviceKey.generate().public_jwk), passphrase_hash="x", clients=[])


def _authority() -> Authority:
    made, _ = Authority.objects.get_or_create(
        name="t" * 16,
        defaults={
            "state": "active",
            "organisation": "T",
            "common_name": "T",
            "public": "",
            "signer": "database",
            "secret": b"",
            "base_url": "http://t",
            "oid": "1.2.3",
            "created_at": clock.now(),
        },
    )
    return made


def _certificate() -> VerifiedProof:
    now = clock.now()
    return certificate.proof_of(
        ec.generate_private_key(ec.SECP256R1()).public_key(),
        passphrase_hash="x",
        not_before=now,
        not_after=now + timedelta(days=300),
        verifier={
            "authority": _authority(),
            "serial": f"{secrets.randbits(120):x}",
            "shard": 0,
            "uuid": uuid4(),
            "shown": {},
        },
    )


PROOFS: dict[Kind, Callable[[], VerifiedProof]] = {
    Kind.DEVICE_KEY: _device_key,
    Kind.DERIVED_PASSKEY: lambda: derived_passkey.proof_of(registered(), relayed=False),
    Kind.CERTIFICATE: _certificate,
}
WHOLE = {
    Kind.DEVICE_KEY: VerifiedFactors(factors=frozenset({Factor.DEVICE_KEY, Factor.DEVICE_PASSPHRASE})),
    Kind.DERIVED_PASSKEY: VerifiedFactors(factors=frozenset({Factor.PASSKEY, Factor.USER_VERIFICATION})),
    Kind.CERTIFICATE: VerifiedFactors(factors=frozenset({Factor.CERTIFICATE, Factor.DEVICE_PASSPHRASE})),
}
ALONE = {kind: VerifiedFactors(factors=frozenset({factor})) for kind, factor in {
    Kind.DEVICE_KEY: Factor.DEVICE_KEY, Kind.DERIVED_PASSKEY: Factor.PASSKEY, Kind.CERTIFICATE: Factor.CERTIFICATE,
}.items()}  # fmt: skip
