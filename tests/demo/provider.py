"""A provider on a real port that signs whatever a test wants, to see what a client refuses to believe."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from joserfc import jws
from joserfc.jwk import ECKey, OctKey

from demo.server import free_port
from demo.web import serving

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIEnvironment

CLIENT_ID = "demo-app"


class Provider:
    """Metadata, JWKS, and a token endpoint that gives the next of `answers`.

    requests: path, headers and body of what was asked, oldest first.
    """

    def __init__(self, port: int) -> None:
        self.issuer = f"http://localhost:{port}"
        self.key = ECKey.generate_key("P-256", {"kid": "k1", "use": "sig", "alg": "ES256"})
        self.answers: list[tuple[str, dict[str, Any], dict[str, str]]] = []
        self.requests: list[tuple[str, dict[str, str], str]] = []
        self.named_issuer = self.issuer

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        path = environ["PATH_INFO"]
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode()
        headers = {name: value for name, value in environ.items() if name.startswith("HTTP_")}
        status, more = "200 OK", dict[str, str]()
        answer: dict[str, Any]
        if path == "/.well-known/openid-configuration":
            answer = self._metadata()
        elif path == "/jwks":
            answer = {"keys": [self.key.as_dict(private=False)]}
        else:
            self.requests.append((path, headers, body))
            status, answer, more = self.answers.pop(0)
        start_response(status, [("Content-Type", "application/json"), *more.items()])
        return [json.dumps(answer).encode()]

    def _metadata(self) -> dict[str, str]:
        names = (
            "token",
            "userinfo",
            "authorization",
            "introspection",
            "end_session",
            "ramet_challenge",
            "ramet_binding",
        )
        found = {f"{name}_endpoint": f"{self.issuer}/{name}" for name in names}
        return {"issuer": self.named_issuer, "jwks_uri": f"{self.issuer}/jwks", **found}

    def signed(self, claims: dict[str, Any], *, alg: str = "ES256", **header: str) -> str:
        """A JWT with the claims that every token needs, and these."""
        now = int(time.time())
        standing = {"iss": self.issuer, "aud": CLIENT_ID, "sub": "alex", "iat": now, "exp": now + 60}
        whole = {name: value for name, value in {**standing, **claims}.items() if value is not None}
        key = self.key if alg == "ES256" else OctKey.import_key("secret-of-the-client-that-is-long-enough")
        return jws.serialize_compact({"alg": alg, "kid": "k1", **header}, json.dumps(whole), key, algorithms=[alg])

    def forms(self) -> list[dict[str, str]]:
        """The bodies of all requests, read as forms."""
        return [{name: values[0] for name, values in parse_qs(body).items()} for _, _, body in self.requests]


@contextmanager
def provider() -> Iterator[Provider]:
    """A provider that answers until the block ends."""
    port = free_port()
    found = Provider(port)
    with serving(found, host="localhost", port=port):
        yield found
