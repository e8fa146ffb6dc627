"""Serve a Ramet with demo people and a relying party: `python -m demo.stage` (`make run`).

`PORT` (8000; the demo application takes the next one) and `RAMET_VAR` (default `var/`) apply. The printed data are
written to `$RAMET_VAR/demo.json`. With `--tls` it serves this machine's address on the local network, for a real
tablet. Ctrl+C or SIGTERM stops every process that it started.
"""

from __future__ import annotations

import argparse
import os
import signal
import ssl
import sys
import time
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_bytes
from typing import TYPE_CHECKING, Any

import httpx
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from demo import company
from demo.browser import UnexpectedPage
from demo.mailbox import Mailbox
from demo.relying_party import SECRET_VARIABLE
from demo.server import PROJECT, CommandFailed, Ramet
from demo.tls import Certificate, certificate_for, local_address

if TYPE_CHECKING:
    from types import FrameType

_FORESEEN = (CommandFailed, UnexpectedPage, httpx.HTTPError, OSError)


class Stopped(Exception):
    """A signal asked this process to end."""


@dataclass
class Stage:
    """The addresses and files of one run.

    address: the host in the URLs: localhost, or this machine's address in TLS mode.
    certificate: in TLS mode.
    """

    var: Path
    port: int
    address: str = "localhost"
    certificate: Certificate | None = None
    console: Console = field(default_factory=lambda: Console(highlight=False, soft_wrap=True))

    @property
    def scheme(self) -> str:
        """The scheme of all URLs."""
        return "https" if self.certificate else "http"

    @property
    def app_url(self) -> str:
        """The URL of the demo relying party."""
        return f"{self.scheme}://{self.address}:{self.port + 1}"

    @property
    def verify(self) -> ssl.SSLContext | bool:
        """The trust of the HTTP clients here."""
        return ssl.create_default_context(cafile=self.certificate.authority) if self.certificate else True

    def tls_options(self) -> list[str]:
        """The TLS arguments of `serve` and of the relying party."""
        if self.certificate is None:
            return []
        return ["--tls-cert", str(self.certificate.chain), "--tls-key", str(self.certificate.key)]

    def _demo_kek(self) -> str:
        """The key-encryption key of this demo, which an address of the local network needs; made once."""
        path = self.var / "kek"  # the same as without TLS
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(b64encode(token_bytes(32)).decode())
        return path.read_text()

    def ramet(self) -> Ramet:
        """The Ramet to serve; RAMET_ settings of the environment apply, except those that are set here."""
        kept = {name: value for name, value in os.environ.items() if name.startswith("RAMET_")}
        # The worker calls the demo application, whose certificate only this authority has signed.
        trust = {"SSL_CERT_FILE": str(self.certificate.authority)} if self.certificate else {}
        issuer = f"{self.scheme}://{self.address}:{self.port}"
        extra = {**kept, "RAMET_VAR": str(self.var), "RAMET_ISSUER": issuer, "RAMET_EMAIL_URL": "file:", **trust}
        if self.certificate:
            extra.setdefault("RAMET_KEK", self._demo_kek())
        return Ramet(var=self.var, issuer=issuer, port=self.port, extra=extra, verify=self.verify)


def main() -> int:
    """Start everything and keep it running until a signal."""
    given = _arguments()
    stage = _stage(given)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    ramet = stage.ramet()
    try:
        _start_everything(stage, ramet)
        while True:
            ramet.require_alive()
            time.sleep(1)
    except Stopped:
        stage.console.print("\nStopping …")
        return 0
    except _FORESEEN as error:
        stage.console.print(f"[bold red]{escape(f'{type(error).__name__}: {error}')}")
        return 1
    finally:
        # A second Ctrl+C must not leave children running.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        ramet.stop()


def _start_everything(stage: Stage, ramet: Ramet) -> None:
    say = stage.console.print
    say(f"Database, keys and mail: {escape(str(stage.var))}")
    say("The database is brought up to date …")
    ramet.manage("migrate", "--verbosity", "0")
    say(f"The server starts: {ramet.issuer} …")
    host = "0.0.0.0" if stage.certificate else "127.0.0.1"  # noqa: S104 - TLS mode is for the local network
    ramet.start("serve", "serve", "--host", host, "--port", str(stage.port), *stage.tls_options())
    ramet.start("worker", "worker", "--mail-pause", "1")
    ramet.wait_until_ready()
    written = stage.var / "demo.json"
    with httpx.Client(verify=stage.verify, timeout=30) as http:
        _set_up_authority(stage, ramet, http)
        say("Demo people and applications are looked for, and made where they are missing …")
        mailbox = Mailbox(stage.var / "mail")
        made = company.Company(
            ramet, http, mailbox=mailbox, known=company.read(written), say=lambda words: say(f"  + {escape(words)}")
        ).assemble(company.registrations(stage.app_url, app_port=stage.port + 1))
    company.write(written, made)
    say(f"The demo application starts: {stage.app_url} …")
    _start_app(stage, ramet, made["clients"][0], host=host)
    _show(stage, made, written=written)


def _set_up_authority(stage: Stage, ramet: Ramet, http: httpx.Client) -> None:
    """An authority of this demo, so that a certificate can be tried; its root stays here, which only a demo may do."""
    if http.get(f"{ramet.issuer}/.well-known/est/cacerts").status_code == httpx.codes.OK:
        return
    stage.console.print("  + a development authority for certificates")
    folder = stage.var / "demo-authority"
    folder.mkdir(mode=0o700, exist_ok=True)
    root, passphrase = folder / "root.pem", folder / "root-passphrase"
    if not passphrase.exists():
        passphrase.touch(mode=0o600)
        passphrase.write_text(f"{b64encode(token_bytes(24)).decode()}\n")
    where = ("--root-file", str(root), "--root-passphrase-file", str(passphrase))
    ramet.manage("ca", "init", "--organisation", "Ramet demo, not for production", *where)


def _start_app(stage: Stage, ramet: Ramet, client: dict[str, Any], *, host: str) -> None:
    where = ["--host", host, "--port", str(stage.port + 1), "--base-url", stage.app_url, *stage.tls_options()]
    trust = ["--ca-file", str(stage.certificate.authority)] if stage.certificate else []
    who = ["--issuer", ramet.issuer, "--client-id", client["client_id"]]
    command = [sys.executable, "-m", "demo.relying_party", *who, *where, *trust]
    ramet.start_process("demo-app", command, extra={SECRET_VARIABLE: client["client_secret"]})
    ramet.wait_for(f"{stage.app_url}/", name="demo-app")


def _show(stage: Stage, made: dict[str, Any], *, written: Path) -> None:
    say = stage.console.print
    people = Table(title="People to sign in as", title_justify="left", box=None, padding=(0, 3, 0, 0))
    for name in ("user name", "role", "password", "authenticator secret"):
        people.add_column(name, overflow="fold")
    work = {"sam.okafor": "supervisor"}
    for name, role in company.ROLES:
        work[name] = f"{work[name]}, {role}" if name in work else role
    for person in made["people"]:
        name = person["username"]
        people.add_row(name, work.get(name, ""), person["password"], person["totp_secret"])
    say()
    say(people)
    say("\nThe code of an authenticator:  python -m demo.authenticator SECRET   (a code is single-use)")
    say(f"\n[bold]Log in at the demo app[/]   {stage.app_url}")
    say(f"[bold]My devices[/]               {made['issuer']}/devices")
    say(f"[bold]Decide for others[/]        {made['issuer']}/console   (a supervisor: /console/requests)")
    say("   First add a passkey there, at My devices: deciding needs a sign-in that cannot be phished.")
    say(
        f"[bold]Try a certificate[/]        {made['issuer']}/devices/certificates/add   "
        "(its authority: /.well-known/est/cacerts)"
    )
    say(f"[bold]Enrol a phone[/]            ./manage.py device enroll --issuer {made['issuer']} --code …")
    say(f"[bold]Push as HR[/]               {made['scim']['base']}   (token in {escape(str(written))})")
    say(f"[bold]Sent mail[/]                {escape(str(stage.var / 'mail'))}")
    if stage.certificate:
        say(_for_the_tablet(stage, stage.certificate))
    say("\nReady. Ctrl+C stops it.")


def _for_the_tablet(stage: Stage, certificate: Certificate) -> str:
    return f"""
[bold]On a tablet in the same network[/]
 1. Its browser must trust this server. Best: send {escape(str(certificate.authority))} to the tablet and install it
    as a certificate authority (its key was deleted, so it can sign nothing else). Or, for a quick look: open
    {stage.scheme}://{stage.address}:{stage.port}/ and {stage.app_url}/ and accept the warning.
 2. On this computer: sign in at {stage.scheme}://{stage.address}:{stage.port}/devices and press “Add a phone”.
 3. On the tablet: scan the QR code, choose a passphrase, compare the numbers.
 4. On the tablet: open {stage.app_url}/ and log in with “Use this device”.
 If nothing answers there: allow ports {stage.port} and {stage.port + 1} in this machine's firewall.
 The command line device needs --ca-file {escape(str(certificate.authority))}"""


def _stage(given: argparse.Namespace) -> Stage:
    var = Path(os.environ.get("RAMET_VAR") or PROJECT / "var").resolve()
    var.mkdir(mode=0o700, parents=True, exist_ok=True)
    port = int(os.environ.get("PORT") or "8000")
    if not given.tls:
        return Stage(var, port)
    address = given.address or local_address()
    return Stage(var, port, address, certificate_for(address, folder=var, now=datetime.now(UTC)))


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise Stopped


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m demo.stage", description=__doc__)
    parser.add_argument("--tls", action="store_true", help="serve the local network over TLS, for a real tablet")
    parser.add_argument("--address", default="", help="this machine's address there (default: found out)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
