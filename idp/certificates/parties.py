"""Certificates of relying parties, by the CAs in `RAMET_VAR/pki/clients` (RFC 8705 §2.1).

Unlike a card's, no certificate policy is required, and separate CAs are trusted. If a certificate names a source of its
status, the status must be available and good; without one it is revoked by disabling its client.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from derived.errors import Reason, Refused, Unavailable
from idp.certificates import engine, paths, reading, revocation, store
from idp.certificates.configuration import BadConfiguration, current

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from asn1crypto.x509 import Certificate as Parsed

    from idp.certificates.configuration import Folder

logger = logging.getLogger(__name__)

_ANY_POLICY = "2.5.29.32.0"
_MOST_SENT = 10


def is_configured() -> bool:
    """True if there is a CA for relying parties."""
    try:
        return bool(current().clients)
    except BadConfiguration:
        return False


def authorities() -> dict[str, str]:
    """The authorities that certify relying parties: the SHA-256 of each one's certificate, and its name."""
    try:
        return {one.sha256.hex(): str(one.subject.human_friendly) for one in current().clients}
    except BadConfiguration:
        return {}


def well_formed_certificate(leaf_der: bytes, *, now: datetime) -> x509.Certificate:
    """A well-formed TLS client certificate with a strong key, valid today, by any issuer.

    Raises: Refused(CERTIFICATE_…).
    """
    try:
        found = reading.parsed(leaf_der)
    except reading.Unreadable:
        raise Refused(Reason.CERTIFICATE_MALFORMED) from None
    if not reading.is_strong_key(found):
        raise Refused(Reason.CERTIFICATE_MALFORMED)
    for kind, is_wrong in ((x509.ExtendedKeyUsage, _is_for_others), (x509.KeyUsage, _cannot_sign)):
        try:
            value = found.extensions.get_extension_for_class(kind).value
        except x509.ExtensionNotFound:
            continue
        if is_wrong(value):
            raise Refused(Reason.CERTIFICATE_NOT_FOR_AUTHENTICATION)
    if now < found.not_valid_before_utc:
        raise Refused(Reason.CERTIFICATE_NOT_YET_VALID)
    if now > found.not_valid_after_utc:
        raise Refused(Reason.CERTIFICATE_EXPIRED)
    return found


def _is_for_others(usages: x509.ExtensionType) -> bool:
    return ExtendedKeyUsageOID.CLIENT_AUTH not in usages  # type: ignore[operator]  # an ExtendedKeyUsage


def _cannot_sign(usage: x509.ExtensionType) -> bool:
    return not usage.digital_signature  # type: ignore[attr-defined]  # a KeyUsage


def require_certified(leaf_der: bytes, chain_der: Sequence[bytes], *, now: datetime, by: str = "") -> x509.Certificate:
    """The certificate of a relying party, if one of its authorities vouches for it now.

    by: only this one, by the SHA-256 of its certificate in hex. Raises: Refused(CERTIFICATE_LOGIN_OFF) where there are
    none, Refused(CERTIFICATE_…), Unavailable(CERTIFICATE_STATUS_UNKNOWN).
    """
    try:
        here = current()
    except BadConfiguration as error:
        logger.error("the pki folder cannot be used: %s", error)  # noqa: TRY400 - the message lists the faults
        raise Refused(Reason.CERTIFICATE_LOGIN_OFF) from None
    anchors = [one for one in here.clients if not by or one.sha256.hex() == by]
    if not anchors:
        raise Refused(Reason.CERTIFICATE_LOGIN_OFF)
    found = well_formed_certificate(leaf_der, now=now)
    leaf = reading.for_engine(leaf_der)
    pool = [*here.intermediates, *_sent_certificates(chain_der)]
    _require_path(leaf, pool, here, anchors, has_status=_names_status_source(found), now=now)
    return found


def _sent_certificates(chain_der: Sequence[bytes]) -> list[Parsed]:
    found = []
    for der in chain_der[:_MOST_SENT]:
        try:
            found.append(reading.authority(der))
        except reading.Unreadable:
            continue
    return found


def _names_status_source(found: x509.Certificate) -> bool:
    """True if it names a CRL or an OCSP responder."""
    kinds = (x509.CRLDistributionPoints, x509.AuthorityInformationAccess)
    return any(isinstance(one.value, kinds) for one in found.extensions)


def _require_path(  # noqa: PLR0913
    leaf: Parsed, pool: list[Parsed], here: Folder, anchors: list[Parsed], *, has_status: bool, now: datetime
) -> None:
    deadline = store.FetchDeadline(here.policy.total_seconds)
    failed: Refused | Unavailable = Refused(Reason.CERTIFICATE_UNTRUSTED)
    for chain in paths.build(leaf, pool, anchors):
        try:
            path = engine.validate_path(
                chain, wanted=[_ANY_POLICY], inputs=engine.Inputs(explicit_policy=False), now=now
            )
            if has_status:
                revocation.require_good(path, here.policy, deadline, others=pool, now=now)
        except (Refused, Unavailable) as error:
            failed = error
            if isinstance(error, Refused) and error.reason == Reason.CERTIFICATE_REVOKED:
                break
        else:
            return
    raise failed
