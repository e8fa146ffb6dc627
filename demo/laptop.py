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
    """What a VPN client has: a key that it made, and what was made for it. site: the agency's web server."""

    key: ec.EllipticCurvePrivateKey
    chain: Path
    key_file: Path
    site: AgencySite
    number: int = field(init=False)

    @property
    def card(self) -> Card:
        """As a browser presents it."""
        leaf, *more = x509.load_pem_x509_certificates(self.chain.read_bytes())
        return Card(leaf, self.key, "ours", tuple(more))
