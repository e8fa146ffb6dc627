"""Issue cards of the demo PKI, and run the certificate host: nginx and one more Ramet behind it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import httpx

from demo.pki import Pki, Responder
from demo.proxy import CertificateProxy, nginx

if TYPE_CHECKING:
    from pathlib import Path

    from demo.browser import Browser
    from demo.openid import Login
    from demo.pki import Card
    from demo.server import Ramet
    from device.client import DeviceClient


@dataclass
class CardOffice:
    """The issuer of cards, and the certificate host's proxy.

    folder: RAMET_VAR, with the trust anchors. browser, device, login: Alex's, after the card's chapter.
    """

    folder: Path
    pki: Pki
    responder: Responder
    proxy: CertificateProxy
    card: Card = field(init=False)
    browser: Browser = field(init=False)
    device: DeviceClient = field(init=False)
    login: Login = field(init=False)

    @property
    def socket(self) -> Path:
        """The UNIX socket on which Ramet listens for the proxy."""
        return self.folder / "certificate.sock"

    def client(self, card: Card | None, **forged: str) -> httpx.Client:
        """The HTTP client of a browser with this card, or without one; forged: additional headers."""
        trust = ssl.create_default_context(cafile=self.proxy.ca_file)
        if card is not None:
            pem = self.folder / f"card-{card.certificate.serial_number:x}.pem"
            pem.touch(mode=0o600)
            pem.write_bytes(card.pem + card.key_pem)
            trust.load_cert_chain(pem)
        mounts = {self.proxy.url: httpx.HTTPTransport(verify=trust)}
        return httpx.Client(timeout=30, mounts=mounts, headers=forged)

    def close(self) -> None:
        """Stop the proxy and the responder."""
        self.proxy.stop()
        self.responder.close()


def open_office(folder: Path, before: type[CertificateProxy] = CertificateProxy) -> CardOffice | None:
    """Make a card office and write its trust anchors below RAMET_VAR; None without nginx. before: the proxy to use."""
    if before is CertificateProxy and not nginx():
        return None
    pki, responder = Responder.of_new_pki(now=datetime.now(UTC))
    pki.write(folder / "pki")
    proxy = before(folder / "proxy", f"unix:{folder / 'certificate.sock'}")
    proxy.prepare()
    return CardOffice(folder, pki, responder, proxy)


def start(office: CardOffice, ramet: Ramet) -> None:
    """Start the certificate host: one more Ramet on a UNIX socket, and nginx in front of it."""
    ramet.start("certificate-host", "serve", "--socket", str(office.socket))
    ramet.wait_for_socket(office.socket, name="certificate-host")
    office.proxy.start()
