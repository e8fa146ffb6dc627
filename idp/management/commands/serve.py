"""`manage.py serve`: the production server (granian, WSGI), with defaults that suit the database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from derived import clock
from derived.keyring import Purpose
from idp import conformance
from idp.config import config, is_loopback
from idp.keys import keyring

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

    from idp.management.verbs import Option


class Command(BaseCommand):
    """Serve HTTP."""

    help = "Serve Ramet. Run `manage.py migrate` first, and `manage.py worker` beside it."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare address, width and TLS."""
        parser.add_argument(
            "--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, behind your proxy)"
        )
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument(
            "--socket", type=Path, help="listen on a UNIX socket instead: for the proxy of the certificate host"
        )
        parser.add_argument("--workers", type=int, default=1, help="processes (default: 1)")
        parser.add_argument("--threads", type=int, default=0, help="threads a process (default: 4)")
        parser.add_argument("--tls-cert", type=Path, help="PEM chain, to serve TLS without a proxy")
        parser.add_argument("--tls-key", type=Path, help="PEM key that goes with it")

    def handle(self, *_args: object, **options: Option) -> None:
        """Run the checks, then serve."""
        self.check(fail_level=40)
        self._require_migrated()
        keyring().ensure(Purpose.TOKENS, "ES256", now=clock.now())
        if bool(options["tls_cert"]) != bool(options["tls_key"]):
            message = "Give --tls-cert and --tls-key together."
            raise CommandError(message)
        if not config().is_https and not is_loopback(options["host"]):
            message = (
                "The issuer is plain http, so this listens on loopback only. Set RAMET_ISSUER to an https URL first."
            )
            raise CommandError(message)
        if conformance.is_on() and not is_loopback(options["host"]):
            message = "The profile conformance listens on loopback only."
            raise CommandError(message)
        if options["socket"] and options["tls_cert"]:
            message = "A UNIX socket has no TLS: leave --tls-cert to the proxy in front of it."
            raise CommandError(message)
        connection.close()
        place = options["socket"] or f"{options['host']}:{options['port']}"
        self.stdout.write(f"ramet: serving {config().issuer} on {place}")
        self.stdout.flush()
        Granian(
            "idp.wsgi:application",
            address=options["host"],
            port=options["port"],
            uds=options["socket"],
            uds_permissions=0o660,
            interface=Interfaces.WSGI,
            workers=options["workers"],
            blocking_threads=options["threads"] or 4,
            backlog=1024,
            log_access=False,
            websockets=False,
            ssl_cert=options["tls_cert"],
            ssl_key=options["tls_key"],
            respawn_failed_workers=True,
            log_level=LogLevels.warning,
        ).serve()

    def _require_migrated(self) -> None:
        try:
            executor = MigrationExecutor(connection)
            waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
        except DatabaseError as error:
            message = f"The database does not answer: {type(error).__name__}. Check RAMET_DATABASE_URL."
            raise CommandError(message) from error
        if waiting:
            message = "The database is not up to date. Run: manage.py migrate"
            raise CommandError(message)
