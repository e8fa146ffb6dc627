"""The peers on Django (bench/peers): granian, one worker with four threads, on the server's core."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from bench.peer import Served
from demo.server import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

NO_DPOP = frozenset({"code_exchange_dpop"})
_PATHS = {
    "token": "/token",
    "introspection": "/introspect",
    "userinfo": "/userinfo",
    "jwks": "/jwks",
    "discovery": "/.well-known/openid-configuration",
}


def served(name: str, site: str, database: str, log: Path) -> Served:
    """Start a site."""
    command = [sys.executable, "-m", "bench.peers.site", site]
    return Served(name, command, cwd=PROJECT, extra={"DATABASE": database}, log=log, paths=_PATHS, lacks=NO_DPOP)
