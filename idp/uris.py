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
_DEFAULT_PORTS = {"http": 80, "https": 443}
_ENCODED = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")


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


def normalized(url: str) -> str | None:
    """An http URL without query and fragment, normalized by syntax and scheme; None if it is none, or names a user.

    RFC 3986 §6.2.2, §6.2.3: case of scheme, host and percent-encodings, encoded unreserved characters, dot segments,
    the default port, the empty path. Other percent-encodings stay, because they are other URLs.
    """
    bare = url.split("#", 1)[0].split("?", 1)[0]
    try:
        parts = urlsplit(bare)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or not host or "@" in parts.netloc or not is_plain(bare):
        return None
    if not (_BRACKETED if "[" in parts.netloc else _NAMED).fullmatch(parts.netloc):
        return None
    place = f"[{host}]" if ":" in host else host
    if port is not None and port != _DEFAULT_PORTS[parts.scheme]:
        place = f"{place}:{port}"
    return f"{parts.scheme}://{place}{_normal_path(parts.path)}"


def _normal_path(path: str) -> str:
    """RFC 3986 §6.2.2.1, §6.2.2.2, §6.2.2.3."""
    kept: list[str] = []
    segments = _ENCODED.sub(_normal_octet, path).split("/")[1:]
    for segment in segments:
        kept = kept[:-1] if segment == ".." else kept if segment == "." else [*kept, segment]
    if segments and segments[-1] in {".", ".."}:
        kept.append("")
    return "/" + "/".join(kept)


def _normal_octet(found: re.Match[str]) -> str:
    character = chr(int(found[1], 16))
    return character if _UNRESERVED.fullmatch(character) else found[0].upper()
