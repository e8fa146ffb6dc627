"""One `make run` for all relying parties."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conformance import suite
from tests.conformance.stage import Stage, running
from tests.fixtures.node_packages import node_with_packages

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here is somebody else's view of us."""
    for item in items:
        if "tests/conformance/" in item.nodeid:
            item.add_marker(pytest.mark.conformance)


@pytest.fixture(scope="package")
def node() -> str:
    """Node, with what the lock file names installed."""
    return node_with_packages()


@pytest.fixture(scope="package")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """What `make run` serves."""
    with running(tmp_path_factory.mktemp("stage")) as found:
        yield found


@pytest.fixture(scope="package")
def suite_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[suite.SuiteServer]:
    """A server under the profile `conformance`."""
    with suite.running(tmp_path_factory.mktemp("conformance")) as found:
        yield found
