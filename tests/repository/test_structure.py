"""The tests mirror the product, and no test module imports another."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
PRODUCT = ("derived", "scim", "idp", "device", "demo")


def _imported(path: Path) -> set[str]:
    """The modules below `tests` that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tests"):
            found |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("tests")}
    return found


def test_no_module_imports_a_test_module() -> None:
    """What several tests need stands in tests/fixtures, or in a module of their folder that holds no test."""
    paths = [path for path in TESTS.rglob("*.py") if "node_modules" not in path.parts]
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in paths
        for name in sorted(_imported(path))
        if any(part.startswith("test_") for part in name.split("."))
    ]
    assert wrong == []


@pytest.mark.parametrize("top", PRODUCT)
def test_folders_of_tests_are_folders_of_the_product(top: str) -> None:
    """`tests/idp/login` holds the tests of `idp/login`."""
    folders = {path.parent.relative_to(TESTS) for path in (TESTS / top).rglob("test_*.py")}
    assert [str(folder) for folder in sorted(folders) if not (ROOT / folder).exists()] == []
