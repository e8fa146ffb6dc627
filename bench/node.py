"""node-oidc-provider (bench/node), one process on the server's core."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from bench.peer import Served

FOLDER = Path(__file__).resolve().parent / "node"
_PATHS = {
    "token": "/token",
    "introspection": "/token/introspection",
    "userinfo": "/me",
    "jwks": "/jwks",
    "discovery": "/.well-known/openid-configuration",
}


def missing() -> str:
    """The reason why it cannot run on this machine, or ""."""
    if not shutil.which("node") or not shutil.which("npm"):
        return "Node.js with npm is not installed"
    if (FOLDER / "node_modules" / ".package-lock.json").exists():  # npm writes it last
        return ""
    try:
        done = subprocess.run(["npm", "ci", "--silent"], cwd=FOLDER, timeout=300, check=False)
    except subprocess.TimeoutExpired:
        return "npm ci took more than five minutes"
    return "" if done.returncode == 0 else "npm ci failed in bench/node"


def served(name: str, database: str, log: Path) -> Served:
    """Start the provider. database: its URL, or "" for memory."""
    extra = {"DATABASE": database, "NODE_ENV": "production"}
    return Served(name, ["node", "provider.mjs"], cwd=FOLDER, extra=extra, log=log, paths=_PATHS)
