"""`manage.py outbox`: the rows that wait for a receiver, how old they are and why they wait; retry and drop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.core.management.base import CommandError

from derived import clock
from derived.ledger import outbox
from idp.console.waiting import Waiting, listed
from idp.management.verbs import Noun, no_arguments
from scim.access.roles import Verb

if TYPE_CHECKING:
    from django.core.management.base import CommandParser
    from django.db.models import QuerySet

    from derived.models import OutboxRow

_MOST = 100


def _list(parser: CommandParser) -> None:
    parser.add_argument(
        "--parked", action="store_true", help="only rows that a receiver refused, or that failed for a day"
    )
    parser.add_argument("--receiver", default="", help="the beginning of a receiver, like client:my-app or mail:")
    parser.add_argument("--most", type=int, default=_MOST, help=f"how many rows (default: {_MOST})")


def _which(parser: CommandParser) -> None:
    parser.add_argument("number", nargs="*", type=int, help="row numbers, as `outbox list` shows them")
    parser.add_argument("--receiver", default="", help="all rows of receivers that begin with this")


class Command(Noun):
    """The operator's verbs for the outbox."""

    help = "The outbox: list, depth, retry, drop."
    verbs: ClassVar = {
        "list": ("The rows that wait or are parked, the oldest first, with the last error.", _list),
        "depth": ("How many rows wait and are parked, and the age of the oldest that is due.", no_arguments),
        "retry": ("Try rows again at once, parked ones too.", _which),
        "drop": ("Close rows without delivering them; recorded as dropped.", _which),
    }
    methods: ClassVar = {"list": "listing"}
    reads: ClassVar = frozenset({"list", "depth", "retry"})
    asks: ClassVar = {"drop": Verb.CARE}

    def listing(self, options: dict[str, Any]) -> list[Waiting]:
        """List the rows."""
        rows = outbox.undelivered().filter(receiver__startswith=options["receiver"])
        if options["parked"]:
            rows = rows.filter(parked_at__isnull=False)
        return listed(rows, most=max(1, options["most"]), now=clock.now())

    def depth(self, _options: dict[str, Any]) -> dict[str, Any]:
        """Measure the outbox."""
        found = outbox.depth(now=clock.now())
        return {"waiting": found.waiting, "oldest_seconds": int(found.oldest.total_seconds()), "parked": found.parked}

    def retry(self, options: dict[str, Any]) -> str:
        """Make the rows due."""
        return f"{outbox.retry(self._chosen(options), now=clock.now())} are tried again"

    def drop(self, options: dict[str, Any]) -> str:
        """Close the rows."""
        return f"{outbox.drop(self._chosen(options), now=clock.now())} dropped"

    def _chosen(self, options: dict[str, Any]) -> QuerySet[OutboxRow]:
        rows = outbox.undelivered()
        if options["number"]:
            return rows.filter(id__in=options["number"])
        if options["receiver"]:
            return rows.filter(receiver__startswith=options["receiver"])
        message = "Name rows by their numbers (manage.py outbox list), or --receiver."
        raise CommandError(message)
