"""`python -m bench`: start the providers, load each operation of each in turn, and print medians and ratios.

Bounded in count and time, on loopback only; it stops by itself, and leaves nothing running.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from bench import cores, load, node, postgresql, ramet
from bench.operations import OPERATIONS, TARGETS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.operations import Server

Found = dict[tuple[str, str], list[load.Run]]
_FULL, _SMALL = (5, 400), (2, 60)
_CHEAP = 4  # times as many requests where nothing has to be made beforehand
_WARM = 40


def _started(stack: ExitStack, folder: Path, only: Sequence[str]) -> list[Server]:
    """The servers, each in its folder; what cannot run is said and left out."""
    url = stack.enter_context(postgresql.served(folder))
    servers: list[Server] = []

    def add(server: Server) -> None:
        stack.callback(server.stop)
        servers.append(server)

    for name, kept in (("ramet-postgresql", True), ("ramet-sqlite", False)):
        if not only or name in only:
            place = folder / name
            place.mkdir()
            add(ramet.Served(name, place, postgresql.database(url, "ramet") if kept else ""))
    why = node.missing()
    for name, kept in (("node-postgresql", True), ("node-memory", False)):
        if why:
            sys.stderr.write(f"bench: {name} is left out: {why}\n")
        elif not only or name in only:
            add(node.Served(name, postgresql.database(url, "node") if kept else "", folder / f"{name}.log"))
    return servers


def _measured(servers: Sequence[Server], names: Sequence[str], *, rounds: int, count: int) -> Found:
    """Every operation, `rounds` times, the servers in turn."""
    found: Found = {}
    for name in names:
        size = count * (_CHEAP if name not in {"code_exchange", "code_exchange_dpop", "refresh"} else 1)
        for server in servers:
            load.run(server.port, OPERATIONS[name](server, min(_WARM, size)))
        for turn in range(rounds):
            for server in servers:
                sys.stderr.write(f"\rbench: {name}, {turn + 1} of {rounds}, {server.name}        ")
                sys.stderr.flush()
                found.setdefault((name, server.name), []).append(load.run(server.port, OPERATIONS[name](server, size)))
    sys.stderr.write("\n")
    return found


def _table(found: Found, names: Sequence[str], servers: Sequence[str]) -> Table:
    table = Table(title="requests per second of one worker on one core: medians; in brackets the 99th percentile in ms")
    for heading in ("operation", *servers, "ratio", "floor", "aim"):
        table.add_column(heading, justify="left" if heading == "operation" else "right")
    for name in names:
        rate = {server: median(run.rate for run in found[name, server]) for server in servers}
        slow = {server: median(run.slowest for run in found[name, server]) for server in servers}
        peer = "node-memory" if name in {"discovery", "jwks"} else "node-postgresql"
        mine = "ramet-postgresql"
        ratio = f"{rate[mine] / rate[peer]:.2f}" if mine in rate and peer in rate else "-"
        floor, aim = TARGETS[name]
        table.add_row(name, *(f"{rate[one]:,.0f} ({slow[one]:.0f})" for one in servers), ratio, str(floor), str(aim))
    return table


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--small", action="store_true", help="two short rounds: whether it runs, not how fast")
    parser.add_argument("--operation", action="append", choices=sorted(OPERATIONS), help="only this one (may be repeated)")
    parser.add_argument("--server", action="append", default=[], help="only this one: ramet-postgresql, ramet-sqlite, node-postgresql, node-memory")
    asked = parser.parse_args()
    rounds, count = _SMALL if asked.small else _FULL
    names = [name for name in OPERATIONS if not asked.operation or name in asked.operation]
    cores.load_here()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    with tempfile.TemporaryDirectory(prefix="ramet-bench-") as folder, ExitStack() as stack:
        servers = _started(stack, Path(folder), asked.server)
        found = _measured(servers, names, rounds=rounds, count=count)
        console = Console(width=150)
        console.print(_table(found, names, [server.name for server in servers]))
        for server in servers:
            if isinstance(server, ramet.Served):
                console.print(f"{server.name}: {server.megabytes():.0f} MB a worker")


if __name__ == "__main__":
    main()
