"""A certificate for this device over EST (RFC 7030): make a key, request, and poll until the desktop has confirmed.

A device with its own EST client, such as a VPN gateway, does not need this module.
"""

from __future__ import annotations

import time
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from device.errors import BindingFailed, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

_PATH = "/.well-known/est/"
_OK, _ACCEPTED = 200, 202
_MOST_TRIES = 300


@dataclass(frozen=True, kw_only=True)
class DeviceCertificate:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)


def enroll(
    http: httpx.Client, issuer: str, *, username: str, code: str, sleep: Callable[[float], None] = time.sleep
) -> DeviceCertificate:
    """Request with a code from the desktop, and repeat with the same key until the desktop has decided.

    Raises: ProtocolError for a wrong code or a refused key; BindingFailed("expired") where the desktop never decides.
    """
    basic = b64encode(f"{username}:{code}".encode()).decode()
    return _asked(http, issuer + _PATH + "simpleenroll", {"Authorization": f"Basic {basic}"}, sleep=sleep)


def renew(http: httpx.Client, certificate_host: str) -> DeviceCertificate:
    """Make a new key and request its certificate with the old one.

    http: a client that presents the old certificate in its handshake.
    Raises: ProtocolError, BindingFailed.
    """
    return _asked(http, certificate_host + _PATH + "simplereenroll", {}, sleep=time.sleep)


def _asked(
    http: httpx.Client, url: str, headers: dict[str, str], *, sleep: Callable[[float], None]
) -> DeviceCertificate:
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    body = b64encode(request.public_bytes(Encoding.DER))
    for _ in range(_MOST_TRIES):
        answer = http.post(url, content=body, headers={"Content-Type": "application/pkcs10", **headers})
        if answer.status_code == _OK:
            [certificate] = pkcs7.load_der_pkcs7_certificates(b64decode(answer.content))
            return DeviceCertificate(certificate=certificate, key=key)
        if answer.status_code != _ACCEPTED:
            raise ProtocolError(
                f"http_{answer.status_code}", answer.text.strip()[:200], status=answer.status_code, retry_after=None
            )
        sleep(float(answer.headers.get("Retry-After", "3")))
    raise BindingFailed("expired")
