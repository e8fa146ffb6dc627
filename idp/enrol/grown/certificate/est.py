"""Enrolment over Secure Transport (RFC 7030, RFC 8951): for devices that have never heard of us.

    cacerts          the authorities above a certificate
    csrattrs         which kind of key to make
    simpleenroll     a request with a code from the desktop as HTTP Basic; 202 until the desktop has decided
    simplereenroll   a request over a handshake with the certificate that it renews: at the certificate host

Bodies are base64 without line breaks: RFC 8951 allows that, and strongSwan reads nothing else.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from functools import wraps
from http import HTTPStatus
from typing import TYPE_CHECKING

from asn1crypto import core
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from derived import clock
from derived.authority.keeping import certificate_of, chain_of, require_current
from derived.errors import Reason, Refused, Unavailable
from derived.minting import csr
from derived.models import IssuedCertificate
from derived.rules.lifecycle import LIVING
from idp import certificates as trust
from idp import pages
from idp.config import config
from idp.enrol.grown import codes
from idp.enrol.grown.certificate import by_code as ordering
from idp.enrol.grown.certificate import issuing as certificates
from idp.errors import answer_to, error_response
from idp.login import hop, probe, throttle
from idp.oidc.requests.refusals import logged
from idp.secrets import matches_code

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cryptography import x509

    from derived.minting.csr import CertificateKey
    from idp.models import CertificateOrder

_RETRY_SECONDS = "3"
_MOST_BASIC = 1024
_PKCS7 = "application/pkcs7-mime"
_EC_KEY, _P384, _ECDSA_SHA384 = "1.2.840.10045.2.1", "1.3.132.0.34", "1.2.840.10045.4.3.3"


class NotReadable(Exception):
    """A body that is no certificate request; words: what to send instead."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


def _said(status: int, words: str) -> HttpResponse:
    """A refusal as text for a person at a device's console (RFC 7030 §4.2.3)."""
    response = HttpResponse(words + "\n", status=status, content_type="text/plain; charset=utf-8")
    if status == HTTPStatus.UNAUTHORIZED:
        response["WWW-Authenticate"] = 'Basic realm="certificate code", charset="UTF-8"'
    if status in {202, 429, 503}:
        response["Retry-After"] = _RETRY_SECONDS
    return response


def _est(method: str) -> Callable[[Callable[[HttpRequest], HttpResponse]], Callable[[HttpRequest], HttpResponse]]:
    """Decorate a view of the protocol: refusals are plain text with the right status."""

    def decorated(view: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
        @csrf_exempt
        @logged
        @require_http_methods([method])
        @wraps(view)
        def wrapped(request: HttpRequest) -> HttpResponse:
            try:
                response = view(request)
            except NotReadable as unreadable:
                response = _said(400, unreadable.words)
            except (Refused, Unavailable) as refused:
                found = answer_to(refused)
                wrong_code = refused.reason == Reason.BAD_CODE
                response = pages.with_wait(_said(401 if wrong_code else found.status, found.words), refused)
            response["Content-Length"] = str(len(response.content))  # strongSwan reads nothing without it
            return response

        return wrapped

    return decorated


def _certificates(made: Sequence[x509.Certificate], smime: str = "; smime-type=certs-only") -> HttpResponse:
    body = b64encode(pkcs7.serialize_certificates(list(made), Encoding.DER))
    response = HttpResponse(body, content_type=_PKCS7 + smime)
    response["Content-Transfer-Encoding"] = "base64"
    return response


@_est("GET")
def cacerts(_request: HttpRequest) -> HttpResponse:
    """RFC 7030 §4.1."""
    authority = require_current(now=clock.now())
    return _certificates([certificate_of(authority), *chain_of(authority)])


@_est("GET")
def csrattrs(_request: HttpRequest) -> HttpResponse:
    """RFC 7030 §4.5: a P-384 key and ECDSA. P-256 and RSA are accepted too; only the key of a request is used."""
    require_current(now=clock.now())
    curve = core.SetOf([core.ObjectIdentifier(_P384)], spec=core.ObjectIdentifier)
    attribute = _sequence(core.ObjectIdentifier(_EC_KEY).dump() + curve.dump())
    response = HttpResponse(
        b64encode(_sequence(attribute + core.ObjectIdentifier(_ECDSA_SHA384).dump())),
        content_type="application/csrattrs",
    )
    response["Content-Transfer-Encoding"] = "base64"
    return response


def _sequence(content: bytes) -> bytes:
    return bytes([0x30, len(content)]) + content


def _requested(request: HttpRequest, is_challenge: csr.IsChallenge) -> CertificateKey:
    """The key of the request in the body.

    RFC 7030 sends the base64 alone; the PEM that tools write is read too.
    Raises: NotReadable, Refused(BAD_PROOF), Refused(WEAK_KEY), Refused(CHALLENGE_MISSING).
    """
    raw = request.read(2 * csr.MOST_BYTES + 1)
    if request.content_type != "application/pkcs10":
        raise NotReadable("Send the request with Content-Type: application/pkcs10.")
    if len(raw) > 2 * csr.MOST_BYTES:
        raise NotReadable("A certificate request of this size is not read.")
    if b"PRIVATE KEY" in raw:
        raise NotReadable(
            "Send the certificate request alone. A private key was in the body, and is secret no more: make a new one.",
        )
    if not raw.isascii():
        raise NotReadable("Send the request in base64 (RFC 7030 section 4.2.1), or as PEM.")
    text = raw.decode()
    return csr.from_text(text, is_challenge) if "-----BEGIN" in text else csr.from_base64(text, is_challenge)


def _basic(request: HttpRequest) -> tuple[str, str]:
    """User name and code.

    Raises: Refused(BAD_CODE).
    """
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic" or len(encoded) > _MOST_BASIC:
        raise Refused(Reason.BAD_CODE)
    try:
        username, _, code = b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise Refused(Reason.BAD_CODE) from None
    if "\x00" in username + code:
        raise Refused(Reason.BAD_CODE)
    return username, code


def _order(request: HttpRequest, username: str, code: str) -> CertificateOrder:
    now = clock.now()
    return throttle.counting_names(
        request, "est", codes.name_of_short(code, username), lambda: ordering.located(code, username, now=now), now=now
    )


@_est("POST")
def simpleenroll(request: HttpRequest) -> HttpResponse:
    """RFC 7030 §4.2: record the request and ask the desktop; after its confirmation return the certificate.

    The request contains the code, so that nobody else's is sent with it (RFC 7030 §3.5).
    """
    if not request.headers.get("Authorization"):
        return _said(401, "Send your user name and the code from My devices as HTTP Basic.")
    now = clock.now()
    username, code = _basic(request)
    order = _order(request, username, code)
    key = _requested(request, lambda text: matches_code(text, code))
    row = ordering.ask(order, key, network=throttle.network(request), now=now)
    row.account = order.account
    where = ordering.state(row, now=now)
    if where == "asked":
        return _said(202, "Say yes in My devices, on the desktop that showed the code.")
    issued = (
        IssuedCertificate.objects.filter(
            credential=row.credential_id, released_at__isnull=False, credential__state__in=LIVING
        ).first()
        if where == "issued"
        else None
    )
    if where == "issued" and issued is None:
        pending = row.credential is not None and row.credential.state == "pending"
        return _said(202, "It is being made.") if pending else _said(403, error_response(Reason.REPLACED).words)
    if issued is None:
        raise Refused(Reason.BAD_CODE)
    return _certificates([certificates.certificate(issued)])


@_est("POST")
def simplereenroll(request: HttpRequest) -> HttpResponse:
    """RFC 7030 §4.2.2: renew the certificate of the handshake with a new key and serial (MT-2, MT-5).

    A certificate on hold because its holder's name has changed gets the new name for the same key (MT-4). The request
    names the certificate that it renews: §4.2.2 demands the same subjectAltName, which holds that certificate's UUID.
    """
    if not hop.is_certificate_host(request):
        where = config().certificate_url or "a certificate host, which is not switched on here"
        return _said(403, f"A renewal is asked for with the certificate itself, at {where}.")
    now = clock.now()
    if not probe.has_passed(
        now=now
    ):  # certificates are public: a proxy that lets a forged header through gives them away (H4)
        raise Refused(Reason.CERTIFICATE_LOGIN_OFF)
    der = hop.presented_certificate(request).unverified_leaf
    if (waiting := trust.held_for_name(der, now=now)) is not None:
        made = certificates.reissued(waiting, _requested(request, _names(waiting)), now=now)
    else:
        old = trust.valid_own_certificate(der, now=now)
        made = certificates.renewed(old, _requested(request, _names(old)), now=now)
    return _certificates([certificates.certificate(made)])


def _names(old: IssuedCertificate) -> csr.IsChallenge:
    return lambda text: text.lower() in {str(old.uuid), old.uuid.urn}


urlpatterns = [
    path(".well-known/est/cacerts", cacerts, name="est-cacerts"),
    path(".well-known/est/csrattrs", csrattrs, name="est-csrattrs"),
    path(".well-known/est/simpleenroll", simpleenroll, name="est-simpleenroll"),
    path(".well-known/est/simplereenroll", simplereenroll, name="est-simplereenroll"),
]
