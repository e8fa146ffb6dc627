"""Revocation: every certificate below the anchor needs a fresh, signed status; none refuses (C22).

CRLs and OCSP are used side by side: a slow or unreachable source fails no login while another answers, and "revoked"
always wins over "good".
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from derived.errors import Reason, Refused, Unavailable
from idp.certificates import store
from idp.certificates.engine import (
    CertificateStatus,
    RevocationSources,
    StatusValidity,
    ValidatedPath,
    deltas_named_by,
    deltas_of_crl,
    is_signed_by,
    urls_of,
    validity_of_crl,
    validity_of_ocsp,
)
from idp.certificates.issuers import ca_certificates_of
from idp.certificates.store import StatusRequest
from idp.models import PkiObject

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from asn1crypto.x509 import Certificate

    from idp.certificates.configuration import Folder, ValidationPolicy

logger = logging.getLogger(__name__)

_MOST_SOURCES = 2  # of one kind, of one certificate
_MOST_REFRESHED = 100
_OCSP_ACCESS = "ocsp"


@dataclass
class _PathCertificate:
    """A certificate of the path, and the possible requests about it."""

    index: int
    most: timedelta
    questions: list[StatusRequest]
    bodies: dict[str, bytes] = field(default_factory=dict)


def require_good(
    path: ValidatedPath,
    policy: ValidationPolicy,
    deadline: store.FetchDeadline,
    *,
    others: Iterable[Certificate] = (),
    now: datetime,
) -> None:
    """Every certificate of the path below its anchor is known to be good.

    Raises: Refused(CERTIFICATE_REVOKED), Refused(CERTIFICATE_UNTRUSTED) where an authority was revoked,
    Unavailable(CERTIFICATE_STATUS_UNKNOWN).
    """
    issuers = {one.subject.hashable for one in path.chain[1:]}
    others = [one for one in others if one.subject.hashable in issuers]
    abouts = [_path_certificate(path.chain, index, policy) for index in range(len(path.chain) - 1)]
    rows = store.stored_objects([one for about in abouts for one in about.questions], now=now)
    for about in abouts:
        about.bodies = {one.key: body for one in about.questions if (body := _body(rows.get(one.key)))}
    fresh = {about.index for about in abouts if _status(path, about, others, now=now) is CertificateStatus.GOOD}
    due = [
        one
        for about in abouts
        for one in about.questions
        if store.is_due(one, rows, needed=about.index not in fresh, now=now)
    ]
    _send_due(path, abouts, due, others, policy, deadline, now=now)
    _judge(path, abouts, others, now=now)


def _judge(
    path: ValidatedPath, abouts: Sequence[_PathCertificate], others: Sequence[Certificate], *, now: datetime
) -> None:
    words = {about.index: _status(path, about, others, now=now) for about in abouts}
    if words[0] is CertificateStatus.REVOKED:
        raise Refused(Reason.CERTIFICATE_REVOKED)
    if CertificateStatus.REVOKED in words.values():
        logger.warning("an authority on a certificate's path was revoked: %s", path.chain[0].issuer.human_friendly)
        raise Refused(Reason.CERTIFICATE_UNTRUSTED)
    if CertificateStatus.NOTHING in words.values():
        silent = [
            path.chain[index].issuer.human_friendly
            for index, word in words.items()
            if word is CertificateStatus.NOTHING
        ]
        logger.warning("no fresh status for certificates of these issuers: %s", "; ".join(silent))
        raise Unavailable(Reason.CERTIFICATE_STATUS_UNKNOWN)


def _body(row: PkiObject | None) -> bytes:
    return bytes(row.body) if row is not None and row.body is not None else b""


def _path_certificate(chain: Sequence[Certificate], index: int, policy: ValidationPolicy) -> _PathCertificate:
    certificate, issuer = chain[index], chain[index + 1]
    hours = policy.authority_status_hours if index else policy.card_status_hours
    questions: list[StatusRequest] = []
    if "ocsp" in policy.status_from:
        questions += [_ocsp_request(certificate, issuer, url) for url in _ocsp_urls(certificate)[:_MOST_SOURCES]]
    if "crl" in policy.status_from:
        points = certificate.crl_distribution_points_value
        lists = urls_of(points)[:_MOST_SOURCES] if points else []
        lists += [url for url in deltas_named_by(certificate)[:1] if url not in lists]
        questions += [StatusRequest(kind="crl", url=url) for url in lists]
    return _PathCertificate(index, timedelta(hours=hours), questions)


def _ocsp_urls(certificate: Certificate) -> list[str]:
    access = certificate.authority_information_access_value or ()
    found = [
        one["access_location"].native
        for one in access
        if one["access_method"].native == _OCSP_ACCESS and one["access_location"].name == "uniform_resource_identifier"
    ]
    return [url for url in found if url.startswith(("http://", "https://"))]


def _ocsp_request(certificate: Certificate, issuer: Certificate, url: str) -> StatusRequest:
    """RFC 6960 §4.1, with a nonce; SHA-1 only names the issuer here (RFC 5019 §2.1.1 requires it)."""
    nonce = secrets.token_bytes(32)
    request = (
        ocsp.OCSPRequestBuilder()
        .add_certificate_by_hash(
            certificate.issuer.sha1,
            issuer.public_key.sha1,
            certificate.serial_number,
            hashes.SHA1(),  # noqa: S303
        )
        .add_extension(x509.OCSPNonce(nonce), critical=False)
        .build()
    )
    about = f"{issuer.sha256.hex()} {certificate.serial_number:x}"
    return StatusRequest(kind="ocsp", url=url, about=about, body=request.public_bytes(Encoding.DER), nonce=nonce)


def _send_due(  # noqa: PLR0913 - a round of requests
    path: ValidatedPath,
    abouts: Sequence[_PathCertificate],
    due: Sequence[StatusRequest],
    others: Sequence[Certificate],
    policy: ValidationPolicy,
    deadline: store.FetchDeadline,
    *,
    now: datetime,
) -> None:
    """Send due requests, keep good responses, then again for deltas that CRLs name."""
    came = store.send_requests(due, policy, deadline, now=now)
    asked = {one.key for one in due}
    for about in abouts:
        _store_usable(path, about, [one for one in about.questions if one.key in asked], came, others, now=now)
    more = []
    for about in abouts:
        named = {
            url
            for one in about.questions
            if one.kind == "crl" and one.key in about.bodies
            for url in deltas_of_crl(about.bodies[one.key])
        }
        new = [
            StatusRequest(kind="crl", url=url)
            for url in sorted(named)[:1]
            if url not in {one.url for one in about.questions}
        ]
        about.questions += new
        more += new
    if not more:
        return
    rows = store.stored_objects(more, now=now)
    came = store.send_requests(
        [one for one in more if store.is_due(one, rows, needed=False, now=now)], policy, deadline, now=now
    )
    came = {key: body for key, row in rows.items() if (body := _body(row))} | came
    for about in abouts:
        _store_usable(path, about, [one for one in about.questions if one in more], came, others, now=now)


def _store_usable(  # noqa: PLR0913 - the results of a round
    path: ValidatedPath,
    about: _PathCertificate,
    questions: Sequence[StatusRequest],
    came: dict[str, bytes],
    others: Sequence[Certificate],
    *,
    now: datetime,
) -> None:
    """Keep a response that is usable and newer than the present one."""
    for one in questions:
        if one.key not in came:
            continue
        body = came[one.key]
        term = _term(one, body)
        usable = (
            term is not None
            and term.holds(now, most=about.most)
            and _is_signed(path, about, one, body, others, now=now)
        )
        before = _term(one, about.bodies[one.key], kept=True) if one.key in about.bodies else None
        if not usable or term is None or (before is not None and term.since < before.since):  # an older one played back
            store.record_unusable(one, now=now)
            continue
        about.bodies[one.key] = body
        store.store_object(one, body, until=min(term.until, term.since + about.most), now=now)


def _is_signed(  # noqa: PLR0913 - a request about a certificate
    path: ValidatedPath,
    about: _PathCertificate,
    one: StatusRequest,
    body: bytes,
    others: Sequence[Certificate],
    *,
    now: datetime,
) -> bool:
    """True if a response is valid at all, before it is kept.

    A delta, or a base whose delta is missing, has no status of its own: then the issuer's signature is checked.
    """
    if one.kind == "crl" and is_signed_by(body, path.chain[about.index + 1]):
        return True
    trial = _PathCertificate(about.index, about.most, [one], {one.key: body})
    return _status(path, trial, others, now=now) is not CertificateStatus.NOTHING


def _term(one: StatusRequest, body: bytes, *, kept: bool = False) -> StatusValidity | None:
    return validity_of_crl(body) if one.kind == "crl" else validity_of_ocsp(body, nonce=None if kept else one.nonce)


def _status(
    path: ValidatedPath, about: _PathCertificate, others: Sequence[Certificate], *, now: datetime
) -> CertificateStatus:
    """The status of a certificate by every valid source; "revoked" from any of them wins."""
    crls: list[bytes] = []
    answers: list[bytes] = []
    for one in about.questions:
        body = about.bodies.get(one.key, b"")
        term = _term(one, body, kept=True) if body else None
        if term is not None and term.holds(now, most=about.most):
            (crls if one.kind == "crl" else answers).append(body)
    if not crls and not answers:
        return CertificateStatus.NOTHING
    news = RevocationSources(path.chain, now=now, crls=crls, answers=answers, others=others)
    said = {
        news.of_crls(about.index) if crls else CertificateStatus.NOTHING,
        news.of_answers(about.index) if answers else CertificateStatus.NOTHING,
    }
    if CertificateStatus.REVOKED in said:
        return CertificateStatus.REVOKED
    return CertificateStatus.GOOD if CertificateStatus.GOOD in said else CertificateStatus.NOTHING


def refresh(here: Folder, *, now: datetime) -> int:
    """Fetch stored CRLs again that are old enough, verified against the CA that signed them; returns their number.

    The issuer of a stored CRL is found among the configured and fetched CAs. A response that cannot be verified does
    not replace the stored one.
    """
    rows = PkiObject.objects.filter(kind="crl", body__isnull=False, expires_at__gt=now)[:_MOST_REFRESHED]
    questions = {row.key: StatusRequest(kind="crl", url=row.source) for row in rows}
    by_key = {row.key: row for row in rows}
    due = [one for key, one in questions.items() if key == one.key and store.is_due(one, by_key, needed=False, now=now)]
    came = store.send_requests(due, here.policy, store.FetchDeadline(here.policy.total_seconds), now=now)
    kept = 0
    for one in due:
        if one.key not in came:
            continue
        before, after = bytes(by_key[one.key].body or b""), came[one.key]
        term, old = validity_of_crl(after), validity_of_crl(before)
        most = timedelta(hours=here.policy.authority_status_hours)
        if (
            term is None
            or old is None
            or term.since < old.since
            or not term.holds(now, most=most)
            or not _same_signer(before, after, here)
        ):
            store.record_unusable(one, now=now)
            continue
        store.store_object(one, after, until=min(term.until, term.since + most), now=now)
        kept += 1
    return kept


def _same_signer(before: bytes, after: bytes, here: Folder) -> bool:
    """True if the same known CA signed both."""
    kept_issuers = [
        bytes(row.body)
        for row in PkiObject.objects.filter(kind="issuer", body__isnull=False)[:_MOST_REFRESHED]
        if row.body
    ]
    candidates = [
        *here.anchors,
        *here.intermediates,
        *(one for body in kept_issuers for one in ca_certificates_of(body)),
    ]
    return any(is_signed_by(before, one) and is_signed_by(after, one) for one in candidates)
