"""The certificate host behind HAProxy and behind Apache, and the main host behind nginx, each from the file that we
ship.
"""

from __future__ import annotations

import shutil
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from demo.proxy import CertificateProxy, nginx
from demo.server import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

_APACHE = """ServerRoot /usr/lib/apache2
DefaultRuntimeDir {folder}
PidFile {folder}/apache.pid
ErrorLog {folder}/error.log
ServerName localhost
Listen 127.0.0.1:{port}
{modules}
{server}
"""
_MODULES = {
    "mpm_event_module": "mpm_event",
    "authz_core_module": "authz_core",
    "ssl_module": "ssl",
    "headers_module": "headers",
    "proxy_module": "proxy",
    "proxy_http_module": "proxy_http",
    "reqtimeout_module": "reqtimeout",
}

RECOMMENDED = frozenset(
    f"ECDHE-{key}-AES{size}-GCM-SHA{digest}" for key in ("ECDSA", "RSA") for size, digest in ((128, 256), (256, 384))
)  # RFC 9325 §4.2


def negotiated(port: int, ca_file: Path, ciphers: str) -> str:
    """The TLS 1.2 cipher suite that a server chooses of these, in the words of OpenSSL.

    Raises: OSError if it chooses none.
    """
    trust = ssl.create_default_context(cafile=ca_file)
    trust.maximum_version = ssl.TLSVersion.TLSv1_2
    trust.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    with (
        socket.create_connection(("127.0.0.1", port), timeout=20) as plain,
        trust.wrap_socket(plain, server_hostname="localhost") as line,
    ):
        found = line.cipher()
    assert found is not None
    return found[0]


def program(name: str) -> str:
    """Where a server program is on this machine, or ""."""
    return shutil.which(name, path="/usr/sbin:/usr/local/sbin:/usr/bin") or ""


@dataclass
class HaproxyProxy(CertificateProxy):
    """HAProxy, from deploy/haproxy."""

    program: ClassVar[str] = "haproxy"
    shipped: ClassVar[Path] = PROJECT / "deploy" / "haproxy" / "certificate-host.cfg"

    def places(self) -> dict[str, str]:
        both = self.folder / "both.pem"
        both.write_bytes((self.folder / "tls.pem").read_bytes() + (self.folder / "tls-key.pem").read_bytes())
        return {
            "bind LISTEN": f"bind 127.0.0.1:{self.port}",
            "SERVER_CERTIFICATE_AND_KEY": str(both),
            "AUTHORITIES_FILE": str(self.ca_file),
            "THE_SECRET": self.secret,
            "server ramet UPSTREAM": f"server ramet {self.upstream.replace('unix:', 'unix@')}",
        }

    def configuration(self) -> str:
        return self.server_block()

    def command(self, path: Path) -> list[str]:
        return [program("haproxy"), "-db", "-f", str(path)]


@dataclass
class ApacheProxy(CertificateProxy):
    """Apache, from deploy/apache."""

    program: ClassVar[str] = "apache2"
    shipped: ClassVar[Path] = PROJECT / "deploy" / "apache" / "certificate-host.conf"

    def places(self) -> dict[str, str]:
        return {
            "VirtualHost LISTEN": f"VirtualHost 127.0.0.1:{self.port}",
            "ServerName CERTIFICATE_HOST": "ServerName localhost",
            "SSLCertificateFile SERVER_CERTIFICATE": f"SSLCertificateFile {self.folder}/tls.pem",
            "SERVER_KEY\n": f"{self.folder}/tls-key.pem\n",
            "THE_SECRET;": f"{self.secret};",
            "UPSTREAM/": f"{self.upstream}|http://localhost/",
        }

    def configuration(self) -> str:
        modules = "\n".join(f"LoadModule {name} modules/mod_{file}.so" for name, file in _MODULES.items())
        return _APACHE.format(folder=self.folder, port=self.port, modules=modules, server=self.server_block())

    def command(self, path: Path) -> list[str]:
        return [program("apache2"), "-DFOREGROUND", "-f", str(path)]


@dataclass
class MainHostProxy(CertificateProxy):
    """nginx before the main host, from deploy/nginx/main-host.conf; it presents no certificate."""

    shipped: ClassVar[Path] = PROJECT / "deploy" / "nginx" / "main-host.conf"

    def places(self) -> dict[str, str]:
        return {
            "server UPSTREAM": f"server {self.upstream}",
            "listen LISTEN": f"listen 127.0.0.1:{self.port}",
            "server_name ISSUER_HOST": "server_name localhost",
            "SERVER_CERTIFICATE;": f"{self.folder}/tls.pem;",
            "SERVER_KEY;": f"{self.folder}/tls-key.pem;",
        }


PROXIES: dict[str, type[CertificateProxy]] = {
    "nginx": CertificateProxy,
    "haproxy": HaproxyProxy,
    "apache2": ApacheProxy,
}
PACKAGES = {"nginx": "nginx-light", "haproxy": "haproxy", "apache2": "apache2"}


def missing(name: str) -> str:
    """What to install for this proxy; "" where it is there."""
    there = nginx() if name == "nginx" else program(name)
    return "" if there else f"{name} is missing: apt-get install --no-install-recommends {PACKAGES[name]}"
