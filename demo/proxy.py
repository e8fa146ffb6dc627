"""A private nginx in front of a Ramet's certificate host, from the configuration that we ship (deploy/nginx).

Its server certificate comes from an authority made for it; whoever is to trust it gets `ca_file`.
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
from typing import TYPE_CHECKING

from demo.server import PROJECT, CommandFailed, free_port
from demo.tls import certificate_for

if TYPE_CHECKING:
    from pathlib import Path

SHIPPED = PROJECT / "deploy" / "nginx" / "certificate-host.conf"
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
    """Where nginx is on this machine, or ""."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin") or ""


@dataclass
class CertificateProxy:
    """One nginx: its folder, its public port, and the secret that it shares with the Ramet behind it.

    upstream: `unix:/path` or `127.0.0.1:port`, where Ramet listens for it.
    edit: changes to the shipped configuration (old, new), for tests of what goes wrong.
    """

    folder: Path
    upstream: str
    port: int = field(default_factory=free_port)
    secret: str = field(default_factory=lambda: secrets.token_hex(32), repr=False)
    edit: tuple[tuple[str, str], ...] = ()
    _child: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """Its public URL."""
        return f"https://localhost:{self.port}"

    @property
    def ca_file(self) -> Path:
        """The authority of its server certificate."""
        return self.folder / "tls-authority.pem"

    @property
    def variables(self) -> dict[str, str]:
        """What the Ramet behind it has to be told."""
        peer = "unix" if self.upstream.startswith("unix:") else self.upstream.rpartition(":")[0]
        return {
            "RAMET_CERTIFICATE_URL": self.url, "RAMET_CERTIFICATE_PEERS": f'["{peer}"]', "RAMET_CERTIFICATE_SECRET": self.secret,
            "SSL_CERT_FILE": str(self.ca_file),
        }  # fmt: skip

    def prepare(self) -> None:
        """Write its certificate, before anything that trusts it starts."""
        self.folder.mkdir(parents=True, exist_ok=True)
        certificate_for("127.0.0.1", folder=self.folder, now=datetime.now(UTC))

    def start(self) -> None:
        """Start it.

        Raises: CommandFailed if it does not listen.
        """
        if not self.ca_file.exists():
            self.prepare()
        server = SHIPPED.read_text()
        fill = {
            "server UPSTREAM": f"server {self.upstream}", "listen LISTEN": f"listen 127.0.0.1:{self.port}",
            "server_name CERTIFICATE_HOST": "server_name localhost", "SERVER_CERTIFICATE;": f"{self.folder}/tls.pem;",
            "SERVER_KEY;": f"{self.folder}/tls-key.pem;", '"THE_SECRET"': f'"{self.secret}"',
        }  # fmt: skip
        for old, new in (*fill.items(), *self.edit):
            if old not in server:
                raise CommandFailed(f"the shipped nginx configuration has no “{old}”")
            server = server.replace(old, new)
        path = self.folder / "nginx.conf"
        user = "user root;" if os.geteuid() == 0 else ""  # the socket behind it is the user's own
        path.write_text(_FRAME.format(folder=self.folder, server=server, user=user))
        path.chmod(0o600)
        said = (self.folder / "said.log").open("ab")
        self._child = subprocess.Popen(
            [nginx(), "-c", str(path), "-p", str(self.folder), "-e", str(self.folder / "error.log")],
            stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True,
        )  # fmt: skip
        said.close()
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until and self._child.poll() is None:
            try:
                create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise CommandFailed(f"nginx did not start: {self.log_end()}")

    def log_end(self) -> str:
        """The last lines that it wrote."""
        return "".join(
            path.read_text(errors="replace")[-1000:]
            for path in (self.folder / "error.log", self.folder / "said.log")
            if path.exists()
        )

    def stop(self) -> None:
        """Stop it."""
        if self._child is not None and self._child.poll() is None:
            self._child.terminate()
            try:
                self._child.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
