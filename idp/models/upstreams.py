"""Upstream OpenID providers and the logins that wait for them."""

from __future__ import annotations

import uuid

from django.db import models

from derived.models import Account
from idp.models.login import LoginSession


class Upstream(models.Model):
    """Another OpenID provider, with the exact value of its claims (AU-7, C10).

    levels: {acr: [aal, ial]}, compared whole; an `acr` that is not in it has no level. cap: the highest trusted level.
    aal_claim, ial_claim: claims that state it instead of `acr`, if a provider has them (login.gov). secret: wrapped. A
    claim name with `[]` at its end is a list of texts; any other is a single text; no other type is read. amr: {theirs:
    ours}; other values are not passed on. phishing_resistant: acr values or claim values that state it. hosts: `host`
    or `host:port` of its endpoints beside the issuer's own. jwks: its keys as last fetched.
    """

    slug = models.SlugField(primary_key=True, max_length=40)
    name = models.CharField(max_length=80)
    issuer = models.CharField(max_length=500, unique=True)
    client_id = models.CharField(max_length=255)
    auth_method = models.CharField(max_length=32, default="client_secret_basic")
    secret = models.BinaryField(null=True)
    scope = models.CharField(max_length=200, default="openid")
    acr_values = models.CharField(max_length=500, default="")
    preset = models.CharField(max_length=24, default="")
    levels = models.JSONField(default=dict)
    aal_claim = models.CharField(max_length=64, default="")
    ial_claim = models.CharField(max_length=64, default="")
    amr = models.JSONField(default=dict)
    phishing_resistant = models.JSONField(default=list)
    algs = models.JSONField(default=list)
    cap = models.PositiveSmallIntegerField(default=2)
    metadata = models.JSONField(default=dict)
    metadata_at = models.DateTimeField(null=True)
    jwks = models.JSONField(default=dict)
    jwks_at = models.DateTimeField(null=True)
    hosts = models.JSONField(default=list)
    disabled_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"upstream {self.slug}"


class UpstreamLogin(models.Model):
    """A login at an upstream in progress, bound to the browser that began it, for a single response (P35, P32).

    state_hash: SHA-256 of the state. purpose: login or link; account, session: of a link. code_verifier: wrapped.
    nonce_hash: of the nonce that the response must carry. max_age: as requested, in seconds; then `auth_time` is
    required.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    upstream = models.ForeignKey(Upstream, on_delete=models.CASCADE, related_name="+")
    browser = models.CharField(max_length=64)
    state_hash = models.CharField(max_length=64, unique=True)
    nonce_hash = models.CharField(max_length=64)
    code_verifier = models.BinaryField()
    purpose = models.CharField(max_length=8)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True, related_name="+")
    session = models.ForeignKey(LoginSession, on_delete=models.PROTECT, null=True, related_name="+")
    max_age = models.PositiveIntegerField(null=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    consumed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"trip to {self.upstream_id}"
