"""The OpenID conformance suite, as far as this house can be asked the same things without it.

It reads the configuration that `manage.py conformance load` wrote, drives a browser without JavaScript by the tasks
in it, and
sends what the suite's modules send, over HTTPS to a server under the profile.
"""

from __future__ import annotations

import base64
import fnmatch
import hashlib
import json
import re
import secrets
import sqlite3
import ssl
import threading
import time
from collections import Counter
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
from joserfc import jws, jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

from demo.browser import Browser, Page
from demo.server import Ramet, free_port
from derived import clock
from device import proofs
from device.key import DeviceKey
from tests.fixtures.databases import migrated

if TYPE_CHECKING:
    from collections.abc import Iterator

ALIAS = "ramet"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class Callbacks(ThreadingHTTPServer):
    """The suite's own address: it keeps what is posted to it."""

    def __init__(self) -> None:
        self.posted: list[tuple[str, dict[str, str]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                outer.posted.append((self.path, {name: values[0] for name, values in parse_qs(body).items()}))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@dataclass
class SuiteServer:
    """A server under the profile, and what `conformance load` said of it."""

    ramet: Ramet
    said: dict[str, Any]
    callbacks: Callbacks
    trust: ssl.SSLContext = field(repr=False)

    @property
    def issuer(self) -> str:
        return self.ramet.issuer

    def plan(self, name: str) -> Suite:
        """The suite, configured for a plan."""
        path = next(path for path in self.said["configurations"].values() if Path(path).stem == name)
        return Suite(self, json.loads(Path(path).read_text()))

    def age(self, table: str, *columns: str) -> None:
        """Everything of this kind ran out an hour ago."""
        then = str(datetime.now(UTC).replace(tzinfo=None) - timedelta(hours=1))
        with closing(sqlite3.connect(self.ramet.var / "ramet.sqlite3", timeout=10)) as database, database:
            database.execute(
                f"UPDATE {table} SET " + ", ".join(f"{column} = ?" for column in columns),  # noqa: S608
                [then] * len(columns),
            )

    def http(self) -> httpx.Client:
        return httpx.Client(verify=self.trust, timeout=30, base_url=self.issuer)


@contextmanager
def running(folder: Path) -> Iterator[SuiteServer]:
    """As docs/conformance.md says: migrate, load, serve, worker."""
    port, callbacks = free_port(), Callbacks()
    ramet = Ramet(
        folder,
        f"https://localhost:{port}",
        port,
        {"DJANGO_SETTINGS_MODULE": "idp.conformance.settings", "RAMET_LOG_LEVEL": "WARNING"},
    )
    try:
        migrated(ramet)
        said = ramet.ask("conformance", "load", "--suite", callbacks.url, "--alias", ALIAS)
        trust = ssl.create_default_context(cafile=said["authority"])
        ramet.verify = trust
        _, *serve = said["serve"].split()
        ramet.start("serve", *serve, "--port", str(port))
        ramet.start("worker", "worker", "--mail-pause", "0")
        ramet.wait_until_ready()
        yield SuiteServer(ramet, said, callbacks, trust)
    finally:
        ramet.stop()
        callbacks.shutdown()
        callbacks.server_close()


class Suite:
    """One plan's configuration, and a fresh browser."""

    def __init__(self, suite_server: SuiteServer, configuration: dict[str, Any]) -> None:
        self.suite_server, self.configuration = suite_server, configuration
        self.browser = Browser(suite_server.http())
        self.metadata = suite_server.http().get(urlsplit(configuration["server"]["discoveryUrl"]).path).json()
        self.base = f"{suite_server.callbacks.url}/test/a/{ALIAS}"
        self.redirect_uri = f"{self.base}/callback"
        self.key = DeviceKey.generate()
        self.verifier = secrets.token_urlsafe(32)
        self.seen: list[str] = []
        self.begun: Counter[int] = Counter()

    # --- the scripted browser
    # ------------------------------------------------------------------------------------------

    def visit(self, url: str, module: str = "") -> tuple[Page, dict[str, str]]:
        """Go there, do what the configuration says on each page, and give the last page, and what came to the suite."""
        override = self.configuration.get("override", {}).get(module, {})
        entry = next(
            one
            for one in override.get("browser", self.configuration["browser"])
            if fnmatch.fnmatch(url, one["match"]) and self.begun[id(one)] < one.get("match-limit", 1_000)
        )
        self.begun[id(entry)] += 1
        page, came = self.browser.get(url, stop_at=self.base), {}
        for task in entry["tasks"]:
            if page.stopped_at or came:
                break
            if not fnmatch.fnmatch(page.url, task["match"]):
                assert task.get("optional"), f"{task['task']} is not at {page.url}"
                continue
            self.seen.append(task["task"])
            page, came = self._do(page, task["commands"])
        return page, came or self._query(page)

    def _query(self, page: Page) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(page.stopped_at).query).items()}

    def _do(self, page: Page, commands: list[list[Any]]) -> tuple[Page, dict[str, str]]:
        typed: dict[str, str] = {}
        for command in commands:
            match command:
                case ["text", "id", name, value]:
                    assert f'id="{name}"' in page.html
                    typed[name] = value
                case ["wait", "css", _selector, _seconds, words, *_]:
                    assert re.search(words, page.words()), page.words()
                case ["wait", *_]:
                    pass
                case ["click", how, name]:
                    return self._click(page, how, name, typed)
        return page, {}

    def _click(self, page: Page, how: str, name: str, typed: dict[str, str]) -> tuple[Page, dict[str, str]]:
        if how == "name":
            form = next(one for one in page.forms() if name in one.buttons)
            typed = {**typed, name: re.findall(rf'name="{name}" value="([^"]*)"', page.html)[0]}
        else:
            form = page.forms()[0]
            if "value=allow" in name:
                typed = {**typed, "decision": "allow"}
        if form.action.startswith(self.base):
            return page, {key: value for key, value in form.fields.items() if key}
        return self.browser.submit(page, form, values=typed, stop_at=self.base), {}

    # --- requests
    # ------------------------------------------------------------------------------------------------------

    def client(self, which: str = "client") -> dict[str, Any]:
        found: dict[str, Any] = self.configuration[which]
        return found

    def parameters(self, which: str = "client", **changed: str | None) -> dict[str, str]:
        """What the basic plan asks with: no PKCE."""
        good: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.client(which)["client_id"],
            "redirect_uri": self.redirect_uri,
            "scope": "openid",
            "state": secrets.token_urlsafe(8),
            "nonce": secrets.token_urlsafe(8),
        }
        return {name: value for name, value in {**good, **changed}.items() if value is not None}

    def ask(self, module: str = "", which: str = "client", **changed: str | None) -> dict[str, str]:
        """An authorization request through the front channel; what came to the callback."""
        asked = self.parameters(which, **changed)
        page, came = self.visit(f"{self.metadata['authorization_endpoint']}?{urlencode(asked)}", module)
        assert came, f"nothing came back: {page.status} {page.words()}"
        assert (came.get("state"), came["iss"]) == (asked.get("state"), self.suite_server.issuer)
        return came

    def token(self, code: str, which: str = "client", *, post: bool = False, **changed: str) -> httpx.Response:
        """Exchange a code with a secret."""
        client = self.client(which)
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": self.redirect_uri, **changed}
        with self.suite_server.http() as http:
            if post:
                return http.post(self.metadata["token_endpoint"], data={**form, **client})
            return http.post(
                self.metadata["token_endpoint"], data=form, auth=(client["client_id"], client["client_secret"])
            )

    def claims(self, token: str, alg: str = "RS256") -> dict[str, Any]:
        """What the published keys verify; the header as it must be."""
        with self.suite_server.http() as http:
            keys = KeySet.import_key_set(http.get(self.metadata["jwks_uri"]).json())
        decoded = jwt.decode(token, keys, algorithms=[alg])
        assert decoded.header["kid"]
        return dict(decoded.claims)

    def login(self, module: str = "", **changed: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
        """A whole login: the tokens, and the ID token's claims."""
        asked = {"nonce": secrets.token_urlsafe(8), **changed}
        response = self.token(self.ask(module, **asked)["code"])
        assert response.status_code == 200, response.text
        about = self.claims(response.json()["id_token"])
        assert about.get("nonce") == asked["nonce"]
        assert (about["iss"], about["aud"]) == (self.suite_server.issuer, self.client()["client_id"])
        return response.json(), about

    def userinfo(self, token: str, how: str = "get") -> httpx.Response:
        """In the three ways of RFC 6750."""
        url, bearer = self.metadata["userinfo_endpoint"], {"Authorization": f"Bearer {token}"}
        with self.suite_server.http() as http:
            if how == "body":
                return http.post(url, data={"access_token": token})
            return http.post(url, headers=bearer) if how == "post" else http.get(url, headers=bearer)

    def leave(self, module: str = "", **query: str) -> tuple[Page, dict[str, str]]:
        """Go to the end-session endpoint."""
        return self.visit(f"{self.metadata['end_session_endpoint']}?{urlencode(query)}", module)

    # --- FAPI
    # ----------------------------------------------------------------------------------------------------------

    def signed(self, claims: dict[str, Any], which: str = "client", alg: str = "PS256", **header: str) -> str:
        """By the client's private key."""
        key = self.client(which)["jwks"]["keys"][0]
        bare = {name: value for name, value in key.items() if name != "alg"}
        return jwt.encode(
            {"alg": alg, "kid": key["kid"], **header},
            claims,
            KeySet.import_key_set({"keys": [bare]}).keys[0],
            algorithms=[alg],
        )

    def assertion(self, which: str = "client", alg: str = "PS256", **changed: Any) -> dict[str, str]:
        """A client assertion, as form fields."""
        now, client_id = int(time.time()), self.client(which)["client_id"]
        good = {
            "iss": client_id,
            "sub": client_id,
            "aud": self.suite_server.issuer,
            "exp": now + 60,
            "iat": now,
            "jti": secrets.token_urlsafe(12),
        }
        claims = {name: value for name, value in {**good, **changed}.items() if value is not None}
        return {"client_assertion_type": ASSERTION, "client_assertion": self.signed(claims, which, alg)}

    def proof(
        self, url: str, method: str = "POST", *, key: DeviceKey | None = None, access_token: str | None = None
    ) -> dict[str, str]:
        return {"DPoP": proofs.dpop(key or self.key, method, url=url, now=clock.now(), access_token=access_token)}

    def made_proof(self, method: str, url: str, *, access_token: str | None = None, **changed: Any) -> dict[str, str]:
        """A proof with its claims and header changed; None leaves one out."""
        claims: dict[str, Any] = {"htm": method, "htu": url, "iat": int(time.time()), "jti": secrets.token_urlsafe(12)}
        if access_token is not None:
            claims["ath"] = (
                base64.urlsafe_b64encode(hashlib.sha256(access_token.encode()).digest()).rstrip(b"=").decode()
            )
        keys = {"private": self.key.private_jwk(), "another": DeviceKey.generate().public_jwk, None: None}
        header = {
            "typ": changed.pop("typ", "dpop+jwt"),
            "jwk": keys[changed.pop("jwk")] if "jwk" in changed else self.key.public_jwk,
        }
        said = {name: value for name, value in {**claims, **changed}.items() if value is not None}
        return {"DPoP": self.key.sign({name: value for name, value in header.items() if value is not None}, said)}

    def signed_proof(self, alg: str, method: str, url: str, *, access_token: str | None = None) -> dict[str, str]:
        """A proof by a new key with another algorithm than ES256."""
        key = RSAKey.generate_key(2048) if alg in {"RS256", "PS256"} else ECKey.generate_key("P-384")
        claims = {"htm": method, "htu": url, "iat": int(time.time()), "jti": secrets.token_urlsafe(12)}
        if access_token is not None:
            digest = hashlib.sha256(access_token.encode()).digest()
            claims["ath"] = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        header = {"typ": "dpop+jwt", "alg": alg, "jwk": key.as_dict(private=False)}
        return {"DPoP": jws.serialize_compact(header, json.dumps(claims), key, algorithms=[alg])}

    def refresh(
        self, refresh_token: str, which: str = "client", *, headers: dict[str, str] | None = None, **form: str
    ) -> httpx.Response:
        """A refresh with a new DPoP key, as the suite's steps make it."""
        url = self.metadata["token_endpoint"]
        sent = self.proof(url, key=DeviceKey.generate()) if headers is None else headers
        whole = {"grant_type": "refresh_token", "refresh_token": refresh_token, **form, **self.assertion(which)}
        with self.suite_server.http() as http:
            return http.post(url, data=whole, headers=sent)

    @property
    def resource_url(self) -> str:
        return str(self.configuration["resource"]["resourceUrl"])

    def resource(self, token: str, proof: dict[str, str]) -> httpx.Response:
        """The plan's resource, asked with a token and a proof."""
        with self.suite_server.http() as http:
            return http.get(self.resource_url, headers={"Authorization": f"DPoP {token}", **proof})

    def fapi(self, which: str = "client", **changed: str | None) -> dict[str, str]:
        """What a FAPI client pushes."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        return self.parameters(which, **{"code_challenge": challenge, "code_challenge_method": "S256", **changed})

    def object(
        self, which: str = "client", alg: str = "PS256", inside: dict[str, Any] | None = None, **changed: str | None
    ) -> dict[str, str]:
        """The same as a request object."""
        now, asked = int(time.time()), self.fapi(which, **changed)
        good = {
            **asked,
            "iss": asked["client_id"],
            "aud": self.suite_server.issuer,
            "nbf": now,
            "exp": now + 300,
            **(inside or {}),
        }
        claims = {name: value for name, value in good.items() if value is not None}
        return {"client_id": asked["client_id"], "request": self.signed(claims, which, alg, typ="oauth-authz-req+jwt")}

    def push(
        self, form: dict[str, str], which: str = "client", *, assertion: dict[str, str] | None = None, **headers: str
    ) -> httpx.Response:
        with self.suite_server.http() as http:
            return http.post(
                self.metadata["pushed_authorization_request_endpoint"],
                data={**form, **(assertion or self.assertion(which))},
                headers=headers,
            )

    def begin(
        self, request_uri: str, module: str = "", which: str = "client", **more: str
    ) -> tuple[Page, dict[str, str]]:
        """The browser's half of a pushed request."""
        query = {"client_id": self.client(which)["client_id"], "request_uri": request_uri, **more}
        return self.visit(f"{self.metadata['authorization_endpoint']}?{urlencode(query)}", module)

    def redeem(
        self,
        code: str,
        which: str = "client",
        *,
        assertion: dict[str, str] | None = None,
        key: DeviceKey | None = None,
        proof: dict[str, str] | None = None,
        **changed: str | None,
    ) -> httpx.Response:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": self.verifier,
            **changed,
        }
        url = self.metadata["token_endpoint"]
        sent = {name: value for name, value in form.items() if value is not None}
        with self.suite_server.http() as http:
            return http.post(
                url,
                data={**sent, **(self.assertion(which) if assertion is None else assertion)},
                headers=proof or self.proof(url, key=key),
            )

    def pushed_code(self, form: dict[str, str], which: str = "client", **headers: str) -> str:
        """From the push to the code."""
        response = self.push(form, which, **headers)
        assert response.status_code == 201, response.text
        page, came = self.begin(response.json()["request_uri"], which=which)
        assert "code" in came, (came, page.status, page.words())
        return came["code"]
