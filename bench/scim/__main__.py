"""`python -m bench.scim`: fill the servers, measure each row of each in turn, print medians and ratios as Markdown.

Bounded in count and time, on loopback only; every process is stopped at the end.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench import cores, load, postgresql
from bench.scim import peers, ramet, table
from bench.scim.operations import ROWS, Asked

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.scim.operations import Row, Server

USERS, MEMBERS, ROUNDS, SECONDS = 100_000, 10_000, 3, 2.5
_SMALL = (5_000, 500, 2, 1.0)
_WARM = 0.5


def say(text: str) -> None:
    """Print progress on one line of a terminal."""
    sys.stderr.write(f"\r{'bench: ' + text:<100}")
    sys.stderr.flush()


def servers(stack: ExitStack, folder: Path, only: Sequence[str], *, users: int, members: int) -> Iterator[Server]:
    """Fill and start the servers one by one; one that cannot run is reported and skipped."""
    url = stack.enter_context(postgresql.served(folder))

    def wanted(name: str) -> bool:
        return not only or name in only

    for name, database in (("ramet-postgresql", "ramet"), ("ramet-sqlite", "")):
        if wanted(name):
            place = folder / name
            place.mkdir()
            say(f"{name}: being filled")
            one = ramet.Served(
                name, place, postgresql.database(url, database) if database else "", users=users, members=members
            )
            stack.callback(one.stop)
            yield one
    for name, make in peers.PEERS.items():
        if not wanted(name):
            continue
        place = folder / name
        place.mkdir()
        say(f"{name}: being installed and filled")
        try:
            peer = make(
                name,
                place,
                postgresql.database(url, name) if name.endswith("postgresql") else "",
                users=users,
                members=members,
            )
        except peers.Missing as why:
            sys.stderr.write(f"\nbench: {name} is left out: {why}\n")
            continue
        stack.callback(peer.stop)
        yield peer


def one_run(server: Server, row: Row, asked: Asked, seconds: float) -> table.Measured:
    """Send requests for some seconds."""
    unasked, most = replace(asked), min(row.most, server.users // 5)
    requests = [row.made(server, asked) for _ in range(most)]
    before = server.cpu()
    run = load.run(server.port, requests, connections=row.connections, seconds=seconds, good=row.good)
    asked.give_back(unasked, most, run.requests)
    return table.Measured(run.rate, run.slowest, (server.cpu() - before) / run.requests * 1000)


def measured(found: Sequence[Server], names: Sequence[str], *, rounds: int, seconds: float) -> table.Found:
    """Measure every row `rounds` times, the servers in turn."""
    runs, said = table.Found(), {server.name: Asked() for server in found}
    for name in names:
        row = ROWS[name]
        for turn in range(rounds + (name != "bulk")):
            for server in found:
                if name in server.without or (server.name, name) in runs.wrong:
                    continue
                say(f"{row.title}, {turn} of {rounds}, {server.name}")
                try:
                    run = one_run(server, row, said[server.name], seconds if turn else _WARM)
                except load.Unexpected as error:
                    runs.wrong[server.name, name] = str(error)[:200]
                    continue
                if turn or name == "bulk":
                    runs.of.setdefault((server.name, name), []).append(run)
                runs.megabytes[server.name, name] = server.megabytes()
    return runs


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m bench.scim", description=__doc__)
    parser.add_argument(
        "--small", action="store_true", help="5,000 people, short rounds: whether it runs, not how fast"
    )
    parser.add_argument(
        "--users", type=int, help=f"how many people (default: {USERS:,}; a tenth of them are in the group)"
    )
    parser.add_argument("--row", action="append", choices=list(ROWS), help="only this one (may be repeated)")
    parser.add_argument(
        "--server",
        action="append",
        default=[],
        help=f"only this one: ramet-postgresql, ramet-sqlite, {', '.join(peers.PEERS)}",
    )
    parser.add_argument(
        "--plans", action="store_true", help="what both databases would do with the worst queries, and no load"
    )
    asked = parser.parse_args()
    users, members, rounds, seconds = _SMALL if asked.small else (USERS, MEMBERS, ROUNDS, SECONDS)
    if asked.users:
        users, members = asked.users, asked.users // 10
    began = time.monotonic()
    cores.load_here()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are stopped
    with tempfile.TemporaryDirectory(prefix="ramet-bench-") as folder, ExitStack() as stack:
        if asked.plans:
            ours = asked.server or ["ramet-sqlite", "ramet-postgresql"]
            for one in servers(stack, Path(folder), ours, users=users, members=members):
                sys.stdout.write(one.plans() if isinstance(one, ramet.Served) else "")
            return
        found = list(servers(stack, Path(folder), asked.server, users=users, members=members))
        for one in found:
            if isinstance(one, ramet.Served):
                one.start()
        names = [name for name in ROWS if not asked.row or name in asked.row]
        runs = measured(found, names, rounds=rounds, seconds=seconds)
        say("")
        sys.stdout.write(
            f"\n{table.markdown(runs, found, names, users=users, members=members)}\n\n"
            f"{time.monotonic() - began:.0f} s in all.\n"
        )


if __name__ == "__main__":
    main()
