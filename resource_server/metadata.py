"""The provider's metadata (RFC 8414), compared before anything is sent where they point."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

if TYPE_CHECKING:
    from collections.abc import Mapping

FRESH_SECONDS = 600
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Unavailable(Exception):
    """The provider is needed and cannot be asked now; nothing is said of the token."""


@dataclass
class Metadata:
    """The metadata of one issuer, kept for ten minutes.

    An endpoint has https and the issuer's own origin; http is for an issuer on loopback, in development.
    """

    issuer: str
    http: httpx.Client = field(repr=False)
    _known: Mapping[str, Any] = field(default_factory=dict, repr=False)
    _since: float = field(default=float("-inf"), repr=False)

    def endpoint(self, name: str, *, now: float) -> str:
        """Return the URL of an endpoint.

        Raises: Unavailable if the metadata cannot be had, name another issuer, or point elsewhere.
        """
        if now - self._since > FRESH_SECONDS:
            known = self._fetched(_well_known(self.issuer))
            if known.get("issuer") != self.issuer:
                raise Unavailable("the metadata name another issuer")
            self._known, self._since = known, now
        url = self._known.get(name)
        if not isinstance(url, str) or _origin(url) != _origin(self.issuer):
            raise Unavailable(f"{name} is not at the issuer's own origin")
        return url

    def json_at(self, name: str, *, now: float) -> Any:  # noqa: ANN401 - JSON
        """Get the document at an endpoint.

        Raises: Unavailable.
        """
        return self._fetched(self.endpoint(name, now=now))

    def _fetched(self, url: str) -> dict[str, Any]:
        if not _is_safe(url):
            raise Unavailable("the provider has no https")
        try:
            found = self.http.get(url, follow_redirects=False).raise_for_status().json()
        except (httpx.HTTPError, ValueError) as error:
            raise Unavailable("the provider does not answer") from error
        if not isinstance(found, dict):
            raise Unavailable("the provider's answer is no JSON object")
        return found


def _well_known(issuer: str) -> str:
    """Return the address of the metadata: the well-known part goes before the issuer's path (RFC 8414 §3.1)."""
    parts = urlsplit(issuer)
    return f"{parts.scheme}://{parts.netloc}/.well-known/oauth-authorization-server{parts.path.rstrip('/')}"


def _origin(url: str) -> tuple[str, str, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "", "", None
    return parts.scheme, (parts.hostname or "").lower(), port or {"https": 443, "http": 80}.get(parts.scheme)


def _is_safe(url: str) -> bool:
    scheme, host, _ = _origin(url)
    return scheme == "https" or (scheme == "http" and host in _LOOPBACK)
