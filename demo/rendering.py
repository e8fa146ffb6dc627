"""Render output of the operator's commands: the credential tree and the events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_COLOURS = {"active": "green", "pending": "yellow", "suspended": "yellow", "revoked": "red", "expired": "red"}


def tree_of(title: str, found: Sequence[Mapping[str, Any]]) -> Tree:
    """The tree that `manage.py credential tree --json` describes."""
    tree = Tree(f"[bold]{escape(title)}[/]", guide_style="green")
    for credential in found:
        _add(tree, credential)
    if not found:
        tree.add("[dim]none")
    return tree


def _add(parent: Tree, credential: Mapping[str, Any]) -> None:
    state, because = str(credential["state"]), credential.get("because") or ""
    colour = _COLOURS.get(state, "white")
    level = f"AAL{credential['aal']} IAL{credential['ial']}"
    words = (
        f"{credential['kind']}  [dim]{escape(str(credential['name']))}[/]  {level}  [{colour}]{state}[/] [dim]{because}"
    )
    branch = parent.add(words)
    for child in credential.get("children", []):
        _add(branch, child)


def flat(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Every row of a credential tree."""
    return [row for one in found for row in (dict(one), *flat(one.get("children", [])))]


def events_of(events: Sequence[Mapping[str, Any]]) -> Table:
    """The events that `manage.py audit show --json` lists."""
    table = Table(title="The events of this person", title_justify="left")
    for name in ("seq", "at", "kind", "actor", "credential", "hash"):
        table.add_column(name)
    for event in events:
        credential = str(event.get("credential") or "")[:8]
        cells = (event["seq"], str(event["at"])[11:23], event["kind"], event["actor"], credential, event["hash"])
        table.add_row(*(escape(str(cell)) for cell in cells))
    return table
