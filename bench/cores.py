"""Which core serves and which one loads: the server alone on one; the load, the databases and everything else on the others."""

from __future__ import annotations

import os

_ALL = sorted(os.sched_getaffinity(0))
SERVER = {_ALL[0]}
LOAD = set(_ALL[1:]) or SERVER


def pinned(cores: set[int], command: list[str]) -> list[str]:
    """A command that runs on these cores only."""
    return ["taskset", "--cpu-list", ",".join(map(str, sorted(cores))), *command]


def load_here() -> None:
    """From now on this process and its children load."""
    os.sched_setaffinity(0, LOAD)


def said() -> str:
    """For the table."""
    return f"server on core {', '.join(map(str, sorted(SERVER)))}, load on {', '.join(map(str, sorted(LOAD)))}"
