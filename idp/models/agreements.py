"""Trust agreements with relying parties, and the redress cases of subscribers (SP 800-63C-4 §3.5, §4.3)."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from derived.models import Account, Event


class TrustAgreement(models.Model):
    """One version of the agreement with a client; the newest version that has not ended is the current one.

    client_key: the client_id, which outlives the client's row. terms: as `idp.agreements.terms` has parsed them.
    review_on: the day of the next review; afterwards it is overdue. agreed_by: the actor who recorded it.
    """

    client_key = models.CharField(max_length=255)
    version = models.PositiveIntegerField()
    terms = models.JSONField()
    agreed_at = models.DateTimeField()
    agreed_by = models.CharField(max_length=120)
    review_on = models.DateField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["client_key", "version"], name="agreement_version_once")
        ]

    def __str__(self) -> str:
        return f"agreement {self.version} with {self.client_key}"


class RedressCase(models.Model):
    """An objection of a subscriber, answered by `due_at` by somebody whom it is not about (SP 800-63C-4 §3.5.3).

    client_key: the application that it is about, or "". event: the act of somebody on this account that it is about,
    or None; the actor of that event does not answer. answered_by: the actor.
    """

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="redress_cases")
    client_key = models.CharField(max_length=255, default="")
    event = models.ForeignKey(Event, on_delete=models.PROTECT, null=True, related_name="+")
    words = models.TextField()
    opened_at = models.DateTimeField()
    due_at = models.DateTimeField()
    answer = models.TextField(default="")
    answered_at = models.DateTimeField(null=True)
    answered_by = models.CharField(max_length=120, default="")

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["due_at", "id"], condition=models.Q(answered_at__isnull=True), name="redress_case_waits"
            )
        ]

    def __str__(self) -> str:
        return f"case {self.pk}"
