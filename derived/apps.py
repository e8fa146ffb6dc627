"""The Django app of the ground floor."""

from django.apps import AppConfig


class DerivedConfig(AppConfig):
    """Ledger, record and outbox."""

    name = "derived"
    default_auto_field = "django.db.models.BigAutoField"
