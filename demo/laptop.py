"""A laptop with a derived certificate: the key that it made, and the chain that Ramet issued."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography import x509

from demo.pki import Card

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric import ec

    from demo.agency_site import AgencySite


@dataclass
class Laptop:
    """A VPN client's key and certificate chain. site: the agency's web server. number: the certificate's serial."""

    key: ec.EllipticCurvePrivateKey
    chain: Path
    key_file: Path
    site: AgencySite
    number: int = field(init=False)

    @property
    def card(self) -> Card:
        """The certificate as a card, for a browser."""
        leaf, *more = x509.load_pem_x509_certificates(self.chain.read_bytes())
        return Card(leaf, self.key, "ours", tuple(more))
