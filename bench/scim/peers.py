"""Other SCIM servers in Python, each in its own environment: gunicorn, one worker with two threads."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cores import SERVER, pinned
from bench.scim import session
from demo.server import free_port

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = Path(__file__).resolve().parent / "peer"
_INSTALL_SECONDS, _FILL_SECONDS, _START_SECONDS = 300, 300, 30


class Missing(Exception):
    """A peer cannot run on this machine; the message says why."""


def _environment_of(peer: str) -> Path:
    """The path of its Python, installed once in the temporary folder, and again when the pinned versions change."""
    pinned_here = FOLDER / f"requirements-{peer}.txt"
    place = Path(tempfile.gettempdir()) / f"ramet-bench-{peer}-{sys.version_info.major}.{sys.version_info.minor}"
    python, stamp = place / "bin" / "python", place / "pinned.txt"
    if not stamp.exists() or stamp.read_text() != pinned_here.read_text():
        try:
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True, capture_output=True)
            install = [
                str(python),
                "-m",
                "pip",
                "--disable-pip-version-check",
                "--quiet",
                "install",
                "-r",
                str(pinned_here),
            ]
            subprocess.run(install, check=True, capture_output=True, text=True, timeout=_INSTALL_SECONDS)
        except subprocess.SubprocessError as error:
            raise Missing(
                f"pip could not install {pinned_here.name} ({getattr(error, 'stderr', None) or error})"[:400]
            ) from error
        stamp.write_text(pinned_here.read_text())
    return python


class Peer:
    """A filled and served peer. fill: the script of FOLDER that fills it; serve: the application for gunicorn."""

    root = "/scim/v2"

    def __init__(  # noqa: PLR0913 - what tells one from another
        self,
        name: str,
        var: Path,
        database: str,
        *,
        users: int,
        members: int,
        kind: str,
        fill: list[str],
        serve: str,
        without: dict[str, str],
    ) -> None:
        self.name, self.port, self.users, self.members, self.without = name, free_port(), users, members, without
        python, token = _environment_of(kind), secrets.token_urlsafe(24)
        self.headers = {"Authorization": f"Bearer {token}"}
        own = {
            "BENCH_DATABASE": database or f"sqlite:///{var}/db.sqlite3",
            "BENCH_TOKEN": token,
            "PORT": str(self.port),
        }
        environment = {**{key: value for key, value in os.environ.items() if not key.startswith("DJANGO_")}, **own}
        log = var / "log"
        with log.open("ab") as out:
            filled = subprocess.run(
                [str(python), *fill, json.dumps({"users": users, "members": members})],
                cwd=FOLDER,
                env=environment,
                text=True,
                stdout=subprocess.PIPE,
                stderr=out,
                timeout=_FILL_SECONDS,
                check=False,
            )
            if filled.returncode:
                raise Missing(log.read_text()[-600:])
            self.group = str(json.loads(filled.stdout.splitlines()[-1])["group"])
            command = [
                "-m",
                "gunicorn",
                "--bind",
                f"127.0.0.1:{self.port}",
                "--workers",
                "1",
                "--threads",
                "2",
                "--timeout",
                "120",
                "--keep-alive",
                "60",
                serve,
            ]
            self._process = subprocess.Popen(
                pinned(SERVER, [str(python), *command]),
                cwd=FOLDER,
                env=environment,
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._wait(log)

    def _wait(self, log: Path) -> None:
        until = time.monotonic() + _START_SECONDS
        where = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{self.root}/Users/{self.id_of(1)}", headers=self.headers
        )
        while True:
            try:
                with urllib.request.urlopen(where, timeout=5):  # noqa: S310 - loopback
                    return
            except (OSError, urllib.error.URLError) as error:
                if time.monotonic() > until or self._process.poll() is not None:
                    self.stop()
                    raise Missing(f"{error}: {log.read_text()[-600:]}") from error
                time.sleep(0.2)

    def id_of(self, number: int) -> str:
        """The SCIM id of a filled person."""
        return str(number)

    def megabytes(self) -> float:
        """The memory of its worker, in megabytes."""
        return session.megabytes(self._process.pid)

    def cpu(self) -> float:
        """Its processor time, in seconds."""
        return session.cpu(self._process.pid)

    def stop(self) -> None:
        """Stop the server."""
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


_NO_BULK = {"bulk": "not offered"}
_DJANGO = partial(
    Peer, kind="django-scim2", fill=["-m", "directory_site.fill"], serve="directory_site.wsgi", without=_NO_BULK
)
_CANAILLE = partial(
    Peer,
    kind="canaille",
    fill=["canaille_site.py"],
    serve="canaille_site",
    without={**_NO_BULK, "find": "not offered", **dict.fromkeys(("first", "middle", "last"), "answers 500")},
)
PEERS: dict[str, Callable[..., Peer]] = {
    "django-scim2-postgresql": _DJANGO,
    "django-scim2-sqlite": _DJANGO,
    "canaille-sqlite": _CANAILLE,
}
