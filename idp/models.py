"""What the top floor keeps: sessions, authorization requests, codes, grants, bindings, invitations, clients' policies.

Each row that lets somebody do something carries account, epoch and credential; every read of it joins the Account and
the credential, so one flip on the ground floor ends it (design.md). Secrets are stored as SHA-256 of high-entropy values.
"""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from oidc_provider.models import Client

from derived.models import Account, Credential


class AuthenticationEvent(models.Model):
    """The evidence of one login: what was verified, by which credential, when. Never edited; `auth_time` is its `at`."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="logins")
    credential = models.ForeignKey(Credential, on_delete=models.PROTECT, related_name="logins")
    factors = models.JSONField()
    aal = models.PositiveSmallIntegerField()
    root = models.BooleanField()
    phishing_resistant = models.BooleanField(default=False)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"login at AAL{self.aal} of {self.account_id}"


class LoginSession(models.Model):
    """One browser of one person, signed in. Its level is that of its one present event, never a sum (AS-4).

    sid: what relying parties know it by. network: a coarse place, for the person's own list of sessions.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    sid = models.CharField(max_length=43, unique=True)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="sessions")
    epoch = models.PositiveIntegerField()
    event = models.ForeignKey(AuthenticationEvent, on_delete=models.PROTECT, related_name="sessions")
    browser = models.CharField(max_length=120, default="")
    network = models.CharField(max_length=45, default="")
    created_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"session {self.id}"


class ClientPolicy(models.Model):
    """What we add to a `Client` of the registry; the registry's own secret, URI and scope columns stay empty.

    application_type: web, native (RFC 8252) or browser (a public client with an origin of its own).
    device_assertion: may serve tokens for a device key without a browser (ruling 2).
    origins: origins that may read answers cross-site. subject_type: public or pairwise (ruling 21).
    """

    client = models.OneToOneField(Client, on_delete=models.CASCADE, primary_key=True, related_name="policy")
    secret_hash = models.CharField(max_length=64, default="")
    auth_method = models.CharField(max_length=32)
    application_type = models.CharField(max_length=8)
    scopes = models.CharField(max_length=500)
    id_token_alg = models.CharField(max_length=8, default="ES256")
    min_aal = models.PositiveSmallIntegerField(default=1)
    dpop_required = models.BooleanField(default=False)
    device_assertion = models.BooleanField(default=False)
    subject_type = models.CharField(max_length=8, default="public")
    origins = models.JSONField(default=list)
    backchannel_logout_uri = models.CharField(max_length=500, default="")
    disabled_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"policy of {self.client_id}"


class RegisteredUri(models.Model):
    """One redirect URI (or post-logout one) of a client; compared whole (C31, A1, E20)."""

    policy = models.ForeignKey(ClientPolicy, on_delete=models.CASCADE, related_name="uris")
    use = models.CharField(max_length=12)
    uri = models.CharField(max_length=500)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["policy", "use", "uri"], name="uri_once_per_client")]

    def __str__(self) -> str:
        return self.uri


class AuthorizationRequest(models.Model):
    """One validated authorization request: the decision object. Pages carry its id, never its content (E1).

    browser: hash of the secret of the browser that began it; no other may go on with it (P23).
    """

    id = models.CharField(primary_key=True, max_length=43)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    browser = models.CharField(max_length=64)
    redirect_uri = models.CharField(max_length=500)
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

    session: the family ends with it, unless `offline` (ruling 17). jkt: the DPoP key that its tokens are bound to.
    """

    family = models.OneToOneField(Credential, on_delete=models.PROTECT, primary_key=True, related_name="grant")
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    event = models.ForeignKey(AuthenticationEvent, on_delete=models.PROTECT, related_name="+")
    session = models.ForeignKey(LoginSession, on_delete=models.PROTECT, null=True, related_name="grants")
    scope = models.CharField(max_length=500)
    audience = models.CharField(max_length=500)
    acr = models.CharField(max_length=120)
    nonce = models.CharField(max_length=255, default="")
    jkt = models.CharField(max_length=43, default="")
    offline = models.BooleanField(default=False)

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


class Invitation(models.Model):
    """A link that lets an account without authenticators bind its first root; single use, 24 hours (ruling 3)."""

    token_hash = models.CharField(primary_key=True, max_length=64)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="invitations")
    epoch = models.PositiveIntegerField()
    address = models.CharField(max_length=320)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    consumed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"invitation {self.token_hash[:6]}…"


class UndoLink(models.Model):
    """A link in a notice that revokes one credential by POST; it never restores anything (ruling 4, BI-5)."""

    token_hash = models.CharField(primary_key=True, max_length=64)
    credential = models.ForeignKey(Credential, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    consumed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"undo link {self.token_hash[:6]}…"


class Binding(models.Model):
    """One attempt to add a device: a code on the desktop, an answer from the device, a yes on the desktop (BI-1 to BI-5).

    code_hash, short_hash: the two forms of the code. short_tries: wrong guesses of the short form.
    jkt: the key that the code belongs to from its first presentation on (C12). challenge_hash: what that key must sign.
    consumed_at: when the device answered, or the code was burnt. status: waiting, answered, bound, refused or burnt.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="bindings")
    epoch = models.PositiveIntegerField()
    session = models.ForeignKey(LoginSession, on_delete=models.PROTECT, related_name="bindings")
    event = models.ForeignKey(AuthenticationEvent, on_delete=models.PROTECT, related_name="+")
    code_hash = models.CharField(max_length=64, unique=True)
    short_hash = models.CharField(max_length=64, unique=True)
    short_tries = models.PositiveSmallIntegerField(default=0)
    status = models.CharField(max_length=8, default="waiting")
    jwk = models.JSONField(null=True)
    jkt = models.CharField(max_length=43, default="")
    challenge_hash = models.CharField(max_length=64, default="")
    challenge_expires_at = models.DateTimeField(null=True)
    number = models.CharField(max_length=2, default="")
    device_name = models.CharField(max_length=80, default="")
    protection = models.CharField(max_length=16, default="")
    clients = models.JSONField(default=list)
    passphrase_hash = models.CharField(max_length=256, default="")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    consumed_at = models.DateTimeField(null=True)
    decided_at = models.DateTimeField(null=True)
    credential = models.ForeignKey(Credential, on_delete=models.PROTECT, null=True, related_name="+")

    def __str__(self) -> str:
        return f"binding {self.id}"


class Throttle(models.Model):
    """Back-off for one known browser or one network against one account (ruling 13)."""

    key = models.CharField(primary_key=True, max_length=64)
    failures = models.PositiveSmallIntegerField(default=0)
    until = models.DateTimeField()
    seen_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"throttle {self.key[:6]}…"
