"""Verify that a certificate chain leads to one of given roots at a given time, for attestation (no CRLs)."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from OpenSSL import crypto

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

_MOST = 6


def leads_to(chain: Sequence[bytes], roots: Sequence[bytes], *, now: datetime) -> bool:
    """True if a chain (DER, leaf first) leads to one of the roots (DER), all of it valid now.

    Without roots: False. A root may be the leaf itself or an intermediate CA, as in the FIDO metadata.
    """
    return root_of(chain, roots, now=now) is not None


def root_of(chain: Sequence[bytes], roots: Sequence[bytes], *, now: datetime) -> bytes | None:
    """The root (DER) of a chain, or None."""
    if not chain or len(chain) > _MOST:
        return None
    store = crypto.X509Store()
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
    store.set_time(now.astimezone(UTC))
    trusted = 0
    for root in roots:
        try:
            store.add_cert(crypto.load_certificate(crypto.FILETYPE_ASN1, root))
        except (ValueError, TypeError, crypto.Error):  # a single bad root among many
            continue
        trusted += 1
    if not trusted:
        return None
    try:
        leaf, *between = [crypto.load_certificate(crypto.FILETYPE_ASN1, one) for one in chain]
        found = crypto.X509StoreContext(store, leaf, between).get_verified_chain()
    except (ValueError, TypeError, crypto.Error, crypto.X509StoreContextError):
        return None
    return crypto.dump_certificate(crypto.FILETYPE_ASN1, found[-1])
