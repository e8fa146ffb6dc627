"""Behind PgBouncer in transaction mode no setting of one transaction stays for the next client (issue 12 F)."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import psycopg
import pytest
from django.db import connection, connections

from demo.server import free_port
from derived.ledger import locking

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def pooled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real PgBouncer with one server connection, before this run's database; a URL."""
    program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
    if not shutil.which(program):
        pytest.skip("pgbouncer is missing: apt-get install pgbouncer")
    given = connection.settings_dict
    port, folder = free_port(), tmp_path_factory.mktemp("pgbouncer")
    host = given["HOST"] or given["OPTIONS"].get("host") or "127.0.0.1"
    server = f"host={host} port={given['PORT'] or 5432} dbname={given['NAME']}"
    (folder / "bouncer.ini").write_text(
        f"[databases]\npooled = {server} user={given['USER']}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
        "pool_mode = transaction\ndefault_pool_size = 1\nignore_startup_parameters = extra_float_digits\n"
    )
    _readable_by_all(folder)
    # PgBouncer does not run as root; the wheel's PostgreSQL has a socket in a folder of its own user
    user = Path(host).owner() if host.startswith("/") else "nobody"
    bouncer = subprocess.Popen([program, "-u", user, str(folder / "bouncer.ini")], stderr=subprocess.PIPE)
    url = f"postgresql://{given['USER']}@127.0.0.1:{port}/pooled"
    try:
        _wait(url, bouncer)
        yield url
    finally:
        bouncer.terminate()
        bouncer.wait(timeout=10)


def _readable_by_all(folder: Path) -> None:
    """PgBouncer does not run as root, and pytest's folders are root's alone."""
    for one in [folder, *list(folder.parents)[:3]]:
        one.chmod(one.stat().st_mode | 0o055)


def _wait(url: str, bouncer: subprocess.Popen[bytes]) -> None:
    for _ in range(100):
        try:
            psycopg.connect(url, connect_timeout=2, prepare_threshold=None).close()
        except psycopg.OperationalError as error:
            if bouncer.poll() is not None:
                pytest.fail(f"pgbouncer ended: {bouncer.stderr.read().decode()[-300:] if bouncer.stderr else ''}")
            last = error
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"pgbouncer did not answer: {last}")


def test_a_bulk_leaves_no_session_setting_behind(pooled: str) -> None:
    """Inside a bulk commits do not wait for the disk; the next client of the same server connection waits for it."""
    parts = urlsplit(pooled)
    where = {"HOST": parts.hostname, "PORT": parts.port, "NAME": "pooled", "USER": unquote(parts.username or "")}
    connection.close()
    options = {name: value for name, value in connection.settings_dict["OPTIONS"].items() if name != "host"}
    seen: list[str] = []

    def setting() -> str:
        with psycopg.connect(pooled, prepare_threshold=None) as other:
            found = other.execute("SHOW synchronous_commit").fetchone()
            return str(found[0]) if found else ""

    def inside() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SHOW synchronous_commit")
            seen.append(str(cursor.fetchone()[0]))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            connections["default"], "settings_dict", {**connection.settings_dict, **where, "OPTIONS": options}
        )
        with locking.flushed_once(lambda: None):
            locking.transacted(inside)
            assert setting() == "on", "between two transactions of a bulk, another client's commit waits for the disk"
            locking.transacted(inside)
        assert setting() == "on"
        locking.transacted(inside)
        connection.close()
    assert seen == ["off", "off", "on"]
