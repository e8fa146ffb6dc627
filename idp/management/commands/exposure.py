"""`manage.py exposure`: the longest time for which an offline verifier accepts what was revoked (R10)."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

from django.core.management.base import BaseCommand

from derived.minting.authority import ANSWER_LIFE, LIST_LIFE
from derived.minting.certificate import LONGEST_LIFE
from derived.rules.kinds import Kind
from idp.oidc.lifetimes import ACCESS_TOKEN, ID_TOKEN
from idp.policies import issuance as rulebook

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

    from idp.management.verbs import Option

SKEW = timedelta(seconds=60)


class Command(BaseCommand):
    """Print the bound of each kind of artefact."""

    help = "The longest time for which an offline verifier accepts a revoked token or certificate."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare --json."""
        parser.add_argument("--json", action="store_true", help="print JSON, for scripts")

    def handle(self, *_args: object, **options: Option) -> None:
        """Print the bounds."""
        life = rulebook.rules().lifetime(Kind.CERTIFICATE) or LONGEST_LIFE
        bounds = {
            "access token (JWT, verified offline)": ACCESS_TOKEN + SKEW,
            "ID token (as a login, with 60 s of skew)": ID_TOKEN + SKEW,
            "introspection, userinfo, refresh, sign-in here": timedelta(0),
            "certificate, where the list is read every minute": timedelta(
                seconds=120
            ),  # and it is signed within the other
            "certificate, where an OCSP answer is kept": ANSWER_LIFE,
            "certificate, where a list is kept as long as it holds": LIST_LIFE,
            "certificate, where no list is read at all (its life)": life,
        }
        seconds = {name: int(bound.total_seconds()) for name, bound in bounds.items()}
        if options["json"]:
            self.stdout.write(json.dumps(seconds, indent=2))
            return
        for name, bound in seconds.items():
            self.stdout.write(f"{bound:>8} s  {name}")
