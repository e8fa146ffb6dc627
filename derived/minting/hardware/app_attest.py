"""Apple App Attest: a genuine app of ours, on a genuine device of Apple's, vouches for the device key (Apple, "Validating apps that connect to your server").

The attested key is the app's, in the Secure Enclave; it signs in no form that we could use, so the app makes the device key
there too and says so: the client data is a hash of our challenge and of that key. What is believed of the device key is
therefore what the operator knows of the app, which is why apps are listed one by one.
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
from derived.minting.hardware.statement import Kept, extension, taken, trusted
from derived.rules.rulebook import Device

if TYPE_CHECKING:
    from collections.abc import Mapping

    from derived.minting.hardware.statement import Asked, Trust

FORM = "apple-appattest"
NONCE = "1.2.840.113635.100.8.2"
PRODUCTION, DEVELOPMENT = b"appattest" + bytes(7), b"appattestdevelop"
_HEAD, _AAGUID, _ID = 37, 16, 32
_MOST_CERTIFICATES = 3


def verify(statement: Mapping[str, Any], asked: Asked, trust: Trust) -> Kept:
    """What the app's attestation says.

    Raises: Refused(BAD_PROOF).
    """
    try:
        whole = cbor2.loads(taken(statement, "object"))
        form, data, listed = whole["fmt"], whole["authData"], whole["attStmt"]["x5c"]
    except cbor2.CBORDecodeError:
        raise Refused(Reason.BAD_PROOF) from None
    right = (
        form == FORM and isinstance(data, bytes) and isinstance(listed, list) and 1 <= len(listed) <= _MOST_CERTIFICATES
    )
    if not right or not all(isinstance(one, bytes) for one in listed):
        raise Refused(Reason.BAD_PROOF)
    chain, by = trusted(listed, FORM, asked, trust)
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
    return Kept(
        device=Device(type="apple", model=app),
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


def _app(data: bytes, trust: Trust) -> tuple[str, bytes]:
    """Which listed app it is, and the AAGUID of the one environment that it is believed in.

    What anybody with a developer's account can make counts nowhere but in a house that asks for it.
    Raises: Refused(BAD_PROOF).
    """
    for app in sorted(trust.apps | trust.developing):
        if hmac.compare_digest(hashlib.sha256(app.encode()).digest(), data[:32]):
            return app, DEVELOPMENT if app in trust.developing else PRODUCTION
    raise Refused(Reason.BAD_PROOF)
