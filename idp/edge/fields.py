"""Header fields as they arrived, and the names under which Django reads them.

Django's names (those of CGI, RFC 3875 §4.1.18) have one sign for a hyphen and an underscore. A server that folds both
lets `X_Forwarded_For` take the place of the proxy's `X-Forwarded-For`. So names are judged before they are folded:

- a name with anything but letters, digits and hyphens is dropped, as nginx does;
- if a dropped name folds to the name of another field of the same request, the request is refused;
- a field that has one value (RFC 9110 §5.3) and is repeated: the request is refused;
- any other repeated field is joined in its order, as RFC 9110 §5.2 allows.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

Field = tuple[str, str]

HOP = "HTTP_RAMETHOP"
_FORMER_HOP = frozenset({"HTTP_RAMET_PROXY_SECRET", "HTTP_RAMET_CLIENT_CERT", "HTTP_RAMET_TLS_RESUMED"})
_PLAIN_NAME = re.compile(r"[a-z0-9-]+")
_ONE_VALUE = frozenset(
    {
        HOP,
        "CONTENT_LENGTH",
        "CONTENT_TYPE",
        "HTTP_AUTHORIZATION",
        "HTTP_CONTENT_ENCODING",
        "HTTP_EXPECT",
        "HTTP_HOST",
        "HTTP_ORIGIN",
        "HTTP_REFERER",
        "HTTP_USER_AGENT",
        "HTTP_X_FORWARDED_PROTO",
    }
)
# The fields of ordinary requests, folded once.
_KNOWN = {
    name: "HTTP_" + name.upper().replace("-", "_")
    for name in (
        "accept", "accept-encoding", "accept-language", "authorization", "cache-control", "connection", "cookie",
        "dpop", "host", "if-match", "if-none-match", "origin", "ramethop", "referer",
        "sec-fetch-dest", "sec-fetch-mode", "sec-fetch-site", "user-agent", "x-forwarded-for", "x-forwarded-proto",
    )
} | {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}  # fmt: skip


def fold(fields: Iterable[Field]) -> tuple[dict[str, str], str]:
    """The fields under Django's names, and why the request is refused, or "".

    fields: names in lower case, as the server gives them, and values, in the order in which they arrived.
    """
    found: dict[str, str] = {}
    dropped: set[str] = set()
    repeated: set[str] = set()
    former = ""
    for name, value in fields:
        key = _KNOWN.get(name)
        if key is None:
            key = folds_to(name)
            if key in _FORMER_HOP:
                former = name
                continue
            if not is_plain(name):
                dropped.add(key)
                continue
        if key in found:
            repeated.add(key)
            value = f"{found[key]}{'; ' if key == 'HTTP_COOKIE' else ', '}{value}"  # noqa: PLW2901 - joined
        found[key] = value
    if former:
        return found, f"The header field {former} is no longer used: the proxy of the certificate host sends RametHop."
    if wrong := repeated & _ONE_VALUE:
        return found, f"The header field {_name(min(wrong))} is repeated."
    if wrong := dropped & found.keys():
        return found, f"Two header fields have names that are read as {_name(min(wrong))}."
    return found, ""


def is_plain(name: str) -> bool:
    """True if no other lower-case name folds to the same key."""
    return _PLAIN_NAME.fullmatch(name) is not None


def folds_to(name: str) -> str:
    """The key that a careless server folds a name to."""
    plain = re.sub(r"[^A-Z0-9]", "_", name.upper())
    return plain if plain in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{plain}"


def _name(key: str) -> str:
    return key.removeprefix("HTTP_").replace("_", "-").lower()
