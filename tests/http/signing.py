"""A client that signs: its keys, its assertions, and the ways in which they can be wrong."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey

from derived import clock
from tests.world import ISSUER, App, World, http

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def new_key(alg: str = "ES256", kid: str = "one") -> ECKey | RSAKey | OKPKey:
    """A key for an algorithm."""
    parameters = {"kid": kid}
    if alg in {"RS256", "PS256"}:
        return RSAKey.generate_key(2048, parameters)
    if alg in {"EdDSA", "Ed25519"}:
        return OKPKey.generate_key("Ed25519", parameters)
    return ECKey.generate_key({"ES256": "P-256", "ES384": "P-384"}[alg], parameters)


def jwks(*keys: Any) -> dict[str, Any]:
    """Their public set."""
    return dict(KeySet(list(keys)).as_dict(private=False))


@dataclass
class Signer:
    """A client that authenticates by private_key_jwt."""

    app: App
    key: Any
    alg: str = "ES256"
    extra: dict[str, Any] = field(default_factory=dict)

    def claims(self, **changed: Any) -> dict[str, Any]:
        """Those of a good assertion; None leaves one out."""
        now = int(clock.now().timestamp())
        good = {
            "iss": self.app.client_id,
            "sub": self.app.client_id,
            "aud": ISSUER,
            "iat": now,
            "exp": now + 60,
            "jti": secrets.token_urlsafe(12),
        }
        return {name: value for name, value in {**good, **changed}.items() if value is not None}

    def sign(self, claims: dict[str, Any], *, key: Any = None, alg: str = "", **header: Any) -> str:
        """A token."""
        head = {
            name: value
            for name, value in {"alg": alg or self.alg, "kid": self.key.kid, **header}.items()
            if value is not None
        }
        return jwt.encode(head, claims, key or self.key, algorithms=[head["alg"]])

    def fields(self, assertion: str) -> dict[str, str]:
        """How it is sent."""
        return {"client_assertion_type": ASSERTION, "client_assertion": assertion}

    def post(self, path: str, form: dict[str, str], **changed: Any) -> Any:
        """A back-channel call."""
        with http() as agent:
            return agent.post(path, data={**form, **self.fields(self.sign(self.claims(**changed)))})


def signer(world: World, alg: str = "ES256", **changed: Any) -> Signer:
    """A registered one, with an inline key set unless it says where its keys are."""
    key = changed.pop("key", None) or new_key(alg)
    where = {} if "jwks_uri" in changed else {"jwks": jwks(key)}
    app = world.app(auth_method="private_key_jwt", auth_alg=alg, **{**where, **changed})
    return Signer(app, key, alg)
