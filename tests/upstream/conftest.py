"""An upstream that may lie, and a person of ours who is linked to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from demo.browser import Browser
from derived import clock
from derived.models import UpstreamIdentity
from idp.upstreams import registry
from idp.upstreams.registry import UpstreamRegistration
from tests.upstream.liar import AAL2, CLIENT, SECRET, Liar
from tests.world import AAL, ISSUER, http

if TYPE_CHECKING:
    from collections.abc import Iterator

    from demo.browser import Page
    from demo.person import Person
    from derived.models import Credential
    from idp.models import Upstream
    from tests.world import World

LEVELS = {f"{AAL}1": (1, 0), AAL2: (2, 0), f"{AAL}3": (3, 0)}


def register(liar: Liar, **changed: Any) -> Upstream:
    wanted: dict[str, Any] = {
        "slug": "liar",
        "name": "Liar & Sons",
        "issuer": liar.issuer,
        "client_id": CLIENT,
        "secret": SECRET,
        "levels": LEVELS,
        "amr": {"pwd": "pwd", "otp": "otp", "mfa": "mfa"},
        "acr_values": AAL2,
        **changed,
    }
    return registry.add(UpstreamRegistration(**wanted), now=clock.now())


@dataclass
class House:
    """The world, the upstream, and one person with a desktop."""

    world: World
    liar: Liar
    upstream: Upstream
    person: Person
    desktop: Browser

    def link_page(self, browser: Browser | None = None) -> str:
        """Ask to link; where the browser is sent."""
        browser = browser or self.desktop
        page = browser.get(f"{ISSUER}/devices/roots/upstream/liar/add")
        assert page.status == 200, page.words()
        assert page.path.endswith("/add"), page.path
        return browser.submit(page, page.forms()[-1], stop_at=self.liar.issuer).stopped_at

    def link(self, browser: Browser | None = None, subject: str = "subject-1") -> Page:
        self.liar.subject = subject
        return (browser or self.desktop).get(self.liar.signs_in(self.link_page(browser)))

    def away(self, browser: Browser, start: str = "") -> str:
        """Begin a sign-in at the upstream; where the browser is sent."""
        if start:
            browser.get(start)
        page = browser.get(f"{ISSUER}/login/upstream/liar")
        assert page.status == 200, page.words()
        found = browser.submit(page, page.forms()[-1], stop_at=self.liar.issuer)
        assert found.stopped_at, found.words()
        return found.stopped_at

    def sign_in(
        self, browser: Browser | None = None, start: str = "", stop_at: str = "", **changed: str | None
    ) -> Page:
        browser = browser or Browser(http())
        return browser.get(self.liar.signs_in(self.away(browser, start), **changed), stop_at=stop_at)

    def credential(self, subject: str = "subject-1") -> Credential:
        return UpstreamIdentity.objects.select_related("credential__account").get(subject=subject).credential


@pytest.fixture
def liar() -> Iterator[Liar]:
    found = Liar()
    yield found
    found.stop()


@pytest.fixture
def house(world: World, liar: Liar) -> House:
    person, desktop = world.enrolled()
    return House(world, liar, register(liar), person, desktop)


@pytest.fixture
def linked(house: House) -> House:
    page = house.link()
    assert page.path == "/devices", page.words()
    return house
