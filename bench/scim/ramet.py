"""A filled Ramet as an operator serves it: granian, one worker on the server's core."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from bench.cores import SERVER, pinned
from bench.scim import session
from bench.scim.people import record_id
from demo.server import MANAGE, PROJECT, Ramet, free_port

if TYPE_CHECKING:
    from pathlib import Path

_FILL_SECONDS = 600


class Served:
    """A filled Ramet. database: its URL, or "" for SQLite."""

    root = "/scim/v2"

    def __init__(self, name: str, var: Path, database: str, *, users: int, members: int) -> None:
        self.name, self.port, self.users, self.members = name, free_port(), users, members
        self.without: dict[str, str] = {}
        extra = {"RAMET_LOG_LEVEL": "ERROR", **({"RAMET_DATABASE_URL": database} if database else {})}
        self.ramet = Ramet(var, f"http://127.0.0.1:{self.port}", self.port, extra)
        self.ramet.manage("migrate", "--verbosity", "0")
        filled = subprocess.run(
            [sys.executable, "-m", "bench.scim.fill", "--users", str(users), "--members", str(members)],
            cwd=PROJECT,
            env=self.ramet.environment(),
            text=True,
            stdout=subprocess.PIPE,
            timeout=_FILL_SECONDS,
            check=True,
        )
        found = json.loads(filled.stdout)
        self.headers, self.group = {"Authorization": f"Bearer {found['token']}"}, str(found["group"])
        self._said = {**found, "users": users, "members": members}
        self._threads = "4" if database else "1"

    def plans(self) -> str:
        """The query plans of its database."""
        return subprocess.run(
            [sys.executable, "-m", "bench.scim.plans", json.dumps(self._said)],
            cwd=PROJECT,
            env=self.ramet.environment(),
            text=True,
            stdout=subprocess.PIPE,
            timeout=_FILL_SECONDS,
            check=True,
        ).stdout

    def start(self) -> None:
        """Start the server."""
        serve = [
            sys.executable,
            str(MANAGE),
            "serve",
            "--port",
            str(self.port),
            "--workers",
            "1",
            "--threads",
            self._threads,
        ]
        self._session = self.ramet.start_process("serve", pinned(SERVER, serve))
        self.ramet.wait_until_ready()

    def id_of(self, number: int) -> str:
        """The SCIM id of a filled person."""
        return record_id(number)

    def megabytes(self) -> float:
        """The memory of its worker, in megabytes."""
        return session.megabytes(self._session)

    def cpu(self) -> float:
        """Its processor time, in seconds."""
        return session.cpu(self._session)

    def stop(self) -> None:
        """Stop the server."""
        self.ramet.stop()
