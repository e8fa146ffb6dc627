"""An authenticator and the browser around it, in software: it can answer well, and wrongly in every single part."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID, ObjectIdentifier

ORIGIN = "http://localhost:8000"
RP_ID = "localhost"
UP, UV, BE, BS, AT = 0x01, 0x04, 0x08, 0x10, 0x40
GEN_CE_AAGUID = ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4")
Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def cose(key: Key) -> dict[int, Any]:
    """A public key as COSE (RFC 9053)."""
    public = key.public_key()
    if isinstance(public, ec.EllipticCurvePublicKey):
        numbers = public.public_numbers()
        size = (public.curve.key_size + 7) // 8
        return {
            1: 2,
            3: -7,
            -1: {256: 1, 384: 2, 521: 3}[public.curve.key_size],
            -2: numbers.x.to_bytes(size),
            -3: numbers.y.to_bytes(size),
        }
    if isinstance(public, ed25519.Ed25519PublicKey):
        return {1: 1, 3: -8, -1: 6, -2: public.public_bytes_raw()}
    whole = public.public_numbers()
    return {1: 3, 3: -257, -1: whole.n.to_bytes((whole.n.bit_length() + 7) // 8), -2: whole.e.to_bytes(3)}


def signed(key: Key, data: bytes) -> bytes:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(data, ec.ECDSA(SHA256()))
    return (
        key.sign(data) if isinstance(key, ed25519.Ed25519PrivateKey) else key.sign(data, padding.PKCS1v15(), SHA256())
    )


@dataclass
class Maker:
    """A maker of keys with a root of its own, which vouches for what it makes."""

    aaguid: str = "73bb0cd4-e502-49b8-9c6f-b59445bf720b"  # a YubiKey 5 FIPS says this
    named_in_certificate: str | None = ""
    unit: str = "Authenticator Attestation"
    ca: bool = False
    start: datetime = datetime(2020, 1, 1, tzinfo=UTC)
    life: timedelta = timedelta(days=36500)

    def __post_init__(self) -> None:
        self.root_key, self.key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        self.root = self._certificate("Root of a maker", self.root_key, self.root_key, "Root of a maker", ca=True)
        self.leaf = self._certificate("Batch 7", self.key, self.root_key, "Root of a maker", ca=self.ca)

    def _certificate(self, name: str, key: Any, signer: Any, issuer: str, *, ca: bool) -> x509.Certificate:
        def called(what: str) -> x509.Name:
            return x509.Name(
                [
                    x509.NameAttribute(NameOID.COUNTRY_NAME, "SE"),
                    x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Maker"),
                    x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, self.unit),
                    x509.NameAttribute(NameOID.COMMON_NAME, what),
                ]
            )

        builder = (
            x509.CertificateBuilder()
            .subject_name(called(name))
            .issuer_name(called(issuer))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.start)
            .not_valid_after(self.start + self.life)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        said = self.aaguid if self.named_in_certificate == "" else self.named_in_certificate
        if not ca and said:
            value = b"\x04\x10" + bytes.fromhex(said.replace("-", ""))
            builder = builder.add_extension(x509.UnrecognizedExtension(GEN_CE_AAGUID, value), critical=False)
        return builder.sign(signer, SHA256())

    @property
    def x5c(self) -> list[bytes]:
        return [self.leaf.public_bytes(Encoding.DER)]

    @property
    def root_der(self) -> bytes:
        return self.root.public_bytes(Encoding.DER)


@dataclass
class SoftKey:
    """One authenticator. verifies: whether it checks a PIN or a finger. synced: BE. counts: whether it has a counter."""

    verifies: bool = True
    synced: bool = False
    counts: bool = True
    resident: bool = True
    maker: Maker | None = None
    self_attests: bool = False
    key: Key = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    raw_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    aaguid: str = "00000000-0000-0000-0000-000000000000"
    origin: str = ORIGIN
    count: int = 0
    user_handle: bytes = b""

    def _flags(self) -> int:
        return UP | (UV if self.verifies else 0) | (BE | BS if self.synced else 0)

    def _auth_data(self, rp_id: str, flags: int) -> bytes:
        self.count += 1 if self.counts else 0
        return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + self.count.to_bytes(4)

    def _client(self, kind: str, challenge: str, **more: Any) -> bytes:
        said = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False, **more}
        return json.dumps({name: value for name, value in said.items() if value is not None}).encode()

    def create(
        self,
        options: dict[str, Any],
        *,
        flags: int | None = None,
        public_key: dict[int, Any] | None = None,
        fmt: str | None = None,
        statement: dict[str, Any] | None = None,
        rp_id: str | None = None,
        **client: Any,
    ) -> dict[str, Any]:
        """Answer creation options; keywords falsify a part."""
        self.user_handle = unb64(options["user"]["id"])
        aaguid = self.maker.aaguid if self.maker else self.aaguid
        data = self._auth_data(rp_id or options["rp"]["id"], (self._flags() if flags is None else flags) | AT)
        data += (
            bytes.fromhex(aaguid.replace("-", ""))
            + len(self.raw_id).to_bytes(2)
            + self.raw_id
            + cbor2.dumps(public_key or cose(self.key))
        )
        said = self._client("webauthn.create", options["challenge"], **client)
        base = data + hashlib.sha256(said).digest()
        form, stated = "none", {}
        if self.maker:
            form, stated = "packed", {"alg": -7, "sig": signed(self.maker.key, base), "x5c": self.maker.x5c}
        elif self.self_attests:
            form, stated = "packed", {"alg": cose(self.key)[3], "sig": signed(self.key, base)}
        whole = cbor2.dumps(
            {"fmt": fmt or form, "attStmt": stated if statement is None else statement, "authData": data}
        )
        return {
            "id": b64(self.raw_id),
            "rawId": b64(self.raw_id),
            "type": "public-key",
            "authenticatorAttachment": "cross-platform",
            "clientExtensionResults": {"credProps": {"rk": self.resident}},
            "response": {"clientDataJSON": b64(said), "attestationObject": b64(whole), "transports": ["usb"]},
        }

    def get(
        self,
        options: dict[str, Any],
        *,
        flags: int | None = None,
        rp_id: str | None = None,
        user_handle: bytes | None = None,
        data: bytes | None = None,
        tail: bytes = b"",
        **client: Any,
    ) -> dict[str, Any]:
        """Answer request options; keywords falsify a part."""
        found = (
            self._auth_data(rp_id or options["rpId"], self._flags() if flags is None else flags)
            if data is None
            else data
        )
        found += tail
        said = self._client("webauthn.get", options["challenge"], **client)
        handle = (self.user_handle if self.resident else b"") if user_handle is None else user_handle
        return {
            "id": b64(self.raw_id),
            "rawId": b64(self.raw_id),
            "type": "public-key",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": b64(said),
                "authenticatorData": b64(found),
                "userHandle": b64(handle) if handle else None,
                "signature": b64(signed(self.key, found + hashlib.sha256(said).digest())),
            },
        }
