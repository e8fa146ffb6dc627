"""SCIM sources without a bearer token of their own: by access token or by certificate.

Either an access token that Ramet issued to the source's client (client credentials, RFC 6749 §4.4), or a certificate at
the certificate host (RFC 8705). `scim` may not import `idp`, so `idp.apps` registers these functions with
`scim.callers.recognise_by`.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from derived.errors import Refused
from idp.certificates import names, parties
from idp.oidc.endpoints import resource
from idp.oidc.endpoints.resource import Unauthorized
from idp.oidc.proofs import mutual_tls as certificate
from scim.callers import key_of_certificate, key_of_certified_name, key_of_client
from scim.models import SourceCredential

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest

    from idp.login.hop import PresentedCertificate

SCOPE = "scim"
_MOST_NAMES = 50


def keys_of_token(request: HttpRequest, now: datetime) -> list[str]:
    """The key of the client whose own token a request carries, if that token may push people."""
    try:
        live = resource.authenticate(request, now=now)
    except Unauthorized:
        return []
    if live.grant is not None or SCOPE not in live.claims["scope"].split():
        return []
    return [key_of_client(live.party.client_id)]


def keys_of_certificate(request: HttpRequest, now: datetime) -> list[str]:
    """The keys of this connection's certificate.

    The certificate itself, and each name certified by a trusted authority.
    The status of a certificate is requested only if a source has one of its names, so unknown callers cause no outbound
    calls.
    Raises: Unavailable(CERTIFICATE_STATUS_UNKNOWN) for a name of a source whose status cannot be determined.
    """
    found = certificate.certificate_of_connection(request, now=now)
    if found is None:
        return []
    try:
        shown = parties.well_formed_certificate(found.unverified_leaf, now=now)
    except Refused:
        return []
    known = {
        key_of_certified_name(authority, name): authority
        for authority in parties.authorities()
        for name in sorted(names.names(shown))[:_MOST_NAMES]
    }
    wanted = SourceCredential.objects.filter(key__in=list(known)).values_list("key", flat=True)
    vouched = [key for key in wanted if _is_certified(found, by=known[key], now=now)]
    return [key_of_certificate(hashlib.sha256(found.unverified_leaf).hexdigest()), *vouched]


def _is_certified(found: PresentedCertificate, *, by: str, now: datetime) -> bool:
    try:
        parties.require_certified(found.unverified_leaf, found.unverified_chain, by=by, now=now)
    except Refused:
        return False
    return True
