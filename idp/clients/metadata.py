"""Client metadata of RFC 7591 and OpenID Connect Registration: read from a client, and written back.

Pure except for the configuration: JSON in, a `Registration` out, and back. Settings that weaken a client, lower a gate
or permit internal hosts are the operator's alone, and have no name here.
"""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

from idp import uris
from idp.clients.terms import CODE_GRANTS, MORE_GRANTS, SCOPES, SHOWN, BadRegistration, Registration
from idp.config import config, is_loopback
from idp.wire import is_public

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

_Member: TypeAlias = Any  # of the requested type
_LEAST_LABELS = 2
# The metadata name, and the field's name here.
_TEXTS = {
    "client_name": "name", "token_endpoint_auth_method": "auth_method",
    "token_endpoint_auth_signing_alg": "auth_alg", "jwks_uri": "jwks_uri",
    "application_type": "application_type", "request_object_signing_alg": "request_alg",
    "id_token_signed_response_alg": "id_token_alg",
    "userinfo_signed_response_alg": "userinfo_alg", "introspection_signed_response_alg": "introspection_alg",
    "subject_type": "subject_type",
    "sector_identifier_uri": "sector_identifier_uri", "backchannel_logout_uri": "backchannel_logout_uri",
}  # fmt: skip
_LISTS = {"redirect_uris": "redirect_uris", "post_logout_redirect_uris": "post_logout_uris"}
_FLAGS = {
    "tls_client_certificate_bound_access_tokens": "certificate_bound", "dpop_bound_access_tokens": "dpop_required",
    "require_pushed_authorization_requests": "par_required", "require_signed_request_object": "request_required",
}  # fmt: skip
_TLS = {
    kind: f"tls_client_auth_{'subject_dn' if kind == 'dn' else 'san_' + kind}"
    for kind in ("dn", "dns", "uri", "ip", "email")
}
_FETCHED_OR_CALLED = (
    "jwks_uri",
    "sector_identifier_uri",
    "backchannel_logout_uri",
    "client_uri",
    "policy_uri",
    "tos_uri",
    "logo_uri",
)
_INSIDE = (
    ".local",
    ".internal",
    ".localhost",
    ".lan",
    ".home.arpa",
    ".intranet",
    ".corp",
    ".home",
    ".onion",
    ".test",
    ".invalid",
)
_MOST_LIST = 20


def read(said: Mapping[str, Any]) -> Registration:
    """The registration that a client requests.

    Raises: BadRegistration.
    """
    if "software_statement" in said:
        raise BadRegistration("software statements are not supported", about="software_statement")
    found: dict[str, Any] = {"name": "An application", "subject_type": "pairwise", "consent": True}
    for theirs, ours in _TEXTS.items():
        if said.get(theirs) is not None:
            found[ours] = _typed(said, theirs, str)
    for theirs, ours in _LISTS.items():
        if said.get(theirs) is not None:
            found[ours] = _list(said, theirs)
    for theirs, ours in _FLAGS.items():
        if said.get(theirs) is not None:
            found[ours] = _typed(said, theirs, bool)
    if said.get("jwks") is not None:
        found["jwks"] = _typed(said, "jwks", dict)
    found["tls_subject"] = {kind: _typed(said, name, str) for kind, name in _TLS.items() if said.get(name) is not None}
    found["shown"] = {
        name: _list(said, name) if name == "contacts" else _typed(said, name, str) for name in SHOWN if said.get(name)
    }
    found["scopes"] = (
        tuple(dict.fromkeys(_typed(said, "scope", str).split())) if said.get("scope") is not None else SCOPES
    )
    found["grants"] = _grants(said)
    if found["subject_type"] != "pairwise":
        raise BadRegistration("subject_type is pairwise for clients that register themselves", about="subject_type")
    found["public"] = found.get("auth_method") == "none" or (
        found.get("application_type") == "native" and "auth_method" not in found
    )
    wanted = Registration(**found)
    _require_outside(said, wanted)
    return replace(wanted, auth_method=wanted.method)


def _typed(said: Mapping[str, Any], name: str, kind: type) -> _Member:
    value = said[name]
    if not isinstance(value, kind):
        raise BadRegistration(f"{name} is not a {'text' if kind is str else kind.__name__}", about=name)
    return value


def _list(said: Mapping[str, Any], name: str) -> list[str]:
    value = said[name]
    if not isinstance(value, list) or len(value) > _MOST_LIST or not all(isinstance(one, str) for one in value):
        raise BadRegistration(f"{name} is not a list of at most {_MOST_LIST} texts", about=name)
    return value


def _grants(said: Mapping[str, Any]) -> list[str]:
    """Grants beyond code and refresh are the operator's to give."""
    if said.get("response_types") is not None and _list(said, "response_types") != ["code"]:
        raise BadRegistration("response_types is [code] (C32)", about="response_types")
    for one in _list(said, "grant_types") if said.get("grant_types") is not None else []:
        if one not in CODE_GRANTS:
            words = "is given by an operator only" if one in MORE_GRANTS else "is not supported"
            raise BadRegistration(f"the grant {one!r} {words}", about="grant_types")
    return []


def require_own_logout_host(wanted: Registration, *, allowed: Collection[str]) -> None:
    """Refuse a logout URI on a host that is neither a redirect URI's nor allowed by an operator.

    allowed: `host` or `host:port`. Otherwise a client could have logout tokens posted to another party.
    Raises: BadRegistration.
    """
    if wanted.backchannel_logout_uri and not is_own_host(wanted.backchannel_logout_uri, wanted.redirect_uris, allowed):
        raise BadRegistration(
            "the host of backchannel_logout_uri is one of the redirect URIs' hosts", about="backchannel_logout_uri"
        )


def is_own_host(uri: str, redirect_uris: Iterable[str], allowed: Collection[str]) -> bool:
    """Return whether a URI is on the host of a redirect URI, or on a `host` or `host:port` that an operator allowed."""
    parts = urlsplit(uri)
    host = (parts.hostname or "").lower()
    hosts = {(urlsplit(one).hostname or "").lower() for one in redirect_uris if one.startswith(("https:", "http:"))}
    return host in hosts or host in allowed or f"{host}:{parts.port}" in allowed


def _require_outside(said: Mapping[str, Any], wanted: Registration) -> None:
    """Require public internet addresses, or the device's own loopback (A18, C31, C46).

    Raises: BadRegistration.
    """
    for about, listed in (
        ("redirect_uris", wanted.redirect_uris),
        ("post_logout_redirect_uris", wanted.post_logout_uris),
    ):
        for uri in listed:
            if why := uris.objection(uri, application_type=wanted.application_type) or objection_to_address(
                uri, native=wanted.application_type == "native"
            ):
                raise BadRegistration(f"{uri[:100]!r} is refused: {why}", about=about)
    for about in _FETCHED_OR_CALLED:
        if said.get(about) and (
            why := uris.objection(str(said[about]), application_type="web")
            or objection_to_address(str(said[about]), native=False)
        ):
            raise BadRegistration(f"{about} is refused: {why}", about=about)


def objection_to_address(uri: str, *, native: bool) -> str | None:
    """The reason why a URI does not lead to the public internet, or None; a native app's loopback is permitted."""
    parts = urlsplit(uri)
    host = (parts.hostname or "").rstrip(".")
    if parts.scheme not in {"http", "https"} or is_loopback(config().host):
        return None
    if parts.scheme == "http":
        return None if native else "http is for the loopback of native apps"
    try:
        return None if is_public(ipaddress.ip_address(host)) else "its address is not a public one"
    except ValueError:
        pass
    labels = host.split(".")
    if len(labels) < _LEAST_LABELS or labels[-1].isdigit() or labels[-1].startswith("0x") or host.endswith(_INSIDE):
        return "its host is not a public name"
    return None


def registered_metadata(wanted: Registration) -> dict[str, Any]:
    """All registered metadata, by its RFC names (RFC 7591 §3.2.1)."""
    found: dict[str, Any] = {theirs: getattr(wanted, ours) for theirs, ours in (_TEXTS | _FLAGS).items()}
    found |= {theirs: list(getattr(wanted, ours)) for theirs, ours in _LISTS.items()}
    found |= {_TLS[kind]: value for kind, value in wanted.tls_subject.items()} | dict(wanted.shown)
    found |= {
        "token_endpoint_auth_method": wanted.method, "scope": " ".join(wanted.scopes),
        "grant_types": [*CODE_GRANTS, *wanted.grants],
        "response_types": ["code"], "jwks": wanted.jwks,
    }  # fmt: skip
    return {name: value for name, value in found.items() if value not in (None, "", [])}
