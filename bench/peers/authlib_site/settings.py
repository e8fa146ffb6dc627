"""Django's settings of this site."""

from __future__ import annotations

from bench.peers.site import settings

globals().update(
    settings(
        ["bench.peers.authlib_site"],
        "bench.peers.authlib_site.urls",
        AUTHLIB_OAUTH2_PROVIDER={
            "refresh_token_generator": True,
            "token_expires_in": {"authorization_code": 300, "refresh_token": 300, "client_credentials": 300},
        },
    )
)
