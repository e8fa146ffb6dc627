"""Client authentication at every endpoint (C36, C37, A13, P15, P16, P43, P44).

Authlib's own methods are not used: they try one after the other, say which client is unknown, and parse an assertion
before it is bounded (A13, A20). Here a request presents exactly one method (RFC 6749 §2.3); the client's registration,
never the request, decides which is correct; every failure is the same error, in about the same time.
"""

from __future__ import annotations

import hmac
import re
from base64 import b64decode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeGuard
from urllib.parse import unquote, unquote_plus

from authlib.oauth2.rfc6749 import InvalidClientError, InvalidRequestError

from derived import clock
from derived.errors import Refused
from derived.ledger.locking import transacted
from derived.ledger.single_use import spend
from idp import clients
from idp.certificates import parties
from idp.clients import signed
from idp.clients.terms import SECRET_METHODS, TLS_METHODS
from idp.config import config
from idp.login import hop
from idp.oidc.proofs import mutual_tls as certificate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpRequest

    from idp.clients import RelyingParty

_ALWAYS = ("client_secret_basic", "client_secret_post", "private_key_jwt")
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
MOST_LIFE = timedelta(minutes=5)
_LEAP = timedelta(seconds=15)  # the permitted lead of a client's clock (FAPI 2.0 §5.3.2.1 requires at least 10)
_TYPS = frozenset({None, "jwt", "client-authentication+jwt"})  # RFC 7523bis; of no other kind of token (J2)
_JTI = re.compile(r"[\x20-\x7e]{1,255}")
_NOBODY = "0" * 64


@dataclass(frozen=True, kw_only=True)
class _PresentedAuthentication:
    """The authentication method of a request, with its values.

    unencoded: the secret of a Basic header as it is for a client that does not form-encode it (RFC 6749 §2.3.1), where
    that makes a difference.
    """

    method: str
    client_id: str = ""
    proof: str = ""
    unencoded: str = ""


def methods() -> list[str]:
    """The methods of confidential clients that are on: certificates, where there is a certificate host."""
    by_certificate = ["self_signed_tls_client_auth"] if config().certificate_url else []
    return [*_ALWAYS, *(["tls_client_auth"] if by_certificate and parties.is_configured() else []), *by_certificate]


def authenticate(request: HttpRequest, form: Mapping[str, str], headers: Mapping[str, str]) -> RelyingParty:
    """The client that sent this form.

    headers: through the gate. Raises: InvalidClientError, always the same one; InvalidRequestError for two methods at
    once.
    """
    shown, now = _presented(form, headers), clock.now()
    try:
        match shown.method:
            case "private_key_jwt":
                return _by_assertion(request, shown, now=now)
            case "none":
                return _by_connection(request, shown, now=now)
            case _:
                return _by_secret(request, shown)
    except Refused as refused:
        raise InvalidClientError from refused


def presents_proof(request: HttpRequest, form: Mapping[str, str], headers: Mapping[str, str]) -> bool:
    """True if a request brings a secret, an assertion or a certificate, not verified; nothing is read for this.

    Raises: as `authenticate`.
    """
    if _presented(form, headers).method != "none":
        return True
    if not hop.is_certificate_host(request):
        return False
    try:
        hop.presented_certificate(request)
    except Refused:
        return False
    return True


def _presented(form: Mapping[str, str], headers: Mapping[str, str]) -> _PresentedAuthentication:
    found: list[_PresentedAuthentication] = []
    scheme, _, credentials = headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        user, _, password = b64decode(credentials.strip()).decode("ascii").partition(":")
        found.append(
            _PresentedAuthentication(
                method="client_secret_basic",
                client_id=unquote(user),  # a client_id has no spaces
                proof=unquote_plus(password),
                unencoded=unquote(password) if "+" in password else "",
            )
        )
    if "client_secret" in form:
        found.append(
            _PresentedAuthentication(
                method="client_secret_post", client_id=form.get("client_id", ""), proof=form["client_secret"]
            )
        )
    if "client_assertion" in form or "client_assertion_type" in form:
        if form.get("client_assertion_type") != ASSERTION or "client_assertion" not in form:
            raise InvalidClientError
        found.append(
            _PresentedAuthentication(
                method="private_key_jwt", client_id=form.get("client_id", ""), proof=form["client_assertion"]
            )
        )
    if len(found) > 1:
        raise InvalidRequestError("Authenticate in one way only.")
    shown = found[0] if found else _PresentedAuthentication(method="none", client_id=form.get("client_id", ""))
    if "client_id" in form and shown.client_id != form["client_id"]:
        raise InvalidClientError
    return shown


def _party(request: HttpRequest, client_id: str, method: str) -> RelyingParty | None:
    """The client of that id, if it is registered for that method."""
    party = _named(request, client_id)
    return party if party is not None and party.check_endpoint_auth_method(method, "") else None


def _named(request: HttpRequest, client_id: str) -> RelyingParty | None:
    """The client of that id, noted for the log line of a refusal."""
    party = clients.find(client_id)
    if party is not None:
        request.ramet_claimed_client = party.client_id  # type: ignore[attr-defined]  # read by `requests.refusals`
    return party


def certificate_of(request: HttpRequest) -> str | None:
    """x5t#S256 of the certificate whose key this request's connection proved, or None (RFC 8705 §3)."""
    return certificate.thumbprint(request, now=clock.now())


def _by_connection(request: HttpRequest, shown: _PresentedAuthentication, *, now: datetime) -> RelyingParty:
    """By the certificate of the TLS connection (RFC 8705 §2); or by nothing, for a public client."""
    party = _named(request, shown.client_id)
    found = certificate.certificate_of_connection(request, now=now) if hop.is_certificate_host(request) else None
    if party is not None and party.is_public:
        return party
    if party is None or found is None or party.policy.auth_method not in TLS_METHODS:
        raise InvalidClientError
    certificate.require_certificate_of(party, found, now=now)
    return party


def _by_secret(request: HttpRequest, shown: _PresentedAuthentication) -> RelyingParty:
    """By hash, in constant time; a client that is not there costs the same (C71, P54)."""
    party = _party(request, shown.client_id, SECRET_METHODS[0])
    kept = party.policy.secret_hash if party is not None else ""
    given = [one for one in (shown.proof, shown.unencoded) if one]
    is_right = any(hmac.compare_digest(clients.hashed_secret(one), kept or _NOBODY) for one in given)
    if party is None or not kept or not is_right:
        raise InvalidClientError
    return party


def _by_assertion(request: HttpRequest, shown: _PresentedAuthentication, *, now: datetime) -> RelyingParty:
    """RFC 7523 §3: check the issuer, the audience and the times, then the signature, and last the single use."""
    header, said = signed.unverified(shown.proof)
    client_id = said.get("sub")
    if (
        not isinstance(client_id, str)
        or said.get("iss") != client_id
        or (shown.client_id and shown.client_id != client_id)
    ):
        raise InvalidClientError
    until = _until(said, now=now)
    party = _party(request, client_id, "private_key_jwt")
    if party is None:
        signed.verify_for_nobody(shown.proof)
        raise InvalidClientError
    alg = next((one for one in party.assertion_algs if one == header.get("alg")), "")
    signed.claims(shown.proof, party, alg=alg, typs=_TYPS, now=now)
    if not transacted(lambda: spend("client-assertion", client_id, str(said["jti"]), expires_at=until)):
        raise InvalidClientError
    return party


def _until(said: Mapping[str, Any], *, now: datetime) -> datetime:
    """The time until which an assertion could be replayed, if its audience and times are correct.

    Raises: InvalidClientError.
    """
    seconds, leap, most = now.timestamp(), _LEAP.total_seconds(), MOST_LIFE.total_seconds()
    exp, jti = said.get("exp"), said.get("jti")
    iat, nbf = said.get("iat", int(seconds)), said.get("nbf", int(seconds))
    if said.get("aud") != config().issuer:  # a single text: a list would permit a replay elsewhere (P44)
        raise InvalidClientError
    if not (_is_time(exp) and _is_time(iat) and _is_time(nbf)) or not isinstance(jti, str) or not _JTI.fullmatch(jti):
        raise InvalidClientError
    if (
        not seconds < exp <= seconds + most + leap
        or not seconds - most - leap <= iat <= seconds + leap
        or nbf > seconds + leap
    ):
        raise InvalidClientError
    return datetime.fromtimestamp(exp, tz=UTC) + _LEAP


def _is_time(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**40
