"""The interface to an authority, own or external: two methods.

    issue    makes a certificate from an order, not yet released
    revoke   revokes a serial number, puts it on hold, or releases the hold

For Ramet's own authority the ledger is the revocation record, so `revoke` does nothing there. Every certificate is
compared with its order before it goes on: a certificate that differs is revoked, and nobody gets it.
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
from derived.signers import Backend

if TYPE_CHECKING:
    from cryptography import x509

    from derived.minting.certificate import CertificateContent
    from derived.models import Authority
    from derived.wrapping import Wrapper

logger = logging.getLogger(__name__)


class RevocationReason(StrEnum):
    """The revocation reasons (RFC 5280 §5.3.1)."""

    COMPROMISED = "keyCompromise"
    CHANGED = "affiliationChanged"
    SUPERSEDED = "superseded"
    ENDED = "cessationOfOperation"
    WITHDRAWN = "privilegeWithdrawn"
    HOLD = "certificateHold"
    GOOD_AGAIN = "removeFromCRL"


class CertificateAuthority(Protocol):
    """The interface of an authority."""

    def issue(self, order: CertificateContent) -> x509.Certificate:
        """Make a certificate.

        Raises: Unavailable.
        """

    def revoke(self, serial: int, why: RevocationReason) -> None:
        """Set the status of a serial number, even of an unused one; idempotent.

        Raises: Unavailable.
        """


class OwnAuthority:
    """An authority whose key signs here: wrapped, in a token, or through a program (`derived.signers`)."""

    def __init__(self, row: Authority, wrapper: Wrapper) -> None:
        self._row, self._wrapper = row, wrapper

    def issue(self, order: CertificateContent) -> x509.Certificate:
        """Sign the profile of the order."""
        return signing.sign_certificate(
            minting.builder(order, certificate_of(self._row)), signer_of(self._row, self._wrapper)
        )

    def revoke(self, serial: int, why: RevocationReason) -> None:
        """Do nothing: CRLs are read from the ledger."""


def interface_of(row: Authority, wrapper: Wrapper) -> CertificateAuthority:
    """The interface for an authority's row."""
    return outside.ExternalAuthority(row.reference) if row.signer == Backend.OUTSIDE else OwnAuthority(row, wrapper)


def _take_back(issuing: CertificateAuthority, row: Authority, serial: int) -> None:
    """Revoke an unrecorded serial number; on failure an operator must, because only this log line knows it."""
    try:
        issuing.revoke(serial, RevocationReason.SUPERSEDED)
    except Unavailable:
        logger.critical("authority %s did not revoke certificate %x: revoke it there by hand", row.name, serial)


def issue_as_ordered(row: Authority, order: CertificateContent, wrapper: Wrapper) -> x509.Certificate:
    """A certificate that is exactly as ordered (X-1 to X-6, C91).

    Raises: Unavailable(NO_AUTHORITY) for a certificate that differs, which is revoked at once; Unavailable if the
    authority does not answer.
    """
    issuing, issuer = interface_of(row, wrapper), certificate_of(row)
    expected = minting.builder(order, issuer)
    made = issuing.issue(order)
    wrong = profile.faults(made, order, issuer, expected)
    if wrong:
        logger.error("authority %s issued a certificate that differs from its order: %s", row.name, "; ".join(wrong))
        for serial in {made.serial_number, order.serial}:
            _take_back(issuing, row, serial)
        raise Unavailable(Reason.NO_AUTHORITY)
    return made
