"""Processor time and memory of all processes of one server, by its session."""

from __future__ import annotations

import os
from pathlib import Path

_SESSION, _USER, _SYSTEM, _PAGES = 3, 11, 12, 21  # places in /proc/PID/stat after the name (proc(5))
_TICKS, _PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")


def _stats(session: int) -> list[list[str]]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_text().rpartition(") ")[2].split()
            except OSError:
                continue
            if int(stat[_SESSION]) == session:
                found.append(stat)
    return found


def cpu(session: int) -> float:
    """Seconds of processor time so far, which depend little on other load."""
    return sum(int(stat[_USER]) + int(stat[_SYSTEM]) for stat in _stats(session)) / _TICKS


def megabytes(session: int) -> float:
    """The resident memory of the largest process, the worker."""
    return max((int(stat[_PAGES]) * _PAGE for stat in _stats(session)), default=0) / 2**20
