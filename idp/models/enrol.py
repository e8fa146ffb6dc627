"""Enrolment: invitations, undo links, bindings of devices, orders of certificates."""

from __future__ import annotations

import uuid

from django.db import models

from derived.models import Account, Credential
from idp.models.login import AuthenticationEvent, LoginSession


class Invitation(models.Model):
    """A single-use link, for 24 hours, by which an account without authenticators binds its first root (ruling 3)."""

    token_hash = models.CharField(primary_key=True, max_length=64)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="invitations")
    epoch = models.PositiveIntegerField()
    address = models.CharField(max_length=320)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    consumed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"invitation {self.token_hash[:6]}…"


class RecoveryAttempt(models.Model):
    """An attempt to come back by codes that are mailed to two addresses (RC-1); also for names that nobody has.

    account: None if the name is nobody's, or its person cannot come back in this way. browser: only it may send the
    codes. wrong: wrong tries. The codes are computed from the id (`mailed_codes.codes`) and not stored.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True, related_name="recovery_attempts")
    epoch = models.PositiveIntegerField(default=0)
    browser = models.CharField(max_length=64)
    wrong = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    consumed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"recovery attempt {self.id}"


class UndoLink(models.Model):
    """A link in a notice, used by POST, that revokes a credential or freezes the account; never restores.

    See ruling 4, BI-5.
    """

    token_hash = models.CharField(primary_key=True, max_length=64)
    credential = models.ForeignKey(Credential, on_delete=models.PROTECT, related_name="+")
    action = models.CharField(max_length=8, default="revoke")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    consumed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"undo link {self.token_hash[:6]}…"


class Binding(models.Model):
    """An attempt to add a device: a code on the desktop, a response of the device, an approval on the desktop.

    See BI-1 to BI-5.
    code_hash, short_hash: the two forms of the code. short_tries: wrong guesses of the short form. kind: of the new
    credential. jkt: the key to which the code is bound at its first use (C12); browser: likewise, if the key is made
    later. challenge_hash: of the challenge to sign. answered: the proof, as its kind stores it. consumed_at: when the
    device answered, or the code was revoked. status: waiting, answered, bound, refused or burnt.
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
    kind = models.CharField(max_length=24, default="device_key")
    browser = models.CharField(max_length=64, default="")
    answered = models.JSONField(null=True)
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


class CertificateOrder(models.Model):
    """A certificate for another device: a code on the desktop, an EST request, an approval on the desktop (C14).

    See BI-1 to BI-3. code_hash, short_hash: the two forms of the code; short_tries: wrong guesses of the short one.
    name, passphrase_hash: set at the desktop. spki: the key to which the code is bound at its first use (C12).
    answered: the proven facts of its hardware. status: waiting, asked, issued, refused, burnt.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="certificate_orders")
    epoch = models.PositiveIntegerField()
    session = models.ForeignKey(LoginSession, on_delete=models.PROTECT, related_name="certificate_orders")
    code_hash = models.CharField(max_length=64, unique=True)
    short_hash = models.CharField(max_length=64, unique=True)
    short_tries = models.PositiveSmallIntegerField(default=0)
    name = models.CharField(max_length=80)
    passphrase_hash = models.CharField(max_length=256, default="")
    status = models.CharField(max_length=8, default="waiting")
    spki = models.BinaryField(null=True)
    answered = models.JSONField(null=True)
    network = models.CharField(max_length=80, default="")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    asked_at = models.DateTimeField(null=True)
    decided_at = models.DateTimeField(null=True)
    credential = models.ForeignKey(Credential, on_delete=models.PROTECT, null=True, related_name="+")

    def __str__(self) -> str:
        return f"certificate order {self.id}"
