"""Pin the server to one core, and the load, the databases and everything else to the others."""

from __future__ import annotations

import os

_ALL = sorted(os.sched_getaffinity(0))
SERVER = {_ALL[0]}
LOAD = set(_ALL[1:]) or SERVER


def pinned(cores: set[int], command: list[str]) -> list[str]:
    """The command, pinned to these cores."""
    return ["taskset", "--cpu-list", ",".join(map(str, sorted(cores))), *command]


def load_here() -> None:
    """Pin this process and its children to the load's cores."""
    os.sched_setaffinity(0, LOAD)


def said() -> str:
    """The cores in words, for the table."""
    return f"server on core {', '.join(map(str, sorted(SERVER)))}, load on {', '.join(map(str, sorted(LOAD)))}"
