"""OpenID Connect for a relying party: Authlib for OAuth, joserfc for verification.

No token is used before its signature, issuer, audience, time and purpose were verified.
"""

from __future__ import annotations

import hashlib
import secrets
import warnings
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
from authlib.deprecate import AuthlibDeprecationWarning
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

with warnings.catch_warnings():
    # Authlib warns in favour of httpx's successor; this repository pins httpx.
    warnings.simplefilter("ignore", AuthlibDeprecationWarning)
    from authlib.integrations.base_client import OAuthError
    from authlib.integrations.httpx_client import OAuth2Client

ALGORITHMS = ["ES256"]
LEEWAY = 10
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"


class Refused(Exception):
    """The provider returned an error: `error` and `error_description` (RFC 6749 §4.1.2.1, §5.2)."""

    def __init__(self, error: str, error_description: str = "") -> None:
        self.error = error
        self.error_description = error_description
        super().__init__(f"{error}: {error_description}" if error_description else error)


class Untrustworthy(Exception):
    """A response failed verification: a wrong state, issuer, signature or claim."""


@dataclass(frozen=True, kw_only=True)
class Pending:
    """An authorization request that was sent, and the values that its response must have."""

    url: str
    state: str
    nonce: str
    verifier: str = field(repr=False)
    redirect_uri: str


@dataclass(frozen=True, kw_only=True)
class Login:
    """A completed login.

    claims: of the verified ID token.
    """

    claims: Mapping[str, Any]
    id_token: str = field(repr=False)
    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False, default=None)
    expires_in: int = 0
    scope: str = ""


class OpenIdClient:
    """One registered client at one provider.

    verify: the trust in certificates, as httpx takes it.
    """

    def __init__(  # noqa: PLR0913 - what a registration consists of
        self,
        issuer: str,
        client_id: str,
        *,
        client_secret: str,
        redirect_uri: str,
        scope: str = "openid profile email offline_access",
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        self.issuer = issuer
        self.client_id = client_id
        self.redirect_uri = redirect_uri
        self._secret = client_secret
        self._scope = scope
        self._verify = verify
        self._http = httpx.Client(verify=verify, timeout=20)
        self._metadata: dict[str, Any] = {}
        self._keys: KeySet | None = None

    @property
    def metadata(self) -> dict[str, Any]:
        """The provider's metadata, fetched once (OIDC Discovery §4.3).

        Raises: Untrustworthy if they are another issuer's.
        """
        if not self._metadata:
            found = self._http.get(f"{self.issuer}/.well-known/openid-configuration").raise_for_status().json()
            if found["issuer"] != self.issuer:
                raise Untrustworthy("the metadata name another issuer")
            self._metadata = found
        return self._metadata

    def request(self, *, acr_values: str = "", scope: str = "") -> Pending:
        """A fresh authorization request: code flow, PKCE S256, state and nonce (OIDC Core §3.1.2.1)."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        extra = {"acr_values": acr_values} if acr_values else {}
        with self._oauth(scope=scope or self._scope) as oauth:
            url, _ = oauth.create_authorization_url(
                self.metadata["authorization_endpoint"], state=state, nonce=nonce, code_verifier=verifier, **extra
            )
        return Pending(url=url, state=state, nonce=nonce, verifier=verifier, redirect_uri=self.redirect_uri)

    def code(self, callback: str, *, pending: Pending) -> str:
        """The code in a callback URL that answers this request, from this provider (RFC 9207).

        Raises: Untrustworthy; Refused with the provider's error.
        """
        answer = {name: values[0] for name, values in parse_qs(urlsplit(callback).query).items() if len(values) == 1}
        if not secrets.compare_digest(answer.get("state", "").encode(), pending.state.encode()):
            raise Untrustworthy("the state is not the one that was sent")
        if answer.get("iss") != self.issuer:
            raise Untrustworthy("the answer does not name this provider (iss)")
        if "error" in answer:
            raise Refused(answer["error"], answer.get("error_description", ""))
        if not answer.get("code"):
            raise Untrustworthy("the answer holds no code")
        return answer["code"]

    def exchange(self, code: str, *, pending: Pending) -> Login:
        """Exchange the code and verify the ID token.

        Raises: Refused, Untrustworthy.
        """
        with self._oauth() as oauth:
            token = _asked(
                lambda: oauth.fetch_token(
                    self.metadata["token_endpoint"],
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=pending.verifier,
                    redirect_uri=pending.redirect_uri,
                )
            )
        claims = self.id_token_claims(token["id_token"], nonce=pending.nonce, access_token=token["access_token"])
        return _login(claims, token)

    def refresh(self, login: Login) -> Login:
        """New tokens for the refresh token, which is single-use (RFC 6749 §6).

        Raises: Refused, Untrustworthy.
        """
        with self._oauth() as oauth:
            url = self.metadata["token_endpoint"]
            token = _asked(lambda: oauth.refresh_token(url, refresh_token=login.refresh_token))
        claims = login.claims
        if token.get("id_token"):
            claims = self.id_token_claims(token["id_token"], nonce=None, access_token=token["access_token"])
            if (claims["sub"], claims.get("auth_time")) != (login.claims["sub"], login.claims.get("auth_time")):
                raise Untrustworthy("the refreshed ID token is about another login (OIDC Core §12.2)")
        fresh = _login(claims, token)
        kept = {
            "id_token": fresh.id_token or login.id_token,
            "refresh_token": fresh.refresh_token or login.refresh_token,
        }
        return Login(**{**vars(fresh), **kept})

    def userinfo(self, access_token: str) -> httpx.Response:
        """The response of userinfo to a bearer token (OIDC Core §5.3)."""
        return self._http.get(self.metadata["userinfo_endpoint"], headers={"Authorization": f"Bearer {access_token}"})

    def introspect(self, token: str) -> dict[str, Any]:
        """The introspection response for a token (RFC 7662)."""
        with self._oauth() as oauth:
            found: dict[str, Any] = oauth.introspect_token(self.metadata["introspection_endpoint"], token=token).json()
        return found

    def end_session_url(self, login: Login, *, back_to: str, state: str) -> str:
        """The URL that logs the browser out at the provider too (RP-Initiated Logout §2)."""
        query = {"id_token_hint": login.id_token, "post_logout_redirect_uri": back_to, "state": state}
        return f"{self.metadata['end_session_endpoint']}?{urlencode({**query, 'client_id': self.client_id})}"

    def id_token_claims(self, token: str, *, nonce: str | None, access_token: str) -> dict[str, Any]:
        """Verify an ID token (OIDC Core §3.1.3.7); return its claims.

        Raises: Untrustworthy.
        """
        header, claims = self.verified(token, audience=self.client_id)
        if header.get("typ", "JWT") != "JWT":
            raise Untrustworthy("this is not an ID token (typ)")
        if nonce is not None and claims.get("nonce") != nonce:
            raise Untrustworthy("the ID token answers another request (nonce)")
        if not claims.get("sub"):
            raise Untrustworthy("the ID token is about nobody (sub)")
        if "at_hash" in claims and claims["at_hash"] != half_hash(access_token):
            raise Untrustworthy("the access token is not the ID token's (at_hash)")
        return claims

    def logout_claims(self, token: str) -> dict[str, Any]:
        """Verify a logout token (Back-Channel Logout §2.6); return its claims. The caller checks `jti`.

        Raises: Untrustworthy.
        """
        header, claims = self.verified(token, audience=self.client_id)
        if header.get("typ") != "logout+jwt":
            raise Untrustworthy("this is not a logout token (typ)")
        if LOGOUT_EVENT not in claims.get("events", {}) or "nonce" in claims:
            raise Untrustworthy("this is not a logout token (events, nonce)")
        if not claims.get("jti") or not (claims.get("sub") or claims.get("sid")):
            raise Untrustworthy("the logout token names no session (sub, sid, jti)")
        return claims

    def verified(self, token: str, *, audience: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Verify a JWT of this provider: signature, issuer, audience, time; return header and claims.

        Raises: Untrustworthy.
        """
        registry = jwt.JWTClaimsRegistry(
            leeway=LEEWAY,
            iss={"essential": True, "value": self.issuer},
            aud={"essential": True, "value": audience},
            exp={"essential": True},
            iat={"essential": True},
        )
        try:
            decoded = self._decoded(token)
            registry.validate(decoded.claims)
        except (JoseError, ValueError) as error:
            raise Untrustworthy(f"the token does not hold: {error}") from error
        return dict(decoded.header), decoded.claims

    def _decoded(self, token: str) -> jwt.Token:
        if self._keys is not None:
            try:
                return jwt.decode(token, self._keys, algorithms=ALGORITHMS)
            except (JoseError, ValueError):
                pass  # the key may be new: fetch the key set once before refusing
        found = self._http.get(self.metadata["jwks_uri"]).raise_for_status().json()
        self._keys = KeySet.import_key_set(found)
        return jwt.decode(token, self._keys, algorithms=ALGORITHMS)

    def _oauth(self, *, scope: str = "") -> OAuth2Client:
        return OAuth2Client(
            client_id=self.client_id,
            client_secret=self._secret,
            token_endpoint_auth_method="client_secret_basic",  # noqa: S106 - the method's name
            redirect_uri=self.redirect_uri,
            scope=scope or None,
            code_challenge_method="S256",
            verify=self._verify,
            timeout=20,
        )


def half_hash(token: str) -> str:
    """The left half of a SHA-256, base64url: `at_hash` for ES256 (OIDC Core §3.1.3.6)."""
    return urlsafe_b64encode(hashlib.sha256(token.encode()).digest()[:16]).rstrip(b"=").decode()


def _asked(call: Any) -> dict[str, Any]:  # noqa: ANN401 - Authlib has no types
    try:
        return dict(call())
    except OAuthError as error:
        raise Refused(str(error.error), str(error.description or "")) from error


def _login(claims: Mapping[str, Any], token: Mapping[str, Any]) -> Login:
    return Login(
        claims=claims,
        id_token=str(token.get("id_token") or ""),
        access_token=str(token["access_token"]),
        refresh_token=token.get("refresh_token"),
        expires_in=int(token.get("expires_in", 0)),
        scope=str(token.get("scope", "")),
    )
