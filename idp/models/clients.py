"""Policies, registration tokens, keys, URIs and consent of clients."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from oidc_provider.models import Client, UserConsent


class ClientPolicy(models.Model):
    """Ramet's additions to a `Client` of the registry, whose secret, URI and scope columns stay empty.

    application_type: web, native (RFC 8252) or browser (a public client with its own origin). device_assertion: may
    serve tokens for a device key without a browser (ruling 2). most_idle, most_session: the idle and age limits of a
    login for this client, at most the level's own limits. origins: origins that may read responses cross-site.
    subject_type: public or pairwise (ruling 21). version: raised with every change that consent depends on; consent to
    an older version is requested again (C54).

    Authentication, beside a secret: auth_alg: the algorithm of its assertions, "" for any (P43). jwks: RFC 7517 set of
    public keys, or jwks_uri: its URL. tls_subject: one of {"dn", "dns", "uri", "ip", "email"} of its certificate
    (RFC 8705 §2.1.2). hosts: internal `host` or `host:port` from which an operator allows this client's documents to be
    fetched. certificate_bound: its tokens are bound to its certificate (§3). registration_hash: of its registration
    access token (RFC 7592).

    Requirements: par_required (RFC 9126; in any case for a confidential client with min_aal 3), request_alg and
    request_required (RFC 9101), phishing_resistant logins. Exceptions, off by default and never for public clients:
    pkce_optional, nonce_optional (then FAL1). dpop_nonce: its DPoP proofs carry Ramet's nonce (RFC 9449 §8); None
    means the default: for public clients.

    Rights: grants beyond code and refresh; resources: resource indicators that it may request (RFC 8707); serves:
    those that it answers for, whose tokens it may introspect; access_token_format: jwt or opaque; lifetimes, if
    shorter than Ramet's; userinfo_alg, introspection_alg: "" for plain JSON.
    claims_in_id_token: also the claims of its scopes (FA-5). shown: client_uri, policy_uri, tos_uri,
    logo_uri, contacts: text for people, never fetched (C46).
    """

    client = models.OneToOneField(Client, on_delete=models.CASCADE, primary_key=True, related_name="policy")
    secret_hash = models.CharField(max_length=64, default="")
    auth_method = models.CharField(max_length=32)
    application_type = models.CharField(max_length=8)
    scopes = models.CharField(max_length=500)
    id_token_alg = models.CharField(max_length=8, default="ES256")
    min_aal = models.PositiveSmallIntegerField(default=1)
    most_idle = models.DurationField(null=True)
    most_session = models.DurationField(null=True)
    dpop_required = models.BooleanField(default=False)
    dpop_nonce = models.BooleanField(null=True)
    device_assertion = models.BooleanField(default=False)
    subject_type = models.CharField(max_length=8, default="public")
    origins = models.JSONField(default=list)
    backchannel_logout_uri = models.CharField(max_length=500, default="")
    version = models.PositiveIntegerField(default=1)
    auth_alg = models.CharField(max_length=8, default="")
    jwks = models.JSONField(null=True)
    jwks_uri = models.CharField(max_length=500, default="")
    hosts = models.JSONField(default=list)
    sector_identifier_uri = models.CharField(max_length=500, default="")
    tls_subject = models.JSONField(default=dict)
    certificate_bound = models.BooleanField(default=False)
    registration_hash = models.CharField(max_length=64, default="")
    par_required = models.BooleanField(default=False)
    request_alg = models.CharField(max_length=8, default="")
    request_required = models.BooleanField(default=False)
    phishing_resistant = models.BooleanField(default=False)
    pkce_optional = models.BooleanField(default=False)
    nonce_optional = models.BooleanField(default=False)
    grants = models.JSONField(default=list)
    resources = models.JSONField(default=list)
    serves = models.JSONField(default=list)
    access_token_format = models.CharField(max_length=8, default="jwt")
    access_token_life = models.DurationField(null=True)
    refresh_life = models.DurationField(null=True)
    userinfo_alg = models.CharField(max_length=8, default="")
    introspection_alg = models.CharField(max_length=8, default="")
    claims_in_id_token = models.BooleanField(default=False, db_default=False)
    shown = models.JSONField(default=dict)
    disabled_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"policy of {self.client_id}"


class RegistrationToken(models.Model):
    """An initial access token (RFC 7591 §3), hashed, with a limited number of uses and an expiry."""

    token_hash = models.CharField(primary_key=True, max_length=64)
    label = models.CharField(max_length=80)
    uses_left = models.PositiveIntegerField()
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"registration token {self.label}"


class ClientKeys(models.Model):
    """The public keys of a client as last fetched from its URL, for all nodes (C45).

    tries, answered: the number of fetches begun and of the last that ended; they differ during a fetch.
    """

    policy = models.ForeignKey(ClientPolicy, on_delete=models.CASCADE, related_name="fetched_keys")
    uri = models.CharField(max_length=500)
    jwks = models.JSONField(default=dict)
    fetched_at = models.DateTimeField(null=True)
    tried_at = models.DateTimeField(null=True)
    tries = models.PositiveBigIntegerField(default=0)
    answered = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["policy", "uri"], name="keys_once_per_client")]

    def __str__(self) -> str:
        return f"keys of {self.policy_id}"


class RegisteredUri(models.Model):
    """A redirect URI (or post-logout URI) of a client; compared whole (C31, A1, E20)."""

    policy = models.ForeignKey(ClientPolicy, on_delete=models.CASCADE, related_name="uris")
    use = models.CharField(max_length=12)
    uri = models.CharField(max_length=500)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["policy", "use", "uri"], name="uri_once_per_client")]

    def __str__(self) -> str:
        return self.uri


class ConsentTerms(models.Model):
    """The client as a person consented to it: its version, and the displayed name (C54)."""

    consent = models.OneToOneField(UserConsent, on_delete=models.CASCADE, primary_key=True, related_name="terms")
    version = models.PositiveIntegerField()
    name = models.CharField(max_length=255)

    def __str__(self) -> str:
        return f"terms of consent {self.consent_id}"
