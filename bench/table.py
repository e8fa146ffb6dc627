"""Results as Markdown: rates with latencies, ratios to every peer, and memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

from bench.operations import TARGETS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bench.load import Run

NOT_OFFERED, FAILED, NOT_MEASURED = "not offered", "failed", "–"
_IN_MEMORY = {"discovery", "jwks"}  # operations without a store are compared with the peer without one


@dataclass
class Found:
    """The results.

    runs: by operation and server. lacking: operations that a server does not offer. failed: why there is no figure.
    megabytes: of each server's worker.
    """

    runs: dict[tuple[str, str], list[Run]] = field(default_factory=dict)
    lacking: set[tuple[str, str]] = field(default_factory=set)
    failed: dict[tuple[str, str], str] = field(default_factory=dict)
    megabytes: dict[str, float] = field(default_factory=dict)

    def rate(self, operation: str, server: str) -> float | None:
        """The median of the requests per second, or None."""
        runs = self.runs.get((operation, server))
        return median(run.rate for run in runs) if runs and (operation, server) not in self.failed else None

    def cell(self, operation: str, server: str) -> str:
        """Requests per second, and in brackets the medians of the 50th and 99th percentiles in milliseconds."""
        if (operation, server) in self.lacking:
            return NOT_OFFERED
        if (operation, server) in self.failed:
            return FAILED
        rate = self.rate(operation, server)
        if rate is None:
            return NOT_MEASURED
        runs = self.runs[operation, server]
        return f"{rate:,.0f} ({median(run.middle for run in runs):.1f} / {median(run.slowest for run in runs):.1f})"

    def ratio(self, operation: str, mine: str, other: str) -> str:
        """The ratio of two rates."""
        ours, theirs = self.rate(operation, mine), self.rate(operation, other)
        return f"{ours / theirs:.2f}" if ours and theirs else NOT_MEASURED


def markdown(found: Found, operations: Sequence[str], servers: Sequence[str]) -> str:
    """The whole table."""
    parts = [
        "Requests per second of one worker on one core (medians); in brackets the percentiles 50 and 99 in ms.",
        _lines(
            ["operation", *servers],
            [[one, *(found.cell(one, server) for server in servers)] for one in operations]
            + [["memory of the worker, MB", *(_megabytes(found, server) for server in servers)]],
        ),
    ]
    peers = [server for server in servers if not server.startswith("ramet")]
    for mine in (server for server in servers if server.startswith("ramet")):
        if peers:
            parts += [
                f"{mine} as a multiple of each peer:",
                _lines(
                    ["operation", *peers, "floor", "aim", "against"],
                    [_ratios(found, one, mine, peers) for one in operations],
                ),
            ]
    if found.failed:
        parts += [
            "Failed:",
            "\n".join(f"- {operation} on {server}: {why}" for (operation, server), why in found.failed.items()),
        ]
    return "\n\n".join(parts)


def _ratios(found: Found, operation: str, mine: str, peers: Sequence[str]) -> list[str]:
    floor, aim = TARGETS[operation]
    against = "node-memory" if operation in _IN_MEMORY else "node-postgresql"
    return [operation, *(found.ratio(operation, mine, peer) for peer in peers), str(floor), str(aim), against]


def _megabytes(found: Found, server: str) -> str:
    return f"{found.megabytes[server]:.0f}" if found.megabytes.get(server) else NOT_MEASURED


def _lines(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    whole = [list(head), ["---", *["---:"] * (len(head) - 1)], *[list(row) for row in rows]]
    return "\n".join("| " + " | ".join(row) + " |" for row in whole)
