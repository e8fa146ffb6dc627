"""`manage.py worker`: deliver the outbox, rotate keys, expire credentials, purge. Several may run."""

from __future__ import annotations

import signal
import threading
from datetime import timedelta
from typing import TYPE_CHECKING

from django.core.management.base import BaseCommand, CommandError

from derived import clock
from idp.signals import mail, worker
from idp.witness import endings, standing
from idp.witness.standing import Standing

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

    from idp.management.verbs import Option

_PAUSE, _LONGEST = 10, 300


class Command(BaseCommand):
    """Run until stopped, or once."""

    help = "Send mail and logout tokens from the outbox, rotate and retire keys, expire and clean up. Run one or more."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare --once and the pause."""
        parser.add_argument("--once", action="store_true", help="deliver all due rows, purge, and stop")
        parser.add_argument(
            "--mail-pause",
            type=int,
            default=_PAUSE,
            metavar="SECONDS",
            help=(
                "wait so long after the last change of a person before they are invited or told of it, so that several "
                f"changes in a row are one mail (default: {_PAUSE}; 0 to {_LONGEST}); what they must know at once "
                "goes at once"
            ),
        )

    def handle(self, *_args: object, **options: Option) -> None:
        """Run the worker."""
        if not 0 <= options["mail_pause"] <= _LONGEST:
            message = f"--mail-pause is from 0 to {_LONGEST} seconds."
            raise CommandError(message)
        if options["once"]:
            if standing.look(now=clock.now()) != Standing.CURRENT:
                message = f"{standing.refusal()} See: manage.py restore status"
                raise CommandError(message)
            worker.housekeeping(now=clock.now())
            while worker.step(now=clock.now()):
                pass
            return
        endings.append_at_once()
        stop = threading.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: stop.set())
        self.stdout.write("ramet worker: running")
        worker.run(stop.is_set, pause=mail.pause_of(timedelta(seconds=options["mail_pause"])))
