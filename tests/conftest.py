"""What every test shares: a world, fast hashing, and skips that are failures where everything must be there."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

import pytest
import segno
from django.db.backends.base.base import BaseDatabaseWrapper

from idp.login.password import Argon2
from tests.environment import KIND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.world import World

_SERVED = {"live", "place"}  # whoever asks for these speaks with processes of their own


@pytest.fixture(autouse=True)
def fast_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """argon2id with its smallest parameters: the real function, without the wait."""
    monkeypatch.setattr(Argon2, "time_cost", 1)
    monkeypatch.setattr(Argon2, "memory_cost", 64)


@pytest.fixture(autouse=True)
def quick_pictures(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """A real QR code, without the search for the most beautiful of the eight masks: in one process tests read the words beside it."""
    if not _SERVED & set(request.fixturenames):
        monkeypatch.setattr("segno.make", partial(segno.make, mask=0))


@pytest.fixture(autouse=True)
def quick_codes(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """In one process a one-time code arrives at once: nobody waits for a fresh step for fear of a slow network."""
    if not _SERVED & set(request.fixturenames):
        monkeypatch.setattr("demo.authenticator._MARGIN", 1)


@pytest.fixture(autouse=True)
def one_clock(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Time is travelled in this process only, so the database server's clock is not compared here (but where a test asks)."""
    if "two_clocks" not in request.fixturenames:
        monkeypatch.setattr("derived.ledger.locking._require_one_time", lambda _there, _before: None)
        monkeypatch.setattr("derived.ledger.locking.database_now", lambda: None)


@pytest.fixture(autouse=True)
def one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests in this process share the test's transaction; Django's own test client would connect the signals again that end it."""
    monkeypatch.setattr(BaseDatabaseWrapper, "close_if_unusable_or_obsolete", lambda _: None)


@pytest.fixture
def two_clocks() -> None:
    """Leave the comparison with the database's clock on."""


@pytest.fixture
def world(db: None) -> World:
    """A whole Ramet in this process."""
    from tests.world import World

    return World()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What never asks a database says on PostgreSQL what it said on SQLite: it runs there once. What is PostgreSQL's own runs on it alone."""
    wanted = _asks_a_database if KIND == "postgresql" else _is_for_any_database
    config.hook.pytest_deselected(items=[item for item in items if not wanted(item)])
    items[:] = [item for item in items if wanted(item)]


def _is_for_any_database(item: pytest.Item) -> bool:
    return item.get_closest_marker("postgresql") is None


def _asks_a_database(item: pytest.Item) -> bool:
    marks = any(item.get_closest_marker(name) for name in ("django_db", "database", "slow", "browser"))
    return marks or bool({"db", "transactional_db", "live"} & set(getattr(item, "fixturenames", ())))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """In CI a skip is a failure."""
    report = yield
    if report.skipped and os.environ.get("RAMET_TEST_REQUIRE_ALL") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and RAMET_TEST_REQUIRE_ALL is set: {report.longrepr}"
    return report
