"""A provider in a process of its own: it listens on a port, and makes codes and tokens at `/__made`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

from bench import memory
from bench.cores import SERVER, pinned
from demo.server import free_port

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_START_SECONDS = 60


class Served:
    """A running peer. paths: of its endpoints. lacks: the operations that it does not offer."""

    def __init__(  # noqa: PLR0913 - how a process is started
        self,
        name: str,
        command: list[str],
        *,
        cwd: Path,
        extra: Mapping[str, str],
        log: Path,
        paths: Mapping[str, str],
        lacks: frozenset[str] = frozenset(),
    ) -> None:
        self.name, self.port, self.lacks = name, free_port(), lacks
        self.issuer = f"http://127.0.0.1:{self.port}"
        self._paths, self._log = dict(paths), log
        environment = {**os.environ, "PORT": str(self.port), **extra}
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                pinned(SERVER, command),
                cwd=cwd,
                env=environment,
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        try:
            self.client: dict[str, str] = self._first()
        except BaseException:
            self.stop()
            raise

    def made(self, what: str, count: int) -> Any:  # noqa: ANN401 - JSON
        """Make codes, refresh tokens or an access token, before the clock starts."""
        with urllib.request.urlopen(f"{self.issuer}/__made?what={what}&count={count}", timeout=120) as answer:  # noqa: S310
            return json.load(answer)

    def paths(self) -> dict[str, str]:
        """The paths of its endpoints."""
        return self._paths

    def megabytes(self) -> float:
        """The memory of its worker, in megabytes."""
        return memory.worker_megabytes(self._process.pid)

    def stop(self) -> None:
        """Stop the peer and its children."""
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _first(self) -> Any:  # noqa: ANN401 - JSON
        until = time.monotonic() + _START_SECONDS
        while True:
            try:
                return self.made("first", 0)
            except (urllib.error.URLError, OSError):
                if time.monotonic() > until or self._process.poll() is not None:
                    raise RuntimeError(f"{self.name} did not start: {self._log.read_text()[-1000:]}") from None
                time.sleep(0.1)
