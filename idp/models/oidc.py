"""OpenID Connect: pushed and waiting requests, codes, token families, refresh and opaque tokens."""

from __future__ import annotations

import uuid

from django.db import models
from oidc_provider.models import Client

from derived.models import Account, Credential
from idp.models.login import AuthenticationEvent, LoginSession


class PushedRequest(models.Model):
    """A validated pushed request (RFC 9126): loadable for 90 seconds, consumed by a decision (ruling 20).

    id_hash: of the random part of its request_uri. expires_at: the limit for a decision on a page that was loaded in
    time.
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
    """A validated authorization request. Pages carry its id, never its content (E1).

    browser: hash of the secret of the browser that began it, and alone may continue it (P23). pushed: the pushed
    request.
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
    """An authorization code, hashed: for a minute, for a single use, with the family that it opened (FA-6)."""

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
    """The terms of a token family: its client, scope, key and login.

    session: the family ends with it, unless `offline` (ruling 17). resources: the permitted audiences of its access
    tokens (RFC 8707); empty: Ramet itself. relayed: approved on one device for another (RFC 8628). jkt: the DPoP key of
    its tokens; x5t: the certificate of its first tokens. fal: by the request: 1 without a nonce or PKCE. claims:
    {"userinfo": [names], "id_token": [names]} requested by name.
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
    """A refresh token of a family, hashed; only the newest is unconsumed, and reuse of an older one ends the family."""

    token_hash = models.CharField(primary_key=True, max_length=64)
    grant = models.ForeignKey(Grant, on_delete=models.PROTECT, related_name="refresh_tokens")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    consumed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"refresh token {self.token_hash[:6]}…"


class OpaqueToken(models.Model):
    """An opaque access token, hashed; its content is read here and in the ledger at every use.

    grant: its family, with which it ends. audience, jkt, x5t: of this token.
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
    """A client's own access token, without a person and so without an account's ledger; this row is its state.

    id_hash: of the opaque token, or of the JWT's `jti`. The token ends with the row's end, or with its client.
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
    """A device authorization request that waits for a person to type its code (RFC 8628; C13, A8).

    browser, network: the origin of the request, for the person to recognise. status: waiting, approved or denied.
    session, event: of the approver. interval: seconds between polls of the device.
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
