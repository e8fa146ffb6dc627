"""Apple App Attest: a listed app on a genuine Apple device vouches for the device key.

See Apple, "Validating apps that connect to your server". The attested key belongs to the app, in the Secure Enclave,
and signs in a form that is unusable here. The app therefore generates the device key there too and asserts it: the
client data is a hash of the challenge and of that key. Trust in the device key is thus the operator's trust in the app,
so apps are listed individually.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from derived.errors import Reason, Refused
from derived.minting import der
from derived.minting.hardware.statement import HardwareEvidence, base64_member, extension, verified_chain
from derived.rules.rulebook import DeviceFacts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from derived.minting.hardware.statement import AttestationRequest, AttestationTrust

FORM = "apple-appattest"
NONCE = "1.2.840.113635.100.8.2"
PRODUCTION, DEVELOPMENT = b"appattest" + bytes(7), b"appattestdevelop"
_HEAD, _AAGUID, _ID = 37, 16, 32
_MOST_CERTIFICATES = 3


def verify(statement: Mapping[str, Any], asked: AttestationRequest, trust: AttestationTrust) -> HardwareEvidence:
    """Verify an app's attestation.

    Raises: Refused(BAD_PROOF).
    """
    try:
        whole = cbor2.loads(base64_member(statement, "object"))
        form, data, listed = whole["fmt"], whole["authData"], whole["attStmt"]["x5c"]
    except cbor2.CBORDecodeError:
        raise Refused(Reason.BAD_PROOF) from None
    right = (
        form == FORM and isinstance(data, bytes) and isinstance(listed, list) and 1 <= len(listed) <= _MOST_CERTIFICATES
    )
    if not right or not all(isinstance(one, bytes) for one in listed):
        raise Refused(Reason.BAD_PROOF)
    chain, by = verified_chain(listed, FORM, asked, trust)
    leaf = chain[0]
    said = extension(leaf, NONCE)
    expected = hashlib.sha256(data + asked.nonce).digest()
    if said is None or not hmac.compare_digest(_nonce(said), expected):
        raise Refused(Reason.BAD_PROOF)
    app, environment = _app(data, trust)
    key = leaf.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise Refused(Reason.BAD_PROOF)
    name = hashlib.sha256(key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)).digest()
    end = _HEAD + _AAGUID + 2 + _ID
    right = (
        int.from_bytes(data[33:37]) == 0
        and data[_HEAD : _HEAD + _AAGUID] == environment
        and int.from_bytes(data[_HEAD + _AAGUID : end - _ID]) == _ID
        and data[end - _ID : end] == name
    )
    if not right:
        raise Refused(Reason.BAD_PROOF)
    return HardwareEvidence(
        device=DeviceFacts(type="apple", model=app),
        verifies_user=app in trust.verifying,
        level="Secure Enclave",
        facts={
            "app": app,
            "environment": "production" if environment == PRODUCTION else "development",
            "level": "Secure Enclave",
            **by,
        },
    )


def _nonce(said: bytes) -> bytes:
    """SEQUENCE { [1] OCTET STRING }."""
    return der.only(der.only(said).expect(der.SEQUENCE)).inner.expect(der.OCTETS)


def _app(data: bytes, trust: AttestationTrust) -> tuple[str, bytes]:
    """The listed app, and the AAGUID of the only environment in which it is trusted.

    The development environment, open to anybody with a developer account, counts only where the operator asks for it.
    Raises: Refused(BAD_PROOF).
    """
    for app in sorted(trust.apps | trust.developing):
        if hmac.compare_digest(hashlib.sha256(app.encode()).digest(), data[:32]):
            return app, DEVELOPMENT if app in trust.developing else PRODUCTION
    raise Refused(Reason.BAD_PROOF)
