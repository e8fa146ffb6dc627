"""Validation of an authorization request, however it arrives (P1, P41, C31–C34).

The authorization endpoint, pushed requests and signed request objects all use `admitted`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Error

from idp import clients, uris
from idp.oidc.proofs import own_jwts as issued
from idp.oidc.requests import gate, jar, refusals
from idp.oidc.requests.answers import DeclinedRequest
from idp.oidc.requests.ask import MODES, UNKNOWN, Ask, parse
from idp.oidc.requests.engine import OAuthRequest, engine

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from django.http import HttpRequest

    from idp.clients import RelyingParty


class UntrustedRequest(Exception):
    """A request whose client or redirect URI is not known: the answer is a page, never a redirect (P41)."""


@dataclass(frozen=True, kw_only=True)
class AdmittedRequest:
    """A validated request that may be stored: the client, the request, and the address of the response."""

    party: RelyingParty
    ask: Ask
    redirect_uri: str


def admit(
    request: HttpRequest, parameters: dict[str, str], *, now: datetime, pushed: bool = False, jkt: str = ""
) -> AdmittedRequest:
    """Validate the parameters of a request.

    pushed: it arrived over the back channel. jkt: the key that the client proved there.
    Raises: UntrustedRequest; Declined, to be sent back to the client.
    """
    party = clients.find(parameters.get("client_id", ""))
    if party is None:
        raise UntrustedRequest("The application is not registered here.")
    refusals.claim(request, party)
    try:
        parameters = jar.parameters_of(parameters, party, now=now)
    except OAuth2Error as error:
        raise _object_error(error, parameters, party, pushed=pushed) from error
    redirect_uri = parameters.get("redirect_uri", "")
    if not _is_registered(redirect_uri, party):
        raise UntrustedRequest("The application sent an address to return to that is not registered for it.")
    try:
        if party.must_push and not pushed:
            raise InvalidRequestError("This client must push its requests (RFC 9126).")
        return AdmittedRequest(
            party=party, ask=_bound_to_key(_ask(request, parameters, party), jkt), redirect_uri=redirect_uri
        )
    except OAuth2Error as error:
        raise declined_request(error, parameters, redirect_uri) from error


def malformed(request: HttpRequest, error: gate.MalformedRequest) -> DeclinedRequest | UntrustedRequest:
    """The error for a request with a malformed parameter, to the client where it and its redirect URI are sound."""
    party, redirect_uri = clients.find(error.sound.get("client_id", "")), error.sound.get("redirect_uri", "")
    if party is not None:
        refusals.claim(request, party)
    if party is not None and _is_registered(redirect_uri, party):
        return declined_request(error, error.sound, redirect_uri)
    return UntrustedRequest(error.description)


def _is_registered(redirect_uri: str, party: RelyingParty) -> bool:
    return uris.is_plain(redirect_uri) and party.check_redirect_uri(redirect_uri)


def _object_error(
    error: OAuth2Error, outer: Mapping[str, str], party: RelyingParty, *, pushed: bool
) -> DeclinedRequest | UntrustedRequest:
    """The error for a rejected request object: sent to a registered address outside of it, or shown on a page."""
    if isinstance(error, gate.MalformedRequest):
        outer = error.sound  # the object's own parameters: its signature was verified before they were read
    redirect_uri = outer.get("redirect_uri", "")
    if pushed or _is_registered(redirect_uri, party):
        return declined_request(error, outer, redirect_uri)
    return UntrustedRequest(f"The application sent a signed request that cannot be accepted. {error.description}")


def declined_request(error: OAuth2Error, parameters: Mapping[str, str], redirect_uri: str) -> DeclinedRequest:
    """An error about a request, on its way to an address that was compared."""
    mode = parameters.get("response_mode", "")
    return DeclinedRequest(
        error.error,
        error.description,
        redirect_uri=redirect_uri,
        mode=mode if mode in MODES else "query",
        state=parameters.get("state", ""),
    )


def _ask(request: HttpRequest, parameters: dict[str, str], party: RelyingParty) -> Ask:
    for name in ("request_uri", "registration"):
        if name in parameters:
            raise OAuth2Error(error=f"{name}_not_supported", description=f"{name} is not supported.")
    if "response_type" not in parameters:
        raise InvalidRequestError("Missing response_type in request.")
    grant = engine().get_consent_grant(OAuthRequest(request, parameters))
    return parse(
        parameters,
        scope=grant.request.scope,
        meant=_hinted_subject(parameters.get("id_token_hint"), party),
        nonce_required=party.needs_nonce,
    )


def _bound_to_key(ask: Ask, jkt: str) -> Ask:
    """The request with its code bound to the proven key (RFC 9449 §10.1)."""
    if jkt and ask.dpop_jkt not in {"", jkt}:
        raise OAuth2Error(error="invalid_dpop_proof", description="dpop_jkt names another key than the DPoP proof.")
    return replace(ask, dpop_jkt=jkt or ask.dpop_jkt)


def _hinted_subject(id_token_hint: str | None, party: RelyingParty) -> str:
    """The `sub` of an `id_token_hint` that Ramet issued to this client; UNKNOWN for any other hint."""
    if not id_token_hint:
        return ""
    found = issued.hint(id_token_hint) or {}
    return found.get("sub", UNKNOWN) if found.get("aud") == party.client_id else UNKNOWN
