"""Start, query and stop a Ramet in processes of its own, by `manage.py` and the environment, as an operator does."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

PROJECT = Path(__file__).resolve().parent.parent
MANAGE = PROJECT / "manage.py"
_START_SECONDS = 40.0
_STOP_SECONDS = 10.0
_COMMAND_SECONDS = 120
_FIRST_PORT, _PORTS = 20_000, 12_000


class CommandFailed(Exception):
    """A `manage.py` command or a server failed; the message has the end of its output."""


@dataclass
class Ramet:
    """One Ramet: its folder, its address, and the processes that were started for it.

    var: RAMET_VAR: database, keys, mail and the logs of the processes.
    issuer: its public URL.
    extra: more `RAMET_…` variables.
    verify: trust for HTTPS, as httpx takes it.
    """

    var: Path
    issuer: str
    port: int
    extra: dict[str, str] = field(default_factory=dict)
    verify: Any = True
    _children: list[tuple[str, subprocess.Popen[bytes]]] = field(default_factory=list, repr=False)

    def environment(self) -> dict[str, str]:
        """The environment of its processes: this one's, with only the RAMET_ variables that are set here."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("RAMET_")}
        own = {"RAMET_VAR": str(self.var), "RAMET_ISSUER": self.issuer, "PYTHONUNBUFFERED": "1"}
        return {**inherited, "RAMET_EMAIL_URL": "file:", **own, **self.extra}

    def manage(self, *arguments: str) -> str:
        """Run `manage.py`; return its standard output.

        Raises: CommandFailed.
        """
        done = subprocess.run(
            [sys.executable, str(MANAGE), *arguments],
            cwd=PROJECT,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise CommandFailed(f"manage.py {' '.join(arguments[:3])}: {done.stderr.strip()[-800:]}")
        return done.stdout

    def ask(self, *arguments: str) -> Any:  # noqa: ANN401 - JSON
        """Run a command with `--json`; return the parsed answer.

        Raises: CommandFailed.
        """
        said = self.manage(*arguments, "--json")
        try:
            return json.loads(said)
        except ValueError as error:
            raise CommandFailed(
                f"manage.py {' '.join(arguments[:3])} --json did not print JSON: {said[:300]}"
            ) from error

    def start(self, name: str, *arguments: str) -> None:
        """Start a long-running `manage.py` command; its output goes to `VAR/NAME.log`."""
        self.start_process(name, [sys.executable, str(MANAGE), *arguments])

    def start_process(self, name: str, command: list[str], *, extra: dict[str, str] | None = None) -> int:
        """Start a process beside the server, to be stopped with it; return its id, which is also its session's."""
        with (self.var / f"{name}.log").open("ab") as log:
            child = subprocess.Popen(
                command,
                cwd=PROJECT,
                env={**self.environment(), **(extra or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl+C reaches this process only, which stops the others in order
            )
        self._children.append((name, child))
        return child.pid

    def wait_until_ready(self) -> None:
        """Wait until discovery answers.

        Raises: CommandFailed if a process ends, or it takes too long.
        """
        self.wait_for(f"{self.issuer}/.well-known/openid-configuration", name="serve")

    def wait_for_socket(self, path: Path, *, name: str) -> None:
        """Wait until something listens on a UNIX socket.

        Raises: CommandFailed if a process ends, or it takes too long.
        """
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until:
            self.require_alive()
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    probe.connect(str(path))
                except OSError:
                    time.sleep(0.1)
                else:
                    return
        raise CommandFailed(f"nothing listened on the socket within {_START_SECONDS:.0f} s: {self.log_end(name)}")

    def wait_for(self, url: str, *, name: str) -> None:
        """Wait until a page of the process of this name answers.

        Raises: CommandFailed if a process ends, or it takes too long.
        """
        until = time.monotonic() + _START_SECONDS
        with httpx.Client(verify=self.verify, timeout=5) as http:
            while time.monotonic() < until:
                self.require_alive()
                try:
                    if http.get(url).status_code == httpx.codes.OK:
                        return
                except httpx.TransportError:
                    pass
                time.sleep(0.15)
        raise CommandFailed(f"{url} did not answer within {_START_SECONDS:.0f} s: {self.log_end(name)}")

    def require_alive(self) -> None:
        """Check that no process has ended.

        Raises: CommandFailed.
        """
        for name, child in self._children:
            if child.poll() is not None:
                raise CommandFailed(f"{name} ended with {child.returncode}: {self.log_end(name)}")

    def pid(self, name: str) -> int:
        """The id of the process of this name."""
        return next(child.pid for known, child in self._children if known == name)

    def log_end(self, name: str) -> str:
        """The last lines of a process's log."""
        path = self.var / f"{name}.log"
        return path.read_text(errors="replace")[-2000:] if path.exists() else ""

    def stop(self) -> None:
        """Stop every process, the youngest first, with time to end by itself."""
        for _, child in reversed(self._children):
            if child.poll() is None:
                child.terminate()
        until = time.monotonic() + _STOP_SECONDS
        for _, child in reversed(self._children):
            try:
                child.wait(timeout=max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                # The whole session, so that no worker outlives its server.
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        self._children.clear()


def free_port() -> int:
    """A TCP port that is free now, below those that Linux gives to outgoing connections: none takes it meanwhile."""
    while True:
        port = _FIRST_PORT + secrets.randbelow(_PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
