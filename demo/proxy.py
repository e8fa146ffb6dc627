"""Run nginx: in front of a Ramet's certificate host, or as a web server that requires certificates.

Its server certificate comes from an authority made for it; clients that trust it get `ca_file`.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from socket import create_connection
from typing import TYPE_CHECKING, ClassVar

from demo.server import PROJECT, CommandFailed, free_port
from demo.tls import certificate_for

if TYPE_CHECKING:
    from pathlib import Path

_START_SECONDS = 10.0
_FRAME = """{user}
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    {server}
}}
"""


def nginx() -> str:
    """The path of nginx on this machine, or ""."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin") or ""


@dataclass
class Nginx:
    """One nginx process with its folder, port and TLS certificate; a subclass writes the `server` block."""

    program: ClassVar[str] = "nginx"

    folder: Path
    port: int = field(default_factory=free_port, kw_only=True)
    _child: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    @property
    def ca_file(self) -> Path:
        """The authority of its server certificate."""
        return self.folder / "tls-authority.pem"

    def server_block(self) -> str:
        """The `server` block of the configuration.

        Raises: CommandFailed.
        """
        raise NotImplementedError

    def configuration(self) -> str:
        """The whole configuration of a private process.

        Raises: CommandFailed.
        """
        user = "user root;" if os.geteuid() == 0 else ""  # files and sockets here belong to this user
        return _FRAME.format(folder=self.folder, server=self.server_block(), user=user)

    def command(self, path: Path) -> list[str]:
        """The command that runs it in the foreground."""
        return [nginx(), "-c", str(path), "-p", str(self.folder), "-e", str(self.folder / "error.log")]

    def prepare(self) -> None:
        """Write its server certificate, before anything that trusts it starts."""
        self.folder.mkdir(parents=True, exist_ok=True)
        certificate_for("127.0.0.1", folder=self.folder, now=datetime.now(UTC))

    def start(self) -> None:
        """Start nginx and wait until it listens.

        Raises: CommandFailed.
        """
        if not self.ca_file.exists():
            self.prepare()
        path = self.folder / f"{self.program}.conf"
        path.write_text(self.configuration())
        path.chmod(0o600)
        with (self.folder / "output.log").open("ab") as output:
            self._child = subprocess.Popen(
                self.command(path), stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until and self._child.poll() is None:
            try:
                create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise CommandFailed(f"{self.program} did not start: {self.log_end()}")

    def reload(self) -> None:
        """Make nginx read its configuration and files again."""
        if self._child is not None:
            self._child.send_signal(1)  # SIGHUP
            time.sleep(0.3)

    def log_end(self) -> str:
        """The last lines of its logs."""
        return "".join(
            path.read_text(errors="replace")[-1000:]
            for path in (self.folder / "error.log", self.folder / "output.log")
            if path.exists()
        )

    def stop(self) -> None:
        """Stop nginx."""
        if self._child is not None and self._child.poll() is None:
            self._child.terminate()
            try:
                self._child.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()


@dataclass
class CertificateProxy(Nginx):
    """The proxy of a certificate host, from the shipped configuration (deploy/nginx).

    upstream: `unix:/path` or `127.0.0.1:port`, where Ramet listens for it. secret: shared with that Ramet.
    edit: changes to the shipped configuration (old, new), for tests of faulty ones.
    """

    shipped: ClassVar[Path] = PROJECT / "deploy" / "nginx" / "certificate-host.conf"

    upstream: str
    secret: str = field(default_factory=lambda: secrets.token_hex(32), repr=False)
    edit: tuple[tuple[str, str], ...] = ()

    @property
    def url(self) -> str:
        """Its public URL."""
        return f"https://localhost:{self.port}"

    @property
    def variables(self) -> dict[str, str]:
        """The settings of the Ramet behind it."""
        peer = "unix" if self.upstream.startswith("unix:") else self.upstream.rpartition(":")[0]
        return {
            "RAMET_CERTIFICATE_URL": self.url,
            "RAMET_CERTIFICATE_PEERS": f'["{peer}"]',
            "RAMET_CERTIFICATE_SECRET": self.secret,
            "SSL_CERT_FILE": str(self.ca_file),
        }

    def server_block(self) -> str:
        """The shipped configuration, filled in and edited.

        Raises: CommandFailed if it does not have a text to be replaced.
        """
        server = self.shipped.read_text()
        for old, new in (*self.places().items(), *self.edit):
            if old not in server:
                raise CommandFailed(f"the shipped configuration {self.shipped.name} has no “{old}”")
            server = server.replace(old, new)
        return server

    def places(self) -> dict[str, str]:
        """The places in capitals in the shipped configuration, and the text for each."""
        return {
            "server UPSTREAM": f"server {self.upstream}",
            "listen LISTEN": f"listen 127.0.0.1:{self.port}",
            "server_name CERTIFICATE_HOST": "server_name localhost",
            "SERVER_CERTIFICATE;": f"{self.folder}/tls.pem;",
            "SERVER_KEY;": f"{self.folder}/tls-key.pem;",
            "THE_SECRET;": f"{self.secret};",
        }
