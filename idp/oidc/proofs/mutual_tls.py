"""The client certificate of a TLS connection, as passed on by the certificate host (RFC 8705; C22, C23, P51).

Only the trusted proxy may pass a certificate, after the probe has shown that it strips forged headers
(`idp.login.hop`).
"""

from __future__ import annotations

import hashlib
from base64 import b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from derived.errors import Reason, Refused
from idp.certificates import names, parties
from idp.clients import jwk, keys
from idp.login import hop, probe

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography import x509
    from django.http import HttpRequest

    from idp.clients import RelyingParty
    from idp.login.hop import PresentedCertificate


def certificate_of_connection(request: HttpRequest, *, now: datetime) -> PresentedCertificate | None:
    """The certificate of this connection, or None; not validated."""
    try:
        found = hop.presented_certificate(request)
    except Refused:
        return None
    return found if probe.has_passed(now=now) else None


def thumbprint(request: HttpRequest, *, now: datetime) -> str | None:
    """x5t#S256 of the whole certificate that this connection proved the key of (RFC 8705 §3.1), or None."""
    found = certificate_of_connection(request, now=now)
    return _thumbprint(found.unverified_leaf) if found else None


def _thumbprint(der: bytes) -> str:
    return urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()


def require_certificate_of(party: RelyingParty, found: PresentedCertificate, *, now: datetime) -> None:
    """See that a certificate is this client's, in the way that it is registered for.

    Raises: Refused, Unavailable(CERTIFICATE_STATUS_UNKNOWN).
    """
    if party.policy.auth_method == "tls_client_auth":
        certificate = parties.require_certified(found.unverified_leaf, found.unverified_chain, now=now)
        if not _is_named(certificate, party.policy.tls_subject):
            raise Refused(Reason.CERTIFICATE_UNTRUSTED)
        return
    certificate = parties.well_formed_certificate(found.unverified_leaf, now=now)
    if not any(_is_key_of(certificate, one) for one in keys.stored_set(party, now=now).get("keys", [])):
        raise Refused(Reason.CERTIFICATE_UNTRUSTED)


def _is_named(certificate: x509.Certificate, expected: dict[str, str]) -> bool:
    """RFC 8705 §2.1.2: exactly one expected name, compared whole."""
    ((kind, value),) = expected.items() if len(expected) == 1 else (("", ""),)
    name = names.format_name(kind, value)
    return name is not None and name in names.names(certificate)


def _is_key_of(certificate: x509.Certificate, entry: dict[str, Any]) -> bool:
    """True if a key of the client's set is this certificate's: by certificate, thumbprint or key."""
    der = certificate.public_bytes(Encoding.DER)
    if entry.get("x5c"):
        chain = entry["x5c"]
        try:
            return isinstance(chain, list) and isinstance(chain[0], str) and b64decode(chain[0], validate=True) == der
        except (Base64Error, ValueError):
            return False
    if "x5t#S256" in entry:
        return bool(entry["x5t#S256"] == _thumbprint(der))
    try:
        known = jwk.accepted_key(entry).key.as_der(private=False)
    except jwk.BadKey:
        return False
    return bool(known == certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
