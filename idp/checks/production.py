"""System checks of an https issuer: defaults that suit a trial and no production (ramet.W070 to W073)."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.core import checks

from idp.config import Config, config, is_loopback


@checks.register
def production_is_set_up(**_context: object) -> list[checks.Warning]:
    """Warn of each default that a public installation should have changed."""
    here = config()
    if not here.is_https or is_loopback(here.host):
        return []
    found = [
        (
            urlsplit(here.email_url.get_secret_value()).scheme in {"file", "console"},
            "mail reaches nobody",
            "Set RAMET_EMAIL_URL to smtp://… or smtps://…: invitations and notices of endings are mails.",
            "ramet.W070",
        ),
        (
            here.database.startswith("sqlite:"),
            "the database is SQLite",
            "Set RAMET_DATABASE_URL to postgresql://… for more than one machine and for high availability.",
            "ramet.W071",
        ),
        (
            here.contact == Config.model_fields["contact"].default,
            "no contact is named",
            "Set RAMET_CONTACT to whom people ask: pages and notices name it.",
            "ramet.W072",
        ),
        (
            (here.var / "kek").exists(),
            "a key-encryption key is in RAMET_VAR, beside the database",
            "Keep RAMET_KEK elsewhere and remove the file: a copy of the folder would open every stored key.",
            "ramet.W073",
        ),
    ]
    return [checks.Warning(words, hint=hint, id=identifier) for wrong, words, hint, identifier in found if wrong]
