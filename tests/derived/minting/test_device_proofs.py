"""Proofs by a device key: mutate each part and it is refused (DK-1, DK-3, J1–J7, A20)."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis import strategies as st

from derived.errors import Refused
from derived.minting.device_key import DevicePublicKey, check_claims, public_key, verify
from device.key import DeviceKey

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEY = DeviceKey.generate()
PUBLIC = public_key(KEY.public_jwk)
TYP = "ramet-login+jwt"


def claims(**changed: Any) -> dict[str, Any]:
    return {"aud": "https://id.example", "nonce": "n", "iat": int(NOW.timestamp()), "jti": "j" * 22, **changed}


def b64(value: object) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def signed(header: dict[str, Any]) -> str:
    """A JWS whose signature is right, whatever the header says."""
    text = f"{b64(header)}.{b64(claims())}"
    r, s = decode_dss_signature(KEY._key.raw_value.sign(text.encode(), ECDSA(SHA256())))
    return text + "." + urlsafe_b64encode(r.to_bytes(32, "big") + s.to_bytes(32, "big")).rstrip(b"=").decode()


def test_control_proof_verifies() -> None:
    """So that a refusal in another test is due to the header."""
    assert verify(signed({"alg": "ES256", "typ": TYP}), PUBLIC, typ=TYP) == claims()


def test_valid_proof_is_accepted() -> None:
    """The thumbprint is RFC 7638's, and the claims come back."""
    assert PUBLIC.jkt == KEY.jkt
    found = verify(KEY.sign({"typ": TYP, "kid": KEY.jkt}, claims()), PUBLIC, typ=TYP)
    assert check_claims(found, expected={"aud": "https://id.example", "nonce": "n"}, now=NOW) == "j" * 22


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "dpop+jwt"}, {"typ": None}, {"typ": TYP, "alg": "none"}, {"typ": TYP, "alg": "HS256"},
        {"typ": TYP, "alg": "ES384"},
        {"typ": TYP, "crit": ["x"]}, {"typ": TYP, "b64": False}, {"typ": TYP, "kid": "x" * 43},
        {"typ": TYP, "jwk": DeviceKey.generate().public_jwk},
    ],
)  # fmt: skip
def test_proof_with_a_wrong_header_is_refused(header: dict[str, Any]) -> None:
    """J2, J7, P18, advisories of §1.3: typ, alg, crit, b64, kid, embedded key."""
    with pytest.raises(Refused):
        verify(signed({"alg": "ES256", **header}), PUBLIC, typ=TYP)


def test_signature_of_another_key_is_refused() -> None:
    """I6."""
    with pytest.raises(Refused):
        verify(DeviceKey.generate().sign({"typ": TYP}, claims()), PUBLIC, typ=TYP)


@given(st.integers(0, 400), st.integers(1, 255))
def test_changed_byte_is_refused(position: int, change: int) -> None:
    """P18: no proper change of the text of a proof verifies (the last character of a segment may carry unused bits)."""
    proof = GOOD
    position %= len(proof)
    changed = proof[:position] + chr((ord(proof[position]) + change) % 128) + proof[position + 1 :]
    try:
        found = verify(changed, PUBLIC, typ=TYP)
    except Refused:
        return
    assert found == claims()


GOOD = KEY.sign({"typ": TYP, "kid": KEY.jkt}, claims())


@given(st.integers(0, len(GOOD) - 1))
def test_truncated_proof_is_refused(length: int) -> None:
    """P18."""
    with pytest.raises(Refused):
        verify(GOOD[:length], PUBLIC, typ=TYP)


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "https://other.example"}, {"aud": ["https://id.example"]}, {"nonce": "m"}, {"nonce": None},
        {"iat": None}, {"iat": True},
        {"iat": "1"}, {"iat": 1e300}, {"iat": int(NOW.timestamp()) - 61}, {"iat": int(NOW.timestamp()) + 11},
        {"jti": ""}, {"jti": "short"},
        {"jti": 5}, {"jti": "x" * 200}, {"exp": int(NOW.timestamp())}, {"exp": int(NOW.timestamp()) + 61},
        {"exp": "soon"},
    ],
)  # fmt: skip
def test_wrong_claim_is_refused(changed: dict[str, Any]) -> None:
    """Each claim is checked for type and value (J1, J5)."""
    with pytest.raises(Refused):
        check_claims(claims(**changed), expected={"aud": "https://id.example", "nonce": "n"}, now=NOW)


@given(st.integers(-120, 120))
def test_proof_is_fresh_for_a_minute(age: int) -> None:
    """Not a second longer, and hardly from the future."""
    at = NOW + timedelta(seconds=age)
    try:
        check_claims(claims(), expected={}, now=at)
        fresh = True
    except Refused:
        fresh = False
    assert fresh == (-10 <= age <= 60)


@pytest.mark.parametrize(
    "jwk",
    [
        None, [], "x", {}, {"kty": "oct", "k": "AAAA"}, {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
        {**KEY.public_jwk, "d": "AAAA"},
        {**KEY.public_jwk, "crv": "P-384"}, {**KEY.public_jwk, "x": KEY.public_jwk["y"]},
        {**KEY.public_jwk, "x": "A" * 43},
        {**KEY.public_jwk, "x": 5}, {**KEY.public_jwk, "y": KEY.public_jwk["y"] + "AA"},
        {"kty": "OKP", "crv": "Ed25519", "x": "A" * 43},
    ],
)  # fmt: skip
def test_key_that_is_not_a_p256_point_is_refused(jwk: object) -> None:
    """J3: no private members, no symmetric keys, on the curve."""
    with pytest.raises(Refused):
        public_key(jwk)


@pytest.mark.parametrize("depth", [20, 1000, 5000])
def test_deeply_nested_proof_is_refused_before_parsing(depth: int) -> None:
    """A20, J5."""
    bomb = urlsafe_b64encode(b"[" * depth + b"]" * depth).rstrip(b"=").decode()
    for proof in (f"{bomb}.{bomb}.AAAA", f"{GOOD.split('.')[0]}.{bomb}.{GOOD.split('.')[2]}"):
        with pytest.raises(Refused):
            verify(proof, DevicePublicKey(PUBLIC.jwk, PUBLIC.jkt), typ=TYP)
