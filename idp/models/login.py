"""Logins: the evidence of each, the sessions of browsers, WebAuthn ceremonies and throttles."""

from __future__ import annotations

import uuid

from django.db import models

from derived.models import Account, Credential


class AuthenticationEvent(models.Model):
    """The evidence of a login: factors, credential, time. Never edited; `auth_time` is its `at`.

    beside: a second credential of the login (the password beside a security key); the login needs both live. hardware:
    the phishing-resistant key is proven to be in hardware. upstream: the issuer that vouched, or "" (FA-8). fal: the
    federation level of the upstream's assertion; 3 without an upstream (AS-6).
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
    """The session of a browser. Its level is that of its present event, never a sum (AS-4).

    sid: the session's id for relying parties. network: a coarse location, for the person's list of sessions.
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
    """A WebAuthn challenge: of a browser, for a purpose, used once, for five minutes (C59).

    browser: hash of the secret of the browser. account: the owner of the expected key; None for a discoverable
    credential. purpose: login, second (beside a password), register. options: the values for comparison with the
    response.
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
    """The back-off of a known browser or a network against an account (ruling 13)."""

    key = models.CharField(primary_key=True, max_length=64)
    failures = models.PositiveSmallIntegerField(default=0)
    until = models.DateTimeField()
    seen_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"throttle {self.key[:6]}…"
