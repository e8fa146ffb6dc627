"""An agency's web server that requires a client certificate, and checks it against the files that Ramet publishes.

The server never calls Ramet: a revocation reaches it with the next revocation list that it loads.
"""

from __future__ import annotations

import shutil
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from demo.proxy import Nginx

if TYPE_CHECKING:
    from pathlib import Path

_SERVER = """
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
"""


@dataclass
class AgencySite(Nginx):
    """nginx with `ssl_client_certificate` and `ssl_crl`. published: the folder that Ramet's worker writes."""

    published: Path

    @property
    def url(self) -> str:
        """The URL of its only page."""
        return f"https://localhost:{self.port}/"

    def server_block(self) -> str:
        """The server, with copies of the published files as they are now."""
        self._fetch()
        return _SERVER.format(folder=self.folder, port=self.port)

    def reload(self) -> None:
        """Copy the published files again, as a cron job would, and make nginx read them."""
        self._fetch()
        super().reload()

    def visit(self, chain: Path, key: Path) -> str:
        """Open the page with this certificate; return its text, or "" if the server refuses."""
        trust = ssl.create_default_context(cafile=self.ca_file)
        trust.load_cert_chain(chain, key)
        try:
            with httpx.Client(verify=trust, timeout=10) as client:
                answer = client.get(self.url)
        except httpx.TransportError:
            return ""
        return answer.text if answer.status_code == httpx.codes.OK else ""

    def _fetch(self) -> None:
        for name in ("authorities.pem", "lists.pem"):
            shutil.copyfile(self.published / name, self.folder / name)
