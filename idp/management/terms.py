"""A client's terms as options of `manage.py client add` and `set`, from one table for both."""

from __future__ import annotations

import json
from argparse import ArgumentTypeError, BooleanOptionalAction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from idp.clients import CLIENT_ALGS, ID_TOKEN_ALGS
from idp.clients.terms import AUTH_METHODS, MORE_GRANTS, TLS_NAMES
from idp.management.verbs import duration

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


def jwks(text: str) -> dict[str, Any]:
    """A JWK Set: a file's name, or the JSON.

    Raises: ArgumentTypeError.
    """
    try:
        found = json.loads(text if text.lstrip().startswith("{") else Path(text).read_text())
    except (OSError, ValueError) as error:
        message = f"{text} is not a JWK Set, nor the name of a file with one ({type(error).__name__})"
        raise ArgumentTypeError(message) from None
    return dict(found) if isinstance(found, dict) else {}


def tls_subject(text: str) -> dict[str, str]:
    """A name in a certificate, like `dns:rp.example.org`.

    Raises: ArgumentTypeError.
    """
    kind, colon, value = text.partition(":")
    if kind not in TLS_NAMES or not colon or not value:
        message = f"{text} is not a name like dns:rp.example.org; kinds: {', '.join(TLS_NAMES)}"
        raise ArgumentTypeError(message)
    return {kind: value}


def _span(text: str) -> object:
    return "" if text == "default" else duration(text)


_LIST, _FLAG = "list", "flag"
# Option, field, what it is, help. Lists are given whole, several times or with spaces; `--X none` empties one.
OPTIONS: tuple[tuple[str, str, Any, str], ...] = (
    ("--redirect-uri", "redirect_uris", _LIST, "may be given several times; compared whole"),
    ("--post-logout-redirect-uri", "post_logout_uris", _LIST, "where a browser may go after signing out"),
    ("--backchannel-logout-uri", "backchannel_logout_uri", str, "where logout tokens are posted"),
    ("--auth", "auth_method", AUTH_METHODS, "how it proves itself; default: a secret, or none for a public client"),
    ("--auth-alg", "auth_alg", ("", *CLIENT_ALGS), "the algorithm of its assertions (default: as its keys name)"),
    ("--jwks", "jwks", jwks, "its public keys: a file with a JWK Set"),
    ("--jwks-uri", "jwks_uri", str, "where its public keys are: https, public, or on a host of --allow-host"),
    ("--allow-host", "hosts", _LIST, "host or host:port inside that its documents may be fetched from"),
    ("--tls-subject", "tls_subject", tls_subject,
     "the one name of its certificate (tls_client_auth), like dns:rp.example.org"),
    ("--certificate-bound", "certificate_bound", _FLAG, "its tokens are bound to its certificate (RFC 8705)"),
    ("--device", "device_assertion", _FLAG, "may get tokens by a device's assertion, without a browser"),
    ("--dpop", "dpop_required", _FLAG, "every token is bound to a DPoP key"),
    ("--dpop-nonce", "dpop_nonce", ("on", "off", "default"),
     "whether its proofs carry our nonce (RFC 9449 §8); default: on for public clients"),
    ("--par", "par_required", _FLAG, "its requests are pushed (RFC 9126)"),
    ("--request-alg", "request_alg", ("", *CLIENT_ALGS), "the one algorithm of its request objects (RFC 9101)"),
    ("--signed-requests", "request_required", _FLAG, "its requests are signed"),
    ("--phishing-resistant", "phishing_resistant", _FLAG, "nobody enters without a phishing-resistant login"),
    ("--pkce-optional", "pkce_optional", _FLAG,
     "excused from PKCE: never for a public client; its logins are FAL1 then"),
    ("--nonce-optional", "nonce_optional", _FLAG,
     "excused from the nonce: never for a public client; its logins are FAL1 then"),
    ("--consent", "consent", _FLAG, "ask people before the first sign-in"),
    ("--scope", "scopes", _LIST, "the most that it may be given"),
    ("--grant", "grants", _LIST, f"beyond code and refresh: {', '.join(MORE_GRANTS)}"),
    ("--resource", "resources", _LIST, "resource indicators that it may ask tokens for (RFC 8707)"),
    ("--serves", "serves", _LIST, "resource indicators that it serves itself, and asks about by introspection"),
    ("--access-token", "access_token_format", ("jwt", "opaque"), "the form of its access tokens"),
    ("--access-token-life", "access_token_life", _span, "shorter than ours, like 120s, or default"),
    ("--refresh-life", "refresh_life", _span, "shorter than ours, like 8h, or default"),
    ("--userinfo-alg", "userinfo_alg", ("", *ID_TOKEN_ALGS), "sign userinfo answers"),
    ("--claims-in-id-token", "claims_in_id_token", _FLAG,
     "the claims of its scopes are in the ID token too, for libraries that do not ask userinfo"),
    ("--introspection-alg", "introspection_alg", ("", *ID_TOKEN_ALGS), "sign introspection answers (RFC 9701)"),
    ("--min-aal", "min_aal", int, "nobody enters below this level: 1, 2 or 3"),
    ("--most-idle", "most_idle", _span,
     "ask again after such a pause, like 10m, or default: stricter than the level's own"),
    ("--most-session", "most_session", _span, "ask again when the sign-in is older, like 2h, or default"),
    ("--id-token-alg", "id_token_alg", ID_TOKEN_ALGS, "how its ID tokens are signed"),
    ("--sector-identifier-uri", "sector_identifier_uri", str, "with --pairwise and redirect URIs on several hosts"),
)  # fmt: skip


def add_options(parser: CommandParser) -> None:
    """Add every option of the table; an option that is not given changes nothing."""
    for option, field, kind, words in OPTIONS:
        if kind is _FLAG:
            parser.add_argument(option, dest=field, action=BooleanOptionalAction, default=None, help=words)
        elif kind is _LIST:
            parser.add_argument(option, dest=field, action="append", default=None, metavar="VALUE", help=words)
        elif isinstance(kind, tuple):
            parser.add_argument(option, dest=field, choices=kind, default=None, help=words)
        else:
            parser.add_argument(option, dest=field, type=kind, default=None, metavar="VALUE", help=words)


def given_fields(options: dict[str, Any]) -> dict[str, Any]:
    """The given options, by field of `Registration`."""
    said: dict[str, Any] = {}
    for _, field, kind, _ in OPTIONS:
        value = options.get(field)
        if value is None:
            continue
        if kind is _LIST:
            words = [one for text in value for one in text.split()]
            said[field] = [] if words == ["none"] else words
        elif field == "dpop_nonce":
            said[field] = {"on": True, "off": False}.get(value)
        else:
            said[field] = None if value == "" and kind is _span else value
    if said.get("jwks_uri"):
        said.setdefault("jwks", None)
    elif said.get("jwks"):
        said.setdefault("jwks_uri", "")
    return said
