"""`manage.py exposure`: the longest time for which an offline verifier accepts what was revoked (R10)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from django.core.management.base import BaseCommand

from idp.evidence import exposure

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

    from idp.management.verbs import Option


class Command(BaseCommand):
    """Print the bound of each kind of artefact."""

    help = "The longest time for which an offline verifier accepts a revoked token or certificate."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare --json."""
        parser.add_argument("--json", action="store_true", help="print JSON, for scripts")

    def handle(self, *_args: object, **options: Option) -> None:
        """Print the bounds."""
        seconds = {name: int(bound.total_seconds()) for name, bound in exposure.bounds().items()}
        if options["json"]:
            self.stdout.write(json.dumps(seconds, indent=2))
            return
        for name, bound in seconds.items():
            self.stdout.write(f"{bound:>8} s  {name}")
