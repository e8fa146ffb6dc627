"""docs/requirements.md defines every id that is cited, and claims no test that does not exist."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tests.repository import citations
from tests.repository.citations import ROOT, Row

_REFRESH = "after tests were moved: python -m tests.repository.citations"


@pytest.fixture(scope="module")
def cited() -> dict[str, Counter[str]]:
    return citations.cited()


@pytest.fixture(scope="module")
def rows() -> dict[str, Row]:
    found = citations.rows()
    assert [name for name, times in Counter(row.id for row in found).items() if times > 1] == [], "an id has one row"
    return {row.id: row for row in found}


def test_every_cited_id_has_a_row(cited: dict[str, Counter[str]], rows: dict[str, Row]) -> None:
    missing = {name: sorted(where) for name, where in cited.items() if name not in rows}
    assert missing == {}, "give each a row in docs/requirements.md"


def _fault(row: Row, rows: dict[str, Row], cited: dict[str, Counter[str]]) -> str:
    """What is wrong with the status of a row, or ""."""
    match row.verdict:
        case "met:" | "partly:":
            gone = [test for test in row.tests if not (ROOT / test).is_file() or test not in cited.get(row.id, {})]
            if gone or not row.tests:
                return f"{', '.join(gone) or 'it'} does not exist or does not cite the id; {_REFRESH}"
        case "same as ":
            other = rows.get(row.status.removeprefix("same as "))
            if other is None or other.verdict in {"", "same as "}:
                return "leads to no row with a status of its own"
        case "no test: " | "not met: ":
            if tests := sorted(path for path in cited.get(row.id, {}) if "/test_" in path):
                return f"is cited by {', '.join(tests)}: write met or partly"
        case "":
            return f"has no status: {row.status}"
    return ""


def test_every_row_has_a_test_or_a_reason(cited: dict[str, Counter[str]], rows: dict[str, Row]) -> None:
    """A row that names a test is cited by it; a row without a test says why; `same as` leads to a row that says it
    for both.
    """
    assert {row.id: fault for row in rows.values() if (fault := _fault(row, rows, cited))} == {}


def test_every_row_says_what_is_required_and_by_whom(rows: dict[str, Row]) -> None:
    assert [row.id for row in rows.values() if not re.search(r"\w.*\.$", row.requirement) or not row.source] == []


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        (
            "(AU-1 to AU-3, C31–C34; H1-H4)",
            {"AU-1", "AU-2", "AU-3", "C31", "C32", "C33", "C34", "H1", "H2", "H3", "H4"},
        ),
        (
            "Rulings 5, 14: MT-7, ruling 4; traps 20 and 21",
            {"ruling 5", "ruling 14", "MT-7", "ruling 4", "trap 20", "trap 21"},
        ),
        ("E6b, X-1, X1 and BI-7.", {"E6b", "X-1", "X1", "BI-7"}),
        ("P-256, SHA-256, AES-256, CVE-2025-1, 800-63B-4, RSA-2048, ramet.E040, %C0%AF, 63B §C3.1", set()),
    ],
)
def test_ids_are_parsed(text: str, ids: set[str]) -> None:
    assert citations.ids_in(text) == ids
