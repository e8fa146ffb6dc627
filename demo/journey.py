"""Play the whole journey over real HTTP and check every step: `python -m demo.journey` (`make demo`).

It starts a Ramet (server and worker) on a temporary SQLite database, and acts as the operator, HR, a person at a
desktop, an application and a phone. Exit status 0 means that every check held.
"""

from __future__ import annotations

import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from demo import card_login, card_office, certificate_login, joiner, leaver, manager_day, passkey_login, phone
from demo.browser import Browser, UnexpectedPage
from demo.context import Context
from demo.mailbox import Mailbox
from demo.narration import Broken, Narration
from demo.openid import Refused, Untrustworthy
from demo.rendering import events_of
from demo.server import CommandFailed, Ramet, free_port
from demo.web import serving
from device.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Iterator

_STEPS = {"account.opened", "credential.issued", "session.started", "tokens.granted", "credential.activated",
          "account.terminated", "account.reopened"}  # fmt: skip
_FORESEEN = (Broken, UnexpectedPage, CommandFailed, Refused, Untrustworthy, DeviceError, httpx.HTTPError)


@contextmanager
def _running(folder: Path, narration: Narration) -> Iterator[tuple[Ramet, card_office.CardOffice | None]]:
    """Run a server and a worker on a fresh database, and with nginx a certificate host, until the block ends."""
    port, office = free_port(), card_office.open_office(folder)
    ramet = Ramet(
        var=folder, issuer=f"http://localhost:{port}", port=port, extra=office.proxy.variables if office else {}
    )
    narration.chapter("0. A Ramet of its own, on a temporary SQLite database")
    narration.call("operator", "manage.py migrate")
    ramet.manage("migrate", "--verbosity", "0")
    narration.call("operator", f"manage.py serve --port {port}    and    manage.py worker")
    try:
        ramet.start("serve", "serve", "--port", str(port))
        ramet.start("worker", "worker", "--mail-pause", "0")
        ramet.wait_until_ready()
        if office:
            narration.call("operator", "manage.py serve --socket certificate.sock    and    nginx in front of it")
            card_office.start(office, ramet)
        yield ramet, office
    finally:
        if office:
            office.close()
        ramet.stop()


def _play(context: Context) -> None:
    """Play all chapters in order.

    Raises: one of `_FORESEEN` if a step fails so that no other can follow.
    """
    joiner.operator_sets_up(context)
    joiner.hr_pushes(context)
    joiner.person_accepts(context)
    with serving(context.app, host="localhost", port=context.app_port):
        joiner.app_logs_in(context)
        joiner.app_asks_too_much(context)
        phone.add_phone(context)
        phone.first_login(context)
        phone.lesser_logins(context)
        phone.everything_works(context)
        passkey_login.play(context)
        card_login.play(context)
        certificate_login.play(context)
        manager_day.play(context)
        leaver.things_in_flight(context)
        leaver.hr_ends(context)
        leaver.everyone_is_told(context)
        leaver.nothing_comes_back(context)
    _check_events(context)


def _check_events(context: Context) -> None:
    """Check that each step has an event, and that the hash chains are intact."""
    tell = context.narration
    tell.chapter("13. The audit chain")
    tell.call("operator", "manage.py audit verify    and    manage.py audit show alex.morgan")
    with ThreadPoolExecutor(2) as terminals:
        verified = terminals.submit(context.ramet.ask, "audit", "verify")
        shown = terminals.submit(context.ramet.ask, "audit", "show", context.person.username)
    found, events = verified.exception() or verified.result(), shown.result()
    tell.check("every chain is intact", isinstance(found, dict) and found["ok"] is True, seen=found)
    tell.table(events_of(events))
    missing = _STEPS - {event["kind"] for event in events}
    tell.check("each step of the journey has an event", not missing, seen=missing)


def main() -> int:
    """Play the journey; return 0 if every check held, else 1."""
    started = time.monotonic()
    narration = Narration()
    with (
        tempfile.TemporaryDirectory(prefix="ramet-journey-") as name,
        httpx.Client(timeout=30) as everybody,
        httpx.Client(timeout=30) as cookies,
    ):
        folder = Path(name)
        mailbox, desktop = Mailbox(folder / "mail"), Browser(cookies)
        try:
            with _running(folder, narration) as (ramet, office):
                context = Context(
                    ramet,
                    narration,
                    mailbox=mailbox,
                    http=everybody,
                    desktop=desktop,
                    app_port=free_port(),
                    office=office,
                )
                try:
                    _play(context)
                finally:
                    certificate_login.close(context)
        except _FORESEEN as error:
            narration.broken(f"{type(error).__name__}: {error}")
            for log in ("serve", "certificate-host", "worker"):
                narration.note(f"--- the end of {log}.log ---\n{_end_of(folder / f'{log}.log')}")
    return 0 if narration.verdict(seconds=time.monotonic() - started) else 1


def _end_of(path: Path) -> str:
    return path.read_text(errors="replace")[-3000:] if path.exists() else "(none)"


if __name__ == "__main__":
    sys.exit(main())
