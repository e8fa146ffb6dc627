"""OpenID Connect: pushed and waiting requests, codes, token families, refresh and opaque tokens."""

from __future__ import annotations

import uuid

from django.db import models
from oidc_provider.models import Client

from derived.models import Account, Credential
from idp.models.login import AuthenticationEvent, LoginSession


class PushedRequest(models.Model):
    """One validated request that a client pushed (RFC 9126): loaded for 90 seconds, spent by one decision (ruling 20).

    id_hash: of the random part of its request_uri. expires_at: until when a page that loaded it in time may be answered.
    """

    id_hash = models.CharField(primary_key=True, max_length=64)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    redirect_uri = models.CharField(max_length=500)
    ask = models.JSONField()
    created_at = models.DateTimeField()
    loads_until = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    consumed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"pushed request {self.id_hash[:6]}…"


class AuthorizationRequest(models.Model):
    """One validated authorization request: the decision object. Pages carry its id, never its content (E1).

    browser: hash of the secret of the browser that began it; no other may go on with it (P23). pushed: where it came from.
    """

    id = models.CharField(primary_key=True, max_length=43)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    browser = models.CharField(max_length=64)
    redirect_uri = models.CharField(max_length=500)
    pushed = models.ForeignKey(PushedRequest, on_delete=models.CASCADE, null=True, related_name="+")
    ask = models.JSONField()
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    consumed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"authorization request {self.id[:6]}…"


class Code(models.Model):
    """One authorization code, hashed; lives a minute, serves once, and remembers what it became (FA-6)."""

    code_hash = models.CharField(primary_key=True, max_length=64)
    request = models.OneToOneField(AuthorizationRequest, on_delete=models.CASCADE, related_name="code")
    session = models.ForeignKey(LoginSession, on_delete=models.PROTECT, related_name="+")
    event = models.ForeignKey(AuthenticationEvent, on_delete=models.PROTECT, related_name="+")
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+")
    epoch = models.PositiveIntegerField()
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    consumed_at = models.DateTimeField(null=True)
    family = models.ForeignKey(Credential, on_delete=models.PROTECT, null=True, related_name="+")

    def __str__(self) -> str:
        return f"code {self.code_hash[:6]}…"


class Grant(models.Model):
    """What a token family of the ledger may do: for whom, for what, with which key, and on which login.

    session: the family ends with it, unless `offline` (ruling 17). resources: what its access tokens may be for (RFC 8707);
    none: ourselves. relayed: the person signed in on one device for another one (RFC 8628). jkt: the DPoP key that its tokens are bound to; x5t: the certificate that they were bound to at first.
    fal: what the request allowed: 1 without a nonce or PKCE. claims: {"userinfo": [names], "id_token": [names]} asked for by name.
    """

    family = models.OneToOneField(Credential, on_delete=models.PROTECT, primary_key=True, related_name="grant")
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    event = models.ForeignKey(AuthenticationEvent, on_delete=models.PROTECT, related_name="+")
    session = models.ForeignKey(LoginSession, on_delete=models.PROTECT, null=True, related_name="grants")
    scope = models.CharField(max_length=500)
    resources = models.JSONField(default=list)
    acr = models.CharField(max_length=120)
    nonce = models.CharField(max_length=255, default="")
    jkt = models.CharField(max_length=43, default="")
    x5t = models.CharField(max_length=43, default="")
    offline = models.BooleanField(default=False)
    relayed = models.BooleanField(default=False)
    fal = models.PositiveSmallIntegerField(default=2)
    claims = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"grant of family {self.family_id}"


class RefreshToken(models.Model):
    """One refresh token of a family, hashed; the last one is unconsumed, and an older one kills the family."""

    token_hash = models.CharField(primary_key=True, max_length=64)
    grant = models.ForeignKey(Grant, on_delete=models.PROTECT, related_name="refresh_tokens")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    consumed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"refresh token {self.token_hash[:6]}…"


class OpaqueToken(models.Model):
    """An access token that says nothing by itself, hashed: what it is worth is read here and in the ledger at every use.

    grant: whose family it is of; it is as dead as that. audience, jkt, x5t: of this very token.
    """

    token_hash = models.CharField(primary_key=True, max_length=64)
    grant = models.ForeignKey(Grant, on_delete=models.PROTECT, related_name="+")
    scope = models.CharField(max_length=500)
    audience = models.CharField(max_length=500)
    jkt = models.CharField(max_length=43, default="")
    x5t = models.CharField(max_length=43, default="")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"access token {self.token_hash[:6]}…"


class ServiceToken(models.Model):
    """An access token that a client got for itself: about nobody, so it is in no account's ledger; this row is its life.

    id_hash: of the opaque token, or of the JWT's `jti`. It is dead when it has ended, or its client is disabled.
    """

    id_hash = models.CharField(primary_key=True, max_length=64)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    scope = models.CharField(max_length=500)
    audience = models.CharField(max_length=500)
    jkt = models.CharField(max_length=43, default="")
    x5t = models.CharField(max_length=43, default="")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    ended_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"service token {self.id_hash[:6]}…"


class DeviceAuthorization(models.Model):
    """A device without a browser waits for a person to type its code on another one (RFC 8628; C13, A8).

    browser, network: where it was asked from, for the person to recognise. status: waiting, approved or denied.
    session, event: who approved it, signed in how. interval: seconds that the device must leave between its questions.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    device_hash = models.CharField(max_length=64, unique=True)
    user_hash = models.CharField(max_length=64, unique=True)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    scope = models.CharField(max_length=500)
    resources = models.JSONField(default=list)
    acr_values = models.JSONField(default=list)
    browser = models.CharField(max_length=120, default="")
    network = models.CharField(max_length=45, default="")
    status = models.CharField(max_length=8, default="waiting")
    interval = models.PositiveSmallIntegerField(default=5)
    asked_at = models.DateTimeField(null=True)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True, related_name="+")
    epoch = models.PositiveIntegerField(default=0)
    session = models.ForeignKey(LoginSession, on_delete=models.PROTECT, null=True, related_name="+")
    event = models.ForeignKey(AuthenticationEvent, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    decided_at = models.DateTimeField(null=True)
    consumed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"device authorization {self.id}"
