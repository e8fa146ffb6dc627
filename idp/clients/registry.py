"""Take over the clients of a site's django-oidc-provider: secrets are hashed here and cleared there (E19, E20)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction
from oidc_provider.models import Client

from idp import uris
from idp.clients.terms import SCOPES
from idp.models import ClientPolicy, RegisteredUri
from idp.secrets import hash_secret

if TYPE_CHECKING:
    from datetime import datetime


def take_over(*, now: datetime) -> list[dict[str, Any]]:
    """Every client of the registry that has no policy yet; a URI that may not be registered is left out and named."""
    return [_taken_over(client, now=now) for client in Client.objects.filter(policy__isnull=True).order_by("id")]


def _lines(text: str) -> list[str]:
    """One URI per line; only a line feed ends a line, because U+2028 would permit a second URI (E20)."""
    return [line for line in (one.strip("\r\t ") for one in text.split("\n")) if line]


def _taken_over(client: Client, *, now: datetime) -> dict[str, Any]:
    public = client.client_type == "public" or not client.client_secret
    good = [("redirect", one) for one in _lines(client._redirect_uris)]  # noqa: SLF001 - the registry has no clean reader (E20)
    good += [("post_logout", one) for one in _lines(client._post_logout_redirect_uris)]  # noqa: SLF001
    refused = [one for _, one in good if uris.objection(one, application_type="web")]
    with transaction.atomic():
        policy = ClientPolicy.objects.create(
            client=client,
            secret_hash="" if public else hash_secret(client.client_secret, kind="client-secret"),
            auth_method="none" if public else "client_secret_basic",
            application_type="web",
            scopes=" ".join(SCOPES),
            created_at=now,
        )
        RegisteredUri.objects.bulk_create(
            RegisteredUri(policy=policy, use=use, uri=one) for use, one in dict.fromkeys(good) if one not in refused
        )
        client.client_secret = client._redirect_uris = client._post_logout_redirect_uris = ""  # noqa: SLF001
        client.save()
    return {"client_id": client.client_id, "name": client.name, "public": public, "left_out": ", ".join(refused)}
