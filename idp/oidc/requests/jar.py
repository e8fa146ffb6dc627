"""Signed request objects (RFC 9101), by value or pushed, with the client's registered algorithm (C43, C44).

See also A10, A11, P42, P43. `clients.signed` verifies the signature; this module checks the claims.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeGuard

from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Error

from derived.errors import Refused
from idp.clients import signed
from idp.config import config
from idp.oidc.requests import gate

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from idp.clients import RelyingParty

MOST_LIFE = timedelta(minutes=5)
_OLDEST = timedelta(minutes=60)  # FAPI 2.0 Message Signing §5.3.1
_LEAP = timedelta(seconds=15)
_TYPS = frozenset(
    {"oauth-authz-req+jwt", "jwt", None}
)  # OpenID Connect Core §6 knows no typ; no other kind of token passes (J2)


class InvalidRequestObject(OAuth2Error):  # type: ignore[misc]  # Authlib is untyped
    """RFC 9101 §7; the description names the fault, which is in the client's own object."""

    error = "invalid_request_object"


def parameters_of(parameters: dict[str, str], party: RelyingParty, *, now: datetime) -> dict[str, str]:
    """The parameters of a request: those of its object only (C43), or the plain ones without an object.

    Raises: InvalidRequestObject, and OAuth2Error for a client that signs none, or must.
    """
    token = parameters.get("request")
    if token is None:
        if party.policy.request_required:
            raise InvalidRequestError("This client must sign its requests (RFC 9101).")
        return parameters
    if not party.policy.request_alg:
        raise OAuth2Error(
            error="request_not_supported", description="This client is not registered to send request objects."
        )
    try:
        said = signed.claims(token, party, alg=party.policy.request_alg, typs=_TYPS, now=now)
    except Refused as refused:
        raise InvalidRequestObject(
            "The request object is malformed, or not signed by this client as it is registered."
        ) from refused
    _check(said, party, now=now)
    return gate.bounded((name, _text(name, value)) for name, value in said.items() if gate.is_known(name))


def _check(said: Mapping[str, Any], party: RelyingParty, *, now: datetime) -> None:
    """Check issuer, audience and times."""
    if said.get("iss") != party.client_id or said.get("client_id") != party.client_id:
        raise InvalidRequestObject("iss and client_id of the request object must be the client's.")
    if said.get("sub") == party.client_id:
        raise InvalidRequestObject("A request object has no sub: a client assertion has.")
    audience = said.get("aud")
    if config().issuer not in (audience if isinstance(audience, list) else [audience]):
        raise InvalidRequestObject("aud of the request object must be the issuer.")
    if {"request", "request_uri"} & said.keys():
        raise InvalidRequestObject("A request object holds no other one.")
    _check_times(said, now=now.timestamp(), nbf_required=party.policy.request_required)


def _check_times(said: Mapping[str, Any], *, now: float, nbf_required: bool) -> None:
    """Require a near `exp`; and `nbf` if requests must be signed, as later evidence."""
    leap, exp = _LEAP.total_seconds(), said.get("exp")
    if not _is_time(exp) or not now < exp <= now + MOST_LIFE.total_seconds() + leap:
        raise InvalidRequestObject("exp of the request object must be in the next five minutes.")
    if nbf_required and "nbf" not in said:
        raise InvalidRequestObject("The request object needs an nbf.")
    for name in ("nbf", "iat"):
        began = said.get(name, now)
        if name in said and not _is_time(began):
            raise InvalidRequestObject(f"{name} of the request object is not a time.")
        if not now - _OLDEST.total_seconds() <= began <= now + leap:
            raise InvalidRequestObject(f"{name} of the request object must be in the last hour.")


def _is_time(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**40


def _text(name: str, value: object) -> str:
    """A member as a query parameter; objects only for `claims`, numbers only for `max_age` (A11)."""
    if isinstance(value, str):
        return value
    if name == "claims" and isinstance(value, dict):
        return json.dumps(value)
    if name == "max_age" and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise InvalidRequestObject(f"{name} of the request object is not of its type.")
