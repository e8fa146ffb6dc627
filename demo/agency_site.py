"""An agency's web server that asks for a certificate: nginx with `ssl_client_certificate` and `ssl_crl`, and the files that Ramet publishes.

It never calls Ramet: what it knows of endings is the list that it has loaded.
"""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from socket import create_connection
from typing import TYPE_CHECKING

import httpx

from demo.proxy import nginx
from demo.server import CommandFailed, free_port
from demo.tls import certificate_for

if TYPE_CHECKING:
    from pathlib import Path

_START_SECONDS = 10.0
_SITE = """{user}
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl;
        server_name localhost;
        ssl_certificate {folder}/tls.pem;
        ssl_certificate_key {folder}/tls-key.pem;
        ssl_client_certificate {folder}/authorities.pem;
        ssl_crl {folder}/lists.pem;
        ssl_verify_client on;
        ssl_verify_depth 3;
        ssl_session_tickets off;
        ssl_session_cache off;
        keepalive_timeout 0;
        default_type text/plain;
        location / {{ return 200 "welcome $ssl_client_s_dn"; }}
    }}
}}
"""


@dataclass
class AgencySite:
    """One such server. published: the folder that Ramet's worker writes."""

    folder: Path
    published: Path
    port: int = field(default_factory=free_port)
    _child: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"https://localhost:{self.port}/"

    def start(self) -> None:
        """Start it.

        Raises: CommandFailed if it does not listen.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        certificate_for("127.0.0.1", folder=self.folder, now=datetime.now(UTC))
        self._fetch()
        path = self.folder / "nginx.conf"
        path.write_text(
            _SITE.format(user="user root;" if os.geteuid() == 0 else "", folder=self.folder, port=self.port)
        )
        with (self.folder / "said.log").open("ab") as said:
            self._child = subprocess.Popen(
                [nginx(), "-c", str(path), "-p", str(self.folder), "-e", str(self.folder / "error.log")],
                stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True,
            )  # fmt: skip
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until and self._child.poll() is None:
            try:
                create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise CommandFailed(f"the agency's nginx did not start: {(self.folder / 'said.log').read_text()[-1000:]}")

    def _fetch(self) -> None:
        """What a cron job of the agency does: take the files that Ramet publishes."""
        for name in ("authorities.pem", "lists.pem"):
            shutil.copyfile(self.published / name, self.folder / name)

    def reload(self) -> None:
        """Take the lists again, and have nginx read them."""
        self._fetch()
        if self._child is not None:
            self._child.send_signal(1)  # SIGHUP
            time.sleep(0.3)

    def visit(self, chain: Path, key: Path) -> str:
        """What it says to whoever comes with this certificate; "" where it lets nobody in."""
        trust = ssl.create_default_context(cafile=self.folder / "tls-authority.pem")
        trust.load_cert_chain(chain, key)
        try:
            with httpx.Client(verify=trust, timeout=10) as client:
                answer = client.get(self.url)
        except httpx.TransportError:
            return ""
        return answer.text if answer.status_code == httpx.codes.OK else ""

    def stop(self) -> None:
        """Stop it."""
        if self._child is not None and self._child.poll() is None:
            self._child.terminate()
            try:
                self._child.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
