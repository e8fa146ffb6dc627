"""Validation of certificates for authentication: form, paths, policies, revocation, and the facts about a card.

    validation      `validate`: every check of a card's certificate
    reading         unverified bytes to a well-formed, strong authentication certificate
    paths           certification paths up to a trust anchor, bounded
    engine          RFC 5280 §6.1 and revocation; the only module that uses pyhanko-certvalidator
    revocation      a fresh signed status for each certificate of a path
    issuers         issuers' certificates, fetched by authorityInfoAccess
    store           fetched objects, kept in the database
    own             certificates of Ramet's own authority, checked in the ledger
    subject         the facts about a card, for binding
    parties         certificates of relying parties and sources (RFC 8705)
    name_text       names compared by RFC 5280 §7.1, and as text
    names           the canonical spelling of certificate names
    configuration   the operator's files in `RAMET_VAR/pki`

The first fault, from the outside in, is the reason of a refusal; an unknown status refuses. Nothing here takes a lock,
and all checks together take a few seconds at most. May import `idp.models`, `idp.config`, `idp.outbound`, `derived`
and packages below them.
"""

from __future__ import annotations

from idp.certificates.own import held_for_name, valid_own_certificate
from idp.certificates.validation import describe, is_configured, left_out, prefetch, validate

__all__ = ["describe", "held_for_name", "is_configured", "left_out", "prefetch", "valid_own_certificate", "validate"]
