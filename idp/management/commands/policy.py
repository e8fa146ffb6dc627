"""`manage.py policy`: the rules of issuance, in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from django.core.management.base import CommandError, CommandParser

from derived.rules.rulebook import in_words
from idp.management.verbs import Noun
from idp.policies import issuance as rulebook


def _file(parser: CommandParser) -> None:
    parser.add_argument("--file", type=Path, help="another file than the one in force, to try it out")


class Command(Noun):
    """The verbs for the rules of issuance."""

    help = "The rules of issuance: show."
    unguarded = frozenset({"show"})
    verbs: ClassVar = {
        "show": (
            "Which kinds of credential are issued, to whom, on which devices, how strong, how many, how long.",
            _file,
        ),
    }

    def show(self, options: dict[str, Any]) -> str | list[str]:
        """Explain the rules."""
        file = options["file"] or rulebook.path()
        if options["file"] and not file.exists():
            raise CommandError(f"There is no {file}.")
        try:
            found = in_words(rulebook.read(file))
        except (ValueError, OSError) as error:
            raise CommandError(f"{file} is not understood: {error}. Until it is, nothing is issued.") from error
        where = (
            f"As {file} says." if file.exists() else f"As Ramet comes; to change it write {file} (docs/operating.md)."
        )
        lines = [where, *found]
        return lines if options["json"] else "\n".join(lines)
