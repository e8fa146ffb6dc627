"""Logins: the evidence of each, the sessions of browsers, WebAuthn ceremonies and throttles."""

from __future__ import annotations

import uuid

from django.db import models

from derived.models import Account, Credential


class AuthenticationEvent(models.Model):
    """The evidence of one login: what was verified, by which credential, when. Never edited; `auth_time` is its `at`.

    beside: a second credential that took part (the password beside a security key); the login lives with both.
    hardware: the phishing-resistant key is proven to be in hardware. upstream: the issuer that vouched, or "" (FA-8).
    fal: the federation level of the path up to here; 3 where nobody vouched (AS-6).
    """

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="logins")
    credential = models.ForeignKey(Credential, on_delete=models.PROTECT, related_name="logins")
    beside = models.ForeignKey(Credential, on_delete=models.PROTECT, null=True, related_name="+")
    factors = models.JSONField()
    amr = models.JSONField(default=list)
    aal = models.PositiveSmallIntegerField()
    root = models.BooleanField()
    phishing_resistant = models.BooleanField(default=False)
    hardware = models.BooleanField(default=False)
    upstream = models.CharField(max_length=500, default="")
    fal = models.PositiveSmallIntegerField(default=3)
    at = models.DateTimeField(db_index=True)

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


class Ceremony(models.Model):
    """One WebAuthn challenge: of one browser, for one purpose, used once, for five minutes (C59).

    browser: hash of the secret of the browser that asked. account: whose key is expected; None where the key itself says.
    purpose: login, second (beside a password), register. options: what the answer is compared with.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    browser = models.CharField(max_length=64)
    purpose = models.CharField(max_length=12)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True, related_name="+")
    challenge = models.CharField(max_length=64)
    options = models.JSONField(default=dict)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    consumed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"ceremony {self.id}"


class Throttle(models.Model):
    """Back-off for one known browser or one network against one account (ruling 13)."""

    key = models.CharField(primary_key=True, max_length=64)
    failures = models.PositiveSmallIntegerField(default=0)
    until = models.DateTimeField()
    seen_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"throttle {self.key[:6]}…"
