"""A served Ramet with a worker, an HR system, and two relying parties: one that asks for consent, one that does not."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

import httpx

from demo.browser import Browser
from demo.hr import HumanResources, user
from demo.mailbox import Mailbox
from demo.openid import OpenIdClient
from demo.person import Person
from demo.relying_party import BACKCHANNEL, CALLBACK, RelyingParty
from demo.server import Ramet, free_port
from demo.web import serving
from tests.fixtures.databases import migrated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass
class App:
    """A demo relying party that is being served."""

    url: str
    name: str
    party: RelyingParty


@dataclass
class Place:
    """What a test has around it.

    app: signs people in as soon as Ramet knows them.
    asking: is registered with `--consent`.
    """

    ramet: Ramet
    hr: HumanResources
    mailbox: Mailbox
    app: App
    asking: App
    _numbers: Iterator[int] = field(default_factory=lambda: count(5000), repr=False)

    @property
    def url(self) -> str:
        """The issuer."""
        return self.ramet.issuer

    def newcomer(self, given: str, family: str) -> tuple[Person, str]:
        """Somebody whom HR has pushed, and the link of their invitation."""
        number = next(self._numbers)
        username = f"{given}.{family}.{number}".lower()
        person = Person(username, name=f"{given} {family}", email=f"{username}@example.org")
        body = user(username, names=(given, family), email=person.email, number=str(number), department="Field service")
        self.hr.hire(body).raise_for_status()
        mail = self.mailbox.wait_for(person.email, link="/invitation/", seconds=30)
        assert mail is not None, self.ramet.log_end("worker")
        return person, mail.link("/invitation/")

    def employee(self, given: str, family: str) -> Person:
        """Somebody who has accepted their invitation already, in another browser."""
        person, link = self.newcomer(given, family)
        with httpx.Client(timeout=30) as cookies:
            person.accept_invitation(Browser(cookies), link)
        return person


@contextmanager
def opened(folder: Path) -> Iterator[Place]:
    """Serve a place of its own from `folder` until the block ends."""
    port = free_port()
    ramet = Ramet(var=folder, issuer=f"http://localhost:{port}", port=port)
    migrated(ramet)
    with ExitStack() as stack:
        stack.callback(ramet.stop)
        ramet.start("serve", "serve", "--port", str(port))
        ramet.start("worker", "worker")
        ramet.wait_until_ready()
        source = ramet.ask("source", "add", "hr", "--preset", "hr", "--precedence", "10", "--vouches-ial", "2")
        http = stack.enter_context(httpx.Client(timeout=30))
        yield Place(
            ramet,
            HumanResources(http, base=f"{ramet.issuer}/scim/v2", token=source["token"]),
            Mailbox(folder / "mail"),
            _app(ramet, "Travel desk", stack=stack),
            _app(ramet, "Canteen", "--consent", stack=stack),
        )


def _app(ramet: Ramet, name: str, *options: str, stack: ExitStack) -> App:
    port = free_port()
    url = f"http://localhost:{port}"
    made = ramet.ask(
        "client", "add", name, "--redirect-uri", url + CALLBACK, "--backchannel-logout-uri", url + BACKCHANNEL,
        "--post-logout-redirect-uri", url + "/", *options,
    )  # fmt: skip
    client = OpenIdClient(
        ramet.issuer, made["client_id"], client_secret=made["client_secret"], redirect_uri=url + CALLBACK
    )
    party = RelyingParty(client, base_url=url)
    stack.enter_context(serving(party, host="localhost", port=port))
    return App(url, name, party)
