"""A source that speaks over SCIM with an access token that this provider gave its client (client credentials, RFC 6749 §4.4).

`scim` may not import this floor, so this floor comes down: `scim.auth.recognise_by(source_key)` when the apps are ready.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from idp.oidc import resource
from idp.oidc.resource import Unauthorized
from scim.auth import key_of_client

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest

SCOPE = "scim"


def source_key(request: HttpRequest, now: datetime) -> str | None:
    """The key of the client whose own token a request carries, if that token may push people; else None."""
    try:
        live = resource.authenticate(request, now=now)
    except Unauthorized:
        return None
    if live.grant is not None or SCOPE not in live.claims["scope"].split():
        return None
    return key_of_client(live.party.client_id)
