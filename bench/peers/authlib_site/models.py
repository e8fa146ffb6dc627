"""The three models of Authlib's documentation for Django: a client, a code, a token."""

from __future__ import annotations

import secrets
import time

from authlib.oauth2.rfc6749 import ClientMixin, TokenMixin
from authlib.oidc.core import AuthorizationCodeMixin
from django.conf import settings
from django.db import models


def seconds() -> int:
    """Now."""
    return int(time.time())


class OAuth2Client(models.Model, ClientMixin):
    """A registered client."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    client_id = models.CharField(max_length=48, unique=True, db_index=True)
    client_secret = models.CharField(max_length=48, blank=True)
    redirect_uris = models.TextField(default="")
    scope = models.TextField(default="")
    response_type = models.TextField(default="code")
    grant_type = models.TextField(default="")
    token_endpoint_auth_method = models.CharField(max_length=120, default="client_secret_basic")

    def __str__(self) -> str:
        return self.client_id

    def get_client_id(self) -> str:
        """Its id."""
        return self.client_id

    def get_default_redirect_uri(self) -> str:
        """Its first."""
        return self.redirect_uris.split()[0]

    def get_allowed_scope(self, scope: str) -> str:
        """What of this it may have."""
        allowed = set(self.scope.split())
        return " ".join(one for one in (scope or "").split() if one in allowed)

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Whole."""
        return redirect_uri in self.redirect_uris.split()

    def check_client_secret(self, client_secret: str) -> bool:
        """In constant time."""
        return secrets.compare_digest(self.client_secret, client_secret)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """One method at the token endpoint."""
        return method == self.token_endpoint_auth_method if endpoint == "token" else True

    def check_response_type(self, response_type: str) -> bool:
        """Listed."""
        return response_type in self.response_type.split()

    def check_grant_type(self, grant_type: str) -> bool:
        """Listed."""
        return grant_type in self.grant_type.split()


class AuthorizationCode(models.Model, AuthorizationCodeMixin):
    """A code."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    client_id = models.CharField(max_length=48, db_index=True)
    code = models.CharField(max_length=120, unique=True)
    redirect_uri = models.TextField(default="")
    response_type = models.TextField(default="")
    scope = models.TextField(default="")
    auth_time = models.IntegerField(default=seconds)
    nonce = models.CharField(max_length=120, default="")
    code_challenge = models.TextField(default="")
    code_challenge_method = models.CharField(max_length=48, default="")

    def __str__(self) -> str:
        return "code"

    def is_expired(self) -> bool:
        """After five minutes."""
        return self.auth_time + 300 < time.time()

    def get_redirect_uri(self) -> str:
        """Where it went."""
        return self.redirect_uri

    def get_scope(self) -> str:
        """What for."""
        return self.scope or ""

    def get_auth_time(self) -> int:
        """When the person signed in."""
        return self.auth_time

    def get_nonce(self) -> str:
        """The client's."""
        return self.nonce

    def get_acr(self) -> None:
        """None."""

    def get_amr(self) -> None:
        """None."""


class OAuth2Token(models.Model, TokenMixin):
    """An access token, and its refresh token."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    client_id = models.CharField(max_length=48, db_index=True)
    token_type = models.CharField(max_length=40)
    access_token = models.CharField(max_length=255, unique=True)
    refresh_token = models.CharField(max_length=255, db_index=True)
    scope = models.TextField(default="")
    revoked = models.BooleanField(default=False)
    issued_at = models.IntegerField(default=seconds)
    expires_in = models.IntegerField(default=0)

    def __str__(self) -> str:
        return "token"

    def check_client(self, client: OAuth2Client) -> bool:
        """Whether it is this client's."""
        return self.client_id == client.client_id

    def get_client_id(self) -> str:
        """Whose it is."""
        return self.client_id

    def get_scope(self) -> str:
        """What for."""
        return self.scope

    def get_expires_in(self) -> int:
        """How long."""
        return self.expires_in

    def is_expired(self) -> bool:
        """Whether it is over."""
        return self.issued_at + self.expires_in < time.time()

    def is_revoked(self) -> bool:
        """Whether it was taken back."""
        return self.revoked

    def get_user(self) -> object:
        """About whom."""
        return self.user

    def is_refresh_token_active(self) -> bool:
        """Whether it may be refreshed."""
        return not self.revoked
