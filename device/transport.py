"""HTTP of a device: discover the endpoints, post JSON or a form with DPoP, and parse the protocol's errors."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from device import proofs
from device.errors import ProtocolError, Unreachable, UntrustedIssuer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from device.key import Signer

_UNAUTHORIZED = 401
_ERROR_STATUS = 400
_CHALLENGE_PARAMETER = re.compile(r'(error|error_description)="([^"]*)"')


@dataclass(frozen=True, kw_only=True)
class Endpoints:
    """The provider's endpoints, from its metadata."""

    issuer: str
    challenge: str
    binding: str
    token: str
    userinfo: str


class Transport:
    """HTTP for one key: signs a DPoP proof per request and stores the nonce of each server.

    http: an httpx client; its trust in certificates is the device's.
    clock: gives the aware UTC time.
    """

    def __init__(self, http: httpx.Client, *, clock: Callable[[], datetime]) -> None:
        self._http = http
        self._clock = clock
        self._nonces: dict[str, str] = {}  # per origin: RFC 9449 §8.2

    def discover(self, issuer: str) -> Endpoints:
        """Find the endpoints (RFC 8414 §3).

        Raises: UntrustedIssuer, Unreachable, ProtocolError.
        """
        _require_private_channel(issuer)
        found = self._answer("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != issuer.rstrip("/"):
            message = "the metadata name another issuer than the one asked"
            raise UntrustedIssuer(message)
        try:
            endpoints = Endpoints(
                issuer=found["issuer"],
                challenge=found["ramet_challenge_endpoint"],
                binding=found["ramet_binding_endpoint"],
                token=found["token_endpoint"],
                userinfo=found["userinfo_endpoint"],
            )
        except KeyError as error:
            message = f"the metadata do not have {error}: is this a Ramet server?"
            raise UntrustedIssuer(message) from error
        for url in (endpoints.challenge, endpoints.binding, endpoints.token, endpoints.userinfo):
            _require_private_channel(url)
        return endpoints

    def post_json(self, url: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Post JSON, read JSON.

        Raises: Unreachable, ProtocolError.
        """
        return self._answer("POST", url, json=dict(body))

    def post_form(self, url: str, key: Signer, *, form: Callable[[], Mapping[str, str]]) -> dict[str, Any]:
        """Post a form with a DPoP proof (RFC 9449 §5).

        form: makes new fields at each try, because an assertion in them is single-use.

        Raises: Unreachable, ProtocolError.
        """
        return self._with_nonce(
            lambda: self._answer("POST", url, data=form(), headers=self._proof(key, "POST", url=url))
        )

    def get(self, url: str, key: Signer, *, access_token: str) -> dict[str, Any]:
        """Get a protected resource with a DPoP-bound access token (RFC 9449 §7.1).

        Raises: Unreachable, ProtocolError.
        """

        def once() -> dict[str, Any]:
            proof = self._proof(key, "GET", url=url, access_token=access_token)
            return self._answer("GET", url, headers={"Authorization": f"DPoP {access_token}", **proof})

        return self._with_nonce(once)

    def _with_nonce(self, once: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        try:
            return once()
        except ProtocolError as error:
            if error.error != "use_dpop_nonce":
                raise
        return once()  # the nonce came with the error; one more try, never a loop (RFC 9449 §8)

    def _proof(self, key: Signer, method: str, *, url: str, access_token: str | None = None) -> dict[str, str]:
        nonce = self._nonces.get(_origin(url))
        proof = proofs.dpop(key, method, url=url, now=self._clock(), nonce=nonce, access_token=access_token)
        return {"DPoP": proof}

    def _answer(self, method: str, url: str, **request: Any) -> dict[str, Any]:  # noqa: ANN401 - httpx's own
        try:
            response = self._http.request(method, url, follow_redirects=False, **request)
        except httpx.TransportError as error:
            message = f"{_origin(url)} does not answer: {type(error).__name__}"
            raise Unreachable(message) from error
        if nonce := response.headers.get("DPoP-Nonce"):
            self._nonces[_origin(url)] = nonce
        if response.status_code >= _ERROR_STATUS:
            raise _protocol_error(response)
        return _json_object(response)


def _require_private_channel(url: str) -> None:
    """Require TLS, except to this machine, for development (BI-4)."""
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname or "")):
        return
    message = f"{url} is not https://"
    raise UntrustedIssuer(message)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _json_object(response: httpx.Response) -> dict[str, Any]:
    try:
        found = response.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        message = f"{response.url.path} answered {response.status_code} with something that is not a JSON object"
        raise Unreachable(message)
    return found


def _protocol_error(response: httpx.Response) -> ProtocolError:
    """The error in the body, or, from a protected resource, in `WWW-Authenticate` (RFC 6750 §3)."""
    if response.status_code == _UNAUTHORIZED:
        said = dict(_CHALLENGE_PARAMETER.findall(response.headers.get("WWW-Authenticate", "")))
    else:
        said = {}
    if "error" not in said:
        try:
            said = _json_object(response)
        except Unreachable:
            said = {}
    return ProtocolError(
        str(said.get("error") or f"http_{response.status_code}"),
        str(said.get("error_description") or ""),
        status=response.status_code,
        retry_after=_seconds(response.headers.get("Retry-After")),
    )


def _seconds(text: str | None) -> float | None:
    # The HTTP-date form is not used by this protocol.
    return float(text) if text and text.isdecimal() else None
