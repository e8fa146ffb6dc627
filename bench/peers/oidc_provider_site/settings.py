"""Django's settings of this site."""

from __future__ import annotations

from bench.peers.site import port, settings

globals().update(
    settings(
        ["oidc_provider", "bench.peers.oidc_provider_site"],
        "bench.peers.oidc_provider_site.urls",
        LOGIN_URL="/login",
        SITE_URL=f"http://127.0.0.1:{port()}",
        OIDC_USERINFO="bench.peers.oidc_provider_site.claims.userinfo",
    )
)
