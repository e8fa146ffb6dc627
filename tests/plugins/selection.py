"""A pytest plugin: which tests run on which database, and which of them share a worker.

A test runs on SQLite, and on PostgreSQL too if it is marked `database`; one that is marked `postgresql` runs there
alone. One that is marked `timed` runs with the large counts only, because others would take its time.
docs/testing.md says how a test gets the mark. Tests that share a server share a worker of pytest-xdist, so that the
server is
started once: those of one file, and those of the groups below.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.environment import KIND

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MARKS = ("database", "postgresql")
_LONG = ("slow", "browser", "conformance")
# The beginning of a test's path: the server that it shares with others.
_GROUPS = {
    "tests/races/": "live",
    "tests/fuzz/test_sockets.py": "live",
    "tests/conformance/test_scim_checkers.py": "live",
    "tests/edge/": "edge",
    "tests/browser/": "browser",
    "tests/conformance/test_suite_": "suite",
    "tests/conformance/": "stage",
}


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """On PostgreSQL a module without one of the marks has nothing to run, and importing all of them takes seconds."""
    if KIND != "postgresql" or not collection_path.name.startswith("test_"):
        return None
    text = collection_path.read_text()
    return None if any(f"mark.{name}" in text for name in _MARKS) else True


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    """Select for this database; what takes long begins first, in its own order where the others' is random."""
    wanted = [item for item in items if _is_wanted(item)]
    config.hook.pytest_deselected(items=[item for item in items if not _is_wanted(item)])
    items[:] = wanted
    yield
    here = set(items)  # `-k` and `-m` have left some out
    long = [item for item in wanted if item in here and not _takes_little(item)]
    if long:  # again next to each other where they share a fixture with a parameter, as pytest does it
        long[0].session._fixturemanager.pytest_collection_modifyitems(long)
    items[:] = [*long, *(item for item in items if _takes_little(item))]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Send each group to one worker.

    `--dist loadgroup` of pytest-xdist 3.8 has no effect with pytest 9.2.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        """A scope is a group."""

        def _split_scope(self, nodeid: str) -> str:
            return group(nodeid)

    return ByGroup(config, log)


def group(nodeid: str) -> str:
    """The name of the group that a test belongs to: its file, or the server that it shares with other files."""
    return next((name for start, name in _GROUPS.items() if nodeid.startswith(start)), nodeid.partition("::")[0])


def _is_wanted(item: pytest.Item) -> bool:
    if item.get_closest_marker("timed") is not None and not os.environ.get("RAMET_TEST_LONG"):
        return False
    if KIND == "postgresql":
        return any(item.get_closest_marker(name) for name in _MARKS)
    return item.get_closest_marker("postgresql") is None


def _takes_little(item: pytest.Item) -> bool:
    return not any(item.get_closest_marker(name) for name in _LONG)
