"""Makers of hardware with roots of their own: each statement right in every part, or wrong in exactly one."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID, ObjectIdentifier

from derived.minting.hardware.statement import AttestationRequest, AttestationTrust

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
NONCE, MADE_FOR = hashlib.sha256(b"nonce").digest(), hashlib.sha256(b"code").digest()
APP = "TEAM123456.org.example.field"
Private = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def jwk_of(key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    numbers = key.public_key().public_numbers()
    coordinate = lambda value: base64.urlsafe_b64encode(value.to_bytes(32)).rstrip(b"=").decode()  # noqa: E731
    return {"kty": "EC", "crv": "P-256", "x": coordinate(numbers.x), "y": coordinate(numbers.y)}


def fresh() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


# --- DER --------------------------------------------------------------------------------------------------------------


def tlv(tag: int | bytes, body: bytes) -> bytes:
    size = len(body)
    length = bytes([size]) if size < 0x80 else (b"\x81" + bytes([size]) if size < 0x100 else b"\x82" + size.to_bytes(2))
    return (bytes([tag]) if isinstance(tag, int) else tag) + length + body


def number(value: int, tag: int = 0x02) -> bytes:
    return tlv(tag, value.to_bytes(value.bit_length() // 8 + 1))


def explicit(tag: int, inner: bytes) -> bytes:
    head = (
        bytes([0xA0 | tag])
        if tag < 31
        else b"\xbf" + (bytes([tag]) if tag < 128 else bytes([0x80 | tag >> 7, tag & 0x7F]))
    )
    return tlv(head, inner)


# --- what all have ----------------------------------------------------------------------------------------------------


@dataclass
class Maker:
    """A root, and what it signs."""

    form: str
    root_key: Private = field(default_factory=fresh)
    key: ec.EllipticCurvePrivateKey = field(default_factory=fresh)

    def __post_init__(self) -> None:
        self.root = self.certificate("A maker's root", self.root_key, ca=True)

    def certificate(
        self,
        name: str,
        key: Any,
        extensions: dict[str, bytes] | None = None,
        *,
        ca: bool = False,
        signer: Private | None = None,
        issuer: x509.Certificate | None = None,
        more: list[tuple[x509.ExtensionType, bool]] | None = None,
        start: datetime = NOW - timedelta(days=1),
        life: timedelta = timedelta(days=3650),
    ) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        by = issuer.subject if issuer else (self.root.subject if hasattr(self, "root") else subject)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(by)
            .public_key(key.public_key() if hasattr(key, "public_key") else key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + life)
        )
        if ca:
            builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        for oid, value in (extensions or {}).items():
            builder = builder.add_extension(x509.UnrecognizedExtension(ObjectIdentifier(oid), value), critical=False)
        for value, critical in more or []:
            builder = builder.add_extension(value, critical=critical)
        return builder.sign(signer or self.root_key, SHA256())

    def trust(self, **changed: Any) -> AttestationTrust:
        return AttestationTrust(
            **{"roots": {self.form: [self.root.public_bytes(Encoding.DER)]}, "apps": frozenset({APP}), **changed}
        )

    def asked(self, **changed: Any) -> AttestationRequest:
        return AttestationRequest(
            **{"key": self.key.public_key(), "nonce": NONCE, "made_for": MADE_FOR, "now": NOW, **changed}
        )


def other() -> ec.EllipticCurvePublicKey:
    return fresh().public_key()


def x5c(*chain: x509.Certificate) -> list[str]:
    return [b64(one.public_bytes(Encoding.DER)) for one in chain]


# --- Android ----------------------------------------------------------------------------------------------------------


class Android(Maker):
    """A phone with a TEE (1) or StrongBox (2), which asks for a finger at each use."""

    def __init__(self) -> None:
        super().__init__("android-key")

    @staticmethod
    def root_of_trust(*, locked: bool = True, state: int = 0) -> bytes:
        return tlv(
            0x30,
            tlv(0x04, b"k" * 32)
            + tlv(0x01, b"\xff" if locked else b"\x00")
            + number(state, 0x0A)
            + tlv(0x04, b"h" * 32),
        )

    def enforced(self, **changed: bytes | None) -> dict[int, bytes]:
        purposes = tlv(0x31, number(2))
        said = {
            "purpose": (1, purposes),
            "algorithm": (2, number(3)),
            "size": (3, number(256)),
            "curve": (10, number(1)),
            "auth": (504, number(2)),
            "origin": (702, number(0)),
            "boot": (704, self.root_of_trust()),
        }
        tags = {"timeout": 505, "no_auth": 503, "brand": 710, "model": 717}
        found = {tag: value for name, (tag, value) in said.items() if name not in changed}
        for name, value in changed.items():
            if value is not None:
                found[said[name][0] if name in said else tags[name]] = value
        return found

    def description(
        self,
        *,
        version: int = 300,
        levels: tuple[int, int] = (1, 1),
        challenge: bytes = MADE_FOR,
        hardware: dict[int, bytes] | None = None,
        software: dict[int, bytes] | None = None,
        tail: bytes = b"",
    ) -> bytes:
        packed = lambda said: tlv(0x30, b"".join(explicit(tag, value) for tag, value in said.items()))  # noqa: E731
        return tlv(
            0x30, number(version) + number(levels[0], 0x0A) + number(version) + number(levels[1], 0x0A) + tlv(0x04, challenge) + tlv(0x04, b"")
            + packed(software or {}) + packed(self.enforced() if hardware is None else hardware) + tail,
        )  # fmt: skip

    def statement(
        self, description: bytes | None = None, *, chain: list[x509.Certificate] | None = None
    ) -> dict[str, Any]:
        leaf = self.certificate(
            "Android Keystore Key", self.key, {"1.3.6.1.4.1.11129.2.1.17": description or self.description()}
        )
        return {"format": "android-key", "x5c": x5c(*(chain or [leaf]))}


# --- YubiKey ----------------------------------------------------------------------------------------------------------


class YubiKey(Maker):
    """A YubiKey: its own certificate in F9, and a slot's."""

    def __init__(self) -> None:
        super().__init__("yubikey-piv")
        self.device_key = rsa.generate_private_key(65537, 2048)
        self.device = self.certificate("Yubico PIV Attestation", self.device_key, ca=True)

    def statement(
        self,
        *,
        name: str = "YubiKey PIV Attestation 9a",
        key: Any = None,
        drop: str = "",
        signer: Any = None,
        **changed: bytes,
    ) -> dict[str, Any]:
        said = {"3": b"\x05\x07\x01", "7": number(7654321), "8": b"\x03\x01", "9": b"\x81", **changed}
        extensions = {f"1.3.6.1.4.1.41482.3.{part}": value for part, value in said.items() if part != drop}
        slot = self.certificate(name, key or self.key, extensions, signer=signer or self.device_key, issuer=self.device)
        return {"format": "yubikey-piv", "x5c": x5c(slot, self.device)}


# --- TPM --------------------------------------------------------------------------------------------------------------


class Tpm(Maker):
    """A TPM with an attestation key that its owner has certified."""

    def __init__(self) -> None:
        super().__init__("tpm")
        self.ak = rsa.generate_private_key(65537, 2048)

    def ak_certificate(self, *, eku: str = "2.23.133.8.3", ca: bool = False, key: Any = None) -> x509.Certificate:
        more: list[tuple[x509.ExtensionType, bool]] = [(x509.ExtendedKeyUsage([ObjectIdentifier(eku)]), False)]
        return self.certificate("AK", key or self.ak, more=more, ca=ca)

    def public(
        self,
        *,
        attributes: int = 0x00040072,
        kind: int = 0x23,
        hashed: int = 0x0B,
        curve: int = 3,
        scheme: bytes = b"\x00\x18\x00\x0b",
        tail: bytes = b"",
    ) -> bytes:
        numbers = self.key.public_key().public_numbers()
        return (
            kind.to_bytes(2) + hashed.to_bytes(2) + attributes.to_bytes(4) + b"\x00\x00" + b"\x00\x10" + scheme + curve.to_bytes(2) + b"\x00\x10"
            + b"\x00\x20" + numbers.x.to_bytes(32) + b"\x00\x20" + numbers.y.to_bytes(32) + tail
        )  # fmt: skip

    def info(
        self,
        public: bytes,
        *,
        magic: bytes = b"\xffTCG",
        kind: bytes = b"\x80\x17",
        qualifying: bytes = NONCE,
        name: bytes | None = None,
        tail: bytes = b"",
    ) -> bytes:
        named = b"\x00\x0b" + hashlib.sha256(public).digest() if name is None else name
        signer = b"\x00\x0b" + bytes(32)
        sized = lambda raw: len(raw).to_bytes(2) + raw  # noqa: E731
        return (
            magic
            + kind
            + sized(signer)
            + sized(qualifying)
            + bytes(17)
            + bytes(8)
            + sized(named)
            + sized(signer)
            + tail
        )

    def statement(
        self,
        *,
        public: bytes | None = None,
        info: bytes | None = None,
        leaf: x509.Certificate | None = None,
        signer: Any = None,
        **more: Any,
    ) -> dict[str, Any]:
        said = self.public() if public is None else public
        about = self.info(said) if info is None else info
        signature = (signer or self.ak).sign(about, padding.PKCS1v15(), SHA256())
        return {
            "format": "tpm",
            "x5c": x5c(leaf or self.ak_certificate()),
            "certify_info": b64(about),
            "public": b64(said),
            "signature": b64(signature),
            **more,
        }


# --- Apple ------------------------------------------------------------------------------------------------------------


class Apple(Maker):
    """A genuine app on a genuine device."""

    def __init__(self) -> None:
        super().__init__("apple-appattest")
        self.app_key = fresh()

    @property
    def key_id(self) -> bytes:
        return hashlib.sha256(
            self.app_key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        ).digest()

    def data(
        self,
        *,
        app: str = APP,
        counter: int = 0,
        aaguid: bytes = b"appattest" + bytes(7),
        key_id: bytes | None = None,
        length: int = 32,
    ) -> bytes:
        return (
            hashlib.sha256(app.encode()).digest() + b"\x40" + counter.to_bytes(4) + aaguid + length.to_bytes(2)
            + (self.key_id if key_id is None else key_id) + cbor2.dumps({1: 2})
        )  # fmt: skip

    def statement(
        self,
        data: bytes | None = None,
        *,
        nonce: bytes = NONCE,
        fmt: str = "apple-appattest",
        said: bytes | None = None,
        drop: bool = False,
    ) -> dict[str, Any]:
        whole = self.data() if data is None else data
        hashed = hashlib.sha256(whole + nonce).digest()
        extension = tlv(0x30, explicit(1, tlv(0x04, hashed))) if said is None else said
        leaf = self.certificate("key", self.app_key, {} if drop else {"1.2.840.113635.100.8.2": extension})
        made = cbor2.dumps(
            {"fmt": fmt, "attStmt": {"x5c": [leaf.public_bytes(Encoding.DER)], "receipt": b""}, "authData": whole}
        )
        return {"format": "apple-appattest", "object": b64(made)}
