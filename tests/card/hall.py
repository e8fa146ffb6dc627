"""A served Ramet whose certificate host stands behind a real nginx, and one person with a card."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from demo.card_office import CardOffice, open_office, start
from demo.proxy import CertificateProxy
from tests.live import Live

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from demo.browser import Browser, Page
    from demo.pki import Card

MISSING = "nginx is missing: apt-get install --no-install-recommends nginx-light"


@dataclass
class Hall:
    """A served Ramet, its certificate host, nginx before it, and one person with a card."""

    live: Live
    office: CardOffice
    card: Card
    name: str

    def press(self, browser: Browser) -> Page:
        page = browser.get(f"{self.live.issuer}/login/card")
        return browser.submit(page, page.form_to("/login/card"))

    def ticket(self, browser: Browser) -> str:
        """The address on the certificate host that this browser was sent to."""
        page = browser.get(f"{self.live.issuer}/login/card")
        return browser.submit(page, page.form_to("/login/card"), stop_at=self.office.proxy.url).stopped_at

    def probe(self) -> str:
        """`manage.py card probe`, and what it said."""
        try:
            return str(self.live.ramet.ask("card", "probe")["words"])
        except Exception as error:  # noqa: BLE001 - the command's words are what is asked for
            return str(error)


@contextmanager
def opened_hall(folder: Path, before: type[CertificateProxy] = CertificateProxy) -> Iterator[Hall]:
    """Open it, with the probe passed and the card bound, until the block ends; before: the proxy of its certificate host."""
    office = open_office(folder, before)
    assert office is not None
    live = Live(extra=office.proxy.variables)
    office.pki.write(live.var / "pki")
    start(office, live.ramet)
    name = live.people(1)[0]["username"]
    card = office.pki.card(person="RACER")
    (folder / "card.pem").write_bytes(card.pem)
    found = Hall(live, office, card, name)
    try:
        assert found.probe() == "forged headers are stripped"
        live.ramet.ask("card", "bind", name, "--certificate", str(folder / "card.pem"))
        yield found
    finally:
        office.close()
        live.stop()
