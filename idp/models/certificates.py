"""The certificate host: logins by certificate, objects of the PKI folder, probes."""

from __future__ import annotations

import uuid

from django.db import models


class CertificateLogin(models.Model):
    """A login or binding by certificate: begun on the main host, proven on the certificate host (ruling 7).

    browser: hash of the secret of the browser that began it. ticket_hash: of the URL on the certificate host.
    result_hash: of the single-use result. purpose: login, bind, replace or invitation; subject: of a binding. verified:
    the facts of the certificate, as `derived.changes.issue.VerifiedCertificate` (its DER in base64). reason: of a
    refusal.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    browser = models.CharField(max_length=64)
    ticket_hash = models.CharField(max_length=64, unique=True)
    result_hash = models.CharField(max_length=64, default="")
    purpose = models.CharField(max_length=12)
    subject = models.CharField(max_length=64, default="")
    verified = models.JSONField(null=True)
    reason = models.CharField(max_length=48, default="")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    presented_at = models.DateTimeField(null=True)
    consumed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"certificate login {self.id}"


class PkiObject(models.Model):
    """A fetched CRL, OCSP response or issuer's certificate, so that a slow responder fails no login (C22).

    key: SHA-256 of the request. An expired object is kept, and never used after `expires_at`.
    """

    key = models.CharField(max_length=64, primary_key=True)
    kind = models.CharField(max_length=12)
    source = models.CharField(max_length=1000)
    body = models.BinaryField(null=True)
    fetched_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    tried_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=200, default="")

    def __str__(self) -> str:
        return f"{self.kind} from {self.source}"


class Probe(models.Model):
    """The last result of the probe: whether forged certificate headers are stripped (H4)."""

    name = models.CharField(max_length=32, primary_key=True)
    nonce_hash = models.CharField(max_length=64, default="")
    at = models.DateTimeField()
    passed = models.BooleanField(default=False)
    words = models.CharField(max_length=300, default="")

    def __str__(self) -> str:
        return f"probe {self.name}"
