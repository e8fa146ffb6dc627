"""The docstring of each package is its map: one line for each module and folder in it, and none for what is not there.

A line of a map has four spaces, the module's name, two spaces or more, and what the module is for.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_TOPS = ("derived", "scim", "idp", "device", "resource_server", "demo", "bench", "tests")
_NO_MODULES = {"__pycache__", "node_modules", "migrations"}
_OTHERS = ("bench/scim/peer", "bench/peers/")  # sites of other providers
_LINE = re.compile(r"^    (\w+)  +\S")


def _packages() -> list[str]:
    """Every package with a module in it, but those of other environments, which Ramet's tools do not read."""
    found = {path.parent for top in _TOPS for path in (ROOT / top).rglob("*.py") if path.name != "__init__.py"}
    names = sorted(folder.relative_to(ROOT).as_posix() for folder in found if not _NO_MODULES & set(folder.parts))
    return [name for name in names if not name.startswith(_OTHERS)]


def _inside(folder: Path) -> set[str]:
    """The modules of a package and its folders with modules."""
    modules = {path.stem for path in folder.glob("*.py") if not path.name.startswith("__")}
    folders = {path.name for path in folder.iterdir() if path.is_dir() and path.name not in _NO_MODULES}
    return modules | {name for name in folders if any((folder / name).rglob("*.py"))}


def _map(folder: Path) -> list[str]:
    """The names at the head of the map's lines, in its order."""
    path = folder / "__init__.py"
    text = (ast.get_docstring(ast.parse(path.read_text()), clean=False) or "") if path.exists() else ""
    return [found[1] for line in text.splitlines() if (found := _LINE.match(line))]


@pytest.mark.parametrize("package", _packages())
def test_a_package_names_each_of_its_modules_once(package: str) -> None:
    assert Counter(_map(ROOT / package)) == Counter(_inside(ROOT / package)), (
        "one line a module: name, two spaces, purpose"
    )
