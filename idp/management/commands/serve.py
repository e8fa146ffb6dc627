"""`manage.py serve`: the production server (granian, RSGI), with deadlines for slow callers.

A header section has ten seconds, between requests of one connection too; bodies have theirs in `idp.edge.intake`, and
callers who do not read in `idp.edge.listeners`. HTTP/1.1 only: HTTP/2 has no deadline for headers here, and proxies
speak 1.1.
"""

from __future__ import annotations

import resource
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from derived import clock
from derived.keyring import KeyPurpose
from idp import conformance
from idp.config import config, is_loopback
from idp.edge import space
from idp.keys import keyring
from idp.witness import endings, standing

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.core.management.base import CommandParser

    from idp.management.verbs import Option


_THREADS = 4
_HEADER_MILLISECONDS = 10_000
_MOST_HEADER = 64 * 1024
_MOST_CONNECTIONS = 8192


def _most_connections() -> int:
    """The open connections of one process, by its file descriptors: a slow caller holds only a connection."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_CONNECTIONS + 512
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return _MOST_CONNECTIONS if soft == resource.RLIM_INFINITY else max(256, min(_MOST_CONNECTIONS, soft - 512))


def _application(threads: int) -> Callable[..., Any]:
    """What each process serves, made there: threads and database connections do not survive a fork."""
    from idp.rsgi import Application  # noqa: PLC0415 - Django's handlers are made where they serve

    standing.watch()
    endings.append_at_once()
    return cast("Callable[..., Any]", Application(threads))  # granian looks for its __rsgi__


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
        parser.add_argument(
            "--threads",
            type=int,
            default=0,
            help="threads a process for sign-ins and tokens (default: 4); SCIM, revocation and probes have their own",
        )
        parser.add_argument("--tls-cert", type=Path, help="PEM chain, to serve TLS without a proxy")
        parser.add_argument("--tls-key", type=Path, help="PEM key that goes with it")

    def handle(self, *_args: object, **options: Option) -> None:
        """Run the checks, then serve."""
        self.check(fail_level=40)
        self._require_migrated()
        keyring().ensure(KeyPurpose.TOKENS, "ES256", now=clock.now())
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
        if beside := space.beside_database():
            beside.make()
        connection.close()
        place = options["socket"] or f"{options['host']}:{options['port']}"
        self.stdout.write(f"ramet: serving {config().issuer} on {place}")
        self.stdout.flush()
        self._warn_of_callers(tls=bool(options["tls_cert"]))
        Granian(
            "idp.rsgi:Application",
            address=options["host"],
            port=options["port"],
            uds=options["socket"],
            uds_permissions=0o660,
            interface=Interfaces.RSGI,
            workers=options["workers"],
            blocking_threads=1,
            backlog=1024,
            backpressure=_most_connections(),
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(header_read_timeout=_HEADER_MILLISECONDS, max_buffer_size=_MOST_HEADER),
            log_access=False,
            websockets=False,
            ssl_cert=options["tls_cert"],
            ssl_key=options["tls_key"],
            respawn_failed_workers=True,
            log_level=LogLevels.warning,
        ).serve(target_loader=partial(_application, options["threads"] or _THREADS), wrap_loader=False)

    def _warn_of_callers(self, *, tls: bool) -> None:
        """Behind a proxy that is not listed every caller has its address."""
        if config().is_https and not tls and not config().trusted_proxies and not config().certificate_peers:
            self.stderr.write(
                "ramet: the issuer is https and no certificate was given, so a proxy stands in front; "
                "RAMET_TRUSTED_PROXIES is empty, so every caller has the proxy's address, and one stranger's guesses "
                "slow everybody's sign-in."
            )

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
