"""Medians, and ratios to the peers, as Markdown."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

from bench.scim.operations import ROWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.scim.operations import Server

OURS = "ramet-"


@dataclass(frozen=True)
class Measured:
    """One run: answers per second; 99th percentile and processor time per answer, both in ms."""

    rate: float
    slowest: float
    cpu: float


@dataclass
class Found:
    """Results by server and row. wrong: why there is no figure. megabytes: of the worker after the row."""

    of: dict[tuple[str, str], list[Measured]] = field(default_factory=dict)
    wrong: dict[tuple[str, str], str] = field(default_factory=dict)
    megabytes: dict[tuple[str, str], float] = field(default_factory=dict)


def markdown(found: Found, servers: Sequence[Server], names: Sequence[str], *, users: int, members: int) -> str:
    """The table, the memory, and the failures."""
    ours = [one.name for one in servers if one.name.startswith(OURS)]
    peers = [one.name for one in servers if not one.name.startswith(OURS)]
    heads = [
        f"{users:,} people, {members:,} in the group",
        *(one.name for one in servers),
        *(f"{one} ÷ best peer" for one in ours),
        "aim",
    ]
    lines = [_line(heads), _line([":--", *("--:" for _ in heads[1:])])]
    for name in names:
        cells = [_cell(found, one, name) for one in servers]
        ratios = [_ratio(found, one, peers, name) for one in ours]
        lines.append(_line([ROWS[name].title, *cells, *ratios, f"{ROWS[name].aim:g}/s"]))
    lines += [
        "",
        "Per second, of one worker on one core (medians); in brackets the 99th percentile and",
        "the server's own processor time for one, in ms.",
        "",
    ]
    for one in servers:
        memory = ", ".join(
            f"{name} {found.megabytes[one.name, name]:.0f}" for name in names if (one.name, name) in found.megabytes
        )
        lines.append(f"Memory of {one.name} after each row, in MB: {memory}.")
    lines += [f"{server}, {name}: {why}" for (server, name), why in found.wrong.items()]
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _rate(found: Found, server: str, name: str) -> float | None:
    runs = found.of.get((server, name))
    return median(run.rate for run in runs) if runs else None


def _cell(found: Found, server: Server, name: str) -> str:
    rate = _rate(found, server.name, name)
    if rate is None:
        return server.without.get(name, "fails")
    runs = found.of[server.name, name]
    shown = f"{rate:,.0f}" if rate >= 10 else f"{rate:.2f}"  # noqa: PLR2004 - digits
    return f"{shown} ({median(run.slowest for run in runs):,.0f}; {median(run.cpu for run in runs):.1f})"


def _ratio(found: Found, ours: str, peers: Sequence[str], name: str) -> str:
    mine = _rate(found, ours, name)
    theirs = [rate for peer in peers if (rate := _rate(found, peer, name)) is not None]
    return f"{mine / max(theirs):.2f}" if mine is not None and theirs else "–"
