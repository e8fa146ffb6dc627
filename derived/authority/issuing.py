"""Who makes certificates: an authority of ours, wherever its key is, or one that others run. Both are two methods.

    issue    an order → a certificate, not yet anybody's
    revoke   its number must not be accepted any more, is on hold, or is good again

Of our own authority the ledger is the list of what was taken back, so there `revoke` has nothing to do. Whoever made it, a
certificate is looked at before it goes on: one that is not what was ordered is taken back, and nobody gets it.
"""

from __future__ import annotations

import logging
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from derived.authority import outside
from derived.authority.keeping import certificate_of, signer_of
from derived.errors import Reason, Unavailable
from derived.minting import certificate as minting
from derived.minting import profile, signing
from derived.signers import Where

if TYPE_CHECKING:
    from cryptography import x509

    from derived.minting.certificate import Order
    from derived.models import Authority
    from derived.wrapping import Wrapper

logger = logging.getLogger(__name__)


class Why(StrEnum):
    """What an authority is told of a number; RFC 5280 §5.3.1 has these words."""

    COMPROMISED = "keyCompromise"
    CHANGED = "affiliationChanged"
    SUPERSEDED = "superseded"
    ENDED = "cessationOfOperation"
    WITHDRAWN = "privilegeWithdrawn"
    HOLD = "certificateHold"
    GOOD_AGAIN = "removeFromCRL"


class Issuing(Protocol):
    """An authority."""

    def issue(self, order: Order) -> x509.Certificate:
        """Make one.

        Raises: Unavailable.
        """

    def revoke(self, serial: int, why: Why) -> None:
        """Say what becomes of one, also of a number that was never used; twice is once.

        Raises: Unavailable.
        """


class Own:
    """One whose key signs here: wrapped, in a token, or with somebody else's program (`derived.signers`)."""

    def __init__(self, row: Authority, wrapper: Wrapper) -> None:
        self._row, self._wrapper = row, wrapper

    def issue(self, order: Order) -> x509.Certificate:
        """Sign the profile."""
        return signing.certificate(
            minting.builder(order, certificate_of(self._row)), signer_of(self._row, self._wrapper)
        )

    def revoke(self, serial: int, why: Why) -> None:
        """Nothing: its lists are read from the ledger."""


def of(row: Authority, wrapper: Wrapper) -> Issuing:
    """The one behind a row."""
    return outside.Program(row.reference) if row.signer == Where.OUTSIDE else Own(row, wrapper)


def _take_back(issuing: Issuing, row: Authority, serial: int) -> None:
    """A number that was never recorded is known here and now alone: where it cannot be told, an operator must."""
    try:
        issuing.revoke(serial, Why.SUPERSEDED)
    except Unavailable:
        logger.critical("authority %s did not take back certificate %x: revoke it there by hand", row.name, serial)


def issued(row: Authority, order: Order, wrapper: Wrapper) -> x509.Certificate:
    """A certificate that is exactly what was ordered (X-1 to X-6, C91).

    Raises: Unavailable(NO_AUTHORITY) for one that is not, which is taken back at once; Unavailable where nobody answers.
    """
    issuing, issuer = of(row, wrapper), certificate_of(row)
    expected = minting.builder(order, issuer)
    made = issuing.issue(order)
    wrong = profile.faults(made, order, issuer, expected)
    if wrong:
        logger.error("authority %s made a certificate that was not ordered: %s", row.name, "; ".join(wrong))
        for serial in {made.serial_number, order.serial}:
            _take_back(issuing, row, serial)
        raise Unavailable(Reason.NO_AUTHORITY)
    return made
