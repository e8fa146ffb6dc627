"""Its client and its people."""

from __future__ import annotations

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand

from bench.peers.authlib_site.models import OAuth2Client
from bench.peers.site import CALLBACK, SCOPE, SECRET


class Command(BaseCommand):
    """Fill an empty database."""

    def handle(self, *_args: object, **_options: object) -> None:
        """One client, fifty people."""
        users = get_user_model().objects
        people = [
            users.create(
                username=f"person-{number}", first_name="Bench", last_name="Mark", email=f"person-{number}@example.org"
            )
            for number in range(50)
        ]
        OAuth2Client.objects.create(
            user=people[0],
            client_id="bench",
            client_secret=SECRET,
            redirect_uris=CALLBACK,
            scope=SCOPE,
            grant_type="authorization_code refresh_token client_credentials",
        )
