"""The resident memory of a worker: the largest process below the started one."""

from __future__ import annotations

from pathlib import Path


def worker_megabytes(pid: int) -> float:
    """Megabytes of the largest process in a process tree; 0 if it has ended."""
    return max((_resident(one) for one in [pid, *_below(pid)]), default=0.0)


def _resident(pid: int) -> float:
    for line in _read(pid, "status").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _below(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task")
    children = [int(one) for task in _listed(tasks) for one in _read(pid, f"task/{task}/children").split()]
    return [one for child in children for one in (child, *_below(child))]


def _listed(folder: Path) -> list[str]:
    try:
        return [one.name for one in folder.iterdir()]
    except OSError:
        return []


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except OSError:
        return ""
