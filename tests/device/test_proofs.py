"""Rules of the device's proofs, verified with joserfc as any server would."""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey

from device import proofs
from device.key import DeviceKey

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ISSUER = "https://login.example.org"


def opened(proof: str, key: DeviceKey) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and payload of a proof whose signature holds."""
    registry = jws.JWSRegistry(algorithms=["ES256"])
    registry.max_header_length = 4096
    found = jws.deserialize_compact(proof, ECKey.import_key({**key.public_jwk}), registry=registry)
    return dict(found.protected), json.loads(found.payload or b"")


def test_thumbprint_follows_rfc_7638() -> None:
    """The jkt is SHA-256 over the canonical JSON of crv, kty, x and y, and nothing else."""
    key = DeviceKey.generate()
    canonical = json.dumps(key.public_jwk, sort_keys=True, separators=(",", ":")).encode()
    assert key.jkt == urlsafe_b64encode(hashlib.sha256(canonical).digest()).rstrip(b"=").decode()
    assert sorted(key.public_jwk) == ["crv", "kty", "x", "y"]


def test_public_forms_hide_the_private_key() -> None:
    """Neither the JWK that is sent nor the repr of a key holds its secret."""
    key = DeviceKey.generate()
    secret = key.private_jwk()["d"]
    assert secret not in json.dumps(key.public_jwk)
    assert secret not in repr(key)


def test_signature_is_64_raw_bytes() -> None:
    """ES256 signatures are r‖s, not DER (RFC 7518 §3.4): the usual mistake of a port."""
    signature = proofs.browser_login(DeviceKey.generate(), "c", issuer=ISSUER, now=NOW).split(".")[2]
    assert len(urlsafe_b64decode(signature + "==")) == 64


def test_binding_proof_has_key_and_challenge() -> None:
    """Step 2 carries the public key in its header, and the challenge as nonce."""
    key = DeviceKey.generate()
    header, payload = opened(proofs.binding(key, "challenge", issuer=ISSUER, now=NOW), key)
    assert header == {"typ": "ramet-binding+jwt", "alg": "ES256", "jwk": key.public_jwk}
    assert (payload["aud"], payload["nonce"], payload["iat"]) == (ISSUER, "challenge", int(NOW.timestamp()))


def test_status_proof_names_key_and_binding() -> None:
    """Step 3 is signed by the key that answered, about one binding."""
    key = DeviceKey.generate()
    header, payload = opened(proofs.binding_status(key, "b-1", issuer=ISSUER, now=NOW), key)
    assert header == {"typ": "ramet-binding-status+jwt", "alg": "ES256", "kid": key.jkt}
    assert (payload["aud"], payload["sub"]) == (ISSUER, "b-1")


def test_assertion_is_for_one_client_and_one_minute() -> None:
    """Step 4 names key, credential, issuer and client, and ends after 60 seconds."""
    key = DeviceKey.generate()
    header, payload = opened(proofs.assertion(key, "c-1", issuer=ISSUER, client_id="app", now=NOW), key)
    assert header == {"typ": "ramet-device+jwt", "alg": "ES256", "kid": key.jkt}
    assert payload["iss"] == "urn:ietf:params:oauth:jwk-thumbprint:sha-256:" + key.jkt
    assert (payload["sub"], payload["aud"], payload["client_id"]) == ("c-1", ISSUER, "app")
    assert payload["exp"] - payload["iat"] == 60


def test_dpop_proof_is_for_one_request() -> None:
    """RFC 9449 §4.2: method, URL without query, and the hash of the token that goes with it."""
    key = DeviceKey.generate()
    url = f"{ISSUER}/oidc/userinfo"
    proof = proofs.dpop(key, "GET", url=url + "?a=b#c", now=NOW, nonce="n", access_token="token")
    header, payload = opened(proof, key)
    assert header == {"typ": "dpop+jwt", "alg": "ES256", "jwk": key.public_jwk}
    assert (payload["htm"], payload["htu"], payload["nonce"]) == ("GET", url, "n")
    assert payload["ath"] == urlsafe_b64encode(hashlib.sha256(b"token").digest()).rstrip(b"=").decode()


def test_proofs_have_different_jti() -> None:
    """Each proof is fresh: its jti carries 128 random bits."""
    key = DeviceKey.generate()
    seen = {opened(proofs.dpop(key, "GET", url=ISSUER, now=NOW), key)[1]["jti"] for _ in range(20)}
    assert len(seen) == 20
    assert all(len(jti) >= 22 for jti in seen)


@pytest.mark.parametrize("curve", ["P-384", "P-521"])
def test_key_of_another_curve_is_refused(curve: str) -> None:
    """Only P-256 keys are device keys."""
    other = {name: str(value) for name, value in ECKey.generate_key(curve).as_dict(private=True).items()}
    with pytest.raises(ValueError, match="P-256"):
        DeviceKey.from_private_jwk(other)
