"""The demo relying party: `python -m demo.relying_party --issuer … --client-id … --port …`.

A web application that signs people in with Ramet, shows the claims, refreshes, logs out, and accepts back-channel
logout. It runs on the standard library's server: for demonstrations, not for production.
"""

from __future__ import annotations

import argparse
import os
import secrets
import ssl
import threading
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx

from demo import relying_party_pages as pages
from demo.openid import Login, OpenIdClient, Pending, Refused, Untrustworthy
from demo.web import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

AAL = "http://idmanagement.gov/ns/assurance/aal/"
CALLBACK, BACKCHANNEL = "/callback", "/backchannel-logout"
COOKIE = "demo_app"
SECRET_VARIABLE = "DEMO_CLIENT_SECRET"  # noqa: S105 - its name, not its value
_MOST_SESSIONS = 1000
_MOST_BODY = 64 * 1024


@dataclass
class Session:
    """One browser's session at this application."""

    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(16), repr=False)
    pending: Pending | None = None
    login: Login | None = None
    name: str = ""
    told: str = ""


@dataclass(frozen=True)
class Request:
    """A request, as far as handlers need it."""

    query: str
    form: dict[str, str]
    cookie: str
    session: Session | None


@dataclass(frozen=True)
class Answer:
    """A handler's response."""

    status: str = "200 OK"
    body: str = ""
    headers: tuple[tuple[str, str], ...] = ()


class RelyingParty:
    """The WSGI application; sessions and logout tokens are in memory.

    base_url: the public URL of this application, without a trailing slash.
    logouts: claims of the logout tokens that were accepted, oldest first.
    """

    def __init__(self, client: OpenIdClient, *, base_url: str) -> None:
        self._client = client
        self._base_url = base_url
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()
        self.logouts: list[dict[str, Any]] = []
        self._routes: dict[tuple[str, str], Callable[[Request], Answer]] = {
            ("GET", "/"): self._home,
            ("GET", "/login"): self._start_login,
            ("GET", CALLBACK): self._callback,
            ("POST", "/refresh"): self._refresh,
            ("POST", "/userinfo"): self._userinfo,
            ("POST", "/logout"): self._logout,
            ("POST", BACKCHANNEL): self._backchannel_logout,
        }

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        handler = self._routes.get((environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")))
        try:
            answer = handler(self._request(environ)) if handler else _text("404 Not Found", "no such page")
        except (Refused, Untrustworthy) as error:
            words = (
                (error.error, error.error_description) if isinstance(error, Refused) else ("untrustworthy", str(error))
            )
            answer = Answer("400 Bad Request", pages.failed(*words))
        except httpx.HTTPError as error:
            answer = Answer("502 Bad Gateway", pages.failed("provider_unreachable", type(error).__name__))
        start_response(answer.status, [*self._standing_headers(), *answer.headers])
        return [answer.body.encode()]

    def logins(self) -> list[Login]:
        """The present logins at this application."""
        with self._lock:
            return [session.login for session in self._sessions.values() if session.login]

    # --- the pages ----------------------------------------------------------------------------------------------------

    def _home(self, request: Request) -> Answer:
        session = request.session
        if session is None or session.login is None:
            return Answer(body=pages.signed_out(told=_said(session)))
        return self._welcome(session, session.login)

    def _welcome(self, session: Session, login: Login, *, userinfo: dict[str, Any] | None = None) -> Answer:
        shown = pages.signed_in(login, name=session.name, csrf=session.csrf, userinfo=userinfo, told=_said(session))
        return Answer(body=shown)

    def _start_login(self, request: Request) -> Answer:
        wanted = parse_qs(request.query).get("aal", [""])[0]
        pending = self._client.request(acr_values=AAL + wanted if wanted in {"1", "2", "3"} else "")
        if request.session is None:
            return self._redirect(pending.url, self._new_session(request, Session(pending=pending)))
        request.session.pending = pending  # a refused step-up keeps the former login
        return self._redirect(pending.url)

    def _callback(self, request: Request) -> Answer:
        if request.session is None or request.session.pending is None:
            return Answer("400 Bad Request", pages.failed("no_login_under_way", "Start again from the first page."))
        pending, request.session.pending = request.session.pending, None  # one answer per request
        code = self._client.code(f"{CALLBACK}?{request.query}", pending=pending)
        login = self._client.exchange(code, pending=pending)
        fresh = Session(login=login, name=self._name_of(login))
        return self._redirect("/", self._new_session(request, fresh))  # a new session: no fixation

    def _name_of(self, login: Login) -> str:
        """The person's name, from userinfo; the ID token has none (OIDC Core §5.3.2)."""
        response = self._client.userinfo(login.access_token)
        said = response.json() if response.status_code == httpx.codes.OK else {}
        if said.get("sub") != login.claims["sub"]:
            return ""
        return str(said.get("name") or said.get("preferred_username") or "")

    def _refresh(self, request: Request) -> Answer:
        session, login = _logged_in(request)
        try:
            session.login, session.told = self._client.refresh(login), "The tokens are fresh; auth_time did not move."
        except Refused as error:
            session.told = f"Ramet refused to refresh: {error}"
        return self._redirect("/")

    def _userinfo(self, request: Request) -> Answer:
        session, login = _logged_in(request)
        response = self._client.userinfo(login.access_token)
        if response.status_code != httpx.codes.OK:
            session.told = f"Userinfo answered {response.status_code}: the access token is no longer good."
            return self._redirect("/")
        return self._welcome(session, login, userinfo=response.json())

    def _logout(self, request: Request) -> Answer:
        _, login = _logged_in(request)
        with self._lock:
            self._sessions.pop(request.cookie, None)
        back_to = f"{self._base_url}/"
        return self._redirect(self._client.end_session_url(login, back_to=back_to, state=secrets.token_urlsafe(16)))

    def _backchannel_logout(self, request: Request) -> Answer:
        """End sessions by a logout token (OpenID Connect Back-Channel Logout §2.5 to §2.8)."""
        try:
            claims = self._client.logout_claims(request.form.get("logout_token", ""))
            self._end(claims)
        except Untrustworthy as error:
            return _text("400 Bad Request", str(error))
        return Answer("200 OK")

    def _end(self, claims: dict[str, Any]) -> None:
        with self._lock:
            if any(claims["jti"] == seen["jti"] for seen in self.logouts):
                raise Untrustworthy("this logout token was seen before")
            self.logouts.append(claims)
            for session in self._sessions.values():
                if session.login is not None and _concerns(claims, session.login):
                    session.login, session.told = None, "Ramet ended this session (back-channel logout)."

    # --- requests and answers -----------------------------------------------------------------------------------------

    def _request(self, environ: WSGIEnvironment) -> Request:
        length = min(int(environ.get("CONTENT_LENGTH") or 0), _MOST_BODY)
        body = environ["wsgi.input"].read(length).decode(errors="replace") if length else ""
        cookie = _cookie(environ.get("HTTP_COOKIE", ""))
        with self._lock:
            session = self._sessions.get(cookie)
        form = {name: values[0] for name, values in parse_qs(body).items()}
        return Request(environ.get("QUERY_STRING", ""), form, cookie, session)

    def _new_session(self, request: Request, session: Session) -> tuple[str, str]:
        """Replace this browser's session; return the Set-Cookie header."""
        cookie = secrets.token_urlsafe(32)
        with self._lock:
            self._sessions.pop(request.cookie, None)
            while len(self._sessions) >= _MOST_SESSIONS:
                self._sessions.pop(next(iter(self._sessions)))
            self._sessions[cookie] = session
        secure = "; Secure" if self._base_url.startswith("https:") else ""
        return "Set-Cookie", f"{COOKIE}={cookie}; Path=/; HttpOnly; SameSite=Lax{secure}"

    def _redirect(self, url: str, *headers: tuple[str, str]) -> Answer:
        return Answer("303 See Other", headers=(("Location", url), *headers))

    def _standing_headers(self) -> list[tuple[str, str]]:
        # A logout form redirects to the provider, and Chromium checks redirects against form-action too.
        policy = f"default-src 'none'; style-src '{pages.STYLE_HASH}'; form-action 'self' {self._client.issuer}"
        return [
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Security-Policy", f"{policy}; frame-ancestors 'none'; base-uri 'none'"),
            ("Cache-Control", "no-store"),
            ("Referrer-Policy", "no-referrer"),
            ("X-Content-Type-Options", "nosniff"),
        ]


def _logged_in(request: Request) -> tuple[Session, Login]:
    session = request.session
    if session is None or session.login is None:
        raise Refused("not_logged_in", "Your session here has ended. Log in again.")
    if not secrets.compare_digest(request.form.get("csrf", "").encode(), session.csrf.encode()):
        raise Refused("csrf", "This button belongs to an older page. Go back and reload.")
    return session, session.login


def _concerns(claims: dict[str, Any], login: Login) -> bool:
    if "sid" in claims:
        return bool(claims["sid"] == login.claims.get("sid"))
    return bool(claims["sub"] == login.claims["sub"])


def _said(session: Session | None) -> str:
    if session is None:
        return ""
    told, session.told = session.told, ""
    return told


def _cookie(header: str) -> str:
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


def _text(status: str, words: str) -> Answer:
    return Answer(status, pages.failed(status, words))


def main() -> None:
    """Serve until interrupted."""
    given = _arguments()
    base_url = given.base_url or f"http://localhost:{given.port}"
    verify = ssl.create_default_context(cafile=given.ca_file) if given.ca_file else True
    client = OpenIdClient(
        given.issuer.rstrip("/"),
        given.client_id,
        client_secret=given.client_secret or os.environ.get(SECRET_VARIABLE, ""),
        redirect_uri=base_url + CALLBACK,
        verify=verify,
    )
    certificate = (given.tls_cert, given.tls_key) if given.tls_cert else None
    with serving(RelyingParty(client, base_url=base_url), host=given.host, port=given.port, certificate=certificate):
        print(f"demo app: {base_url}", flush=True)
        threading.Event().wait()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m demo.relying_party", description=__doc__)
    parser.add_argument("--issuer", required=True, help="URL of the Ramet to log in with")
    parser.add_argument("--client-id", required=True)
    parser.add_argument("--client-secret", default="", help=f"better in the environment, as {SECRET_VARIABLE}")
    parser.add_argument("--port", type=int, default=8001)
    parser.add_argument("--host", default="localhost", help="address to listen at (default: %(default)s)")
    parser.add_argument("--base-url", default="", help="where browsers find this app (default: http://localhost:PORT)")
    parser.add_argument("--tls-cert", type=Path, help="PEM certificate; with --tls-key")
    parser.add_argument("--tls-key", type=Path)
    parser.add_argument("--ca-file", type=Path, help="certificate authority of the issuer, if it is not a public one")
    given = parser.parse_args()
    if bool(given.tls_cert) != bool(given.tls_key):
        parser.error("--tls-cert and --tls-key belong together")
    if not urlsplit(given.issuer).scheme:
        parser.error("--issuer must be a URL")
    return given


if __name__ == "__main__":
    main()
