"""`manage.py exposure`: how long a relying party that never calls back can be fooled, computed from the configuration (R10)."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand

from derived.minting.authority import ANSWER_LIFE, LIST_LIFE
from derived.models import Authority
from idp.oidc.lifetimes import ACCESS_TOKEN, ID_TOKEN

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

SKEW = timedelta(seconds=60)


class Command(BaseCommand):
    """Print the bound."""

    help = "The longest time for which a relying party that verifies tokens offline can accept one of somebody who has gone."

    def add_arguments(self, parser: CommandParser) -> None:
        """Only --json."""
        parser.add_argument("--json", action="store_true", help="print JSON, for scripts")

    def handle(self, *_args: object, **options: Any) -> None:  # noqa: ANN401
        """The bound of each kind of artefact."""
        listed = {
            "certificate, at who reads the list every minute (60 s to sign it)": timedelta(seconds=120),
            "certificate, at who keeps a list for as long as it holds": LIST_LIFE,
            "certificate, at who keeps an OCSP answer": ANSWER_LIFE,
        } if Authority.objects.exclude(certificate=None).exists() else {}
        bounds = {
            "access token (JWT, verified offline)": ACCESS_TOKEN + SKEW,
            "ID token (as a login, with 60 s of skew)": ID_TOKEN + SKEW,
            "introspection, userinfo, refresh, sign-in here": timedelta(0), **listed,
        }
        seconds = {name: int(bound.total_seconds()) for name, bound in bounds.items()}
        if options["json"]:
            self.stdout.write(json.dumps(seconds, indent=2))
            return
        for name, bound in seconds.items():
            self.stdout.write(f"{bound:>5} s  {name}")
