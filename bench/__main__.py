"""`python -m bench`: start the providers, measure each operation of each in turn, print medians and ratios as Markdown.

Bounded in count and time, on loopback only; every process is stopped at the end. A failure is stated in its cell and
below the table, and the other measurements go on.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench import cores, django_peers, load, node, postgresql, ramet, table
from bench.operations import OPERATIONS, TO_BE_MADE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

    from bench.operations import Server

_FULL, _SMALL = (5, 400), (2, 60)
_CHEAP = 4  # times as many requests where nothing has to be prepared
_WARM = 40
_MOST_SECONDS = 15 * 60
_ENOUGH_SECONDS = 4.0  # of one run, so that a slow peer gets fewer requests and not more time
SERVERS = (
    "ramet-postgresql",
    "ramet-sqlite",
    "node-postgresql",
    "node-memory",
    "authlib-postgresql",
    "oidc-provider-postgresql",
)
_console = Console(stderr=True)


class TooLong(Exception):
    """The benchmark exceeded its time or was interrupted; the results so far are printed."""


def _makers(url: str, folder: Path) -> dict[str, Callable[[], Server]]:
    """The functions that start the servers."""

    def place(name: str) -> Path:
        (folder / name).mkdir()
        return folder / name

    def database(name: str) -> str:
        return postgresql.database(url, name)

    return {
        "ramet-postgresql": lambda: ramet.Served("ramet-postgresql", place("ramet-postgresql"), database("ramet")),
        "ramet-sqlite": lambda: ramet.Served("ramet-sqlite", place("ramet-sqlite"), ""),
        "node-postgresql": lambda: node.served("node-postgresql", database("node"), folder / "node-postgresql.log"),
        "node-memory": lambda: node.served("node-memory", "", folder / "node-memory.log"),
        "authlib-postgresql": lambda: django_peers.served(
            "authlib-postgresql", "authlib_site", database("authlib"), folder / "authlib.log"
        ),
        "oidc-provider-postgresql": lambda: django_peers.served(
            "oidc-provider-postgresql", "oidc_provider_site", database("provider"), folder / "provider.log"
        ),
    }


def _started(stack: ExitStack, folder: Path, only: Sequence[str]) -> list[Server]:
    """Start the servers, each in its folder; one that cannot run is reported and skipped."""
    makers = _makers(stack.enter_context(postgresql.served(folder)), folder)
    wanted = [name for name in SERVERS if not only or name in only]
    no_node = node.missing() if any(name.startswith("node") for name in wanted) else ""
    servers: list[Server] = []
    for name in wanted:
        if no_node and name.startswith("node"):
            _console.print(f"bench: {name} is left out: {no_node}")
            continue
        _console.print(f"bench: starting {name} ...")
        try:
            server = makers[name]()
        except Exception as error:  # noqa: BLE001 - a peer that does not start is reported, and the others are measured
            _console.print(f"bench: {name} is left out: {error}")
            continue
        stack.callback(server.stop)
        servers.append(server)
    return servers


def _measure(found: table.Found, servers: Sequence[Server], names: Sequence[str], *, rounds: int, count: int) -> None:
    """Measure every operation `rounds` times, the servers in turn, into `found`."""
    columns = (TextColumn("bench: {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=_console) as progress:
        task = progress.add_task("", total=len(names) * len(servers) * (rounds + 1))
        for name in names:
            size = count * (1 if name in TO_BE_MADE else _CHEAP)
            for turn in range(rounds + 1):
                for server in servers:
                    progress.update(
                        task,
                        description=f"{name}, {f'round {turn} of {rounds}' if turn else 'warming up'}, {server.name}",
                    )
                    _run(found, name, server, size if turn else min(_WARM, size), counts=turn > 0)
                    progress.advance(task)
            if not _console.is_terminal:  # a log gets a line instead of a progress bar
                _console.print(
                    f"bench: {name} done; {progress.tasks[0].completed:.0f} of "
                    f"{progress.tasks[0].total:.0f} runs, {progress.tasks[0].elapsed:.0f} s"
                )
            for server in servers:
                found.megabytes[server.name] = max(found.megabytes.get(server.name, 0.0), server.megabytes())


def _run(found: table.Found, name: str, server: Server, size: int, *, counts: bool) -> None:
    """Run one operation of one server once; skip it after a failure."""
    key = name, server.name
    if name in server.lacks:
        found.lacking.add(key)
    if key in found.lacking or key in found.failed:
        return
    try:
        run = load.run(server.port, OPERATIONS[name](server, size), seconds=_ENOUGH_SECONDS)
    except TooLong:
        raise
    except Exception as error:  # noqa: BLE001 - reported in its cell; the others are measured
        found.failed[key] = f"{type(error).__name__}: {error}"[:300]
        return
    if counts:
        found.runs.setdefault(key, []).append(run)


def _too_long(_number: int, _frame: FrameType | None) -> None:
    raise TooLong


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--small", action="store_true", help="two short rounds: whether it runs, not how fast")
    parser.add_argument(
        "--operation", action="append", choices=sorted(OPERATIONS), help="only this one (may be repeated)"
    )
    parser.add_argument(
        "--server", action="append", default=[], choices=SERVERS, help="only this one (may be repeated)"
    )
    parser.add_argument("--rounds", type=int, default=0, help="how often each is measured (default: 5, with --small 2)")
    asked = parser.parse_args()
    rounds, count = _SMALL if asked.small else _FULL
    names = [name for name in OPERATIONS if not asked.operation or name in asked.operation]
    cores.load_here()
    for one in (signal.SIGTERM, signal.SIGALRM):  # a signal still stops the servers and prints the results
        signal.signal(one, _too_long)
    signal.alarm(_MOST_SECONDS)
    found, servers, began = table.Found(), [], time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ramet-bench-", ignore_cleanup_errors=True) as folder, ExitStack() as stack:
        try:
            servers = _started(stack, Path(folder), asked.server)
            _measure(found, servers, names, rounds=asked.rounds or rounds, count=count)
        except (TooLong, KeyboardInterrupt):
            _console.print(f"bench: stopped after {time.monotonic() - began:.0f} s; this is what was measured")
        finally:
            signal.alarm(0)
            for one in (signal.SIGTERM, signal.SIGALRM):  # the remaining cleanup ends by itself
                signal.signal(one, signal.SIG_IGN)
        # the output of the command
        print(table.markdown(found, names, [server.name for server in servers]))  # noqa: T201
        print(f"\n{time.monotonic() - began:.0f} s, {asked.rounds or rounds} rounds, {cores.said()}", flush=True)  # noqa: T201
    return 1 if found.failed or not servers else 0


if __name__ == "__main__":
    sys.exit(main())
