"""OCSP: the present status of a certificate, from the ledger (RFC 6960, RFC 9654; C92).

A separate key signs, certified for that purpose only, for a month; its own status is not checked (nocheck).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_der_private_key
from cryptography.x509.ocsp import OCSPResponseStatus
from django.db import transaction

from derived.authority import lists
from derived.authority.keeping import certificate_of, own_installed, signer_of
from derived.errors import Reason, Unavailable
from derived.minting.authority import OcspRequest, UnreadableRequest, ocsp_error, ocsp_response, responder_certificate
from derived.models import Authority, IssuedCertificate

if TYPE_CHECKING:
    from datetime import datetime

    from derived.wrapping import Wrapper

_PURPOSE = "ocsp-key"
_RENEWED_BEFORE = timedelta(days=7)
_MOST_NONCE = 128  # RFC 9654 §2.1
MOST_BYTES = 4096


def respond(unverified: bytes, wrapper: Wrapper, *, now: datetime) -> bytes:
    """The response to an OCSP request, as DER; an OCSP error for a request that cannot be answered."""
    if len(unverified) > MOST_BYTES:
        return ocsp_error(OCSPResponseStatus.MALFORMED_REQUEST)
    try:
        question = OcspRequest.read(unverified)
    except UnreadableRequest:
        return ocsp_error(OCSPResponseStatus.MALFORMED_REQUEST)
    if question.nonce is not None and not 0 < len(question.nonce) <= _MOST_NONCE:
        return ocsp_error(OCSPResponseStatus.MALFORMED_REQUEST)
    authority = next((one for one in own_installed(now=now) if question.is_about(certificate_of(one))), None)
    if authority is None:
        return ocsp_error(OCSPResponseStatus.UNAUTHORIZED)
    certificate, key = _responder(authority, wrapper, now=now)
    issued = IssuedCertificate.objects.filter(authority=authority, serial=f"{question.serial:x}").first()
    entry = next((one for _, one in lists.entries([issued], authority=authority, now=now)), None) if issued else None
    known = issued is not None and issued.released_at is not None
    return ocsp_response(question, entry if known else None, known=known, certificate=certificate, key=key, now=now)


def _responder(
    row: Authority, wrapper: Wrapper, *, now: datetime
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    if (
        not row.responder
        or x509.load_der_x509_certificate(bytes(row.responder)).not_valid_after_utc < now + _RENEWED_BEFORE
    ):
        row = make_responder(row, wrapper, now=now)
    raw = wrapper.unwrap(bytes(row.responder_key or b""), purpose=_PURPOSE, owner=row.name)
    key = load_der_private_key(raw, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise Unavailable(Reason.KEY_UNAVAILABLE)
    return x509.load_der_x509_certificate(bytes(row.responder or b"")), key


def make_responder(row: Authority, wrapper: Wrapper, *, now: datetime) -> Authority:
    """Create a responder key; its certificate and key are written together, so readers always get a pair."""
    key = ec.generate_private_key(ec.SECP256R1())
    made = responder_certificate(
        key.public_key(), certificate_of(row), signer_of(row, wrapper), organisation=row.organisation, now=now
    )
    raw = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    with transaction.atomic():
        Authority.objects.filter(name=row.name).update(
            responder=made.public_bytes(Encoding.DER), responder_key=wrapper.wrap(raw, purpose=_PURPOSE, owner=row.name)
        )
    return Authority.objects.get(name=row.name)
