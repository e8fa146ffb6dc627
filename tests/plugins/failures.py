"""A pytest plugin: the names of the tests that failed, for `tests/run`, which asks a few of them once more, alone.

RAMET_TEST_DURATIONS: a folder; the process that was started writes `failed-DATABASE` there, a test a line.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tests.environment import KIND

if TYPE_CHECKING:
    import pytest

_FOLDER = os.environ.get("RAMET_TEST_DURATIONS")
_failed: dict[str, None] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note a test whose set-up, call or tear-down failed."""
    if report.failed:
        _failed[report.nodeid] = None


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the names; workers of pytest-xdist leave it to the process that started them."""
    if _FOLDER and _failed and not hasattr(session.config, "workerinput"):
        (Path(_FOLDER) / f"failed-{KIND}").write_text("".join(f"{name}\n" for name in _failed))
