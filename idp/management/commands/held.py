"""`manage.py held`: people whose ending waits, because their source ended many within an hour (ruling 28)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.core.management.base import CommandError
from rich.console import Console
from rich.progress import track

from derived import clock
from idp.management.verbs import SECOND, Noun
from scim.access.roles import Verb
from scim.people import held
from scim.protocol.values import fold

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.core.management.base import CommandParser

    from scim.models import Person


def _list(parser: CommandParser) -> None:
    parser.add_argument("--source", default="", metavar="NAME", help="only people whom this source ended")


def _which(parser: CommandParser) -> None:
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--name", help="the login name of one person")
    given.add_argument("--source", metavar="NAME", help="everybody whom this source ended and who is held")


class Command(Noun):
    """The operator's verbs for held people."""

    help = "People who are held because a source ended many: list, end, give-back. A held person can do nothing."
    verbs: ClassVar = {
        "list": ("Held people, the longest held first.", _list),
        "end": ("Let them end, as their source said. For good.", _which),
        "give-back": ("Give them back: the ending does not count until the source states `active` again.", _which),
    }
    methods: ClassVar = {"list": "listing", "give-back": "give_back"}
    asks: ClassVar = {"end": Verb.END, "give-back": Verb.READMIT}
    two_steps: ClassVar = frozenset({"end", "give-back"})  # of an end, the source is the first

    def listing(self, options: dict[str, Any]) -> list[dict[str, Any]]:
        """List the held people."""
        return [
            {
                "login_name": one.login_name or one.user_name,
                "name": one.display_name(),
                "source": one.held_by.name if one.held_by else "",
                "since": one.held_at,
            }
            for one in held.waiting(options["source"])
        ]

    def end(self, options: dict[str, Any]) -> str:
        """Let them end."""
        return f"{self._each(options, held.end)} ended"

    def give_back(self, options: dict[str, Any]) -> str:
        """Give them back."""
        many = self._each(options, held.give_back)
        return SECOND if self._waits else f"{many} given back"

    _waits = False

    def _each(self, options: dict[str, Any], act: Callable[..., bool | None]) -> int:
        people = self._chosen(options)
        for person in track(
            people, description="deciding", console=Console(stderr=True), transient=True, disable=options["json"]
        ):
            self._waits |= act(person, now=clock.now(), actor=self.actor) is False
        return len(people)

    def _chosen(self, options: dict[str, Any]) -> list[Person]:
        if options["source"]:
            return list(held.waiting(options["source"]))
        found = list(held.waiting().filter(login_name_fold=fold(options["name"])))
        if not found:
            message = f"{options['name']} is not held. See: manage.py held list"
            raise CommandError(message)
        return found
