"""A certificate for this device over EST (RFC 7030): make a key, request, and poll until the desktop has confirmed.

A device with its own EST client, such as a VPN gateway, does not need this module.
"""

from __future__ import annotations

import time
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509.oid import AttributeOID

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
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    request = request.add_attribute(AttributeOID.CHALLENGE_PASSWORD, code.encode())
    post = partial(http.post, issuer + _PATH + "simpleenroll")
    return _asked(post, key, request, sleep=sleep, Authorization=f"Basic {basic}")


def renew(http: httpx.Client, certificate_host: str, old: x509.Certificate) -> DeviceCertificate:
    """Make a new key and request its certificate with the old one, whose names the request repeats (RFC 7030 §4.2.2).

    http: a client that presents the old certificate in its handshake.
    Raises: ProtocolError, BindingFailed.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    names = old.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    request = x509.CertificateSigningRequestBuilder().subject_name(old.subject)
    request = request.add_extension(names.value, critical=names.critical)
    return _asked(partial(http.post, certificate_host + _PATH + "simplereenroll"), key, request, sleep=time.sleep)


def _asked(
    post: Callable[..., httpx.Response],
    key: ec.EllipticCurvePrivateKey,
    request: x509.CertificateSigningRequestBuilder,
    *,
    sleep: Callable[[float], None],
    **headers: str,
) -> DeviceCertificate:
    body = b64encode(request.sign(key, hashes.SHA256()).public_bytes(Encoding.DER))
    for _ in range(_MOST_TRIES):
        answer = post(content=body, headers={"Content-Type": "application/pkcs10", **headers})
        if answer.status_code == _OK:
            [certificate] = pkcs7.load_der_pkcs7_certificates(b64decode(answer.content))
            return DeviceCertificate(certificate=certificate, key=key)
        if answer.status_code != _ACCEPTED:
            raise ProtocolError(
                f"http_{answer.status_code}", answer.text.strip()[:200], status=answer.status_code, retry_after=None
            )
        sleep(float(answer.headers.get("Retry-After", "3")))
    raise BindingFailed("expired")
