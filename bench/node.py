"""node-oidc-provider (bench/node), one process on the server's core."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from bench.cores import SERVER, pinned
from demo.server import free_port

FOLDER = Path(__file__).resolve().parent / "node"
_START_SECONDS = 20


def missing() -> str:
    """Why it cannot run here, or ""."""
    if not shutil.which("node") or not shutil.which("npm"):
        return "Node.js with npm is not installed"
    if not (FOLDER / "node_modules").exists():
        done = subprocess.run(["npm", "ci", "--silent"], cwd=FOLDER, timeout=300, check=False)
        return "" if done.returncode == 0 else "npm ci failed in bench/node"
    return ""


class Served:
    """A provider that runs. database: its URL, or "" for memory."""

    def __init__(self, name: str, database: str, log: Path) -> None:
        self.name, self.port = name, free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        environment = {**os.environ, "PORT": str(self.port), "DATABASE": database, "NODE_ENV": "production"}
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                pinned(SERVER, ["node", "provider.mjs"]), cwd=FOLDER, env=environment, stdout=out, stderr=out, stdin=subprocess.DEVNULL
            )
        self.client: dict[str, str] = self._first()

    def made(self, what: str, count: int) -> Any:  # noqa: ANN401 - JSON
        """Codes, refresh tokens or an access token, made before the clock runs."""
        with urllib.request.urlopen(f"{self.issuer}/__made?what={what}&count={count}", timeout=120) as answer:  # noqa: S310
            return json.load(answer)

    def paths(self) -> dict[str, str]:
        """Where its endpoints are."""
        names = {"token": "/token", "introspection": "/token/introspection", "userinfo": "/me", "jwks": "/jwks"}
        return {**names, "discovery": "/.well-known/openid-configuration"}

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(timeout=10)

    def _first(self) -> Any:  # noqa: ANN401 - JSON
        until = time.monotonic() + _START_SECONDS
        while True:
            try:
                return self.made("first", 0)
            except (urllib.error.URLError, ConnectionError):
                if time.monotonic() > until or self._process.poll() is not None:
                    raise
                time.sleep(0.1)
