"""Requirement ids: where code, tests and documents cite them, and the rows that define them in docs/requirements.md.

`python -m tests.repository.citations` writes the paths of the tests that cite an id into its row, where tests were
moved.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "requirements.md"
PLACES = (
    "derived",
    "scim",
    "idp",
    "device",
    "resource_server",
    "demo",
    "bench",
    "tests",
    "docs",
    "deploy",
    "templates",
    "README.md",
)
_SUFFIXES = {".py", ".md", ".html", ".conf", ".txt"}
_OTHERS = {
    "node_modules",
    "migrations",
    "decisions",
}  # packages, generated code, and decisions, which number themselves

# Comments and triple-quoted strings: ids are cited in words, never in code, where P2 is a variable.
_WORDS = re.compile(r'"""(.*?)"""|#([^\n]*)', re.DOTALL)
_FAMILY = r"(?:AU|BI|DK|EL|EN|FA|ID|IV|MT|NT|PK|RC|RE|RQ|SE|SS|TH|TK|AS|X|[A-Z]{2})-"
_HYPHENATED = re.compile(rf"(?<![\w.-])({_FAMILY})(\d+)(?:(?: to |–|-)\1(\d+))?(?![\w-]|\.\d)")
_LETTER = re.compile(r"(?<![\w.$/%-])([ACEHIJKPRSTWX])(\d{1,2})(b?)(?:(?: to |–|-)\1(\d{1,2}))?(?![\w-]|\.\d)")
_NUMBERED = re.compile(r"\b(ruling|trap|decision)s? (\d+(?:(?:, and |, | and | to |–)\d+)*)", re.IGNORECASE)
# Names of other things in the same shape: algorithms, releases, a certificate's name, screen times of a story.
_NO_IDS = re.compile(r"\b(?:P-(?:224|256|384|521)|GlobalSign Root CA - R\d)\b|noqa: [A-Z0-9, ]+")
_MOST_TESTS = 3


class Row(NamedTuple):
    """One row of docs/requirements.md. tests: the paths that its status names, relative to the repository."""

    id: str
    requirement: str
    source: str
    status: str
    line: int

    @property
    def verdict(self) -> str:
        """The status without its reason and tests: met, partly, same as, no test, not met."""
        return next(
            (
                word
                for word in ("met:", "partly:", "same as ", "no test: ", "not met: ")
                if self.status.startswith(word)
            ),
            "",
        )

    @property
    def tests(self) -> list[str]:
        """The tests that the status claims; those that only a reason mentions stand in backticks and do not count."""
        return re.findall(r"(?<!`)tests/[\w/]+\.py", self.status)


def ids_in(text: str) -> set[str]:
    """The ids that a text cites; "AU-1 to AU-3" and "C31–C34" are three and four, "rulings 5, 14" two."""
    text = _NO_IDS.sub("", text)
    found = set()
    for family, first, last in _HYPHENATED.findall(text):
        found |= {f"{family}{number}" for number in range(int(first), int(last or first) + 1)}
    for family, first, variant, last in _LETTER.findall(text):
        found |= {f"{family}{number}{variant}" for number in range(int(first), int(last or first) + 1)}
    for word, numbers in _NUMBERED.findall(text):
        for first, last in re.findall(r"(\d+)(?:(?: to |–)(\d+))?", numbers):
            found |= {f"{word.lower()} {number}" for number in range(int(first), int(last or first) + 1)}
    return found


def cited() -> dict[str, Counter[str]]:
    """Each id, with the files that cite it and how often."""
    found: dict[str, Counter[str]] = {}
    for path in _files():
        text = path.read_text(errors="replace")
        for words in [a or b for a, b in _WORDS.findall(text)] if path.suffix == ".py" else [text]:
            for name in ids_in(words):
                found.setdefault(name, Counter())[path.relative_to(ROOT).as_posix()] += 1
    return found


def rows() -> list[Row]:
    """The rows of docs/requirements.md."""
    found = []
    for number, line in enumerate(PAGE.read_text().splitlines(), start=1):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 4 and cells[0] not in {"id", "---"}:
            found.append(Row(*cells, line=number))
    return found


def refresh() -> int:
    """Write into each row that names tests the paths that cite it now; how many rows have changed."""
    where, lines, changed = cited(), PAGE.read_text().splitlines(), 0
    for row in rows():
        tests = _best(where.get(row.id, Counter()))
        if row.verdict not in {"met:", "partly:"} or not tests or set(row.tests) <= set(where[row.id]):
            continue
        reason = row.status.split("; tests/")[0] + "; " if row.verdict == "partly:" else "met: "
        lines[row.line - 1] = f"| {row.id} | {row.requirement} | {row.source} | {reason}{', '.join(tests)} |"
        changed += 1
    PAGE.write_text("\n".join(lines) + "\n")
    return changed


def _files() -> list[Path]:
    tops = [ROOT / place for place in PLACES]
    found = [path for top in tops for path in ([top] if top.is_file() else top.rglob("*"))]
    return sorted(path for path in found if path.suffix in _SUFFIXES and path != PAGE and not _OTHERS & set(path.parts))


def _best(where: Counter[str]) -> list[str]:
    tests = [path for path in where if path.startswith("tests/") and "/test_" in path]
    return sorted(sorted(tests, key=lambda path: (-where[path], path))[:_MOST_TESTS])


if __name__ == "__main__":
    sys.stdout.write(f"{refresh()} rows of {PAGE.relative_to(ROOT)} changed\n")
