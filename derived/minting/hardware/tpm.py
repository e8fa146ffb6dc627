"""TPM 2.0 certify: an attestation key, certified to be in a TPM, asserts that the device key is in the same TPM.

TPM2_Certify signs a TPMS_ATTEST (TPM 2.0 Library, part 2 §10.12) over the *name* of the key, a hash of its public area
with its attributes. User verification cannot be seen there, because an authorisation value may be empty. A TPM
therefore proves one factor, and a device passphrase makes two.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from derived.errors import Reason, Refused
from derived.minting.hardware.statement import HardwareEvidence, base64_member, chain_of, verified_chain
from derived.rules.rulebook import DeviceFacts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from derived.minting.hardware.statement import AttestationRequest, AttestationTrust

FORM = "tpm"
AK_CERTIFICATE = x509.ObjectIdentifier("2.23.133.8.3")  # tcg-kp-AIKCertificate
_MODEL, _MAKER = x509.ObjectIdentifier("2.23.133.2.2"), x509.ObjectIdentifier("2.23.133.2.1")
_GENERATED, _CERTIFY = b"\xff\x54\x43\x47", b"\x80\x17"
_ECC, _SHA256, _P256, _NULL = 0x0023, 0x000B, 0x0003, 0x0010
_ECDSA = 0x0018
_LEAST_RSA = 2048
# TPMA_OBJECT (part 2 §8.3): fixedTPM, fixedParent, sensitiveDataOrigin, sign are required; restricted and decrypt
# forbidden.
_MUST, _MUST_NOT = 1 << 1 | 1 << 4 | 1 << 5 | 1 << 18, 1 << 16 | 1 << 17


class _Reader:
    """Big-endian fields, one after the other.

    Raises: Refused(BAD_PROOF) past the end.
    """

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def take(self, size: int) -> bytes:
        found, self._raw = self._raw[:size], self._raw[size:]
        if len(found) != size:
            raise Refused(Reason.BAD_PROOF)
        return found

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size))

    def sized(self) -> bytes:
        return self.take(self.number(2))

    def end(self) -> None:
        if self._raw:
            raise Refused(Reason.BAD_PROOF)


def verify(statement: Mapping[str, Any], asked: AttestationRequest, trust: AttestationTrust) -> HardwareEvidence:
    """Verify a TPM's certification of the key.

    Raises: Refused(BAD_PROOF).
    """
    chain, by = verified_chain(chain_of(statement), FORM, asked, trust)
    info, public = base64_member(statement, "certify_info"), base64_member(statement, "public")
    _is_an_attestation_key(chain[0])
    _signed(chain[0], base64_member(statement, "signature"), info)
    certified(info, public, qualifying=asked.nonce)
    point = device_point(public)
    wanted = asked.key
    if not isinstance(wanted, ec.EllipticCurvePublicKey) or wanted.public_numbers() != ec.EllipticCurvePublicNumbers(
        *point, ec.SECP256R1()
    ):
        raise Refused(Reason.BAD_PROOF)
    return HardwareEvidence(
        device=DeviceFacts(type="tpm", model=_model(chain[0])),
        verifies_user=False,
        level="TPM 2.0",
        facts={"level": "TPM 2.0", **by},
    )


def _is_an_attestation_key(leaf: x509.Certificate) -> None:
    """Require the certificate of a TPM's attestation key, which signs no external data.

    Raises: Refused(BAD_PROOF).
    """
    uses = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    try:
        is_authority = leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        is_authority = False
    if leaf.version != x509.Version.v3 or AK_CERTIFICATE not in uses or is_authority:
        raise Refused(Reason.BAD_PROOF)


def _signed(leaf: x509.Certificate, signature: bytes, info: bytes) -> None:
    key = leaf.public_key()
    try:
        if isinstance(key, rsa.RSAPublicKey) and key.key_size >= _LEAST_RSA:
            key.verify(signature, info, padding.PKCS1v15(), SHA256())
        elif isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
            key.verify(signature, info, ec.ECDSA(SHA256()))
        else:
            raise Refused(Reason.BAD_PROOF)
    except InvalidSignature:
        raise Refused(Reason.BAD_PROOF) from None


def certified(info: bytes, public: bytes, *, qualifying: bytes) -> None:
    """Require a TPMS_ATTEST made by a TPM for this challenge and this public area.

    Raises: Refused(BAD_PROOF).
    """
    read = _Reader(info)
    if read.take(4) != _GENERATED or read.take(2) != _CERTIFY:
        raise Refused(Reason.BAD_PROOF)
    read.sized()  # the signer's qualified name
    if not hmac.compare_digest(read.sized(), qualifying):
        raise Refused(Reason.BAD_PROOF)
    read.take(17 + 8)  # clock and firmware
    name = read.sized()
    read.sized()
    read.end()
    if name != _SHA256.to_bytes(2) + hashlib.sha256(public).digest():
        raise Refused(Reason.BAD_PROOF)


def device_point(public: bytes) -> tuple[int, int]:
    """The point of a TPMT_PUBLIC for a P-256 signing key that was generated in its TPM and is fixed there.

    Raises: Refused(BAD_PROOF).
    """
    read = _Reader(public)
    if (read.number(2), read.number(2)) != (_ECC, _SHA256):
        raise Refused(Reason.BAD_PROOF)
    attributes = read.number(4)
    if attributes & _MUST != _MUST or attributes & _MUST_NOT:
        raise Refused(Reason.BAD_PROOF)
    read.sized()  # the policy
    if read.number(2) != _NULL:
        raise Refused(Reason.BAD_PROOF)
    scheme = read.number(2)
    if scheme not in {_NULL, _ECDSA} or (scheme == _ECDSA and read.number(2) != _SHA256):
        raise Refused(Reason.BAD_PROOF)
    if (read.number(2), read.number(2)) != (_P256, _NULL):
        raise Refused(Reason.BAD_PROOF)
    x, y = (int.from_bytes(read.sized()) for _ in range(2))
    read.end()
    return x, y


def _model(leaf: x509.Certificate) -> str:
    """Manufacturer and model from the certificate's subject alternative name."""
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
            x509.DirectoryName
        )
    except x509.ExtensionNotFound:
        return ""
    said = [str(one.value) for name in names for oid in (_MAKER, _MODEL) for one in name.get_attributes_for_oid(oid)]
    return " ".join(said)[:200]
