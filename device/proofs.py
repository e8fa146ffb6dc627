"""Every JWS that a device key signs. Each has its own `typ`, so that none is accepted as another.

Times are whole seconds since epoch; every `jti` is fresh and carries 128 random bits.
"""

from __future__ import annotations

import hashlib
import secrets
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    from datetime import datetime

    from device.key import Signer

THUMBPRINT_URN = "urn:ietf:params:oauth:jwk-thumbprint:sha-256:"
ASSERTION_SECONDS = 60


def binding(key: Signer, challenge: str, *, issuer: str, now: datetime) -> str:
    """Step 2, bind: the new key signs the challenge and carries its public key."""
    header = {"typ": "ramet-binding+jwt", "jwk": key.public_jwk}
    return key.sign(header, {"aud": issuer, "nonce": challenge, **_fresh(now)})


def binding_status(key: Signer, binding_id: str, *, issuer: str, now: datetime) -> str:
    """Step 3, wait for the desktop: only the key that was bound may ask for the state."""
    header = {"typ": "ramet-binding-status+jwt", "kid": key.jkt}
    return key.sign(header, {"aud": issuer, "sub": binding_id, **_fresh(now)})


def assertion(key: Signer, credential_id: str, *, issuer: str, client_id: str, now: datetime) -> str:
    """Step 4, log in: the RFC 7523 assertion for one client; 60 seconds at most, single-use."""
    claims = {"iss": THUMBPRINT_URN + key.jkt, "sub": credential_id, "aud": issuer, "client_id": client_id}
    times = {**_fresh(now), "exp": int(now.timestamp()) + ASSERTION_SECONDS}
    return key.sign({"typ": "ramet-device+jwt", "kid": key.jkt}, {**claims, **times})


def browser_login(key: Signer, challenge: str, *, issuer: str, now: datetime) -> str:
    """Step 5, log in a browser on the device: sign the challenge of the login page's form."""
    header = {"typ": "ramet-login+jwt", "kid": key.jkt}
    return key.sign(header, {"aud": issuer, "nonce": challenge, **_fresh(now)})


def dpop(  # noqa: PLR0913 - the claims of RFC 9449 §4.2
    key: Signer, method: str, *, url: str, now: datetime, nonce: str | None = None, access_token: str | None = None
) -> str:
    """A DPoP proof for one HTTP request (RFC 9449 §4.2).

    url: the request's; query and fragment are left out of `htu`.
    nonce: the server's, if it asked for one (§8).
    access_token: the one presented with the request at a protected resource (`ath`, §4.3).
    """
    claims: dict[str, Any] = {"htm": method, "htu": _without_query(url), **_fresh(now)}
    if nonce is not None:
        claims["nonce"] = nonce
    if access_token is not None:
        claims["ath"] = _base64url(hashlib.sha256(access_token.encode("ascii")).digest())
    return key.sign({"typ": "dpop+jwt", "jwk": key.public_jwk}, claims)


def _fresh(now: datetime) -> dict[str, Any]:
    return {"iat": int(now.timestamp()), "jti": secrets.token_urlsafe(16)}


def _without_query(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))


def _base64url(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
