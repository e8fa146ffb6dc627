"""The Django apps of `idp`, and of the client registry of django-oidc-provider."""

from django.apps import AppConfig
from oidc_provider.apps import OIDCProviderConfig


class IdpConfig(AppConfig):
    """Logins, OpenID Connect, enrolment, signals."""

    name = "idp"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the system checks, and the recognisers of SCIM callers."""
        from derived.ledger.chain_key import unwrap_with  # noqa: PLC0415 - models are ready here
        from idp.checks import (  # noqa: F401, PLC0415 - registration happens on import, when apps are ready
            agreements,
            certificate_host,
            configuration,
            pki_folder,
            production,
            proxies,
            witness,
        )
        from idp.keys import wrapper  # noqa: PLC0415 - likewise
        from idp.oidc.endpoints.scim_callers import keys_of_certificate, keys_of_token  # noqa: PLC0415 - likewise
        from scim.callers import recognise_by  # noqa: PLC0415 - likewise

        unwrap_with(wrapper)
        recognise_by(keys_of_token)
        recognise_by(keys_of_certificate, connection=True)


class RegistryConfig(OIDCProviderConfig):  # type: ignore[misc]  # django-oidc-provider is untyped
    """django-oidc-provider as a registry: its tables, with the key type that its migrations were written for."""

    default_auto_field = "django.db.models.AutoField"
