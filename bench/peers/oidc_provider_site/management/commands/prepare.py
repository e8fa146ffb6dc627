"""Its key, its client and its people."""

from __future__ import annotations

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand
from oidc_provider.models import Client, ResponseType

from bench.peers.site import CALLBACK, SCOPE, SECRET


class Command(BaseCommand):
    """Fill an empty database."""

    def handle(self, *_args: object, **_options: object) -> None:
        """One key, one client, fifty people."""
        call_command("creatersakey")
        users = get_user_model().objects
        for number in range(50):
            users.create(
                username=f"person-{number}", first_name="Bench", last_name="Mark", email=f"person-{number}@example.org"
            )
        client = Client(name="Bench", client_id="bench", client_secret=SECRET, require_consent=False)
        client.redirect_uris, client.scope = (
            [CALLBACK],
            [*SCOPE.split(), "token_introspection", "bench"],
        )  # its own id: so it may introspect its tokens
        client.save()
        client.response_types.add(ResponseType.objects.get(value="code"))
