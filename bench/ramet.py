"""Ramet as an operator serves it: granian, one worker on its core, with PostgreSQL or SQLite."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from bench import memory
from bench.cores import SERVER, pinned
from demo.server import MANAGE, PROJECT, Ramet, free_port

if TYPE_CHECKING:
    from pathlib import Path


class Served:
    """A running Ramet, and the process that makes its codes and tokens."""

    lacks: frozenset[str] = frozenset()

    def __init__(self, name: str, var: Path, database: str) -> None:
        self.name, self.port = name, free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        extra = {"RAMET_LOG_LEVEL": "ERROR", **({"RAMET_DATABASE_URL": database} if database else {})}
        self._ramet = Ramet(var, self.issuer, self.port, extra)
        self._ramet.manage("migrate", "--verbosity", "0")
        threads = "4" if database else "1"
        serve = [sys.executable, str(MANAGE), "serve", "--port", str(self.port), "--workers", "1", "--threads", threads]
        self._ramet.start_process("serve", pinned(SERVER, serve))
        with (var / "inside.log").open("ab") as log:
            self._inside = subprocess.Popen(
                [sys.executable, "-m", "bench.inside"],
                cwd=PROJECT,
                env=self._ramet.environment(),
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        self.client: dict[str, str] = self._heard()
        self._ramet.wait_until_ready()

    def made(self, what: str, count: int) -> Any:  # noqa: ANN401 - JSON
        """Make codes, refresh tokens or an access token, before the clock starts."""
        if self._inside.stdin is None:
            raise RuntimeError(self.name)
        self._inside.stdin.write(json.dumps({what: count}) + "\n")
        self._inside.stdin.flush()
        return self._heard()

    def paths(self) -> dict[str, str]:
        """The paths of its endpoints."""
        names = {
            "token": "/oidc/token",
            "introspection": "/oidc/introspect",
            "userinfo": "/oidc/userinfo",
            "jwks": "/oidc/jwks",
        }
        return {**names, "discovery": "/.well-known/openid-configuration"}

    def megabytes(self) -> float:
        """The memory of its worker, in megabytes."""
        return memory.worker_megabytes(self._ramet.pid("serve"))

    def stop(self) -> None:
        """Stop the server."""
        if self._inside.stdin is not None:
            self._inside.stdin.close()
        self._inside.wait(timeout=10)
        self._ramet.stop()

    def _heard(self) -> Any:  # noqa: ANN401 - JSON
        line = self._inside.stdout.readline() if self._inside.stdout is not None else ""
        if not line:
            raise RuntimeError((self._ramet.var / "inside.log").read_text()[-2000:])
        return json.loads(line)
