"""The Django app `derived`."""

from django.apps import AppConfig


class DerivedConfig(AppConfig):
    """Registers the ledger, the audit chain and the outbox."""

    name = "derived"
    default_auto_field = "django.db.models.BigAutoField"
