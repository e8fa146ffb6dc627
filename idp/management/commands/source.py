"""`manage.py source`: the identity sources that push people over SCIM."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from derived import clock
from idp.config import config
from idp.management.verbs import Noun, named, nothing
from scim import provision
from scim.models import Source


def _add(parser: CommandParser) -> None:
    parser.add_argument("name", help="a short name, like hr")
    parser.add_argument(
        "--vouches-ial", type=int, choices=[0, 1, 2, 3], default=0,
        help="the identity assurance level of the people it pushes, if it has the authority to say so (default: 0, none)",
    )


class Command(Noun):
    """The operator's verbs for sources."""

    help = "Identity sources (HR and others) that push people over SCIM: add, list, rotate, disable."
    verbs = {  # noqa: RUF012 - a table
        "add": ("Register a source; its bearer token is shown once.", _add),
        "list": ("All sources, and when each last spoke.", nothing),
        "rotate": ("Give a source a new token; the old one ends now.", named("the source's name")),
        "disable": ("Refuse a source from now on; what it pushed stays.", named("the source's name")),
    }

    def add(self, options: dict[str, Any]) -> dict[str, Any]:
        """Register."""
        if Source.objects.filter(name=options["name"]).exists():
            message = f"There is a source {options['name']} already. Use: manage.py source rotate {options['name']}"
            raise CommandError(message)
        try:
            source, token = provision.register_source(options["name"], vouched_ial=options["vouches_ial"], now=clock.now())
        except ValueError as error:
            raise CommandError(str(error)) from error
        return {"name": source.name, "base": f"{config().issuer}/scim/v2", "token": token}

    def all(self, _options: dict[str, Any]) -> list[dict[str, Any]]:
        """All."""
        return [
            {
                "name": one.name, "vouches_ial": one.vouched_ial, "people": one.records.filter(deleted_at=None).count(),
                "last_seen": one.last_seen_at, "disabled": one.disabled_at,
            }
            for one in Source.objects.order_by("name")
        ]

    def rotate(self, options: dict[str, Any]) -> dict[str, Any]:
        """A new token."""
        return {"name": options["name"], "token": provision.rotate_source(self._found(options))}

    def disable(self, options: dict[str, Any]) -> str:
        """Refuse it."""
        provision.disable_source(self._found(options), now=clock.now())
        return f"{options['name']} is disabled"

    def _found(self, options: dict[str, Any]) -> Source:
        found = Source.objects.filter(name=options["name"]).first()
        if found is None:
            message = f"There is no source {options['name']}. See: manage.py source list"
            raise CommandError(message)
        return found
