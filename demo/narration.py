"""Print the journey on a terminal, and record which checks held."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rich.tree import Tree

_TIMES = frozenset({"iat", "exp", "auth_time", "nbf"})


class Broken(Exception):
    """A step failed so that no other can follow."""


@dataclass(frozen=True)
class Check:
    """One statement and whether it held."""

    chapter: str
    statement: str
    held: bool


class Narration:
    """The output of the journey, and its checks."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(width=118, highlight=False, soft_wrap=False)
        self._chapter = ""
        self.checks: list[Check] = []

    def chapter(self, title: str) -> None:
        """Begin a chapter."""
        self._chapter = title
        self._console.print()
        self._console.rule(f"[bold]{escape(title)}", align="left", style="green")

    def call(self, who: str, what: str) -> None:
        """Print an actor and their call."""
        self._console.print(f"[bold cyan]{escape(who):>14}[/]  {escape(what)}")

    def note(self, words: str) -> None:
        """Print a remark."""
        self._console.print(f"{'':>16}[dim]{escape(words)}")

    def claims(self, title: str, claims: Mapping[str, Any], *, stress: Iterable[str] = ()) -> None:
        """Print decoded claims, those of `stress` in bold."""
        table = Table(title=escape(title), title_justify="left", show_header=False, box=None, padding=(0, 2, 0, 17))
        stressed = {*stress}
        for name, value in claims.items():
            style = "bold yellow" if name in stressed else None
            table.add_row(escape(name), escape(_plain(name, value)), style=style)
        self._console.print(table)

    def tree(self, tree: Tree) -> None:
        """Print a tree."""
        self._console.print(tree)

    def table(self, table: Table) -> None:
        """Print a table."""
        self._console.print(table)

    def check(self, statement: str, held: object, *, seen: object = "") -> None:
        """Record and print whether a statement held; `seen` is printed if it did not."""
        self.checks.append(Check(self._chapter, statement, bool(held)))
        mark = "[bold green]✔[/]" if held else "[bold red]✘[/]"
        more = "" if held or seen == "" else f"  [red](saw: {escape(str(seen))})[/]"
        self._console.print(f"{'':>14}{mark} {escape(statement)}{more}")

    def need(self, statement: str, held: object, *, seen: object = "") -> None:
        """As `check`, for a statement on which all later steps depend.

        Raises: Broken.
        """
        self.check(statement, held, seen=seen)
        if not held:
            raise Broken(f"{statement} (saw: {seen})")

    def verdict(self, *, seconds: float) -> bool:
        """Print the result; return True if every check held."""
        failed = [check for check in self.checks if not check.held]
        self._console.print()
        if not failed:
            self._console.print(f"[bold green]Every one of {len(self.checks)} checks held, in {seconds:.0f} s.")
            return True
        self._console.print(f"[bold red]{len(failed)} of {len(self.checks)} checks failed:")
        for check in failed:
            self._console.print(f"  [red]✘[/] {escape(check.chapter)}: {escape(check.statement)}")
        return False

    def broken(self, reason: str) -> None:
        """Print why the journey stopped early."""
        self.checks.append(Check(self._chapter, f"the journey went on ({reason})", held=False))
        self._console.print(f"[bold red]The journey stopped: {escape(reason)}")


def _plain(name: str, value: object) -> str:
    if name in _TIMES and isinstance(value, int):
        return f"{value}  ({datetime.fromtimestamp(value, tz=UTC):%H:%M:%S} UTC)"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
