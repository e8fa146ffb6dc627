"""A pytest plugin: which tests run on which database, and which of them share a worker.

A test runs on SQLite, and on PostgreSQL too if it is marked `database`; one that is marked `postgresql` runs there alone.
docs/testing.md says how a test gets the mark. Tests that share a server share a worker of pytest-xdist, so that the server is
started once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.environment import KIND

if TYPE_CHECKING:
    from pathlib import Path

_MARKS = ("database", "postgresql")
# The group of the tests that use a fixture, in a folder.
_SHARED = (
    ("live", "tests/", "live"),
    ("served", "tests/browser/", "browser"),
    ("stage", "tests/conformance/", "stage"),
    ("suite_server", "tests/conformance/", "suite"),
)
_LONG = ("slow", "browser", "conformance")


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """On PostgreSQL a module without one of the marks has nothing to run, and importing all of them takes seconds."""
    if KIND != "postgresql" or not collection_path.name.startswith("test_"):
        return None
    text = collection_path.read_text()
    return None if any(f"mark.{name}" in text for name in _MARKS) else True


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Select for this database; give each test its group; what takes long begins first."""
    wanted = [item for item in items if _is_wanted(item)]
    config.hook.pytest_deselected(items=[item for item in items if not _is_wanted(item)])
    if config.pluginmanager.hasplugin("xdist"):
        for item in wanted:
            item.add_marker(pytest.mark.xdist_group(_group(item)))
    items[:] = sorted(wanted, key=_takes_little)


def _is_wanted(item: pytest.Item) -> bool:
    if KIND == "postgresql":
        return any(item.get_closest_marker(name) for name in _MARKS)
    return item.get_closest_marker("postgresql") is None


def _group(item: pytest.Item) -> str:
    used = set(getattr(item, "fixturenames", ()))
    shared = [group for fixture, folder, group in _SHARED if fixture in used and item.nodeid.startswith(folder)]
    return shared[0] if shared else item.nodeid.partition("::")[0]


def _takes_little(item: pytest.Item) -> bool:
    return not any(item.get_closest_marker(name) for name in _LONG)
