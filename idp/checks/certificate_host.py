"""System checks of the certificate host: configurations that would permit forged certificates (H1-H4, R31).

Ids: ramet.E040 to E046, W047, W054.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from django.core import checks
from django.core.checks import Error, register
from django.db import DatabaseError

from idp import certificates
from idp.config import config, is_loopback
from idp.login import hop

_VARIABLE = "RAMET_CERTIFICATE_"


@register
def certificate_host_is_safe(**_context: object) -> list[Error | checks.Warning]:
    """Require that only the proxy can pass on a certificate."""
    here = config()
    if not here.certificate_url:
        return []
    return [*_url(here.certificate_url, here.issuer), *_hop(), *_anchors(), *_left_out()]


def _url(url: str, issuer: str) -> list[Error]:
    parts = urlsplit(url)
    found = []
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or parts.path
        or parts.query
        or parts.fragment
        or parts.username
    ):
        hint = f"Set {_VARIABLE}URL to a bare URL like https://card.login.example.org, without a path."
        return [Error("the certificate host's URL is malformed", hint=hint, id="ramet.E040")]
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        hint = f"Set {_VARIABLE}URL to an https URL: only TLS proves that a card was there."
        found.append(Error("the certificate host is not https", hint=hint, id="ramet.E041"))
    if parts.netloc.lower() == urlsplit(issuer).netloc.lower():
        hint = "Give it a host name or a port of its own: every visitor would be asked for a card."
        found.append(Error("the certificate host is the issuer's own", hint=hint, id="ramet.E042"))
    return found


def _hop() -> list[Error]:
    here, found = config(), []
    if len(here.certificate_secret.get_secret_value()) < hop.LEAST_SECRET:
        hint = (
            f"Set {_VARIABLE}SECRET to {hop.LEAST_SECRET} or more random characters (openssl rand -hex 32), "
            "here and in the proxy."
        )
        found.append(Error("the certificate host's secret is missing or short", hint=hint, id="ramet.E043"))
    elif not hop.SECRET.fullmatch(here.certificate_secret.get_secret_value()):
        hint = "Use letters, digits, hyphens, dots, underscores and tildes only (openssl rand -hex 32)."
        found.append(
            Error("the certificate host's secret has characters that proxies would change", hint=hint, id="ramet.E046")
        )
    if not here.certificate_peers:
        hint = f"""Set {_VARIABLE}PEERS to '["unix"]', or to the addresses of its proxy."""
        found.append(Error("no peer may speak of certificates", hint=hint, id="ramet.E044"))
    for peer in here.certificate_peers:
        if peer != hop.UNIX and not _is_one_address(peer):
            hint = "List single addresses, or unix: a range or a wildcard lets a neighbour pretend to be the proxy."
            found.append(Error(f"“{peer}” is not one address", hint=hint, id="ramet.E045"))
    return found


def _is_one_address(text: str) -> bool:
    try:
        return not ipaddress.ip_address(text).is_unspecified
    except ValueError:
        return False


def _anchors() -> list[checks.Warning]:
    try:
        if certificates.is_configured():
            return []
    except DatabaseError:  # before the first migration there is no authority of ours either
        pass
    hint = (
        "Lay the authorities of your cards in RAMET_VAR/pki/anchors (docs/operating.md, Cards). Cards "
        "stay off until then."
    )
    return [
        checks.Warning(
            "there is a certificate host, and no authority whose cards are trusted", hint=hint, id="ramet.W047"
        )
    ]


def _left_out() -> list[checks.Warning]:
    hint = "Remove the file, or lay a CA certificate in PEM, DER or PKCS #7 in its place. The others are used."
    return [
        checks.Warning(f"RAMET_VAR/pki/{fault}: left out", hint=hint, id="ramet.W054")
        for fault in certificates.left_out()
    ]
