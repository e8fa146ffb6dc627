"""What every test shares: a world, fast hashing, and skips that are failures where everything must be there."""

from __future__ import annotations

import gc
import os
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import segno
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.expressions import Col, Expression
from django.test import TransactionTestCase
from django.utils.functional import cached_property

from idp.gate import gate_of_process
from idp.login.password import Argon2
from idp.upstreams.documents import asking
from idp.witness import standing
from tests.environment import KIND, VAR
from tests.fixtures.databases import (
    SQLITE_NAME,
    fill_again,
    filled_tables,
    lay_sqlite,
    postgresql_template,
    triggers_off,
)

pytest_plugins = [
    "tests.plugins.selection",
    "tests.plugins.durations",
    "tests.plugins.examples",
    "tests.plugins.failures",
    "tests.plugins.statement_sites",
    "tests.fixtures.attested_certificates",
    "tests.fixtures.authorities",
    "tests.fixtures.card_reader",
    "tests.fixtures.certificate_enrolment",
    "tests.fixtures.client_certificates",
    "tests.fixtures.device_grant",
    "tests.fixtures.ledger_witness",
    "tests.fixtures.linked_upstream",
    "tests.fixtures.live_server",
    "tests.fixtures.pki_with_responder",
    "tests.fixtures.scim_client",
    "tests.fixtures.served_keys",
    "tests.fixtures.software_tpm",
]

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fixtures.world import World

_migrated: dict[str, list[tuple[Any, ...]]] = {}
_SERVED = {"live", "served"}  # whoever asks for these speaks with processes of their own


_identity = Expression.__dict__["identity"].func


def _identity_of_column(column: Col) -> Any:
    """The same value as Django's, without `inspect`: each ordered query asks for that of each of its columns."""
    (alias, target, *output), more = column._constructor_args
    if more or len(output) > 1:
        return _identity(column)
    names = Col._identity(target), Col._identity(output[0]) if output else None
    return Col, ("alias", alias), ("target", names[0]), ("output_field", names[1])


def pytest_configure() -> None:
    """Compile queries faster: a twentieth of the suite's time."""
    Col.identity = cached_property(_identity_of_column)  # type: ignore[method-assign]
    Col.identity.__set_name__(Col, "identity")


def _hash_fast(patch: pytest.MonkeyPatch) -> None:
    """argon2id with its smallest parameters: the real function, without the wait."""
    patch.setattr(Argon2, "time_cost", 1)
    patch.setattr(Argon2, "memory_cost", 64)


def _stay_in_process(patch: pytest.MonkeyPatch) -> None:
    """A real QR code without the search for the best of eight masks, and one-time codes that arrive at once."""
    patch.setattr("segno.make", partial(segno.make, mask=0))
    patch.setattr("demo.authenticator._MARGIN", 0.2)


def _keep_one_clock(patch: pytest.MonkeyPatch) -> None:
    """Time is travelled in this process only, so the database server's clock is not compared here (but where a test
    asks).
    """
    patch.setattr("derived.ledger.locking._require_one_time", lambda _there, _before: None)
    patch.setattr("derived.ledger.locking.database_now", lambda: None)


def _keep_one_connection(patch: pytest.MonkeyPatch) -> None:
    """Requests in this process share the test's transaction; Django's test client would connect the signals again
    that end it.
    """
    patch.setattr(BaseDatabaseWrapper, "close_if_unusable_or_obsolete", lambda _: None)


@pytest.fixture(autouse=True)
def in_process(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Tests in this process do not wait for what only a server needs."""
    _hash_fast(monkeypatch)
    _keep_one_connection(monkeypatch)
    if not _SERVED & set(request.fixturenames):
        _stay_in_process(monkeypatch)
    if "two_clocks" not in request.fixturenames:
        _keep_one_clock(monkeypatch)
    gate_of_process.clear()  # each test is a caller of its own
    asking.clear()


@pytest.fixture(autouse=True)
def one_witness(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The database of a test is rolled back, so each test has a witness of its own."""
    path = VAR / f"witness-{uuid4()}"
    monkeypatch.setattr("idp.witness.folder.place", lambda: path)
    yield
    standing.note_agreement()


@pytest.fixture(scope="session")
def recording(django_db_setup: None, django_db_blocker: Any) -> None:
    """One enrolment of this process, made before any test has changed anything, for `World` to copy."""
    from tests.fixtures.enrolment import recorded
    from tests.fixtures.world import World

    with pytest.MonkeyPatch.context() as patch, django_db_blocker.unblock():
        for prepare in (_hash_fast, _stay_in_process, _keep_one_clock, _keep_one_connection):
            prepare(patch)
        World.recording = recorded(World)


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """pytest-django fills what is there: on SQLite a copied file that is thrown away with the run's folder."""
    return KIND == "sqlite"


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """The database of the tests in this process is copied from the run's template, not migrated from nothing."""
    test = connection.settings_dict["TEST"]
    if KIND == "sqlite":
        lay_sqlite(VAR / "in-process")
        test["NAME"] = str(VAR / "in-process" / SQLITE_NAME)
    else:
        test["TEMPLATE"] = postgresql_template(os.environ["RAMET_TEST_POSTGRESQL"])


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """As pytest-django's, and note what the migrations have written."""
    with django_db_blocker.unblock():
        _migrated.update(filled_tables())


@pytest.fixture(scope="session", autouse=True)
def tables_may_be_emptied() -> Iterator[None]:
    """At the end of a test with transactions of its own, empty the tables and write again what the migrations wrote.

    The triggers of append-only tables refuse the first, and every later test of the process needs the second.
    """
    empty = TransactionTestCase._fixture_teardown

    def emptied(case: TransactionTestCase) -> None:
        with triggers_off():
            empty(case)
            fill_again(_migrated)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", emptied)
        yield


@pytest.fixture
def two_clocks() -> None:
    """Leave the comparison with the database's clock on."""


@pytest.fixture
def world(recording: None, db: None) -> World:
    """A whole Ramet in this process."""
    from tests.fixtures.world import World

    return World()


def pytest_collection_finish() -> None:
    """Modules and test items stay until the end: no collection of garbage looks at them again."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """In CI a skip is a failure."""
    report = yield
    if report.skipped and os.environ.get("RAMET_TEST_REQUIRE_ALL") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and RAMET_TEST_REQUIRE_ALL is set: {report.longrepr}"
    return report
