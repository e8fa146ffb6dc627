"""The trusted proxy of the certificate host, which alone may pass on a client certificate (H1-H4, C22, ruling 32).

Everything that the proxy states is in one header field, `RametHop`, so that no part can be replaced alone; its name has
neither a hyphen nor an underscore, so that no other name is read as it. The field is accepted only from a listed peer
(or the UNIX socket), with the shared secret, for the certificate host; from any other caller it is ignored. The
accepted bytes are only a certificate with a proven key; `idp.certificates` validates them.

    RametHop: secret=…; resumed=…; pem=…          nginx, Apache: one certificate, PEM, URL-encoded
    RametHop: secret=…; resumed=…; der=…          HAProxy: one certificate, DER, base64; chain=… (concatenated)

resumed: `.` (nginx), `0` (HAProxy) or `Initial` (Apache) for a handshake that proved the key; other values did not.
"""

from __future__ import annotations

import binascii
import hmac
import re
from base64 import b64decode
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes, urlsplit

from derived.errors import Reason, Refused
from idp.config import config

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpRequest

FIELD, NAME = "HTTP_RAMETHOP", "RametHop"
UNIX = "unix"
LEAST_SECRET = 32
SECRET = re.compile(r"[A-Za-z0-9._~-]+")  # stands in the proxy's configuration and in the field without being quoted
_WHOLE_HANDSHAKE = frozenset({".", "0", "Initial"})
_PARTS = frozenset({"secret", "resumed", "pem", "der", "chain"})
_MOST = 24 * 1024
_MOST_CHAIN = 8
_PEM = re.compile(
    rb"\A\s*-----BEGIN CERTIFICATE-----\r?\n((?:[A-Za-z0-9+/]{1,76}={0,2}\r?\n)+)-----END CERTIFICATE-----\s*\Z"
)
_ESCAPED = re.compile(r"[A-Za-z0-9%._~+/=\-]+")
_SEQUENCE, _LONG_LENGTH, _TAG_AND_LENGTH = 0x30, 0x80, 2


@dataclass(frozen=True)
class PresentedCertificate:
    """A certificate whose key a full TLS handshake proved, with the client's chain; not validated."""

    unverified_leaf: bytes
    unverified_chain: tuple[bytes, ...] = ()


def netloc() -> str:
    """The host (and port) of the certificate host, as browsers name it; "" where there is none."""
    return _netloc(config().certificate_url)


@lru_cache(maxsize=8)
def _netloc(url: str) -> str:
    return urlsplit(url).netloc.lower()


def is_certificate_host(request: HttpRequest) -> bool:
    """True if a request is for the certificate host."""
    return _is_for_certificate_host(request.META)


def _is_for_certificate_host(meta: Mapping[str, Any]) -> bool:
    return bool(netloc()) and meta.get("HTTP_HOST", "").lower() == netloc()


def base(request: HttpRequest) -> str:
    """The public URL of the host that a request is for: the issuer, or the certificate host."""
    return config().certificate_url if is_certificate_host(request) else config().issuer


def is_from_proxy(request: HttpRequest) -> bool:
    """True if a request came through the proxy of the certificate host."""
    return has_proxy_fields(request.META)


def has_proxy_fields(meta: Mapping[str, Any]) -> bool:
    """The same, of a request whose fields stand under Django's names."""
    if not _is_for_certificate_host(meta) or (meta.get("REMOTE_ADDR") or UNIX) not in config().certificate_peers:
        return False
    secret = config().certificate_secret.get_secret_value()
    shown = _parts(meta).get("secret", "")
    return len(secret) >= LEAST_SECRET and hmac.compare_digest(shown.encode(), secret.encode())


def presented_certificate(request: HttpRequest) -> PresentedCertificate:
    """The certificate that the proxy passes on.

    Raises: Refused(CERTIFICATE_MISSING) without a certificate or from an untrusted caller;
    Refused(CERTIFICATE_NOT_PROVEN) for a resumed handshake (ruling 7); Refused(CERTIFICATE_MALFORMED).
    """
    if not is_from_proxy(request):
        raise Refused(Reason.CERTIFICATE_MISSING)
    parts = _parts(request.META)
    pem, der, chain = (parts.get(name, "") for name in ("pem", "der", "chain"))
    if not pem and not der:
        raise Refused(Reason.CERTIFICATE_MISSING)
    if parts.get("resumed") not in _WHOLE_HANDSHAKE:
        raise Refused(Reason.CERTIFICATE_NOT_PROVEN)
    if (pem and der) or (pem and chain) or len(pem) + len(der) + len(chain) > _MOST:
        raise Refused(Reason.CERTIFICATE_MALFORMED)
    return (
        PresentedCertificate(_unescaped(pem)) if pem else PresentedCertificate(_certificate_of(der), _chain_of(chain))
    )


def _parts(meta: Mapping[str, Any]) -> dict[str, str]:
    """The field's parts by their names; nothing of a field that repeats one, or has a part that nobody knows."""
    found: dict[str, str] = {}
    for part in str(meta.get(FIELD, "")).split(";"):
        name, separator, value = part.strip(" \t").partition("=")
        if not separator or name not in _PARTS or name in found:
            return {}
        found[name] = value
    return found


def _certificate_of(text: str) -> bytes:
    """The DER of exactly one certificate in base64.

    Raises: Refused(CERTIFICATE_MALFORMED).
    """
    found = _elements(_base64(text.encode()))
    if len(found) != 1:
        raise Refused(Reason.CERTIFICATE_MALFORMED)
    return found[0]


def _chain_of(text: str) -> tuple[bytes, ...]:
    """The DER of the certificates that a client sent beside its own, concatenated, in base64.

    Raises: Refused(CERTIFICATE_MALFORMED).
    """
    found = _elements(_base64(text.encode())) if text else []
    if len(found) > _MOST_CHAIN:
        raise Refused(Reason.CERTIFICATE_MALFORMED)
    return tuple(found)


def _elements(der: bytes) -> list[bytes]:
    """Concatenated SEQUENCEs, one by one (X.690 §8.1.3); what is inside is not looked at.

    Raises: Refused(CERTIFICATE_MALFORMED).
    """
    found, place = [], 0
    while place < len(der):
        size = _sequence_size(der[place : place + 6])
        if not 0 < size <= len(der) - place:
            raise Refused(Reason.CERTIFICATE_MALFORMED)
        found.append(der[place : place + size])
        place += size
    return found


def _sequence_size(head: bytes) -> int:
    """How many bytes the SEQUENCE takes that begins so; 0 if none does."""
    if len(head) < _TAG_AND_LENGTH or head[0] != _SEQUENCE:
        return 0
    if head[1] < _LONG_LENGTH:
        return 2 + head[1]
    count = head[1] - _LONG_LENGTH
    length = head[2 : 2 + count]
    return 2 + count + int.from_bytes(length) if 0 < count == len(length) else 0


def _unescaped(text: str) -> bytes:
    """The DER of a URL-encoded PEM: exactly one certificate.

    Raises: Refused(CERTIFICATE_MALFORMED).
    """
    if not _ESCAPED.fullmatch(text):
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
