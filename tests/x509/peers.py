"""Those who take our certificates and know nothing of us: OpenVPN and FreeRADIUS, from Debian, on loopback."""

from __future__ import annotations

import shutil
import subprocess
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from demo.server import free_port
from demo.tls import certificate_for

if TYPE_CHECKING:
    from pathlib import Path

_SECONDS = 20.0


def program(name: str, package: str) -> str:
    """Where it is; without it the test is skipped by name."""
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if not found:
        pytest.skip(f"{name} is missing: apt-get install --no-install-recommends {package}")
    return found


@dataclass
class Program:
    """A child whose output is read from a file."""

    command: list[str]
    log: Path
    _child: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def said(self, start: int = 0) -> str:
        return self.log.read_text(errors="replace")[start:] if self.log.exists() else ""

    def wait_for(self, *words: str, start: int = 0, seconds: float = _SECONDS) -> str:
        """The first of these words that it says from that place of its log on; "" for none."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            said = self.said(start)
            if found := next((one for one in words if one in said), ""):
                return found
            time.sleep(0.05)
        return ""

    def stop(self) -> None:
        if self._child is not None and self._child.poll() is None:
            self._child.terminate()
            try:
                self._child.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()


class OpenVpn:
    """A VPN gateway that reads the lists where our worker lays them, at every handshake; renegotiates every few seconds."""

    UP, REVOKED = "Peer Connection Initiated", "certificate revoked"

    def __init__(self, folder: Path, published: Path, *, renegotiates: int = 0) -> None:
        self.program = program("openvpn", "openvpn")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.port = folder, free_port()
        tls = certificate_for("127.0.0.1", folder=folder, now=datetime.now(UTC))
        self.authority = tls.authority
        lines = [
            "dev null", "proto tcp-server", "local 127.0.0.1", f"port {self.port}", "tls-server", "dh none", f"ca {published / 'authorities.pem'}",
            f"cert {tls.chain}", f"key {tls.key}", f"crl-verify {published / 'lists.pem'}", 'remote-cert-eku "TLS Web Client Authentication"',
            f"reneg-sec {renegotiates}", "verb 4", "data-ciphers AES-256-GCM", "connect-retry 1 1",
        ]  # fmt: skip
        (folder / "server.conf").write_text("\n".join(lines) + "\n")
        self.server = Program([self.program, "--config", str(folder / "server.conf")], folder / "server.log")

    def start(self) -> None:
        self.server.start()
        assert self.server.wait_for("Listening for incoming TCP connection"), self.server.said()

    def client(self, chain: Path, key: Path, name: str = "client") -> Program:
        lines = [
            "dev null", "proto tcp-client", f"remote 127.0.0.1 {self.port}", "nobind", "tls-client", f"ca {self.authority}", f"cert {chain}",
            f"key {key}", "remote-cert-tls server", "verb 3", "data-ciphers AES-256-GCM", "connect-retry 1 1", "connect-retry-max 15", "reneg-sec 0",
        ]  # fmt: skip
        config = self.folder / f"{name}.conf"
        config.write_text("\n".join(lines) + "\n")
        return Program([self.program, "--config", str(config)], self.folder / f"{name}-{time.monotonic_ns()}.log")

    def admits(self, chain: Path, key: Path) -> bool:
        """Whether a handshake with this certificate succeeds."""
        start = len(self.server.said())
        client = self.client(chain, key)
        client.start()
        try:
            found = self.server.wait_for(self.UP, self.REVOKED, "VERIFY ERROR", start=start)
        finally:
            client.stop()
        assert found, self.server.said(start) + client.said()
        return found == self.UP

    def stop(self) -> None:
        self.server.stop()


_RADIUSD = """prefix = /usr
exec_prefix = /usr
sysconfdir = {folder}
localstatedir = {folder}
logdir = {folder}
raddbdir = {folder}
libdir = /usr/lib/freeradius
run_dir = {folder}
pidfile = {folder}/pid
max_request_time = 10
log {{
  destination = stdout
  auth = yes
}}
security {{ allow_vulnerable_openssl = yes }}
modules {{
  eap {{
    default_eap_type = tls
    timer_expire = 60
    ignore_unknown_eap_types = no
    tls-config common {{
      private_key_file = {folder}/tls-key.pem
      certificate_file = {folder}/tls.pem
      ca_file = {folder}/trusted.pem
      check_crl = yes
      tls_min_version = "1.2"
      tls_max_version = "1.2"
      ecdh_curve = ""
      cache {{
        enable = no
      }}
    }}
    tls {{
      tls = common
    }}
  }}
}}
client localhost {{
  ipaddr = 127.0.0.1
  secret = testing123
}}
server default {{
  listen {{
    type = auth
    ipaddr = 127.0.0.1
    port = {port}
  }}
  authorize {{
    eap
  }}
  authenticate {{
    eap
  }}
}}
"""


class Radius:
    """A Wi-Fi's RADIUS server (EAP-TLS); it reads the lists when it starts."""

    def __init__(self, folder: Path, published: Path) -> None:
        self.program, self.tester = program("freeradius", "freeradius"), program("eapol_test", "eapoltest")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.published, self.port = folder, published, free_port()
        certificate_for("127.0.0.1", folder=folder, now=datetime.now(UTC))
        (folder / "dictionary").write_text("$INCLUDE /usr/share/freeradius/dictionary\n")
        (folder / "radiusd.conf").write_text(_RADIUSD.format(folder=folder, port=self.port))
        self.server = Program(
            [self.program, "-f", "-l", "stdout", "-x", "-d", str(folder), "-n", "radiusd"], folder / "server.log"
        )

    def start(self) -> None:
        trusted = [(self.published / name).read_bytes() for name in ("authorities.pem", "lists.pem")]
        (self.folder / "trusted.pem").write_bytes(b"".join(trusted))
        start = len(self.server.said())
        self.server.start()
        assert self.server.wait_for("Ready to process requests", start=start), self.server.said(start)

    def admits(self, chain: Path, key: Path) -> bool:
        network = self.folder / "network.conf"
        network.write_text(
            f'network={{\n ssid="x"\n key_mgmt=IEEE8021X\n eap=TLS\n identity="alex"\n ca_cert="{self.folder}/tls-authority.pem"\n'
            f' client_cert="{chain}"\n private_key="{key}"\n}}\n'
        )
        done = subprocess.run(
            [self.tester, "-c", str(network), "-a", "127.0.0.1", "-p", str(self.port), "-s", "testing123", "-t", "15"],
            capture_output=True, text=True, check=False, timeout=30,
        )  # fmt: skip
        last = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else done.stderr
        assert last in {"SUCCESS", "FAILURE"}, done.stdout[-2000:] + self.server.said()[-2000:]
        return last == "SUCCESS"

    def stop(self) -> None:
        self.server.stop()
