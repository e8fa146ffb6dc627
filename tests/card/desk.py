"""A desk with a card reader, in this process: what nginx does on the way to the certificate host, and nothing else."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import StringIO
from typing import TYPE_CHECKING, Any

import httpx
from django.core.management import call_command

from demo.browser import Browser
from demo.pki import Card, Pki, Responder, serving
from derived import clock
from derived.models import Credential
from idp.certificates import configuration
from idp.config import config
from idp.login import probe
from idp.outbound import FetchedResponse
from tests.hop import NAME, said
from tests.in_process import InProcess
from tests.world import ISSUER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

    from demo.browser import Page

PLACE = "localhost:8443"
SECRET = "s" * 40


@dataclass
class Reader(httpx.BaseTransport):
    """A browser's way to both hosts; on the way to the certificate host, nginx.

    card: what is in the reader. resumed: what nginx says of the handshake. strips: whether nginx is set up as we ship it.
    more: headers that a client forges. peer: where the request comes from.
    """

    card: Card | None = None
    resumed: str = "."
    strips: bool = True
    secret: str = SECRET
    peer: str = "127.0.0.1"
    more: dict[str, str] = field(default_factory=dict)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        inner = InProcess(self.peer)
        for name, value in self.more.items():
            request.headers[name] = value
        if request.url.netloc.decode() == PLACE and self.strips:
            pem = self.card.pem if self.card is not None else b""
            request.headers[NAME] = said(self.secret, resumed=self.resumed, pem=pem)[NAME]
        return inner.handle_request(request)

    def browser(self) -> Browser:
        return Browser(httpx.Client(transport=self, base_url=ISSUER))


@dataclass
class Desk:
    """A card office, and a house that accepts its cards."""

    pki: Pki
    responder: Responder

    def reader(self, card: Card | None = None, **changed: Any) -> Reader:
        return Reader(card=card, **changed)

    def bind(self, username: str, card: Card, folder: Path, *more: str) -> Credential:
        """A manager has checked the person and the card."""
        path = folder / f"{card.certificate.serial_number}.pem"
        path.write_bytes(card.pem)
        said = StringIO()
        call_command("card", "bind", username, "--certificate", str(path), "--json", *more, stdout=said)
        return Credential.objects.get(id=json.loads(said.getvalue())["credential"])

    def sign_in(self, browser: Browser, *, stop_at: str = "", page: Page | None = None) -> Page:
        """Press the button of the card page."""
        page = page or browser.get(f"{ISSUER}/login/card")
        return browser.submit(page, next(one for one in page.forms() if one.method == "post"), stop_at=stop_at)


@contextmanager
def opened(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """Anchors laid, a certificate host configured, and the probe passed."""
    here = config().__dict__
    for name, value in {
        "certificate_url": f"https://{PLACE}", "certificate_peers": ("127.0.0.1",),
        "certificate_secret": type(here["certificate_secret"])(SECRET),
    }.items():  # fmt: skip
        monkeypatch.setitem(here, name, value)
    monkeypatch.setattr(configuration, "folder", lambda: folder / "pki")
    with serving(now=clock.now(), clock=clock.now) as (pki, responder):
        pki.write(folder / "pki")
        monkeypatch.setattr(probe, "fetch", through(Reader()))
        assert probe.run(now=clock.now())[0]
        yield Desk(pki, responder)


def through(reader: Reader) -> Any:
    """The probe's way out, through that nginx."""

    def fetch(url: str, *, method: str, content: bytes | None, fields: Any, **_: Any) -> Any:
        with httpx.Client(transport=reader) as client:
            got = client.send(client.build_request(method, url, headers=httpx.Headers(list(fields)), content=content))
            return FetchedResponse(status=got.status_code, headers=dict(got.headers), body=got.content)

    return fetch
