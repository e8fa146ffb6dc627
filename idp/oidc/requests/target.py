"""The resource of an access token (RFC 8707; C38, ruling 18): by indicator, allowed per client, one per token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

from authlib.oauth2.rfc6749 import OAuth2Error

from idp.config import config

if TYPE_CHECKING:
    from collections.abc import Sequence

    from idp.clients import RelyingParty

AuthlibGrant: TypeAlias = Any  # Authlib is untyped
_MOST = 10


class InvalidTarget(OAuth2Error):  # type: ignore[misc]  # Authlib is untyped
    """RFC 8707 §2."""

    error = "invalid_target"


def requested_resources(parameter: str, party: RelyingParty) -> list[str]:
    """The requested resources that this client may request; Ramet itself is always allowed.

    parameter: from the gate: an indicator, or several separated by spaces.
    Raises: InvalidTarget.
    """
    wanted = list(dict.fromkeys(parameter.split(" "))) if parameter else []
    if len(wanted) > _MOST or not all(_is_indicator(one) for one in wanted):
        raise InvalidTarget("resource is an absolute URI without a fragment.")
    if unknown := [one for one in wanted if one not in party.policy.resources and one != config().issuer]:
        raise InvalidTarget(f"This client may not ask for {unknown[0]}.")
    return wanted


def still_allowed(granted: Sequence[str], party: RelyingParty) -> list[str]:
    """The granted resources that this client may still request (C16).

    Raises: InvalidTarget if none is left, so that the token does not become one for Ramet itself.
    """
    kept = [one for one in granted if one in party.policy.resources or one == config().issuer]
    if granted and not kept:
        raise InvalidTarget("This client may not ask for that any more.")
    return kept


def audience(parameter: str, granted: Sequence[str], scope: str) -> str:
    """The audience of an access token under a grant.

    Without a request: the granted resource, if there is exactly one; without a grant: Ramet itself, for userinfo.
    Raises: InvalidTarget.
    """
    ours = config().issuer
    if not parameter:
        if len(granted) > 1:
            raise InvalidTarget("Several resources were granted: name one of them for this token.")
        return granted[0] if granted else ours
    if parameter in granted or (parameter == ours and (not granted or "openid" in scope.split())):
        return parameter
    raise InvalidTarget("Name one resource of those that were granted.")


class Resources:
    """RFC 8707 §2.1 as an extension of the authorization request's grammar."""

    def __call__(self, grant: AuthlibGrant) -> None:
        """Take part in its validation."""
        grant.register_hook("after_validate_authorization_request_payload", self.validate)

    def validate(self, grant: AuthlibGrant, _redirect_uri: str) -> None:
        """Require that this client may request every requested resource."""
        requested_resources(grant.request.payload.data.get("resource", ""), grant.request.client)


def _is_indicator(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return (
        bool(parts.scheme and (parts.netloc or parts.path))
        and "#" not in text
        and text.isascii()
        and text.isprintable()
    )
