"""Is this certificate one that we trust for authentication, now? Paths, policies, revocation, and what a card says of itself.

    reading         bytes of a stranger → one well-formed certificate that is for authentication, strong, and valid today
    paths           every way up to an anchor, bounded
    engine          RFC 5280 §6.1 for each way: signatures, names, policies; the only door to pyhanko-certvalidator
    revocation      a fresh signed word about everything on the way, from store (kept in the database) or from the network
    own             certificates of our own authority: the ledger is here, so nobody else is asked
    subject         what the card says of itself, for binding
    parties         the certificate of a relying party or a source, which is another question: no policy, no card (RFC 8705)
    names           the names of a certificate, each in one spelling
    configuration   what an operator laid in `var/pki`; checks says what is wrong with it

A question is answered from the outside in, and the first thing that is wrong is the reason that a person is told. Whatever
cannot be known is a no. Nothing here takes a lock, and all of it together takes a few seconds at most.
May import `idp.models`, `idp.config`, `idp.outbound`, `derived` and below.
"""

from __future__ import annotations

from idp.certificates.own import ours, renamed
from idp.certificates.validation import describe, is_configured, prefetch, validate

__all__ = ["describe", "is_configured", "ours", "prefetch", "renamed", "validate"]
