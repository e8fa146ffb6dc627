"""Every row that a derived credential must satisfy has its test by id (docs/requirements.md DK, PK, X, AS, BI;
security.md).
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
ROWS = [
    *(f"DK-{number}" for number in range(1, 6)), *(f"PK-{number}" for number in range(1, 5)),
    *(f"AS-{number}" for number in range(1, 7)),
    *(f"BI-{number}" for number in range(1, 8)), *(f"X-{number}" for number in range(1, 11)),
    *(f"C{number}" for number in range(1, 10)),
    "C12", "C14", "C91", "C92", "EL-1", "EL-2", "EL-3", "EL-4", "EL-5", "RQ-1", "RQ-4", "RQ-5", "AU-1", "AU-8", "MT-1",
    "MT-2", "MT-3", "IV-9",
]  # fmt: skip
_ONE = r"(?:[A-Z]{2}-|X-|C)\d+"
_RANGE = re.compile(rf"({_ONE})(?: to |–|-)({_ONE})")
_ID = re.compile(rf"\b{_ONE}\b")


def named(text: str) -> set[str]:
    """The ids in a text; "C1 to C3" names three."""
    found = set(_ID.findall(text))
    for first, last in _RANGE.findall(text):
        row = first.rstrip("0123456789")
        if last.startswith(row):
            found |= {f"{row}{number}" for number in range(int(first[len(row) :]), int(last[len(row) :]) + 1)}
    return found


def claimed() -> dict[str, list[str]]:
    """Which tests say in their docstrings that they are of which row."""
    found: dict[str, list[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        tree = ast.parse(path.read_text())
        tests = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
        machines = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and "Machine" in node.name]
        module = named(ast.get_docstring(tree) or "") if machines else set()
        for test in tests:
            for row in named(ast.get_docstring(test) or ""):
                found.setdefault(row, []).append(f"{path.relative_to(TESTS)}::{test.name}")
        for row in module:
            found.setdefault(row, []).append(f"{path.relative_to(TESTS)}::TestMachine")
    return found


@pytest.fixture(scope="module")
def tests_by_row() -> dict[str, list[str]]:
    return claimed()


@pytest.mark.parametrize("row", ROWS)
def test_every_row_has_its_test(row: str, tests_by_row: dict[str, list[str]]) -> None:
    """Issue 6: each row is cited by a test."""
    assert tests_by_row.get(row), f"no test's docstring names {row}"


def test_ids_are_parsed() -> None:
    assert named("PK-1 to PK-4, C5, C6; (BI-7): C12 and X-3") == {
        "PK-1",
        "PK-2",
        "PK-3",
        "PK-4",
        "C5",
        "C6",
        "BI-7",
        "C12",
        "X-3",
    }
