"""A pytest plugin: the wall and CPU seconds of every test, for the table at the end of `make test`.

RAMET_TEST_DURATIONS: a folder; each process appends lines `wall<TAB>cpu<TAB>database<TAB>test` to a file of its own
there. CPU
seconds include those of child processes that have ended during the test.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.environment import KIND

if TYPE_CHECKING:
    from collections.abc import Iterator

_FOLDER = os.environ.get("RAMET_TEST_DURATIONS")


def _cpu_seconds() -> float:
    return sum(os.times()[:4])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Measure a test with its set-up and its tear-down."""
    began, cpu = time.monotonic(), _cpu_seconds()
    found = yield
    if _FOLDER:
        with (Path(_FOLDER) / f"tests-{os.getpid()}.tsv").open("a") as file:
            seconds = f"{time.monotonic() - began:.3f}\t{_cpu_seconds() - cpu:.3f}"
            file.write(f"{seconds}\t{KIND}\t{item.nodeid}\n")
    return found
