"""The Django app of the profile `conformance`; only `idp.conformance.settings` installs it."""

from __future__ import annotations

from django.apps import AppConfig


class ConformanceConfig(AppConfig):
    """Registers the fixed second factor of the conformance person."""

    name = "idp.conformance"

    def ready(self) -> None:
        """Let the sign-in accept the fixed code."""
        from idp import conformance  # noqa: PLC0415 - apps are ready from here on
        from idp.login import totp  # noqa: PLC0415 - likewise

        totp.accept_fixed_codes(conformance.fixed_step)
