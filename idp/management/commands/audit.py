"""`manage.py audit`: verify the hash chains, show one, sign a checkpoint."""

from __future__ import annotations

import json
import sys
import time
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar

from django.core.management.base import CommandError, CommandParser

from derived import clock
from derived.ledger import audit
from derived.ledger.locking import snapshot
from derived.models import Account, Event
from idp.management.verbs import UUID_LENGTH, Noun, no_arguments
from idp.witness import standing, verifying, writing
from idp.witness.folder import witness
from idp.witness.standing import Standing
from scim.access.roles import Verb
from scim.models import Person
from scim.protocol.values import fold

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_NAMED = 50  # faults that one run names


def _verify(parser: CommandParser) -> None:
    parser.add_argument(
        "--against",
        default="witness",
        metavar="FILE",
        help="a copy of the witness (its folder or one of its files), in place of the one below RAMET_VAR",
    )


def _show(parser: CommandParser) -> None:
    parser.add_argument("name", help="the person's login name, or an account's id")


class Command(Noun):
    """The verbs for the audit chain."""

    help = "The tamper-evident record: verify, show, checkpoint."
    unguarded = frozenset({"checkpoint", "show", "verify"})
    verbs: ClassVar = {
        "verify": (
            "Walk every chain and compare the rows with it; exit 1 and name all faults.",
            _verify,
        ),
        "show": ("The Events of one account.", _show),
        "checkpoint": ("A signed statement over all chain heads, to be kept elsewhere.", no_arguments),
    }
    reads: ClassVar = frozenset({"verify", "checkpoint"})
    asks: ClassVar = {"show": Verb.READ}

    def verify(self, options: dict[str, Any]) -> dict[str, Any]:
        """Verify every chain, and that the witness has seen nothing else."""
        seen = self._seen(options["against"])
        found: dict[str, Any] = {} if seen is None or not seen.fault else {"ok": False, "why": seen.fault}
        with snapshot():
            named = {} if seen is None else seen.events
            links = audit.broken_links(witnessed=named, progress=self._progress(options))
            broken = list(islice(links, _MOST_NAMED))
            counted = {"accounts": Account.objects.count(), "events": Event.objects.count()}
        if broken:
            faults = [{"account": one.account_id, "event": one.seq, "why": one.why} for one in broken]
            found = {"ok": False, **faults[0], "faults": faults}
        if not found:
            against = (
                {"against": "no witness yet"}
                if seen is None
                else {"against": seen.name, "checkpoints": seen.checkpoints}
            )
            return {"ok": True, **counted, **against}
        if options["json"]:
            self.stdout.write(json.dumps(found, default=str))
            sys.exit(1)
        raise CommandError(
            "\n".join(
                f"account {one['account']}, event {one['event']}: {one['why']}" if "account" in one else str(one["why"])
                for one in found.get("faults", [found])
            )
        )

    def _seen(self, where: str) -> verifying.Seen | None:
        try:
            seen = verifying.read(where)
        except OSError as error:
            message = f"{where} cannot be read: {type(error).__name__}."
            raise CommandError(message) from error
        if seen is None and standing.is_missing(None):
            message = f"{standing.WORDS[Standing.LOST]} Give a copy with --against, or run it where the witness is."
            raise CommandError(message)
        if seen is not None and not seen.events and not seen.fault:
            message = f"{where} holds nothing of a witness. Give the folder, or one of its files."
            raise CommandError(message)
        return seen

    def _progress(self, options: dict[str, Any]) -> Callable[[int], None]:
        """Count on standard error, for people only, once a second."""
        shown = time.monotonic()

        def progress(count: int) -> None:
            nonlocal shown
            if not options["json"] and time.monotonic() - shown >= 1:
                shown = time.monotonic()
                self.stderr.write(f"{count} events verified ...")

        return progress

    def show(self, options: dict[str, Any]) -> list[dict[str, Any]]:
        """Show the events of one account."""
        name = options["name"]
        person = Person.objects.filter(login_name_fold=fold(name)).first()
        account_id = person.account_id if person else name
        if person is None and len(name) != UUID_LENGTH:
            message = f"There is no person {name}."
            raise CommandError(message)
        rows = Event.objects.filter(account_id=account_id).order_by("seq")
        return [
            {
                "seq": one.seq,
                "at": one.at,
                "kind": one.kind,
                "actor": one.actor,
                "credential": one.credential_id,
                "hash": one.hash[:12],
            }
            for one in rows
        ]

    def checkpoint(self, _options: dict[str, Any]) -> dict[str, Any]:
        """Sign a checkpoint of all heads, and append it to the witness."""
        if standing.look(now=clock.now()) != Standing.CURRENT:
            message = f"{standing.refusal()} See: manage.py restore status"
            raise CommandError(message)
        if standing.is_missing(witness().newest()):
            message = f"{standing.WORDS[Standing.LOST]} See: manage.py restore status"
            raise CommandError(message)
        return writing.checkpoint(now=clock.now())
