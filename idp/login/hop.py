"""The one hop that may speak of a client's certificate: the proxy of the certificate host (RFC 9440; H1-H4, C22).

Its headers are believed only from a listed peer (or over the UNIX socket), with the shared secret, and for the certificate
host. From anybody else they are nothing: not an error, not a certificate. What is believed is still only bytes that a TLS
handshake proved the key of; `idp.certificates` says what they are worth.
"""

from __future__ import annotations

import binascii
import hmac
import re
from base64 import b64decode
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes, urlsplit

from django.core.exceptions import DisallowedHost

from derived.errors import Reason, Refused
from idp.config import config

if TYPE_CHECKING:
    from django.http import HttpRequest

SECRET = "HTTP_RAMET_PROXY_SECRET"  # noqa: S105 - the name of a header
ESCAPED_PEM = "HTTP_RAMET_CLIENT_CERT"  # nginx: $ssl_client_escaped_cert
CLIENT_CERT, CLIENT_CERT_CHAIN = "HTTP_CLIENT_CERT", "HTTP_CLIENT_CERT_CHAIN"  # RFC 9440
RESUMED = "HTTP_RAMET_TLS_RESUMED"  # nginx: $ssl_session_reused, "r" for a handshake that proved no key
HEADERS = (SECRET, ESCAPED_PEM, CLIENT_CERT, CLIENT_CERT_CHAIN, RESUMED)
UNIX = "unix"
LEAST_SECRET = 32
_MOST = 24 * 1024
_MOST_CHAIN = 8
_PEM = re.compile(
    rb"\A\s*-----BEGIN CERTIFICATE-----\r?\n((?:[A-Za-z0-9+/]{1,76}={0,2}\r?\n)+)-----END CERTIFICATE-----\s*\Z"
)
_BYTES = re.compile(r":([A-Za-z0-9+/]*={0,2}):")  # RFC 8941 §3.3.5


@dataclass(frozen=True)
class Presented:
    """A certificate whose key a full TLS handshake proved, and what the client sent beside it; nothing of it is validated yet."""

    unverified_leaf: bytes
    unverified_chain: tuple[bytes, ...] = ()


def netloc() -> str:
    """The host (and port) of the certificate host, as browsers name it; "" where there is none."""
    return urlsplit(config().certificate_url).netloc.lower()


def is_certificate_host(request: HttpRequest) -> bool:
    """Whether a request is for the certificate host."""
    try:
        return bool(netloc()) and request.get_host().lower() == netloc()
    except DisallowedHost:
        return False


def base(request: HttpRequest) -> str:
    """The public URL of the host that a request is for: the issuer, or the certificate host."""
    return config().certificate_url if is_certificate_host(request) else config().issuer


def is_believed(request: HttpRequest) -> bool:
    """Whether a request came through the proxy of the certificate host."""
    secret = config().certificate_secret.get_secret_value()
    if len(secret) < LEAST_SECRET or not is_certificate_host(request):
        return False
    peer = request.META.get("REMOTE_ADDR") or UNIX
    shown = str(request.META.get(SECRET, ""))
    return peer in config().certificate_peers and hmac.compare_digest(shown.encode(), secret.encode())


def presented(request: HttpRequest) -> Presented:
    """The certificate that the proxy hands on.

    Raises: Refused(CERTIFICATE_MISSING) if there is none, or nobody who may speak of one;
    Refused(CERTIFICATE_NOT_PROVEN) for a resumed handshake (ruling 7); Refused(CERTIFICATE_MALFORMED).
    """
    if not is_believed(request):
        raise Refused(Reason.CERTIFICATE_MISSING)
    escaped, structured = (str(request.META.get(name, "")).strip() for name in (ESCAPED_PEM, CLIENT_CERT))
    chain = str(request.META.get(CLIENT_CERT_CHAIN, "")).strip()
    if not escaped and not structured:
        raise Refused(Reason.CERTIFICATE_MISSING)
    if request.META.get(RESUMED, "") != ".":
        raise Refused(Reason.CERTIFICATE_NOT_PROVEN)
    if (escaped and structured) or len(escaped) + len(structured) + len(chain) > _MOST:
        raise Refused(Reason.CERTIFICATE_MALFORMED)
    if structured:
        return Presented(_item(structured), tuple(_item(one.strip(" \t")) for one in _members(chain)))
    if chain:  # beside a header of ours it is nobody's
        raise Refused(Reason.CERTIFICATE_MALFORMED)
    return Presented(_unescaped(escaped))


def _members(chain: str) -> list[str]:
    """The members of an RFC 8941 list.

    Raises: Refused(CERTIFICATE_MALFORMED).
    """
    members = chain.split(",") if chain else []
    if len(members) > _MOST_CHAIN:
        raise Refused(Reason.CERTIFICATE_MALFORMED)
    return members


def _item(text: str) -> bytes:
    """The bytes of an RFC 8941 byte sequence: exactly one, without parameters (H3: a comma means two).

    Raises: Refused(CERTIFICATE_MALFORMED).
    """
    found = _BYTES.fullmatch(text)
    return _base64(found[1].encode() if found else b"")


def _unescaped(text: str) -> bytes:
    """The DER of nginx's URL-encoded PEM: exactly one certificate.

    Raises: Refused(CERTIFICATE_MALFORMED).
    """
    if not re.fullmatch(r"[A-Za-z0-9%._~+/=\-]+", text):
        raise Refused(Reason.CERTIFICATE_MALFORMED)
    found = _PEM.fullmatch(unquote_to_bytes(text))
    return _base64(b"".join(found[1].split()) if found else b"")


def _base64(text: bytes) -> bytes:
    try:
        der = b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        der = b""
    if not der:
        raise Refused(Reason.CERTIFICATE_MALFORMED)
    return der
