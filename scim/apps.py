"""The Django app `scim`."""

from django.apps import AppConfig


class ScimConfig(AppConfig):
    """Registers people, sources and their records."""

    name = "scim"
    default_auto_field = "django.db.models.BigAutoField"
