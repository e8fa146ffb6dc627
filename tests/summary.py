"""`tests/run`'s last words: the slowest tests of all lanes, and the lines of the product that sent SQL on SQLite alone.

    python -m tests.summary FOLDER    FOLDER: what `tests.plugins` wrote there

Ends with 1 if a line sent SQL in a test on SQLite, and in none on PostgreSQL although tests ran there.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

SLOWEST = 30
_PROJECT = Path(__file__).resolve().parent.parent
_ONE_DATABASE_ONLY = "# SQLite only"  # the end of a line that PostgreSQL never runs


class Run(NamedTuple):
    """One test on one database, in seconds."""

    wall: float
    cpu: float
    database: str
    test: str


def runs(folder: Path) -> list[Run]:
    """Every test that ran."""
    found = []
    for path in folder.glob("tests-*.tsv"):
        for line in path.read_text().splitlines():
            wall, cpu, database, test = line.split("\t", 3)
            found.append(Run(float(wall), float(cpu), database, test))
    return found


def sites(folder: Path) -> dict[str, dict[str, str]]:
    """For each database: the lines that sent SQL, and a test that made them do so."""
    found: dict[str, dict[str, str]] = {}
    for path in folder.glob("sites-*.tsv"):
        for line in path.read_text().splitlines():
            database, site, test = line.split("\t", 2)
            found.setdefault(database, {}).setdefault(site, test)
    return found


def unproven(found: dict[str, dict[str, str]]) -> dict[str, str]:
    """The lines that only tests on SQLite have made send SQL, and one of those tests."""
    if not {"sqlite", "postgresql"} <= found.keys():
        return {}
    alone = found["sqlite"].keys() - found["postgresql"].keys()
    return {site: found["sqlite"][site] for site in sorted(alone) if not _is_meant_for_one(site)}


def _is_meant_for_one(site: str) -> bool:
    name, _, number = site.rpartition(":")
    return _ONE_DATABASE_ONLY in (_PROJECT / name).read_text().splitlines()[int(number) - 1]


def table(everything: list[Run]) -> list[str]:
    """The slowest tests, and how many ran on each database."""
    lines = [f"The {SLOWEST} slowest of {len(everything)} tests (wall s, CPU s, database):"]
    lines += [
        f"{one.wall:7.1f} {one.cpu:7.1f}  {one.database:10} {one.test}"
        for one in sorted(everything, reverse=True)[:SLOWEST]
    ]
    for database in ("sqlite", "postgresql"):
        here = [one.cpu for one in everything if one.database == database]
        lines.append(f"{database}: {len(here)} tests, {sum(here):.0f} s of CPU in the tests' own processes")
    return lines


def complaint(alone: dict[str, str]) -> list[str]:
    """What to do about lines that no test on PostgreSQL has made send SQL."""
    if not alone:
        return []
    head = (
        "These lines send SQL, and no test that runs on PostgreSQL makes them do so. Mark one test of each `database`:"
    )
    return ["", head, *(f"  {site}  {test}" for site, test in alone.items())]


def main() -> int:
    """Print both tables; the exit status."""
    folder = Path(sys.argv[1])
    alone = unproven(sites(folder))
    sys.stdout.write("\n".join([*table(runs(folder)), *complaint(alone)]) + "\n")
    return 1 if alone else 0


if __name__ == "__main__":
    sys.exit(main())
