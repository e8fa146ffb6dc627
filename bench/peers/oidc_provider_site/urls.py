"""Its own urls, and what makes codes and tokens beforehand by its own functions."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256
from itertools import cycle, islice

from django.contrib.auth import get_user_model
from django.urls import include, path
from oidc_provider.lib.utils.token import create_code, create_id_token, create_token
from oidc_provider.models import Client, Code, Token

from bench.peers.site import SCOPE, VERIFIER, maker

CLIENT_ID = "bench"
_CHALLENGE = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


def _codes(count: int) -> list[str]:
    client, users = Client.objects.get(), list(get_user_model().objects.all())
    rows = [
        create_code(user, client, SCOPE.split(), "n", True, _CHALLENGE, "S256")  # noqa: FBT003
        for user in islice(cycle(users), count)
    ]
    return [row.code for row in Code.objects.bulk_create(rows)]


def _tokens(count: int) -> list[Token]:
    client, users, rows = Client.objects.get(), list(get_user_model().objects.all()), []
    for user in islice(cycle(users), count):
        row = create_token(user, client, SCOPE.split())
        row.id_token = create_id_token(
            token=row, user=user, aud=client.client_id, nonce="n", at_hash=row.at_hash, scope=SCOPE.split()
        )
        rows.append(row)
    return Token.objects.bulk_create(rows)


urlpatterns = [
    path("__made", maker(CLIENT_ID, {
        "codes": _codes, "refresh_tokens": lambda count: [row.refresh_token for row in _tokens(count)],
        "access_token": lambda _: _tokens(1)[0].access_token,
    })),
    path("", include("oidc_provider.urls", namespace="oidc_provider")),
]  # fmt: skip
