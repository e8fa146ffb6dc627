"""The authorization server of Authlib's documentation: its four grants with PKCE and OpenID, and its endpoints."""

from __future__ import annotations

from typing import Any

from authlib.integrations.django_oauth2 import AuthorizationServer, BearerTokenValidator, ResourceProtector
from authlib.oauth2.rfc6749 import grants
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from authlib.oidc.core import OpenIDCode, UserInfo
from joserfc.jwk import ECKey

from bench.peers.authlib_site.models import AuthorizationCode, OAuth2Client, OAuth2Token
from bench.peers.site import port

ISSUER = f"http://127.0.0.1:{port()}"
KEY = ECKey.generate_key("P-256", {"kid": "k", "alg": "ES256", "use": "sig"})


def about(user: Any, scope: str) -> UserInfo:  # noqa: ANN401
    """The claims of a scope."""
    return UserInfo(sub=str(user.pk), name=user.get_full_name(), email=user.email).filter(scope)


class CodeGrant(grants.AuthorizationCodeGrant):  # type: ignore[misc]  # Authlib is untyped
    """Codes of the database."""

    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic"]  # noqa: RUF012 - Authlib's attribute

    def save_authorization_code(self, code: str, request: Any) -> None:  # noqa: ANN401
        """Never here: codes are made beforehand."""
        raise NotImplementedError

    def query_authorization_code(self, code: str, client: OAuth2Client) -> AuthorizationCode | None:
        """One that is not over."""
        found = AuthorizationCode.objects.filter(code=code, client_id=client.client_id).first()
        return found if found and not found.is_expired() else None

    def delete_authorization_code(self, authorization_code: AuthorizationCode) -> None:
        """Spent."""
        authorization_code.delete()

    def authenticate_user(self, authorization_code: AuthorizationCode) -> object:
        """Whose it is."""
        return authorization_code.user


class RefreshGrant(grants.RefreshTokenGrant):  # type: ignore[misc]  # Authlib is untyped
    """With rotation."""

    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic"]  # noqa: RUF012
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token: str) -> OAuth2Token | None:
        """One that is active."""
        found = OAuth2Token.objects.filter(refresh_token=refresh_token).first()
        return found if found and found.is_refresh_token_active() else None

    def authenticate_user(self, refresh_token: OAuth2Token) -> object:
        """Whose it is."""
        return refresh_token.user

    def revoke_old_credential(self, refresh_token: OAuth2Token) -> None:
        """Spent."""
        refresh_token.revoked = True
        refresh_token.save()


class OpenID(OpenIDCode):  # type: ignore[misc]  # Authlib is untyped
    """An ID token with the code."""

    def exists_nonce(self, nonce: str, request: Any) -> bool:  # noqa: ANN401
        """Only asked at the authorization endpoint."""
        return bool(AuthorizationCode.objects.filter(client_id=request.payload.client_id, nonce=nonce).exists())

    def resolve_client_private_key(self, client: OAuth2Client) -> ECKey:  # noqa: ARG002
        """One key."""
        return KEY

    def get_client_algorithm(self, client: OAuth2Client) -> str:  # noqa: ARG002
        """As the others."""
        return "ES256"

    def get_client_claims(self, client: OAuth2Client) -> dict[str, Any]:
        """Whose, for whom."""
        return {"iss": ISSUER, "aud": [client.client_id]}

    def generate_user_info(self, user: Any, scope: str) -> UserInfo:  # noqa: ANN401
        """About the person."""
        return about(user, scope)


class Introspection(IntrospectionEndpoint):  # type: ignore[misc]  # Authlib is untyped
    """For the client that owns a token."""

    def query_token(self, token: str, token_type_hint: str | None) -> OAuth2Token | None:  # noqa: ARG002
        """Access tokens first, then refresh tokens."""
        rows = OAuth2Token.objects
        return rows.filter(access_token=token).first() or rows.filter(refresh_token=token).first()

    def check_permission(self, token: OAuth2Token, client: OAuth2Client, request: Any) -> bool:  # noqa: ANN401, ARG002
        """Its own."""
        return token.client_id == client.client_id

    def introspect_token(self, token: OAuth2Token) -> dict[str, Any]:
        """What the documentation answers."""
        return {
            "active": True,
            "client_id": token.client_id,
            "token_type": token.token_type,
            "username": token.user.get_username(),
            "scope": token.get_scope(),
            "sub": str(token.user_id),
            "aud": token.client_id,
            "iss": ISSUER,
            "exp": token.issued_at + token.expires_in,
            "iat": token.issued_at,
        }


server = AuthorizationServer(OAuth2Client, OAuth2Token)
server.register_grant(CodeGrant, [CodeChallenge(required=True), OpenID(require_nonce=True)])
server.register_grant(RefreshGrant)
server.register_grant(grants.ClientCredentialsGrant)
server.register_endpoint(Introspection)
protected = ResourceProtector()
protected.register_token_validator(BearerTokenValidator(OAuth2Token))
