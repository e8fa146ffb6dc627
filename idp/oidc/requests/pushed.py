"""Pushed authorization requests by their request_uri (RFC 9126 §4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from idp import clients
from idp.models import PushedRequest
from idp.oidc.requests import refusals
from idp.oidc.requests.ask import Ask
from idp.oidc.requests.intake import AdmittedRequest, UntrustedRequest
from idp.secrets import hash_secret

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from django.http import HttpRequest


PREFIX = "urn:ietf:params:oauth:request_uri:"


def is_pushed(request_uri: str) -> bool:
    """True if a `request_uri` is of a pushed request, and not a URL to fetch."""
    return request_uri.startswith(PREFIX)


def load(
    request: HttpRequest, parameters: Mapping[str, str], *, now: datetime
) -> tuple[AdmittedRequest, PushedRequest]:
    """The pushed request that a browser names; only `client_id` and `request_uri` are read (§4).

    Loading does not consume it: a page may be loaded twice before the decision (ruling 20).
    Raises: UntrustedRequest.
    """
    party = clients.find(parameters.get("client_id", ""))
    if party is None:
        raise UntrustedRequest("The application is not registered here.")
    refusals.claim(request, party)
    row = PushedRequest.objects.filter(
        id_hash=hash_secret(parameters["request_uri"].removeprefix(PREFIX), kind="request-uri"),
        client=party.client,
        loads_until__gt=now,
        consumed_at__isnull=True,
    ).first()
    if row is None or not party.check_redirect_uri(row.redirect_uri):
        raise UntrustedRequest(
            "The request of the application is not known here, was used already, or is older than 90 seconds."
        )
    return AdmittedRequest(party=party, ask=Ask.restored(row.ask), redirect_uri=row.redirect_uri), row
