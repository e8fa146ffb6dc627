"""The permitted redirect URIs, and their comparison (RFC 8252, RFC 9700 §2.1; C31, P40)."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from idp.config import is_loopback

MOST = 500
_PLAIN = re.compile(r"[\x21\x23-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a\x7e]+")  # printable ASCII but " < > \ ^ ` { | }
_PRIVATE_SCHEME = re.compile(r"[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+")  # a reversed domain name, as RFC 8252 §7.1 requires
_LITERALS = frozenset({"127.0.0.1", "::1"})
_BRACKETED = re.compile(r"\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")
_NAMED = re.compile(r"[A-Za-z0-9._-]+(:[0-9]{0,5})?")  # no `;` or `,`, which would end a source of a CSP
_BARE_LITERAL = re.compile(r"(127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?")


def is_plain(uri: str) -> bool:
    """True if a URI has only characters that every parser reads alike."""
    return len(uri) <= MOST and bool(_PLAIN.fullmatch(uri))


def objection(uri: str, *, application_type: str) -> str | None:
    """The reason why a redirect URI may not be registered, or None.

    Native clients may use loopback http and private schemes.
    """
    if not is_plain(uri):
        return "it has characters outside plain printable ASCII, or is too long"
    try:
        parts = urlsplit(uri)
        host, _port = parts.hostname or "", parts.port
    except ValueError:
        return "it is not a URI"
    if host and not (_BRACKETED if "[" in parts.netloc else _NAMED).fullmatch(parts.netloc.rpartition("@")[2]):
        return "its host is malformed"
    if parts.fragment or "#" in uri:
        return "it has a fragment"
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        return "it has a user in it"
    if "*" in parts.netloc or ".." in parts.path:
        return "it has a wildcard or a climbing path"
    match parts.scheme:
        case "https":
            return None if host else "it has no host"
        case "http":
            return None if is_loopback(host) else "http is for loopback only: use https"
        case scheme if application_type == "native" and _PRIVATE_SCHEME.fullmatch(scheme):
            return None
    return "only https, loopback http, and (for native apps) a private scheme like org.example.app:/cb"


def is_same(presented: str, registered: str, *, application_type: str) -> bool:
    """True for the registered redirect URI; only the port of a native loopback may differ (RFC 8252 §7.3)."""
    if presented == registered:
        return True
    if application_type != "native" or not is_plain(presented):
        return False
    try:
        ours, theirs = urlsplit(registered), urlsplit(presented)
        if ours.scheme != "http" or ours.hostname not in _LITERALS or theirs.port == 0:
            return False
    except ValueError:
        return False
    if not _BARE_LITERAL.fullmatch(theirs.netloc):  # Python before 3.11.12 ignores text around the brackets
        return False
    return (theirs.scheme, theirs.hostname, theirs.path, theirs.query, theirs.fragment) == (
        ours.scheme,
        ours.hostname,
        ours.path,
        ours.query,
        "",
    )
