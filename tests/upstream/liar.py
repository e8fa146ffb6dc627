"""A small OpenID provider of ours that tells the truth until a test makes it lie: about levels, keys, addressees, times.

Its back channel is real HTTP on loopback; the front channel is one function, `signs_in`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey

from derived import clock

if TYPE_CHECKING:
    from collections.abc import Callable

CLIENT, SECRET = "ramet-at-liar", "a secret between two providers"
AAL2 = "http://idmanagement.gov/ns/assurance/aal/2"


class _Absent:
    """Stands for a claim that is left out."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = _Absent()


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _keys() -> dict[str, Any]:
    made = {
        "ES256": ECKey.generate_key("P-256"),
        "RS256": RSAKey.generate_key(2048),
        "EdDSA": OKPKey.generate_key("Ed25519"),
    }
    return {
        alg: type(key).import_key({**key.as_dict(private=True), "kid": f"key-{alg}", "use": "sig"})
        for alg, key in made.items()
    }


_KEYS = _keys()
OTHER = ECKey.import_key({**ECKey.generate_key("P-256").as_dict(private=True), "kid": "key-ES256"})  # not published


@dataclass
class Liar:
    """lies: claims that are changed (ABSENT: left out). header: likewise. sign: makes the token in another way.

    metadata: changes of the discovery document. answers: what the token endpoint says instead. asked: what came to it.
    """

    subject: str = "subject-1"
    acr: Any = AAL2
    amr: Any = field(default_factory=lambda: ["pwd", "otp", "mfa"])
    lies: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    alg: str = "ES256"
    sign: Callable[[dict[str, Any], dict[str, Any]], Any] | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    jwks: dict[str, Any] | None = None
    token_answer: tuple[int, bytes] | None = None
    down: bool = False
    asked: list[dict[str, str]] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        liar = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None: ...

            def answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self) -> None:
                liar.fetched.append(self.path)
                if liar.down:
                    self.answer(503, b"{}")
                elif self.path.startswith("/authorize?"):  # for a real browser: whoever comes is signed in
                    self.send_response(302)
                    self.send_header("Location", liar.signs_in(liar.issuer + self.path))
                    self.end_headers()
                elif self.path == "/.well-known/openid-configuration":
                    self.answer(200, json.dumps(liar.discovery()).encode())
                else:
                    self.answer(200, json.dumps(liar.jwks or {"keys": [published(one) for one in _KEYS]}).encode())

            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                fields = {name: values[0] for name, values in form.items()}
                fields["Authorization"] = self.headers.get("Authorization", "")
                self.answer(*liar.token(fields))

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "id_token_signing_alg_values_supported": ["none", "HS256", "RS256"],
            "authorization_response_iss_parameter_supported": True,
            **self.metadata,
        }

    def signs_in(self, url: str, **changed: str | None) -> str:
        """The person signs in at once; where the browser is sent. changed: parameters of the answer, None to leave one out."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert url.startswith(f"{self.issuer}/authorize?"), url
        code = token_urlsafe(16)
        self.codes[code] = query
        answer: dict[str, str | None] = {"code": code, "state": query["state"], "iss": self.issuer, **changed}
        return (
            query["redirect_uri"]
            + "?"
            + urlencode({name: value for name, value in answer.items() if value is not None})
        )

    def token(self, form: dict[str, str]) -> tuple[int, bytes]:
        self.asked.append(form)
        if self.token_answer:
            return self.token_answer
        query = self.codes.pop(form["code"], None)
        basic = "Basic " + base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if query is None or form["Authorization"] != basic or form["redirect_uri"] != query["redirect_uri"]:
            return 400, b'{"error": "invalid_grant"}'
        if (
            b64(hashlib.sha256(form["code_verifier"].encode()).digest()) != query["code_challenge"]
            or query["code_challenge_method"] != "S256"
        ):
            return 400, b'{"error": "invalid_grant"}'
        access_token = token_urlsafe(16)
        body = {"access_token": access_token, "token_type": "Bearer", "id_token": self.id_token(query, access_token)}
        return 200, json.dumps({name: value for name, value in body.items() if value is not None}).encode()

    def id_token(self, query: dict[str, str], access_token: str) -> Any:
        now = int(clock.now().timestamp())
        digest = (hashlib.sha512 if self.alg == "EdDSA" else hashlib.sha256)(access_token.encode()).digest()
        true = {
            "iss": self.issuer,
            "sub": self.subject,
            "aud": CLIENT,
            "exp": now + 300,
            "iat": now,
            "nonce": query["nonce"],
            "auth_time": now,
            "acr": self.acr,
            "amr": self.amr,
            "at_hash": b64(digest[: len(digest) // 2]),
        }
        claims = {
            name: value(true) if callable(value) else value
            for name, value in {**true, **self.lies}.items()
            if value is not ABSENT
        }
        header = {
            name: value
            for name, value in {"alg": self.alg, "typ": "JWT", "kid": f"key-{self.alg}", **self.header}.items()
            if value is not ABSENT
        }
        if self.sign:
            return self.sign(header, claims)
        return signed(header, claims, _KEYS["RS256" if self.alg == "PS256" else self.alg])


def signed(header: dict[str, Any], claims: dict[str, Any], key: Any) -> str:
    registry = jws.JWSRegistry(algorithms=[header["alg"]], strict_check_header=False)
    return jws.serialize_compact(
        header, json.dumps(claims).encode(), key, algorithms=[header["alg"]], registry=registry
    )


def by_another_key(header: dict[str, Any], claims: dict[str, Any]) -> str:
    return signed(header, claims, OTHER)


def _raw(header: dict[str, Any], claims: dict[str, Any]) -> str:
    return f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"


def unsigned(alg: Any) -> Callable[[dict[str, Any], dict[str, Any]], str]:
    return lambda header, claims: _raw({**header, "alg": alg}, claims) + "."


def by_public_key(header: dict[str, Any], claims: dict[str, Any]) -> str:
    """HS256 under the published key's own text (CVE-2024-37568)."""
    text = _raw({**header, "alg": "HS256", "kid": "key-RS256"}, claims)
    return f"{text}.{b64(hmac.digest(_KEYS['RS256'].as_pem(private=False), text.encode(), 'sha256'))}"


def by_client_secret(header: dict[str, Any], claims: dict[str, Any]) -> str:
    text = _raw({**header, "alg": "HS256"}, claims)
    return f"{text}.{b64(hmac.digest(SECRET.encode(), text.encode(), 'sha256'))}"


def with_own_key_inside(header: dict[str, Any], claims: dict[str, Any]) -> str:
    """The key in the header (CVE-2026-27962)."""
    return signed({**header, "kid": "inside", "jwk": OTHER.as_dict(private=False)}, claims, OTHER)


def by_hand(header: dict[str, Any], claims: dict[str, Any]) -> str:
    """ES256 by the true key, over a header that no library would write."""
    text = _raw(header, claims)
    der = _KEYS["ES256"].private_key.sign(text.encode(), ECDSA(SHA256()))
    return f"{text}.{b64(b''.join(one.to_bytes(32, 'big') for one in decode_dss_signature(der)))}"


def broken(header: dict[str, Any], claims: dict[str, Any]) -> str:
    token = signed(header, claims, _KEYS["ES256"])
    head, payload, signature = token.split(".")
    return f"{head}.{payload}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"


def published(alg: str = "ES256") -> dict[str, Any]:
    return {**_KEYS[alg].as_dict(private=False), "alg": alg}
