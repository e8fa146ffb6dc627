"""docs/settings.md has every setting, with its true default, and none that nothing reads."""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from pathlib import Path

import pytest
from pydantic import SecretStr

from idp.config import PROJECT, Config

ROOT = Path(__file__).parents[2]
_PACKAGES = ("derived", "scim", "idp", "device", "resource_server", "demo")
_NAME = re.compile(r"(?<![A-Z_])RAMET_[A-Z0-9_]*[A-Z0-9]\b")
_READ = re.compile(r"\bos\.environ(?:\.get|\.setdefault|\.pop)?[(\[]\s*[\"']([A-Z_]+)[\"']")
_OF_THE_SYSTEM = {"PATH"}
_OF_DJANGO = {"RAMET_CONFORMANCE", "RAMET_MORE_CLAIMS"}  # settings of a profile, not of the environment


@lru_cache
def _source(place: str) -> str:
    top = ROOT / place
    paths = [path for path in ([top] if top.is_file() else top.rglob("*")) if path.suffix in {".py", ".conf", ""}]
    return "\n".join(path.read_text() for path in paths if path.is_file() and "node_modules" not in path.parts)


def _sources(*places: str) -> str:
    return "\n".join(_source(place) for place in places)


@pytest.fixture(scope="module")
def table() -> dict[str, list[str]]:
    """The cells of each row, by its setting."""
    rows = [
        line.strip("| ").split(" | ")
        for line in (ROOT / "docs/settings.md").read_text().splitlines()
        if line.startswith("| `")
    ]
    assert [name for name, times in Counter(row[0] for row in rows).items() if times > 1] == [], "a setting has one row"
    return {row[0].strip("`"): row for row in rows}


def test_every_row_is_whole(table: dict[str, list[str]]) -> None:
    """Name, default, shape, what it does, what happens without it, who reads it, since when."""
    assert [name for name, row in table.items() if len(row) != 7 or not all(cell.strip() for cell in row)] == []


def test_every_field_of_the_configuration_has_its_row(table: dict[str, list[str]]) -> None:
    """With the default that the code has."""
    said = {
        name: table.get(name, ["", "no row"])[1].strip("`")
        for name in (f"RAMET_{field.upper()}" for field in Config.model_fields)
    }
    assert said == {f"RAMET_{name.upper()}": _shown(field.default) for name, field in Config.model_fields.items()}


def test_every_name_in_the_source_has_a_row(table: dict[str, list[str]]) -> None:
    """Whatever the product, the demo, the tests or the Makefile call a setting is one."""
    named = set(_NAME.findall(_sources(*_PACKAGES, "manage.py", "bench", "tests", "deploy", "Makefile", ".ci")))
    read = set(_READ.findall(_sources(*_PACKAGES, "manage.py")))
    assert (named | read) - _OF_THE_SYSTEM - _OF_DJANGO - set(table) == set(), "give each a row in docs/settings.md"


def test_every_row_is_read_somewhere(table: dict[str, list[str]]) -> None:
    """A setting that nothing reads is a promise that nothing keeps."""
    fields = {f"RAMET_{name.upper()}" for name in Config.model_fields}
    words = set(re.findall(r"[A-Z][A-Z0-9_]+", _sources(*_PACKAGES, "manage.py", "tests", "Makefile")))
    assert set(table) - fields - words == set()


def test_no_other_document_has_a_table_of_settings() -> None:
    """One place only: two tables would differ one day."""
    rows = [
        f"{path.name}: {line[:60]}"
        for path in [*(ROOT / "docs").glob("*.md"), ROOT / "README.md"]
        if path.name != "settings.md"
        for line in path.read_text().splitlines()
        if re.match(r"\| *`?RAMET_", line)
    ]
    assert rows == []


def _shown(default: object) -> str:
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    if isinstance(default, Path):
        return default.relative_to(PROJECT).as_posix()
    return "[]" if default == () else str(default) or "empty"
