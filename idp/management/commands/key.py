"""`manage.py key`: signing keys."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.management.base import CommandError, CommandParser

from derived import clock
from derived.keyring import KeyPurpose
from derived.models import SigningKey
from idp.clients import ID_TOKEN_ALGS
from idp.keys import keyring
from idp.management.verbs import Noun, no_arguments
from scim.access.roles import Verb


def _rotate(parser: CommandParser) -> None:
    parser.add_argument("--alg", default="ES256", choices=ID_TOKEN_ALGS)


def _kid(parser: CommandParser) -> None:
    parser.add_argument("kid", help="as in: manage.py key list")


class Command(Noun):
    """The verbs for keys."""

    help = "Signing keys: list, rotate (with an overlap), revoke (in an emergency)."
    configures = True
    verbs: ClassVar = {
        "list": ("All keys and where each stands.", no_arguments),
        "rotate": ("Publish a new key now; it takes over when every verifier has seen it.", _rotate),
        "revoke": ("Emergency: take a key out of the JWKS now; what it signed is refused here at once.", _kid),
    }
    asks: ClassVar = {"revoke": Verb.DISABLE}

    def all(self, _options: dict[str, Any]) -> list[dict[str, Any]]:
        """List the keys."""
        rows = SigningKey.objects.order_by("created_at")
        return [
            {
                "kid": one.kid,
                "purpose": one.purpose,
                "alg": one.alg,
                "state": one.state,
                "active_from": one.active_from,
                "retired_at": one.retired_at,
            }
            for one in rows
        ]

    def rotate(self, options: dict[str, Any]) -> dict[str, Any]:
        """Publish the next key."""
        key = keyring().rotate(KeyPurpose.TOKENS, options["alg"], now=clock.now())
        return {"kid": key.kid, "state": key.state, "signs_from": key.active_from}

    def revoke(self, options: dict[str, Any]) -> dict[str, Any]:
        """Revoke a key at once."""
        try:
            key = keyring().revoke(options["kid"], now=clock.now())
        except SigningKey.DoesNotExist:
            message = "There is no such key. See: manage.py key list"
            raise CommandError(message) from None
        return {"revoked": options["kid"], "now_signing": key.kid}
