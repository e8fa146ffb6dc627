"""The Django app of the middle floor."""

from django.apps import AppConfig


class ScimConfig(AppConfig):
    """People, sources and their records."""

    name = "scim"
    default_auto_field = "django.db.models.BigAutoField"
