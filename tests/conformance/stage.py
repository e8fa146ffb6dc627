"""What `make run` serves, started as `make run` starts it, and people who log in there with a browser of their own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from demo.authenticator import STEP, Authenticator
from demo.browser import Browser, Page
from demo.forms import Form
from demo.hr import HumanResources
from demo.passkey import Passkey
from demo.person import Person, needed
from demo.server import PROJECT, Ramet, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_START_SECONDS = 150
_SPARE = 8  # seconds before the end of a step in which the code of the step before is not used any more


@dataclass
class Stage:
    """A running `make run`.

    demo: what it wrote into `demo.json`.
    ramet: for `manage.py` commands on the same folder.
    """

    demo: dict[str, Any] = field(repr=False)
    ramet: Ramet
    http: httpx.Client = field(repr=False)
    _free: list[dict[str, str]] = field(repr=False)
    _since: float = field(default_factory=time.time, repr=False)

    @property
    def issuer(self) -> str:
        """Where it is."""
        return str(self.demo["issuer"])

    def human_resources(self) -> HumanResources:
        """HR, with the token of `demo.json`."""
        return HumanResources(self.http, base=self.demo["scim"]["base"], token=self.demo["scim"]["token"])

    def person(self) -> Person:
        """One of the people of `demo.json` whom no other test has taken."""
        known = self._free.pop()
        person = Person(known["username"], name=known["username"], email="", password=known["password"])
        person.authenticator = _Unused(known["totp_secret"], since=self._since)
        return person

    def add_passkey(self, desktop: Browser) -> Passkey:
        """A passkey of the person who has just signed in with this browser."""
        key, page = Passkey(self.issuer), desktop.get(f"{self.issuer}/devices/roots/passkey/add")
        answer = key.create(self._options(desktop, page, "/devices/roots/passkey/options"))
        page = desktop.submit(page, needed(page, "response"), values={"response": answer, "name": "Key"})
        assert page.status == httpx.codes.OK, page.words()
        return key

    def sign_in_with_passkey(self, key: Passkey, desktop: Browser, page: Page, *, stop_at: str = "") -> Page:
        """Follow the login page's link to the passkey, and answer with it."""
        page = desktop.get(page.link_to("/login/passkey"))
        answer = key.get(self._options(desktop, page, "/login/passkey/options"))
        return desktop.submit(page, needed(page, "response"), values={"response": answer}, stop_at=stop_at)

    def _options(self, desktop: Browser, page: Page, path: str) -> dict[str, Any]:
        form = Form(action=self.issuer + path, method="post", fields=needed(page, "response").fields)
        answer = desktop.submit(page, form)
        assert answer.html.startswith("{"), f"{answer.path} ({answer.status}): {answer.words()}"
        return dict(json.loads(answer.html))


class _Unused(Authenticator):
    """An authenticator whose codes are unused since the stage has enrolled its person.

    The codes of the step before and of the next one are right too, so several sign-ins need not wait for each other.
    """

    def __init__(self, secret: str, *, since: float) -> None:
        super().__init__(secret)
        self._last = int(since) // STEP - 1

    def code(self) -> str:
        """The first unused code that is right for some seconds more."""
        step, second = divmod(int(time.time()), STEP)
        return self._at(max(self._last + 1, step - 1 if second < STEP - _SPARE else step))


@contextmanager
def running(folder: Path) -> Iterator[Stage]:
    """Run `python -m demo.stage` in `folder` until the block ends, and wait until it says that it is ready."""
    port = _two_ports()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAMET_")}
    environment |= {"PORT": str(port), "RAMET_VAR": str(folder), "PYTHONUNBUFFERED": "1"}
    log = folder / "stage.log"
    with ExitStack() as stack:
        child = subprocess.Popen(
            [sys.executable, "-m", "demo.stage"], cwd=PROJECT, env=environment, stdin=subprocess.DEVNULL,
            stdout=stack.enter_context(log.open("wb")), stderr=subprocess.STDOUT,
        )  # fmt: skip
        stack.callback(_end, child)
        until = time.monotonic() + _START_SECONDS
        while "Ready." not in log.read_text():
            assert child.poll() is None, f"make run ended: {log.read_text()[-3000:]}"
            assert time.monotonic() < until, f"make run is not ready: {log.read_text()[-3000:]}"
            time.sleep(0.2)
        demo = json.loads((folder / "demo.json").read_text())
        http = stack.enter_context(httpx.Client(timeout=30))
        yield Stage(demo, Ramet(var=folder, issuer=demo["issuer"], port=port), http, list(demo["people"]))


def _end(child: subprocess.Popen[bytes]) -> None:
    child.send_signal(signal.SIGTERM)
    try:
        child.wait(timeout=30)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _two_ports() -> int:
    """A free port whose successor is free too: the demo app gets that one."""
    while True:
        port = free_port()
        with closing(socket.socket()) as probe:
            if port < 65_000 and probe.connect_ex(("127.0.0.1", port + 1)) != 0:
                return port


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser whom nobody knows yet."""
    with httpx.Client(timeout=30) as cookies:
        yield Browser(cookies)
