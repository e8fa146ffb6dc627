"""Chromium, a served Ramet, and people who come to it; all of it ends with the last browser test.

These fixtures live no longer than this package: Playwright keeps an event loop running in the test's own thread, and
while it runs Django refuses every database call of the tests that come after.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from playwright.sync_api import sync_playwright

from tests.browser.visitor import SCREENSHOTS, Visitor
from tests.fixtures.served_for_browsers import ServedForBrowsers, opened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

# Without the windows around the pages it takes a quarter less of the processor.
_PROGRAMS = ("chromium-headless-shell", "chromium")
_HOW = "Chromium is missing: apt-get install --no-install-recommends chromium-headless-shell"


class Arrive(Protocol):
    """Opens a fresh browser; keywords as of Playwright's `new_context`."""

    def __call__(self, *, scripts: bool = True, **options: Any) -> Visitor:
        """A visitor whom nobody knows yet."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs a browser, and takes its time."""
    for item in items:
        if "tests/browser/" in item.nodeid:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """The distribution's own Chromium."""
    program = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if program is None:
        pytest.skip(_HOW)
    SCREENSHOTS.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        # Its sandbox cannot work for root in a container; the pages are our own.
        found = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="package")
def served(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedForBrowsers]:
    """A Ramet of these tests' own."""
    with opened(tmp_path_factory.mktemp("ramet")) as found:
        yield found


@pytest.fixture
def arrive(chromium: Browser) -> Iterator[Arrive]:
    """Opens browsers, and closes them; none of them may have complained of scripts or of what a policy blocked."""
    contexts, visitors = [], []

    def one(*, scripts: bool = True, **options: Any) -> Visitor:
        context = chromium.new_context(java_script_enabled=scripts, **{"locale": "en-GB", **options})
        context.set_default_timeout(15_000)
        contexts.append(context)
        visitors.append(Visitor(context.new_page(), scripts=scripts))
        return visitors[-1]

    yield one
    for context in contexts:
        context.close()
    assert [trouble for visitor in visitors for trouble in visitor.troubles] == []


@pytest.fixture
def desktop(arrive: Arrive) -> Visitor:
    """A browser on a desk."""
    return arrive(viewport={"width": 1280, "height": 900})


@pytest.fixture
def tablet(arrive: Arrive) -> Visitor:
    """A browser on a tablet: another browser, with a storage of its own."""
    return arrive(viewport={"width": 820, "height": 1180}, has_touch=True)
